//! Lines to counts, hostile ones included.

use super::flow::{Spoken, Way};
use super::inside::Inside;
use super::tally::{Flow, MOST_DESTINATIONS, OfWorkload, Tally};
use crate::evidence::{AccessLogLine, LogFormats, UpstreamCluster, render_text};
use crate::istio::access_log::LogTemplate;
use crate::vocabulary::Object;
use serde_json::json;

const SHOP: &str = "Deployment/shop";
const GATEWAY: &str = "outbound|443|egress-default|istio-egressgateway.istio-system.svc.cluster.local";

pub(super) fn inside() -> Inside {
    let service = |namespace: &str, name: &str, spec: serde_json::Value| {
        Object(json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec}))
    };
    let pods = vec![
        Object(
            json!({"metadata": {"namespace": "istio-system", "name": "gw", "labels": {"istio": "egressgateway"}},
            "spec": {"containers": [{"name": "istio-proxy", "args": ["proxy", "router"]}]}, "status": {"podIP": "198.18.0.19"}}),
        ),
        Object(
            json!({"metadata": {"namespace": "demo", "name": "web-1", "labels": {"app": "web"}}, "status": {"podIP": "198.18.0.30"}}),
        ),
    ];
    let services = vec![
        service(
            "istio-system",
            "istio-egressgateway",
            json!({"selector": {"istio": "egressgateway"}, "clusterIP": "198.19.0.9"}),
        ),
        service(
            "demo",
            "web",
            json!({"selector": {"app": "web"}, "clusterIP": "198.19.0.10"}),
        ),
        service(
            "demo",
            "alias",
            json!({"type": "ExternalName", "externalName": "api.example.com"}),
        ),
    ];
    Inside::new(pods, services)
}

/// A TLS connection through the sidecar.
pub(super) fn tls(cluster: &str, sni: Option<&str>, upstream: &str) -> AccessLogLine {
    AccessLogLine {
        start_time: Some("2026-11-21T02:01:19.427Z".to_owned()),
        bytes_received: 7,
        bytes_sent: 20,
        upstream_host: Some(upstream.to_owned()),
        upstream_cluster: Some(UpstreamCluster::parse(cluster)),
        upstream_local_address: Some("198.18.0.25:45252".to_owned()),
        downstream_local_address: Some("203.0.113.10:443".to_owned()),
        downstream_remote_address: Some("198.18.0.25:37136".to_owned()),
        requested_server_name: sni.map(str::to_owned),
        ..AccessLogLine::default()
    }
}

fn tallied(lines: &[AccessLogLine]) -> OfWorkload {
    let (mut tally, inside) = (Tally::default(), inside());
    for line in lines {
        assert!(
            tally.add(
                SHOP,
                render_text(line).as_bytes(),
                &LogFormats::default(),
                &inside
            ),
            "{line:?}"
        );
    }
    tally.workloads.remove(SHOP).unwrap_or_default()
}

/// The one destination of some lines: place, way, protocol, by whom.
fn only(lines: &[AccessLogLine]) -> (String, Way, Spoken, Option<String>, Flow) {
    let of_workload = tallied(lines);
    assert_eq!(of_workload.flows.len(), 1, "{of_workload:#?}");
    let (to, flow) = of_workload.flows.into_iter().next().unwrap();
    (to.place(), to.way, to.spoken, to.by, flow)
}

#[test]
fn what_the_gateway_carries_is_counted_by_name() {
    let line = tls(GATEWAY, Some("kyma-project.io"), "198.18.0.19:8443");
    let later = AccessLogLine {
        start_time: Some("2026-11-21T02:02:00.000Z".to_owned()),
        ..line.clone()
    };
    let (place, way, spoken, by, flow) = only(&[later, line]);
    assert_eq!(
        (place.as_str(), way, spoken),
        ("kyma-project.io:443", Way::Gateway, Spoken::Tls)
    );
    assert_eq!(by.as_deref(), Some("istio-system/istio-egressgateway"));
    assert_eq!(
        (flow.count, flow.failed, flow.bytes_out, flow.bytes_in),
        (2, 0, 14, 40)
    );
    assert_eq!(flow.last_seen, "2026-11-21T02:02:00Z".parse().ok());
}

#[test]
fn unknown_hosts_leave_by_their_name_or_by_their_address_alone() {
    let (place, way, spoken, ..) = only(&[tls(
        "PassthroughCluster",
        Some("WWW.Example.com"),
        "203.0.113.10:443",
    )]);
    assert_eq!(
        (place.as_str(), way, spoken),
        ("www.example.com:443", Way::Direct, Spoken::Tls)
    );
    let (place, way, spoken, ..) = only(&[tls("PassthroughCluster", None, "203.0.113.10:443")]);
    assert_eq!(
        (place.as_str(), way, spoken),
        ("203.0.113.10:443", Way::Direct, Spoken::Tcp)
    );
    let http = AccessLogLine {
        method: Some("GET".to_owned()),
        path: Some("/".to_owned()),
        protocol: Some("HTTP/1.1".to_owned()),
        response_code: 200,
        authority: Some("plain.example:8080".to_owned()),
        downstream_local_address: Some("203.0.113.10:8080".to_owned()),
        ..tls("PassthroughCluster", None, "203.0.113.10:8080")
    };
    let (place, way, spoken, ..) = only(&[http]);
    assert_eq!(
        (place.as_str(), way, spoken),
        ("plain.example:8080", Way::Direct, Spoken::Http)
    );
}

#[test]
fn declared_hosts_services_and_pods_are_told_apart() {
    let of = |cluster: &str, sni: Option<&str>, upstream: &str| {
        let (place, way, _, by, _) = only(&[tls(cluster, sni, upstream)]);
        (place, way, by)
    };
    let said = |place: &str, way: Way| (place.to_owned(), way, None);
    assert_eq!(
        of("outbound|443||a.example", None, "203.0.113.1:443"),
        said("a.example:443", Way::Direct)
    );
    // Of a wildcard the name that was asked for, never the wildcard.
    assert_eq!(
        of(
            "outbound|443||*.wild.test",
            Some("b.wild.test"),
            "203.0.113.1:443"
        ),
        said("b.wild.test:443", Way::Direct)
    );
    assert_eq!(
        of("outbound|443||*.wild.test", None, "203.0.113.1:443"),
        said("203.0.113.10:443", Way::Direct)
    );
    // Declared for the mesh, and a pod.
    assert_eq!(
        of("outbound|443||db.internal.test", None, "198.18.0.30:443"),
        said("db.internal.test:443", Way::InCluster)
    );
    let web = "web.demo.svc.cluster.local";
    assert_eq!(
        of(&format!("outbound|80||{web}"), None, "198.18.0.30:8080"),
        said(&format!("{web}:80"), Way::InCluster)
    );
    let pod = AccessLogLine {
        downstream_local_address: Some("198.18.0.30:8080".to_owned()),
        ..tls("PassthroughCluster", None, "198.18.0.30:8080")
    };
    assert_eq!(only(&[pod]).0, "198.18.0.30:8080");
    assert_eq!(
        of(
            "outbound|443||alias.demo.svc.cluster.local",
            None,
            "203.0.113.7:443"
        ),
        (
            "api.example.com:443".to_owned(),
            Way::Direct,
            Some("demo/alias".to_owned())
        )
    );
}

#[test]
fn what_never_left_is_counted_as_failed() {
    let refused = AccessLogLine {
        response_flags: vec!["UH".to_owned()],
        upstream_host: None,
        ..tls("BlackHoleCluster", Some("www.google.com"), "-")
    };
    let (place, way, _, _, flow) = only(&[refused]);
    assert_eq!(
        (place.as_str(), way, flow.failed),
        ("www.google.com:443", Way::Refused, 1)
    );
    let dropped = AccessLogLine {
        response_flags: vec!["UF".to_owned(), "URX".to_owned()],
        upstream_local_address: None,
        ..tls("PassthroughCluster", Some("www.google.com"), "203.0.113.10:443")
    };
    let reset = AccessLogLine {
        response_flags: vec!["UR".to_owned()],
        ..tls("PassthroughCluster", Some("www.google.com"), "203.0.113.10:443")
    };
    let (_, way, _, _, flow) = only(&[dropped, reset]);
    assert_eq!((way, flow.count, flow.failed), (Way::Direct, 2, 1));
}

#[test]
fn incoming_requests_and_other_output_are_no_destinations() {
    assert!(
        tallied(&[tls("inbound|8080||", None, "198.18.0.25:8080")])
            .flows
            .is_empty()
    );
    let (mut tally, inside) = (Tally::default(), inside());
    let garbage: [&[u8]; 6] = [
        b"",
        b"[",
        b"{\"method\": \"GET\"}",
        b"\xff\xfe\x00",
        b"2026-11-21 info xdsproxy connected",
        &[b'['; 4096],
    ];
    for raw in garbage {
        assert!(!tally.add(SHOP, raw, &LogFormats::default(), &inside), "{raw:?}");
    }
    assert_eq!(tally.lines, 0);
}

#[test]
fn a_hostile_name_is_no_host_and_changes_no_other_field() {
    for name in [
        "\u{1b}[2J",
        "a/../b.example",
        "*.example.com",
        "x",
        &"a".repeat(300),
        "evil.example:99999",
    ] {
        let (place, way, ..) = only(&[tls("PassthroughCluster", Some(name), "203.0.113.66:443")]);
        assert_eq!((place.as_str(), way), ("203.0.113.10:443", Way::Direct), "{name}");
    }
    // A client that writes fields of its own into its User-Agent.
    let forged = AccessLogLine {
        method: Some("GET".to_owned()),
        user_agent: Some(r#"x" "id" "good.example" "198.18.0.19:8443" outbound|443|egress|istio-egressgateway.istio-system.svc.cluster.local"#.to_owned()),
        authority: Some("real.example".to_owned()),
        ..tls("PassthroughCluster", None, "203.0.113.66:443")
    };
    let (place, way, ..) = only(&[forged]);
    assert_eq!((place.as_str(), way), ("real.example:443", Way::Direct));
}

#[test]
fn one_workload_that_calls_names_by_chance_is_bounded_and_crowds_out_nobody() {
    let (mut tally, inside) = (Tally::default(), inside());
    for number in 0..MOST_DESTINATIONS + 50 {
        let line = tls(
            "PassthroughCluster",
            Some(&format!("n{number}.example.com")),
            "203.0.113.10:443",
        );
        tally.add(
            SHOP,
            render_text(&line).as_bytes(),
            &LogFormats::default(),
            &inside,
        );
    }
    // One that is known already still counts.
    let known = tls("PassthroughCluster", Some("n0.example.com"), "203.0.113.11:443");
    tally.add(
        SHOP,
        render_text(&known).as_bytes(),
        &LogFormats::default(),
        &inside,
    );
    tally.add(
        "Deployment/cart",
        render_text(&known).as_bytes(),
        &LogFormats::default(),
        &inside,
    );
    let shop = &tally.workloads[SHOP];
    assert_eq!((shop.flows.len(), shop.beyond), (MOST_DESTINATIONS, 50));
    assert_eq!(shop.flows.values().map(|flow| flow.count).max(), Some(2));
    assert_eq!(tally.workloads["Deployment/cart"].flows.len(), 1);
    let many: Vec<_> = (0..40)
        .map(|port| {
            tls(
                "PassthroughCluster",
                Some("a.example"),
                &format!("203.0.113.10:{}", 1000 + port),
            )
        })
        .collect();
    assert_eq!(only(&many).4.upstreams.len(), 8);
}

#[test]
fn a_format_of_the_operators_own_is_read_by_its_template() {
    let text = "%UPSTREAM_CLUSTER_RAW% %UPSTREAM_HOST% %DOWNSTREAM_LOCAL_ADDRESS% %RESPONSE_FLAGS% %REQUESTED_SERVER_NAME%";
    let formats = LogFormats::new(&[LogTemplate::Text(text.to_owned())]);
    let (mut tally, inside) = (Tally::default(), inside());
    let raw = b"PassthroughCluster 203.0.113.10:443 203.0.113.10:443 - a.example";
    assert!(tally.add(SHOP, raw, &formats, &inside));
    let (to, flow) = tally.workloads[SHOP].flows.first_key_value().unwrap();
    assert_eq!(
        (to.place().as_str(), to.way, flow.count),
        ("a.example:443", Way::Direct, 1)
    );
}
