//! The lock: proven by pods that it blocks, compared with what the outside world saw; and taken back whenever the
//! proof is not complete.

use crate::support::{Run, Stage, open};
use kubectl_egress_lab::{EventKind, Mark, PolicyEngine, WorldEvent};
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

#[test]
fn a_second_lockdown_changes_nothing() {
    let stage = open!(shared).with_route();
    stage.egress(LOCKDOWN).exits(0);
    let second = stage.changes_nothing(LOCKDOWN);
    assert_eq!(second.exits(0).json()["end"], "unchanged", "{second}");
    stage.egress("unlock").exits(0);
    mentions(stage.egress("unlock").exits(0), &["no lock"]);
    assert!(locks(&stage).is_empty());
    is_open(&stage);
}

#[test]
fn another_policy_that_opens_a_way_out_is_named_before_and_after() {
    let stage = open!(shared).with_route();
    let open = format!(
        r#"{{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {{"name": "theirs", "namespace": "{}"}},
            "spec": {{"podSelector": {{}}, "policyTypes": ["Egress"], "egress": [{{"to": [{{"ipBlock": {{"cidr": "203.0.113.0/24"}}}}]}}]}}}}"#,
        stage.namespace
    );
    stage.kubectl.apply(&open);
    let refused = stage.changes_nothing(LOCKDOWN);
    mentions(refused.exits(1), &["EGR-501", "theirs", "203.0.113.0/24"]);
    stage
        .kubectl
        .run(&format!("delete networkpolicy theirs -n {}", stage.namespace));
    stage.egress(LOCKDOWN).exits(0);
    stage.kubectl.apply(&open);
    let verify = stage.egress("verify -o json");
    assert_eq!(
        verify.exits(1).json()["claims"]["enforced"],
        "disproven",
        "{verify}"
    );
    mentions(&verify, &["EGR-501", "theirs"]);
}

#[test]
fn a_lock_that_was_weakened_since_is_noticed() {
    let stage = open!(shared).with_route();
    stage.egress(LOCKDOWN).exits(0);
    let lock = locks(&stage).remove(0);
    stage.kubectl.run(&format!(
        "patch {lock} -n {} --type=json -p [{{\"op\":\"add\",\"path\":\"/spec/egress/-\",\"value\":{{}}}}]",
        stage.namespace
    ));
    mentions(stage.egress("verify").exits(1), &["EGR-502"]);
    mentions(stage.egress("status").exits(1), &["EGR-502"]);
    stage
        .kubectl
        .run(&format!("delete {lock} -n {}", stage.namespace));
    mentions(stage.egress("verify").exits(1), &["EGR-502", "gone"]);
    let again = stage.egress(LOCKDOWN);
    assert_eq!(again.exits(0).json()["end"], "locked", "{again}");
    stage.egress("verify").exits(0);
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
fn every_policy_engine_is_locked_or_the_lock_is_taken_back_with_its_reason() {
    let mut stage = open!(alone).with_route();
    for (engine, expected) in [
        (PolicyEngine::BeforeDnat, None),
        (PolicyEngine::Late, None),
        (PolicyEngine::Reject, None),
        (PolicyEngine::Cut, None),
        (PolicyEngine::NoNodeBlocks, Some("EGR-509")),
        (PolicyEngine::None, Some("EGR-503")),
        (PolicyEngine::AfterDnat, None),
    ] {
        stage.lab().set_policy_engine(engine).unwrap();
        let mark = stage.mark();
        let run = stage.egress(LOCKDOWN);
        match expected {
            None => {
                assert_eq!(run.exits(0).json()["end"], "locked", "{engine:?}: {run}");
                let locked = stage.mark();
                stage.egress("verify").exits(0);
                is_empty(&strangers(&stage, locked), &format!("{engine:?}"));
                stage.egress("unlock").exits(0);
            }
            Some(code) => {
                mentions(run.exits(1), &[code]);
                assert!(locks(&stage).is_empty(), "{engine:?}");
                assert!(
                    !strangers(&stage, mark).is_empty(),
                    "{engine:?}: the control reached nobody"
                );
            }
        }
        nothing_is_left(&stage);
    }
}

#[test]
fn whatever_moment_the_client_is_killed_at_the_lock_goes_by_itself() {
    let stage = open!(shared).with_route();
    for moment in [
        "pod without sidecar",
        "dead-man's switch",
        "the lock's rules on the switch's pod",
        "without a proof it goes by itself",
        "new pod with sidecar",
    ] {
        let mut running = stage.start("lockdown --yes --confirm-within 45s");
        running.until_it_says(moment);
        running.kill();
        // By watch, and longer than announced only if the promise is broken.
        stage.kubectl.run(&format!(
            "wait --for=delete networkpolicy -n {} -l kubectl-egress.dev/role=lock --timeout=75s",
            stage.namespace
        ));
        assert!(locks(&stage).is_empty(), "{moment}");
        is_open(&stage);
        stage.egress("unlock").exits(0);
        nothing_is_left(&stage);
    }
    // And a run after all that comes to its end.
    stage.egress(LOCKDOWN).exits(0);
}

#[test]
fn what_the_lock_would_break_is_found_out_and_taken_back() {
    let stage = open!(shared).with_route();
    let namespace = &stage.namespace;
    let closed = |place: &str, selector: &str, port: u16| {
        // Everybody else may still come in; our namespace may not, at that port.
        format!(
            r#"{{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {{"name": "closed-to-{namespace}", "namespace": "{place}"}},
                "spec": {{"podSelector": {{"matchLabels": {selector}}}, "policyTypes": ["Ingress"],
                "ingress": [{{"from": [{{"namespaceSelector": {{"matchExpressions": [{{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["{namespace}"]}}]}}}},
                                       {{"ipBlock": {{"cidr": "198.51.100.0/24"}}}}]}},
                            {{"ports": [{{"port": 1, "endPort": {}}}, {{"port": {}, "endPort": 65535}}, {{"protocol": "UDP", "port": 1, "endPort": 52}}]}}]}}}}"#,
            port - 1,
            port + 1
        )
    };
    for (place, selector, port, code) in [
        ("istio-system", r#"{"app": "istiod"}"#, 15012, "EGR-505"),
        ("kube-system", r#"{"k8s-app": "kube-dns"}"#, 53, "EGR-504"),
    ] {
        let mut running = stage.start(&format!("{LOCKDOWN} --timeout 30s"));
        // The fault comes with the lock: before it everything works.
        running.until_it_says("the lock's rules on the switch's pod");
        stage.kubectl.apply(&closed(place, selector, port));
        let run = running.finish();
        stage
            .kubectl
            .run(&format!("delete networkpolicy closed-to-{namespace} -n {place}"));
        mentions(run.exits(1), &[code]);
        nothing_is_left(&stage);
    }
}

#[test]
fn ctrl_c_takes_everything_back_at_once() {
    let stage = open!(shared).with_route();
    for moment in ["dead-man's switch", "new pod with sidecar"] {
        let mut running = stage.start("lockdown --yes");
        running.until_it_says(moment);
        running.interrupt();
        running.finish().exits(130);
        nothing_is_left(&stage);
    }
    is_open(&stage);
}

#[test]
fn a_workload_that_would_stop_being_ready_takes_the_lock_back() {
    let mut stage = open!(shared).with_route();
    let other = stage.another_namespace();
    stage.make_namespace(&other, "");
    stage.kubectl.apply(&WEB.replace("NAMESPACE", &other));
    stage.rolled_out(&other, "web");
    let web = stage.addresses(&other, "app=web").into_iter().next().unwrap();
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
    let other = stage.another_namespace();
    stage.make_namespace(&other, "");
    stage.kubectl.apply(&WEB.replace("NAMESPACE", &other));
    stage.rolled_out(&other, "web");
    let web = stage.addresses(&other, "app=web").into_iter().next().unwrap();
    assert!(answered(&stage, web), "without a lock");
    stage.egress(LOCKDOWN).exits(0);
    assert!(!answered(&stage, web), "deny stops other pods");
    let changed = stage.egress(&format!("{LOCKDOWN} --in-cluster allow"));
    assert_eq!(changed.exits(0).json()["end"], "locked", "{changed}");
    assert_eq!(locks(&stage).len(), 1, "a changed lock keeps its name");
    assert!(answered(&stage, web), "allow opens other pods");
    stage.egress("verify").exits(0);
}

fn answered(stage: &Stage, address: IpAddr) -> bool {
    let code = stage.kubectl.attempt(&format!(
        "exec -n {} deploy/curl -c curl -- curl -s -o /dev/null -m 12 -w %{{http_code}} http://{address}:8080/passwd",
        stage.namespace
    ));
    code.is_ok_and(|code| code.trim() == "200")
}

#[test]
fn what_cannot_be_locked_is_refused_before_anything_is_changed() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    stage.changes_nothing(LOCKDOWN).exits(2).says(&["no plan"]);
    let stage = stage.with_route();
    stage
        .changes_nothing(&format!("{LOCKDOWN} --selector app=nobody"))
        .exits(2)
        .says(&["app=nobody"]);
    stage.changes_nothing("lockdown").exits(5);
    stage.kubectl.run(&format!(
        "create quota small --hard=pods=1 -n {}",
        stage.namespace
    ));
    stage
        .changes_nothing(LOCKDOWN)
        .exits(4)
        .says(&["quota", "dead-man's switch"]);
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
