//! Every fault made real: the line that the real proxy writes about it, and what `explain --log` says about that line.

use crate::support::kubectl::Kubectl;
use crate::support::{Stage, open};
use kubectl_egress_lab::OutboundPolicy;
use serde_json::Value;

/// An object outside of the stage's namespace, which goes when the test ends.
struct Gone(Kubectl, String);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self
            .0
            .attempt(&format!("delete {} -n istio-system --ignore-not-found", self.1));
    }
}

/// Whose log.
#[derive(Clone, Copy)]
enum Log {
    Sidecar,
    Gateway,
}

/// The last line about a host with these words, after requests for it; with kubectl's prefix, as people have it.
#[track_caller]
fn line(stage: &Stage, url: &str, log: Log, words: &[&str]) -> String {
    let (_, host) = url.split_once("://").unwrap();
    let namespace = &stage.namespace;
    let read = match log {
        Log::Sidecar => format!("logs deploy/curl -n {namespace} -c istio-proxy --tail=-1 --prefix"),
        Log::Gateway => {
            "logs -n istio-system -l istio=egressgateway -c istio-proxy --tail=-1 --prefix".to_owned()
        }
    };
    let mut last = String::new();
    // A change takes a moment to reach the proxies, a Secret that does not come 15 s, a line up to 10 s.
    for _ in 0..60 {
        let _ = stage.kubectl.attempt(&format!(
            "exec deploy/curl -n {namespace} -c curl -- curl -sS -k -m 12 -o /dev/null {url}"
        ));
        last = stage.kubectl.run(&read);
        let fits = |line: &&str| line.contains(host) && words.iter().all(|word| line.contains(word));
        if let Some(line) = last.lines().rfind(fits) {
            return line.to_owned();
        }
    }
    let last: Vec<&str> = last.lines().rev().take(5).collect();
    panic!("no line of {host} with {words:?}; the last were {last:#?}");
}

/// Explains it, and requires the code and words of what is said, objects included.
#[track_caller]
fn explains(stage: &Stage, line: &str, code: Option<&str>, words: &[&str]) -> Value {
    // For test data: what the real proxy wrote.
    println!("{} {line}", code.unwrap_or("-"));
    let run = stage.egress_bare(&["explain", "--log", line, "-o", "json"]);
    run.exits(0);
    let document = run.json();
    assert_eq!(document["code"].as_str(), code, "{run}");
    for word in words {
        assert!(run.stdout.contains(word), "no `{word}`: {run}");
    }
    document
}

/// No, or a wrong, object of the way through the gateway.
#[test]
fn what_is_missing_on_the_way_is_named() {
    let mut stage = open!(alone).with_route();
    let other = stage.another_namespace();
    let (host, namespace) = (stage.host.clone(), stage.namespace.clone());
    let url = format!("https://{host}");
    // A port of the gateway has a listener as long as somebody's Gateway uses it.
    let neighbour = format!("setup also-{host} --create-namespace --no-probe");
    stage.egress_in(&other, &neighbour).exits(0);
    let delete = |kind: &str| stage.kubectl.run(&format!("delete {kind} --all -n {namespace}"));
    let again = || {
        stage.egress(&format!("setup {host} --no-probe")).exits(0);
    };

    let sent = line(&stage, &url, Log::Sidecar, &["istio-egressgateway"]);
    let said = explains(&stage, &sent, None, &["sent-to-gateway", "defines subset"]);
    assert!(said["who"].as_str().unwrap().contains("curl-"), "{said}");
    let carried = line(&stage, &url, Log::Gateway, &["outbound|443||"]);
    let entry = format!("ServiceEntry {namespace}/");
    let pod = format!("the request came from pod {namespace}/curl-");
    explains(&stage, &carried, None, &["carried-out", &entry, &pod]);

    // NC.
    delete("destinationrule");
    let missing = line(&stage, &url, Log::Sidecar, &[" NC "]);
    explains(
        &stage,
        &missing,
        Some("EGR-114"),
        &["no DestinationRule for", "which explains NC"],
    );
    again();

    // NR at the gateway, UR at the sidecar.
    delete("gateways.networking.istio.io");
    let refused = line(&stage, &url, Log::Gateway, &[" NR "]);
    explains(
        &stage,
        &refused,
        Some("EGR-110"),
        &["no Gateway offers", "which explains"],
    );
    let reset = line(&stage, &url, Log::Sidecar, &[" UR "]);
    explains(
        &stage,
        &reset,
        Some("EGR-119"),
        &["kubectl egress logs --host", "no Gateway offers"],
    );
    // Without any server the port has no listener.
    stage
        .kubectl
        .run(&format!("delete gateways.networking.istio.io --all -n {other}"));
    let closed = line(&stage, &url, Log::Sidecar, &["UF,URX", "Connection_refused"]);
    explains(
        &stage,
        &closed,
        Some("EGR-113"),
        &["nothing listens there", "no Gateway offers"],
    );
    again();

    // UH at the gateway.
    let patch = r#"-p={"spec":{"resolution":"NONE"}}"#;
    let entries = stage.kubectl.names(&format!("get serviceentry -n {namespace}"));
    stage
        .kubectl
        .with(&["patch", &entries[0], "-n", &namespace, "--type=merge", patch]);
    let nowhere = line(&stage, &url, Log::Gateway, &[" UH "]);
    explains(
        &stage,
        &nowhere,
        Some("EGR-144"),
        &["no address to send it to", "resolution NONE"],
    );
    delete("serviceentry");
    again();

    // Past the gateway, by its ServiceEntry alone and then without.
    delete("virtualservice");
    let direct = line(&stage, &url, Log::Sidecar, &[&format!("outbound|443||{host}")]);
    explains(&stage, &direct, Some("EGR-101"), &["left-directly"]);
    delete("serviceentry");
    // A sidecar reads server names only on ports where somebody declares TLS.
    stage.kubectl.apply(&format!(
        "---\n{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: neighbour, namespace: {namespace}}}, \
         spec: {{hosts: [\"another-{host}\"], resolution: DNS, ports: [{{number: 443, name: tls, protocol: TLS}}]}}}}"
    ));
    let unknown = line(&stage, &url, Log::Sidecar, &["PassthroughCluster"]);
    explains(
        &stage,
        &unknown,
        Some("EGR-101"),
        &["left-unknown", &format!("no ServiceEntry declares {host}")],
    );
}

/// The gateway's pods, and a host that refuses.
#[test]
fn a_refused_connection_and_a_gateway_without_pods_are_told_apart() {
    let stage = open!(alone).routed("refused.test");
    let url = "https://refused.test";
    let refused = line(&stage, url, Log::Gateway, &["UF,URX"]);
    explains(
        &stage,
        &refused,
        Some("EGR-108"),
        &["nothing listens there", "URX"],
    );

    stage.scale_gateway(0);
    let nobody = line(&stage, url, Log::Sidecar, &[" UH "]);
    explains(
        &stage,
        &nobody,
        Some("EGR-201"),
        &["found no ready pod of the gateway"],
    );
    stage.scale_gateway(1);
}

/// TLS that the gateway makes.
#[test]
fn what_is_wrong_with_tls_is_named() {
    let stage = open!(alone);
    stage
        .egress("setup wrongsan.test:80 expired.test:80 mtls.test:80 --mode tls-origination --create-namespace --no-probe")
        .exits(0);
    let name = line(
        &stage,
        "http://wrongsan.test",
        Log::Gateway,
        &["CERTIFICATE_VERIFY_FAILED"],
    );
    explains(&stage, &name, Some("EGR-133"), &["other names: other.test"]);
    let expired = line(
        &stage,
        "http://expired.test",
        Log::Gateway,
        &["certificate_has_expired"],
    );
    explains(
        &stage,
        &expired,
        Some("EGR-134"),
        &["the server's certificate has expired"],
    );
    // No client certificate where one is wanted: TLS 1.3 gives no reason.
    let wanted = line(&stage, "http://mtls.test", Log::Gateway, &[" UC "]);
    explains(&stage, &wanted, Some("EGR-135"), &["One of four causes"]);
    // The sidecar's line has no flag for what failed at the gateway.
    let behind = line(&stage, "http://expired.test", Log::Sidecar, &[" 503 "]);
    explains(
        &stage,
        &behind,
        None,
        &["error-from-behind", "whose own line says why"],
    );

    let host = stage.host.clone();
    let url = format!("http://{host}");
    let secret = format!("{}-ca", stage.namespace);
    let authority = stage.world.authority().with_file_name("client-ca.pem");
    let make = format!(
        "create secret generic {secret} -n istio-system --from-file=ca.crt={}",
        authority.display()
    );
    let gone = Gone(stage.kubectl.clone(), format!("secret {secret}"));
    stage.kubectl.run(&make);
    stage
        .egress(&format!(
            "setup {host}:80 --mode tls-origination --ca-secret {secret} --no-probe"
        ))
        .exits(0);
    let untrusted = line(&stage, &url, Log::Gateway, &["CERTIFICATE_VERIFY_FAILED"]);
    explains(
        &stage,
        &untrusted,
        Some("EGR-132"),
        &["does not know the authority"],
    );

    // Another rule for the host asks for a Secret that nobody made.
    drop(gone);
    let patch = r#"[{"op": "replace", "path": "/spec/trafficPolicy/portLevelSettings/0/tls/credentialName", "value": "nobody-made-it"}]"#;
    stage.kubectl.with(&[
        "patch",
        "destinationrule",
        &format!("egress-default.{host}"),
        "-n",
        &stage.namespace,
        "--type=json",
        &format!("-p={patch}"),
    ]);
    let secret = line(&stage, &url, Log::Gateway, &["Secret_is_not_supplied_by_SDS"]);
    explains(&stage, &secret, Some("EGR-131"), &["was not given the Secret"]);
}

/// Who stops what: the mesh's policy, a policy of Istio's.
#[test]
fn who_stopped_a_request_is_named() {
    let mut stage = open!(alone).with_route();
    let host = stage.host.clone();
    let policy = format!(
        "apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {0}, namespace: istio-system}}
spec:
  action: DENY
  selector: {{matchLabels: {{istio: egressgateway}}}}
  rules: [{{when: [{{key: connection.sni, values: [{host}]}}]}}]
",
        stage.namespace
    );
    let gone = Gone(
        stage.kubectl.clone(),
        format!("authorizationpolicy {}", stage.namespace),
    );
    stage.kubectl.apply(&policy);
    let denied = line(
        &stage,
        &format!("https://{host}"),
        Log::Gateway,
        &["rbac_access_denied"],
    );
    let named = format!("istio-system/{}", stage.namespace);
    explains(&stage, &denied, Some("EGR-120"), &[&named]);
    drop(gone);

    let plain = line(
        &stage,
        "http://edition.cnn.com",
        Log::Sidecar,
        &["PassthroughCluster"],
    );
    explains(&stage, &plain, Some("EGR-101"), &["allow_any"]);
    stage.set_outbound_policy(OutboundPolicy::RegistryOnly);
    let tls = line(
        &stage,
        "https://edition.cnn.com",
        Log::Sidecar,
        &["BlackHoleCluster"],
    );
    explains(
        &stage,
        &tls,
        Some("EGR-109"),
        &["REGISTRY_ONLY", "no ServiceEntry declares edition.cnn.com"],
    );
    let http = line(&stage, "http://edition.cnn.com", Log::Sidecar, &["block_all"]);
    explains(&stage, &http, Some("EGR-109"), &["REGISTRY_ONLY"]);

    // A whole log at once.
    let log = stage.kubectl.run(&format!(
        "logs deploy/curl -n {} -c istio-proxy --tail=-1 --timestamps",
        stage.namespace
    ));
    let run = stage.explain_log(&log);
    run.exits(0);
    for word in ["lines of an access log", "EGR-101", "EGR-109"] {
        assert!(run.stdout.contains(word), "no `{word}`: {run}");
    }
}

/// A VirtualService that claims a host, and none of whose routes fits.
#[test]
fn a_request_that_no_route_fits_is_named() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    stage.egress("deploy-curl").exits(0);
    let Stage { host, namespace, .. } = &stage;
    let claimed = |path: &str| {
        stage.kubectl.apply(&format!(
            "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: claimed, namespace: {namespace}}}
spec: {{hosts: [{host}], exportTo: [\".\"], location: MESH_EXTERNAL, resolution: DNS, ports: [{{number: 80, name: http, protocol: HTTP}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: claimed, namespace: {namespace}}}
spec:
  hosts: [{host}]
  exportTo: [\".\"]
  http: [{{match: [{{uri: {{prefix: {path}}}}}], route: [{{destination: {{host: {host}, port: {{number: 80}}}}}}]}}]
"
        ));
    };
    let url = format!("http://{host}");
    claimed("/only");
    let refused = line(&stage, &url, Log::Sidecar, &[" NR "]);
    explains(&stage, &refused, Some("EGR-143"), &["claimed"]);
    claimed("/");
    let sent = line(&stage, &url, Log::Sidecar, &[" 200 "]);
    let said = stage.egress_bare(&["explain", "--log", &sent, "-o", "json"]);
    assert!(!said.stdout.contains("EGR-143"), "{said}");
}
