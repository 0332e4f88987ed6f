//! The lock: what it stops and what it lets through, proven by pods and compared with what the outside world saw.

mod standing;
mod taken_back;

use crate::support::{Run, Stage, open};
use kubectl_egress_lab::{EventKind, Mark, WorldEvent};
use std::net::IpAddr;

/// A web server that every pod of the cluster reaches.
const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NAMESPACE}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: docker.io/curlimages/curl:8.18.0
        imagePullPolicy: IfNotPresent
        command: [busybox, httpd, -f, -p, "8080", -h, /etc]
        readinessProbe: {httpGet: {path: /passwd, port: 8080}, periodSeconds: 1}
"#;

/// A workload that is ready only while it reaches another namespace.
const NEEDY: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: needy, namespace: NAMESPACE}
spec:
  selector: {matchLabels: {app: needy}}
  template:
    metadata: {labels: {app: needy}, annotations: {sidecar.istio.io/inject: "false"}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: needy
        image: docker.io/curlimages/curl:8.18.0
        imagePullPolicy: IfNotPresent
        command: [sleep, infinity]
        readinessProbe:
          exec: {command: [curl, -s, -f, -m, "2", "http://ADDRESS:8080/passwd"]}
          periodSeconds: 1
          timeoutSeconds: 4
          failureThreshold: 2
"#;

/// Long enough for a proof on a slow machine.
const LOCKDOWN: &str = "lockdown --yes -o json";

#[test]
fn a_namespace_is_locked_proven_verified_and_cleaned_up() {
    let stage = open!(shared).with_route();
    let before = stage.mark();
    let run = stage.egress(LOCKDOWN);
    let document = run.exits(0).json();
    assert_eq!(document["end"], "locked", "{run}");
    assert_eq!(document["claims"]["routed"], "proven", "{run}");
    assert_eq!(document["claims"]["enforced"], "proven", "{run}");
    // Before the lock the un-meshed pod reached the host itself: the world saw somebody else than the gateway.
    assert!(
        !strangers(&stage, before).is_empty(),
        "the control reached nobody"
    );
    nothing_but_the_lock_is_left(&stage);

    let locked = stage.mark();
    let verify = stage.egress("verify -o json");
    let document = verify.exits(0).json();
    assert_eq!(
        document["claims"]["enforced"], "proven",
        "required without being asked for: {verify}"
    );
    let unmeshed = document["probes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|probe| probe["meshed"] == false);
    for probe in unmeshed {
        assert!(
            probe["outcome"] != "bypassed" && probe["outcome"] != "routed",
            "{verify}"
        );
    }
    is_empty(
        &strangers(&stage, locked),
        "somebody got past the gateway under the lock",
    );
    stage.egress("cleanup --verify").exits(0);
    assert!(locks(&stage).is_empty());
}

/// Seed 003: the routing is one namespace's, the workloads and the lock are another's.
#[test]
fn a_namespace_is_routed_and_locked_by_the_plan_of_another() {
    let mut stage = open!(shared).with_namespace("");
    let other = stage.another_namespace();
    stage.make_namespace(&other, "istio-injection=enabled");
    let here = format!("setup {} --no-probe", stage.host);
    stage.egress(&format!("{here} --export-to {other}")).exits(0);
    stage.egress_in(&other, "deploy-curl").exits(0);
    let plan = format!("--plan {}/default", stage.namespace);
    let gateway = stage.gateway_addresses();

    // Routed by what is exported; the same again beside a plan of that namespace's own over the same gateway.
    let own = format!("{other}.wild.test");
    for with_a_plan_of_its_own in [false, true] {
        if with_a_plan_of_its_own {
            stage
                .egress_in(&other, &format!("setup {own} --no-probe"))
                .exits(0);
        }
        let mark = stage.mark();
        let verify = stage.egress_in(&other, &format!("verify -o json --skip-unmeshed {plan}"));
        assert_eq!(verify.exits(0).json()["claims"]["routed"], "proven", "{verify}");
        assert_eq!(stage.peers_of(mark, &stage.host, 443), gateway, "{verify}");
    }
    stage.egress_in(&other, "verify --skip-unmeshed").exits(0);
    stage.egress_in(&other, "cleanup --keep-namespace").exits(0);
    stage.egress_in(&other, "deploy-curl").exits(0);

    let run = stage.egress_in(&other, &format!("{LOCKDOWN} {plan}"));
    assert_eq!(run.exits(0).json()["end"], "locked", "{run}");
    let locked = stage.mark();
    let verify = stage.egress_in(&other, &format!("verify -o json {plan}"));
    let document = verify.exits(0).json();
    assert_eq!(document["claims"]["routed"], "proven", "{verify}");
    assert_eq!(document["claims"]["enforced"], "proven", "{verify}");
    // The allowed host by the gateway alone; an un-injected pod reached nothing.
    assert_eq!(stage.peers_of(locked, &stage.host, 443), gateway, "{verify}");
    let of_bare = document["probes"].as_array().unwrap().iter();
    let bare: Vec<_> = of_bare
        .filter(|probe| probe["meshed"] == false)
        .map(|probe| probe["outcome"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert!(
        !bare.is_empty() && bare.iter().all(|outcome| outcome == "blocked"),
        "{verify}"
    );

    stage.egress_in(&other, &format!("unlock {plan}")).exits(0);
    stage.egress_in(&other, "cleanup --keep-namespace").exits(0);
    stage.egress("cleanup --verify --keep-namespace").exits(0);
    let ours = "-l app.kubernetes.io/managed-by=kubectl-egress -o name";
    let kinds =
        format!("{KINDS},destinationrules,virtualservices,serviceentries,gateways.networking.istio.io");
    for namespace in [&other, &stage.namespace] {
        let left = stage.kubectl.run(&format!("get {kinds} -n {namespace} {ours}"));
        assert_eq!(left.trim(), "", "left in {namespace}");
    }
}

#[test]
fn a_workload_that_would_stop_being_ready_takes_the_lock_back() {
    let mut stage = open!(shared).with_route();
    let web = web_elsewhere(&mut stage);
    stage.kubectl.apply(
        &NEEDY
            .replace("NAMESPACE", &stage.namespace)
            .replace("ADDRESS", &web.to_string()),
    );
    stage.rolled_out(&stage.namespace, "needy");
    let run = stage.egress(LOCKDOWN);
    assert_eq!(run.exits(1).json()["end"], "rolledBack", "{run}");
    mentions(&run, &["EGR-508", "needy"]);
    nothing_is_left(&stage);
    stage.egress(&format!("{LOCKDOWN} --in-cluster allow")).exits(0);
    stage.rolled_out(&stage.namespace, "needy");
}

#[test]
fn a_resolver_on_the_node_is_let_through() {
    let mut stage = open!(alone);
    stage.lab().set_node_local_dns(true).unwrap();
    let stage = stage.with_route();
    let run = stage.egress(LOCKDOWN);
    let locked = run.code;
    let verified = stage.egress("verify").code;
    let mut stage = stage;
    stage.lab().set_node_local_dns(false).unwrap();
    assert_eq!(locked, Some(0), "{run}");
    assert!(run.stdout.contains("169.254.20.10"), "{run}");
    assert_eq!(verified, Some(0));
}

#[test]
fn a_lock_by_selector_holds_its_pods_and_names_the_others() {
    let stage = open!(shared).with_route();
    stage.kubectl.apply(&WEB.replace("NAMESPACE", &stage.namespace));
    stage.rolled_out(&stage.namespace, "web");
    let run = stage.egress(&format!("{LOCKDOWN} --selector app=web"));
    assert_eq!(run.exits(0).json()["end"], "locked", "{run}");
    mentions(&run, &["EGR-512", "curl-"]);
    // A pod that is not selected is as free as before, and one with the label is not.
    is_open(&stage);
    let verify = stage.egress("verify -o json");
    assert_eq!(verify.json()["claims"]["enforced"], "proven", "{verify}");
    stage.egress("unlock --yes").exits(0);
    stage.egress(LOCKDOWN).exits(0).finds_no("EGR-512");
}

#[test]
fn registry_only_does_not_pass_for_a_lock() {
    let mut stage = open!(alone).with_route();
    stage.set_outbound_policy(kubectl_egress_lab::OutboundPolicy::RegistryOnly);
    let without = stage.egress("verify --require enforced -o json");
    assert_ne!(without.json()["claims"]["enforced"], "proven", "{without}");
    stage.egress(LOCKDOWN).exits(0);
    let verify = stage.egress("verify -o json");
    let document = verify.exits(0).json();
    let blockers: Vec<_> = document["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|probe| {
            (
                probe["meshed"].as_bool().unwrap(),
                probe["blockedBy"].as_str().unwrap_or("-").to_owned(),
            )
        })
        .collect();
    assert!(blockers.contains(&(true, "registry-only".to_owned())), "{verify}");
    assert!(
        blockers.contains(&(false, "network-policy".to_owned())),
        "{verify}"
    );
}

#[test]
fn in_cluster_traffic_is_stopped_unless_it_is_allowed() {
    let mut stage = open!(shared).with_route();
    let web = web_elsewhere(&mut stage);
    assert!(answered(&stage, web), "without a lock");
    stage.egress(LOCKDOWN).exits(0);
    assert!(!answered(&stage, web), "deny stops other pods");
    let changed = stage.egress(&format!("{LOCKDOWN} --in-cluster allow"));
    assert_eq!(changed.exits(0).json()["end"], "locked", "{changed}");
    assert_eq!(locks(&stage).len(), 1, "a changed lock keeps its name");
    assert!(answered(&stage, web), "allow opens other pods");
    stage.egress("verify").exits(0);
}

/// A web server in a namespace that is not locked; its address.
fn web_elsewhere(stage: &mut Stage) -> IpAddr {
    let other = stage.another_namespace();
    stage.make_namespace(&other, "");
    stage.kubectl.apply(&WEB.replace("NAMESPACE", &other));
    stage.rolled_out(&other, "web");
    stage.addresses(&other, "app=web").into_iter().next().unwrap()
}

fn answered(stage: &Stage, address: IpAddr) -> bool {
    let code = stage.kubectl.attempt(&format!(
        "exec -n {} deploy/curl -c curl -- curl -s -o /dev/null -m 12 -w %{{http_code}} http://{address}:8080/passwd",
        stage.namespace
    ));
    code.is_ok_and(|code| code.trim() == "200")
}

/// On either stream: findings are data.
#[track_caller]
fn mentions(run: &Run, words: &[&str]) {
    for word in words {
        assert!(
            run.stdout.contains(word) || run.stderr.contains(word),
            "`{word}`: {run}"
        );
    }
}

#[track_caller]
fn is_empty(strangers: &[IpAddr], what: &str) {
    assert!(strangers.is_empty(), "{what}: {strangers:?}");
}

/// Who reached the stage's host since then, gateway aside.
fn strangers(stage: &Stage, mark: Mark) -> Vec<IpAddr> {
    let gateway = stage.gateway_addresses();
    let events = stage.world.since(mark).unwrap();
    let mut found: Vec<IpAddr> = events
        .iter()
        .filter(|event| event.event == EventKind::Request && event.host.as_deref() == Some(&stage.host))
        .map(WorldEvent::peer_ip)
        .filter(|peer| !gateway.contains(peer))
        .collect();
    found.dedup();
    found
}

/// Without a lock, a pod without sidecar reaches the host by itself.
#[track_caller]
fn is_open(stage: &Stage) {
    let probed = stage.probe_with(&format!("https://{}", stage.host), "--unmeshed");
    assert_eq!(probed.outcome(), "bypassed", "{}", probed.run);
    let gateway = stage.gateway_addresses();
    assert!(
        !probed.peers().is_empty() && probed.peers().is_disjoint(&gateway),
        "{}",
        probed.run
    );
}

fn locks(stage: &Stage) -> Vec<String> {
    stage.kubectl.names(&format!(
        "get networkpolicies -n {} -l kubectl-egress.dev/role=lock",
        stage.namespace
    ))
}

const KINDS: &str = "networkpolicies,jobs,roles,rolebindings,serviceaccounts,configmaps,pods";

fn left(stage: &Stage) -> Vec<String> {
    let mut left = stage.kubectl.names(&format!(
        "get {KINDS} -n {} -l kubectl-egress.dev/lock",
        stage.namespace
    ));
    left.extend(stage.kubectl.names(&format!(
        "get pods -n {} -l app.kubernetes.io/managed-by=kubectl-egress",
        stage.namespace
    )));
    left
}

#[track_caller]
fn nothing_is_left(stage: &Stage) {
    let left = left(stage);
    assert!(left.is_empty(), "left: {left:?}");
}

#[track_caller]
fn nothing_but_the_lock_is_left(stage: &Stage) {
    let left = left(stage);
    assert!(
        left.len() == 1 && left[0].starts_with("networkpolicy"),
        "left: {left:?}"
    );
}
