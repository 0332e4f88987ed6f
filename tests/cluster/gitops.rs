//! Manifests that somebody else applies: `render` writes what `kubectl apply` takes, and what then routes.

use crate::support::{manifests, open};

#[test]
fn rendered_manifests_are_applied_once_by_kubectl_and_route() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    let (namespace, host) = (stage.namespace.clone(), stage.host.clone());
    stage
        .kubectl
        .apply(&manifests::workload(&namespace, "shop", manifests::CURL, true));
    stage.rolled_out(&namespace, "shop");
    let rendered = stage.changes_nothing(&format!("render {host} -o yaml"));
    let yaml = rendered.exits(0).stdout.clone();
    for word in [
        "resourceVersion",
        "uid:",
        "managedFields",
        "creationTimestamp",
        "status:",
        "kubectl-egress.dev/",
        "managed-by",
        "ConfigMap",
    ] {
        assert!(!yaml.contains(word), "`{word}` in {yaml}");
    }
    let applied = stage.kubectl.feed("apply -f -", &yaml).unwrap();
    assert!(
        applied.lines().all(|line| line.ends_with(" created")),
        "{applied}"
    );
    let again = stage.kubectl.feed("apply -f -", &yaml).unwrap();
    assert!(again.lines().all(|line| line.ends_with(" unchanged")), "{again}");

    let gateway = stage.gateway_addresses();
    let typed =
        format!("exec -n {namespace} deploy/shop -c main -- curl -sS -m 5 -o /dev/null https://{host}");
    let mut peers = std::collections::BTreeSet::new();
    // The proxies take the routing up a moment after it is applied.
    for _ in 0..20 {
        let mark = stage.mark();
        stage.kubectl.run(&typed);
        peers = stage.peers_of(mark, &host, 443);
        if peers == gateway {
            break;
        }
    }
    assert_eq!(peers, gateway, "who reached the world");

    // They are nobody's plan: shown by nothing, and never deleted by the tool.
    stage.egress("status").exits(2).says(&["there is no plan"]);
    stage.egress("cleanup --yes");
    let again = stage.kubectl.feed("apply -f -", &yaml).unwrap();
    assert!(again.lines().all(|line| line.ends_with(" unchanged")), "{again}");
    stage.kubectl.feed("delete -f -", &yaml).unwrap();
}
