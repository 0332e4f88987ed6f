//! Row 10: wildcard hosts.

use crate::support::kubectl::Kubectl;
use crate::support::open;

const VERSION: &str = "operator.istio.io/version";

#[test]
fn a_wildcard_leads_to_its_one_server_through_the_gateway() {
    let stage = open!(alone);
    stage
        .egress("setup *.wild.test --wildcard-server tls.test --sample a.wild.test --create-namespace")
        .exits(0);
    let gateway = stage.gateway_addresses();
    for name in ["a", "b"] {
        let probed = stage.probe(&format!("https://{name}.wild.test"));
        probed.is("routed", &gateway);
        assert_eq!(probed.seen[0].server, "tls.test", "{:?}", probed.seen);
    }
    let verify = stage.egress("verify --skip-unmeshed -o json");
    let document = verify.exits(0).json();
    assert_eq!(document["claims"]["routed"], "proven", "{verify}");
    assert_eq!(document["probes"][0]["host"], "a.wild.test", "{verify}");
    // What the wildcard does not cover goes its own way.
    stage
        .probe("https://tls.test")
        .is("bypassed", &stage.source_addresses());
    stage.egress("cleanup --verify").exits(0);
}

#[test]
fn a_sidecar_resolves_each_name_of_a_wildcard() {
    let stage = open!(alone);
    stage
        .egress("setup *.wild.test --mode direct --resolution dynamic --sample a.wild.test --outbound-policy registry-only --create-namespace")
        .exits(0)
        .says(&["direct"]);
    let source = stage.source_addresses();
    for (name, server) in [("b", "tls.test"), ("apart", "apart.wild.test")] {
        let probed = stage.probe(&format!("https://{name}.wild.test"));
        probed.is("direct", &source);
        assert_eq!(probed.seen[0].server, server, "{:?}", probed.seen);
    }
    let unknown = stage.probe("https://edition.cnn.com");
    unknown.is("blocked", &[].into());
    stage.egress("cleanup --verify").exits(0);
}

/// istiod's Service says another version until this goes.
struct Older(Kubectl, String);

impl Older {
    fn than_it_is(kubectl: &Kubectl, version: &str) -> Self {
        let service = kubectl.json("get service istiod -n istio-system");
        let before = service["metadata"]["labels"][VERSION]
            .as_str()
            .unwrap()
            .to_owned();
        let older = Self(kubectl.clone(), before);
        older.say(version);
        older
    }

    fn say(&self, version: &str) {
        let typed = format!("label service istiod -n istio-system {VERSION}={version} --overwrite");
        self.0.run(&typed);
    }
}

impl Drop for Older {
    fn drop(&mut self) {
        self.say(&self.1);
    }
}

#[test]
fn an_istio_that_cannot_resolve_wildcards_is_told_by_its_version() {
    let stage = open!(alone).with_namespace("istio-injection=enabled");
    let _older = Older::than_it_is(&stage.kubectl, "1.29.2");
    let refused =
        stage.changes_nothing("setup *.wild.test --mode direct --resolution dynamic --sample a.wild.test");
    refused.exits(2).says(&["1.30", "1.29.2", "--wildcard-server"]);
}

#[test]
fn a_wildcard_that_leads_nowhere_is_refused_with_its_reason() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    for (flags, says) in [
        ("", "one fixed server"),
        ("--resolution dynamic --sample a.wild.test", "one fixed server"),
        (
            "--wildcard-server tls.test --resolution dynamic --sample a.wild.test",
            "works at the sidecar only",
        ),
        ("--mode tls-origination --sample a.wild.test", "which name"),
        ("--mode http --sample a.wild.test", "which name"),
        ("--wildcard-server tls.test", "sample"),
        ("--wildcard-server tls.test --sample a.tame.test", "not covered"),
    ] {
        stage
            .changes_nothing(&format!("setup *.wild.test {flags}"))
            .exits(2)
            .says(&[says]);
    }
}
