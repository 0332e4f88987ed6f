//! Lines of real proxies, and what is said about them.

use super::*;
use crate::evidence::{LogFormats, parse_line};
use crate::vocabulary::Object;
use serde_json::json;

/// Lines of the lab, each behind the verdict, the code and a word that its explanation must have.
const LINES: &str = include_str!("testdata/lines.txt");

/// `VERDICT CODE WORD_WORD` and the line itself, alternating; `#` begins a comment.
fn lines() -> Vec<(&'static str, &'static str, String, &'static str)> {
    let mut rows = LINES
        .lines()
        .filter(|row| !row.is_empty() && !row.starts_with('#'));
    let mut lines = Vec::new();
    while let (Some(expected), Some(line)) = (rows.next(), rows.next()) {
        let mut words = expected.splitn(3, ' ');
        let (verdict, code, says) = (
            words.next().unwrap(),
            words.next().unwrap(),
            words.next().unwrap(),
        );
        lines.push((verdict, code, says.to_owned(), line));
    }
    lines
}

#[test]
fn every_line_of_the_lab_has_its_verdict_and_code() {
    let all = lines();
    assert!(all.len() >= 30, "{}", all.len());
    for (verdict, code, says, raw) in all {
        let line = parse_line(raw.as_bytes()).unwrap_or_else(|| panic!("{raw}"));
        let explanation = Explanation::of(&line, None);
        let word = serde_json::to_value(explanation.verdict).unwrap();
        assert_eq!(
            (word.as_str().unwrap(), explanation.code.unwrap_or("-")),
            (verdict, code),
            "{raw}\n{explanation:#?}"
        );
        let text = serde_json::to_string(&explanation).unwrap();
        assert!(text.contains(&says), "{says} is not in {text}");
        for field in &explanation.fields {
            assert!(!field.meaning.contains("that we do not know"), "{field:?}");
        }
    }
}

#[test]
fn a_log_is_grouped_with_counts_times_and_an_example() {
    let mut reader = LogReader::new(LogFormats::default());
    let line = |second: u32, host: &str| {
        format!(
            r#"[2026-11-21T02:26:{second:02}.300Z] "- - -" 0 NC - - "-" 0 0 3 - "-" "-" "-" "-" "-" - - 203.0.113.20:443 198.18.0.27:41916 {host} -"#
        )
    };
    for (second, host) in [(20, "a.test"), (10, "a.test"), (30, "a.test"), (5, "b.test")] {
        reader.take(line(second, host).as_bytes());
    }
    reader.take(b"2026-11-21T02:26:20Z\tinfo\tready");
    reader.take(b"");
    let summary = reader.summary();
    assert_eq!(
        (summary.lines, summary.other_lines, summary.groups.len()),
        (4, 1, 2)
    );
    let worst = &summary.groups[0];
    assert_eq!((worst.host.as_str(), worst.count), ("a.test:443", 3));
    assert_eq!(worst.first.as_deref(), Some("2026-11-21T02:26:10.300Z"));
    assert_eq!(worst.last.as_deref(), Some("2026-11-21T02:26:30.300Z"));
    assert!(worst.example.contains("02:26:20"));
    assert_eq!(worst.explanation.code, Some("EGR-114"));
}

#[test]
fn a_flood_of_hosts_takes_bounded_memory_and_is_counted() {
    let mut reader = LogReader::default();
    let long = "x".repeat(20_000);
    for number in 0..500 {
        let raw = format!(
            r#"[2026-11-21T02:26:10.300Z] "- - -" 0 NC - - "-" 0 0 3 - "-" "-" "-" "-" "-" - - 203.0.113.20:443 198.18.0.27:41916 {number}{long} -"#
        );
        reader.take(raw.as_bytes());
    }
    let summary = reader.summary();
    assert_eq!(summary.lines, 500);
    assert_eq!(summary.groups.len(), HOSTS_OF_A_VERDICT + 1);
    assert_eq!(summary.not_kept_apart, 500 - HOSTS_OF_A_VERDICT as u64);
    assert_eq!(summary.groups.iter().map(|group| group.count).sum::<u64>(), 500);
    let kept = serde_json::to_string(&summary).unwrap().len();
    assert!(kept < (HOSTS_OF_A_VERDICT + 1) * 12_000, "{kept}");
}

fn object(namespace: &str, name: &str, spec: &serde_json::Value) -> Object {
    Object(json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec}))
}

fn said(raw: &str, objects: &LiveObjects) -> String {
    origins(&parse_line(raw.as_bytes()).unwrap(), objects).join("\n")
}

#[test]
fn a_missing_cluster_is_explained_by_the_subset_that_nobody_defines() {
    let raw = r#"[2026-11-21T02:26:23.300Z] "- - -" 0 NC - - "-" 0 0 3 - "-" "-" "-" "-" "-" - - 203.0.113.20:443 198.18.0.27:41916 tls.test -"#;
    let route = json!({"hosts": ["tls.test"], "tls": [{"route": [{"destination": {"host": "gw.istio-system.svc.cluster.local", "subset": "t"}}]}]});
    let mut objects = LiveObjects {
        virtual_services: Some(vec![object("demo", "v", &route)]),
        destination_rules: Some(Vec::new()),
        ..LiveObjects::default()
    };
    let missing = said(raw, &objects);
    assert!(
        missing.contains("VirtualService demo/v leads tls.test to subset t"),
        "{missing}"
    );
    assert!(
        missing.contains(
            "no DestinationRule for gw.istio-system.svc.cluster.local that this proxy sees defines subset t"
        ),
        "{missing}"
    );
    let rule = json!({"host": "gw.istio-system.svc.cluster.local", "subsets": [{"name": "t"}]});
    objects.destination_rules = Some(vec![object("demo", "d", &rule)]);
    assert!(said(raw, &objects).contains("DestinationRule demo/d defines subset t"));
    // One of another namespace that keeps it to itself.
    let hidden =
        json!({"host": "gw.istio-system.svc.cluster.local", "exportTo": ["."], "subsets": [{"name": "t"}]});
    objects.destination_rules = Some(vec![object("other", "d", &hidden)]);
    let mut pod = object("demo", "curl-1", &json!({}));
    pod.0["status"] = json!({"podIPs": [{"ip": "198.18.0.27"}]});
    objects.pods = Some(vec![pod]);
    assert!(
        said(raw, &objects).contains("other/d defines it, and is not exported"),
        "{}",
        said(raw, &objects)
    );
    // What could not be read is not said to be missing.
    objects.destination_rules = None;
    assert!(!said(raw, &objects).contains("no DestinationRule"));
}

#[test]
fn a_cluster_is_traced_to_its_objects_and_addresses_to_pods() {
    let raw = r#"[2026-11-21T02:01:19.430Z] "- - -" 0 - - - "-" 725 2385 49 - "-" "-" "-" "-" "203.0.113.10:443" outbound|443||kyma-project.io 198.18.0.19:58160 198.18.0.19:8443 198.18.0.25:45252 kyma-project.io -"#;
    let entry = |port: u16| {
        object(
            "demo",
            "e",
            &json!({"hosts": ["kyma-project.io"], "ports": [{"number": port}]}),
        )
    };
    let mut pod = object("demo", "curl-1", &json!({}));
    pod.0["status"] = json!({"podIPs": [{"ip": "198.18.0.25"}]});
    let mut objects = LiveObjects {
        service_entries: Some(vec![entry(443)]),
        pods: Some(vec![pod]),
        ..LiveObjects::default()
    };
    let found = said(raw, &objects);
    assert!(found.contains("came from pod demo/curl-1"), "{found}");
    assert!(
        found.contains("ServiceEntry demo/e declares kyma-project.io with port 443"),
        "{found}"
    );
    objects.service_entries = Some(vec![entry(80)]);
    assert!(said(raw, &objects).contains("without port 443"));
    objects.service_entries = Some(Vec::new());
    assert!(said(raw, &objects).contains("no ServiceEntry declares kyma-project.io"));
}

#[test]
fn no_gateway_that_offers_the_host_explains_no_route() {
    let raw = r#"[2026-11-21T02:26:23.300Z] "- - -" 0 NR filter_chain_not_found - "-" 0 0 0 - "-" "-" "-" "-" "-" - - 198.18.0.19:8443 198.18.0.27:41916 tls.test -"#;
    let gateway = |host: &str| {
        object(
            "demo",
            "g",
            &json!({"servers": [{"hosts": [host], "port": {"number": 443, "protocol": "TLS"}, "tls": {"mode": "PASSTHROUGH"}}]}),
        )
    };
    let objects = |host: &str| LiveObjects {
        gateways: Some(vec![gateway(host)]),
        ..LiveObjects::default()
    };
    assert!(said(raw, &objects("other.test")).contains("no Gateway offers tls.test"));
    let found = said(raw, &objects("demo/*.test"));
    assert!(
        found.contains("Gateway demo/g offers tls.test at port 443 (TLS, TLS PASSTHROUGH)"),
        "{found}"
    );
}
