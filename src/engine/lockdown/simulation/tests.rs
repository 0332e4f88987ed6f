//! Connections judged under a lock, without a cluster.

use super::*;
use crate::engine::learn::{Open, Tally};
use serde_json::{Value, json};

fn pod(namespace: &str, name: &str, labels: &Value, address: &str) -> Object {
    Object(
        json!({"metadata": {"namespace": namespace, "name": name, "labels": labels}, "status": {"podIP": address}}),
    )
}

fn policy(name: &str, egress: &Value) -> Object {
    Object(
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"namespace": "demo", "name": name},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": egress}}),
    )
}

fn to_pods(namespace: &str, labels: &Value, port: u16) -> Value {
    json!({"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}, "podSelector": {"matchLabels": labels}}],
        "ports": [{"port": port, "protocol": "TCP"}]})
}

fn inside() -> Inside {
    let service = |namespace: &str, name: &str, spec: Value| {
        Object(json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec}))
    };
    let gateway = json!({"istio": "egressgateway"});
    let mut router = pod("istio-system", "gw-2", &gateway, "198.18.0.20");
    router.0["spec"] = json!({"containers": [{"name": "istio-proxy", "args": ["proxy", "router"]}]});
    Inside::new(
        vec![
            router,
            pod("demo", "web-1", &json!({"app": "web"}), "198.18.0.30"),
            pod(
                "kube-system",
                "dns",
                &json!({"k8s-app": "kube-dns"}),
                "198.18.0.2",
            ),
        ],
        vec![
            service(
                "istio-system",
                "istio-egressgateway",
                json!({"selector": gateway}),
            ),
            service(
                "demo",
                "web",
                json!({"selector": {"app": "web"}, "clusterIP": "198.19.0.5", "ports": [{"port": 80, "targetPort": 8080}]}),
            ),
            service(
                "kube-system",
                "kube-dns",
                json!({"selector": {"k8s-app": "kube-dns"}}),
            ),
        ],
    )
}

/// A lock as it is derived: DNS and the gateway.
fn lock() -> Object {
    let dns = to_pods("kube-system", &json!({"k8s-app": "kube-dns"}), 53);
    let gateway = to_pods("istio-system", &json!({"istio": "egressgateway"}), 8443);
    policy("lock", &json!([dns, gateway]))
}

fn to(host: Option<&str>, port: u16, way: Way, by: Option<&str>) -> Destination {
    Destination {
        host: host.map(|host| host.parse().unwrap()),
        address: host.is_none().then(|| "203.0.113.9".parse().unwrap()),
        port,
        spoken: Spoken::Tls,
        way,
        by: by.map(str::to_owned),
    }
}

fn flow(upstream: &str, failed: u64) -> Flow {
    Flow {
        count: 2,
        failed,
        last_seen: "2026-11-21T02:01:19Z".parse().ok(),
        upstreams: [upstream.parse().unwrap()].into(),
        ..Flow::default()
    }
}

fn observation(flows: Vec<(Destination, Flow)>, open: Vec<Open>) -> Observation {
    let mut tally = Tally::default();
    tally
        .workloads
        .entry("Deployment/shop".to_owned())
        .or_default()
        .flows = flows.into_iter().collect();
    Observation {
        observed: Observed::default(),
        tally,
        open,
        not_known: Vec::new(),
        own: [].into(),
    }
}

fn broken(observation: &Observation, before: &[Object], after: &[Object]) -> Vec<WouldBreak> {
    let shop = pod("demo", "shop-1", &json!({"app": "shop"}), "198.18.0.25");
    let ground = Ground {
        inside: &inside(),
        pods_of: &|_| vec![&shop],
        before: &NetworkPolicies::new(before, &[]),
        after: &NetworkPolicies::new(after, &[]),
        routed_since: &|host| {
            (host.as_str() == "routed.example").then(|| "2026-11-21T02:01:18Z".parse().unwrap())
        },
        plan: &PlanIdentity::new("demo", "default").unwrap(),
    };
    simulate(observation, &ground).would_break
}

fn places(broken: &[WouldBreak]) -> Vec<(&str, u64, u64)> {
    broken
        .iter()
        .map(|broken| (broken.destination.as_str(), broken.count, broken.open))
        .collect()
}

#[test]
fn what_leaves_past_the_gateway_breaks_and_what_the_lock_lets_through_does_not() {
    let gateway = Some("istio-system/istio-egressgateway");
    let seen = observation(
        vec![
            // Through a gateway pod that is gone since.
            (
                to(Some("kyma-project.io"), 443, Way::Gateway, gateway),
                flow("198.18.0.19:8443", 0),
            ),
            (
                to(
                    Some("kube-dns.kube-system.svc.cluster.local"),
                    53,
                    Way::InCluster,
                    None,
                ),
                flow("198.18.0.2:53", 0),
            ),
            (
                to(Some("www.google.com"), 443, Way::Direct, None),
                flow("203.0.113.12:443", 1),
            ),
            (to(None, 5432, Way::Direct, None), flow("203.0.113.9:5432", 0)),
            (
                to(Some("web.demo.svc.cluster.local"), 80, Way::InCluster, None),
                flow("198.18.0.30:8080", 0),
            ),
            (
                to(Some("down.example"), 443, Way::Direct, None),
                flow("203.0.113.13:443", 2),
            ),
            (
                to(Some("refused.example"), 443, Way::Refused, None),
                flow("203.0.113.14:443", 0),
            ),
        ],
        Vec::new(),
    );
    let found = broken(&seen, &[], &[lock()]);
    assert_eq!(
        places(&found),
        [
            ("203.0.113.9:5432", 2, 0),
            ("web.demo.svc.cluster.local:80", 2, 0),
            ("www.google.com:443", 1, 0)
        ]
    );
    let fixes: Vec<&str> = found.iter().map(|broken| broken.fix.as_str()).collect();
    assert!(fixes[0].contains("no plan can lead an address"), "{fixes:?}");
    assert_eq!(fixes[1], "lockdown --in-cluster allow");
    assert!(
        fixes[2].starts_with("kubectl egress route www.google.com:443"),
        "{fixes:?}"
    );
    // The port of the plan's gateway that no host uses is not open.
    let other_port = observation(
        vec![(
            to(Some("kyma-project.io"), 80, Way::Gateway, gateway),
            flow("198.18.0.20:8080", 0),
        )],
        Vec::new(),
    );
    assert_eq!(broken(&other_port, &[], &[lock()]).len(), 1);
}

#[test]
fn other_policies_count_before_and_after() {
    let database = (to(None, 5432, Way::Direct, None), flow("203.0.113.9:5432", 0));
    let seen = observation(vec![database], Vec::new());
    let opens = policy(
        "theirs",
        &json!([{"to": [{"ipBlock": {"cidr": "203.0.113.9/32"}}]}]),
    );
    assert_eq!(
        broken(&seen, std::slice::from_ref(&opens), &[opens.clone(), lock()]),
        []
    );
    // What another policy stops already is not broken by the lock.
    let closed = policy("closed", &json!([]));
    assert_eq!(
        broken(&seen, std::slice::from_ref(&closed), &[closed.clone(), lock()]),
        []
    );
    assert_eq!(broken(&seen, &[], &[lock()]).len(), 1);
}

#[test]
fn open_connections_break_under_the_name_that_the_log_tells() {
    let open = |address: &str, cluster: &str, way: Way| Open {
        workload: "Deployment/shop".to_owned(),
        cluster: cluster.to_owned(),
        address: Some(address.to_owned()),
        way,
        connections: 3,
    };
    let seen = observation(
        vec![(
            to(Some("www.google.com"), 443, Way::Direct, None),
            flow("203.0.113.12:443", 0),
        )],
        vec![
            open("203.0.113.12:443", "PassthroughCluster", Way::Direct),
            open("203.0.113.77:22", "PassthroughCluster", Way::Direct),
            open(
                "198.18.0.20:8443",
                "outbound|443||istio-egressgateway.istio-system.svc.cluster.local",
                Way::Gateway,
            ),
            // A Service's address is judged by the pods behind it.
            open("198.19.0.5:80", "PassthroughCluster", Way::InCluster),
        ],
    );
    let found = broken(&seen, &[], &[lock()]);
    assert_eq!(
        places(&found),
        [
            ("198.19.0.5:80", 0, 3),
            ("203.0.113.77:22", 0, 3),
            ("www.google.com:443", 2, 3)
        ]
    );
    // Called by two names: the connection is told by its address.
    let mut twice = observation(
        vec![
            (
                to(Some("www.google.com"), 443, Way::Direct, None),
                flow("203.0.113.12:443", 0),
            ),
            (
                to(Some("also.example"), 443, Way::Direct, None),
                flow("203.0.113.12:443", 0),
            ),
        ],
        Vec::new(),
    );
    twice
        .open
        .push(open("203.0.113.12:443", "PassthroughCluster", Way::Direct));
    assert!(places(&broken(&twice, &[], &[lock()])).contains(&("203.0.113.12:443", 0, 3)));
    let web = policy("web", &json!([to_pods("demo", &json!({"app": "web"}), 8080)]));
    assert_eq!(broken(&seen, &[], &[lock(), web]).len(), 2);
}

#[test]
fn probes_of_our_own_source_are_not_counted() {
    let mut seen = observation(
        vec![(
            to(Some("www.google.com"), 443, Way::Direct, None),
            flow("203.0.113.12:443", 0),
        )],
        Vec::new(),
    );
    seen.own.insert("Deployment/shop".to_owned());
    assert_eq!(broken(&seen, &[], &[lock()]), []);
}

#[test]
fn what_went_past_the_gateway_before_it_was_routed_is_no_news() {
    let at = |time: &str, upstream: &str| Flow {
        last_seen: time.parse().ok(),
        ..flow(upstream, 0)
    };
    let gateway = Some("istio-system/istio-egressgateway");
    let outside = "203.0.113.12:443";
    let seen = observation(
        vec![
            // Declared a second before, and on its way to the sidecars.
            (
                to(Some("routed.example"), 443, Way::Direct, None),
                at("2026-11-21T02:01:19Z", outside),
            ),
            // Carried later.
            (
                to(Some("later.example"), 443, Way::Direct, None),
                at("2026-11-21T02:01:19Z", outside),
            ),
            (
                to(Some("later.example"), 443, Way::Gateway, gateway),
                at("2026-11-21T02:01:20Z", "198.18.0.20:8443"),
            ),
            // Carried, and then not.
            (
                to(Some("again.example"), 443, Way::Direct, None),
                at("2026-11-21T02:01:21Z", outside),
            ),
            (
                to(Some("again.example"), 443, Way::Gateway, gateway),
                at("2026-11-21T02:01:20Z", "198.18.0.20:8443"),
            ),
        ],
        Vec::new(),
    );
    assert_eq!(
        places(&broken(&seen, &[], &[lock()])),
        [("again.example:443", 2, 0)]
    );
    let still_past = observation(
        vec![(
            to(Some("routed.example"), 443, Way::Direct, None),
            at("2026-11-21T02:05:00Z", outside),
        )],
        Vec::new(),
    );
    assert_eq!(
        places(&broken(&still_past, &[], &[lock()])),
        [("routed.example:443", 2, 0)]
    );
}
