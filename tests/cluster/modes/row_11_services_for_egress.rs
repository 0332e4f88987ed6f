//! Row 11: Kubernetes Services by which applications call hosts outside.

use crate::support::{Stage, open};

/// A headless Service of somebody's with the address of a server outside.
fn headless(stage: &Stage, address: &str) {
    let namespace = &stage.namespace;
    stage.kubectl.apply(&format!(
        "apiVersion: v1
kind: Service
metadata: {{name: theirs, namespace: {namespace}, annotations: {{networking.istio.io/exportTo: {namespace}}}}}
spec:
  clusterIP: None
  ports: [{{name: http, port: 80}}, {{name: tls, port: 443}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: theirs-1, namespace: {namespace}, labels: {{kubernetes.io/service-name: theirs}}}}
addressType: IPv4
endpoints: [{{addresses: [{address}]}}]
ports: [{{name: http, port: 80}}, {{name: tls, port: 443}}]
"
    ));
}

/// Requires that both ports of the host are called by a Service, from the source, and seen outside under the host's
/// own name.
fn both_ports_are_direct(stage: &Stage, service: &str) {
    let (host, source) = (&stage.host, stage.source_addresses());
    let verify = stage.egress("verify --skip-unmeshed -o json");
    assert_eq!(verify.json()["claims"]["routed"], "proven", "{verify}");
    let called = format!("{service}.{}.svc.cluster.local", stage.namespace);
    let probed = stage.probe(&format!("http://{called}"));
    probed.is("direct", &source);
    assert_eq!(probed.seen[0].host.as_deref(), Some(host.as_str()));
    let probed = stage.probe_host();
    probed.is("direct", &source);
    assert_eq!(probed.seen[0].sni.as_deref(), Some(host.as_str()));
}

#[test]
fn an_external_name_is_made_and_taken_away() {
    let stage = open!(shared);
    let (host, namespace) = (&stage.host, &stage.namespace);
    let flags = format!("--mode direct --service {namespace}/outside --outbound-policy registry-only");
    stage
        .egress(&format!(
            "setup {host}:80 {host}:443 {flags} --create-namespace --no-probe"
        ))
        .exits(0)
        .says(&["is made (ExternalName)"]);
    both_ports_are_direct(&stage, "outside");
    // A second run keeps it, and the source's own Service.
    stage.egress("setup --no-probe").exits(0);
    let services = stage.kubectl.names(&format!("get services -n {namespace}"));
    assert_eq!(services, ["service/curl", "service/outside"]);
    // The alias of a host that the mesh does not know is blocked like the host itself.
    stage
        .kubectl
        .run(&format!("delete serviceentry --all -n {namespace}"));
    let called = format!("http://outside.{namespace}.svc.cluster.local");
    let probed = stage.probe_until(&called, "blocked");
    assert_ne!(probed.outcome(), "direct", "{}", probed.run);
    stage.egress("cleanup --verify --keep-namespace").exits(0);
    assert!(
        stage
            .kubectl
            .names(&format!("get services -n {namespace}"))
            .is_empty()
    );
}

#[test]
fn a_headless_service_of_somebodys_is_used_as_it_is() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    let (host, namespace) = (&stage.host, &stage.namespace);
    headless(&stage, "203.0.113.20");
    let flags = format!("--mode direct --service {namespace}/theirs --outbound-policy registry-only");
    stage
        .egress(&format!("setup {host}:80 {host}:443 {flags} --no-probe"))
        .exits(0)
        .says(&["used as it is"]);
    both_ports_are_direct(&stage, "theirs");
    let rules = stage
        .kubectl
        .json(&format!("get destinationrules -n {namespace}"));
    assert!(rules.to_string().contains("\"DISABLE\""), "{rules}");
    stage.egress("cleanup --verify").exits(0);
    let left = stage
        .kubectl
        .names(&format!("get services,endpointslices -n {namespace}"));
    assert_eq!(
        left,
        ["service/theirs", "endpointslice.discovery.k8s.io/theirs-1"]
    );
}

#[test]
fn the_sidecar_makes_tls_of_what_is_sent_to_a_service() {
    let stage = open!(shared);
    let (host, namespace) = (&stage.host, &stage.namespace);
    let flags = format!("--mode tls-origination --at sidecar --service {namespace}/outside");
    stage
        .egress(&format!("setup {host}:80 {flags} --create-namespace --no-probe"))
        .exits(0);
    let probed = stage.probe(&format!("http://outside.{namespace}.svc.cluster.local"));
    probed.is("direct", &stage.source_addresses());
    let seen = &probed.seen[0];
    assert_eq!(
        (seen.port, seen.sni.as_deref()),
        (443, Some(host.as_str())),
        "{seen:?}"
    );
    assert_eq!(seen.host.as_deref(), Some(host.as_str()), "{seen:?}");
}

#[test]
fn a_service_that_leads_elsewhere_is_refused() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    let (host, namespace) = (&stage.host, &stage.namespace);
    stage.kubectl.apply(&format!(
        "apiVersion: v1
kind: Service
metadata: {{name: elsewhere, namespace: {namespace}}}
spec: {{type: ExternalName, externalName: edition.cnn.com, ports: [{{name: tls, port: 443}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: inside, namespace: {namespace}}}
spec: {{selector: {{app: inside}}, ports: [{{name: tls, port: 443}}]}}
"
    ));
    headless(&stage, "203.0.113.20");
    for (flags, says) in [
        (
            format!("{host} --mode direct --service {namespace}/elsewhere"),
            "externalName is edition.cnn.com",
        ),
        (
            format!("{host} --mode direct --service {namespace}/inside"),
            "selects pods",
        ),
        (
            format!("{host}:8443 --mode direct --service {namespace}/theirs"),
            "no port 8443",
        ),
        (
            format!("{host} --service {namespace}/theirs"),
            "called at the sidecar",
        ),
    ] {
        stage
            .changes_nothing(&format!("setup {flags}"))
            .exits(2)
            .says(&[says]);
    }
}
