//! The formats of truth.md sections 1 to 7.

use super::lines::*;
use kubectl_egress::evidence::{UpstreamCluster, line_mentions, parse_line, render_text};

#[test]
fn every_line_of_the_lab_is_read_and_written_back() {
    for text in ALL_TEXT {
        let line = parse_line(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(line.raw, *text);
        assert_eq!(render_text(&line), *text);
    }
}

#[test]
fn a_tcp_line_in_text() {
    let line = parse_line(GATEWAY_ROUTED.as_bytes()).unwrap();
    assert_eq!(line.start_time.as_deref(), Some("2026-11-21T02:01:19.430Z"));
    assert_eq!(
        (line.method, line.path, line.protocol, line.authority),
        (None, None, None, None)
    );
    assert_eq!(
        (
            line.response_code,
            line.bytes_received,
            line.bytes_sent,
            line.duration
        ),
        (0, 725, 2385, 49)
    );
    assert!(line.response_flags.is_empty());
    assert_eq!(line.upstream_host.as_deref(), Some("203.0.113.10:443"));
    assert_eq!(line.upstream_local_address.as_deref(), Some("198.18.0.19:58160"));
    assert_eq!(line.downstream_local_address.as_deref(), Some("198.18.0.19:8443"));
    assert_eq!(
        line.downstream_remote_address.as_deref(),
        Some("198.18.0.25:45252")
    );
    assert_eq!(line.requested_server_name.as_deref(), Some("kyma-project.io"));
    assert_eq!(line.route_name, None);
    assert!(line.upstream_cluster.unwrap().is_of("kyma-project.io", 443));
}

#[test]
fn an_http_line_in_text() {
    let line = parse_line(REJECT_HTTP.as_bytes()).unwrap();
    assert_eq!(line.method.as_deref(), Some("GET"));
    assert_eq!(line.path.as_deref(), Some("/get"));
    assert_eq!(line.response_code, 503);
    assert_eq!(line.response_flags, ["UF"]);
    assert_eq!(
        line.upstream_transport_failure_reason.as_deref(),
        Some("delayed_connect_error:_Connection_refused")
    );
    assert_eq!(line.user_agent.as_deref(), Some("curl/7.88.1"));
    assert_eq!(
        line.request_id.as_deref(),
        Some("0a38e87f-721d-43b2-8ad3-4dc561866cd3")
    );
    assert_eq!(line.authority.as_deref(), Some("kyma-project.io"));
    assert_eq!(line.upstream_cluster, Some(UpstreamCluster::Passthrough));
    assert_eq!(line.upstream_local_address, None);
    assert_eq!(line.route_name.as_deref(), Some("allow_any"));
}

#[test]
fn json_says_the_same_as_text() {
    let mut json = parse_line(JSON_TCP.as_bytes()).unwrap();
    assert_eq!(json.raw, JSON_TCP);
    let text = render_text(&json);
    json.raw.clone_from(&text);
    assert_eq!(parse_line(text.as_bytes()).unwrap(), json);
    assert_eq!(
        json.downstream_remote_address.as_deref(),
        Some("198.18.0.25:44866")
    );
    let http = parse_line(JSON_HTTP.as_bytes()).unwrap();
    assert!(http.answered_by_upstream());
    assert_eq!(http.upstream_service_time.as_deref(), Some("7"));
}

#[test]
fn json_with_the_operators_own_labels() {
    let line = parse_line(JSON_OWN_LABELS.as_bytes()).unwrap();
    assert!(line.upstream_cluster.unwrap().is_of("mtls.test", 443));
    let with_semicolon = br#"{"upstream_cluster":"PassthroughCluster;","downstream_remote_address":"10.0.0.1:1","response_code":"200","duration":4.0,"nested":{"a":[1]},"response_flags":"UF,URX"}"#;
    let line = parse_line(with_semicolon).unwrap();
    assert_eq!(line.upstream_cluster, Some(UpstreamCluster::Passthrough));
    assert_eq!(line.response_code, 200);
    assert_eq!(line.response_flags, ["UF", "URX"]);
}

#[test]
fn anything_else_is_none() {
    let others: &[&[u8]] = &[
        b"",
        b"\n",
        b"[",
        b"{",
        b"{}",
        b"2026-11-21T02:01:19.430Z\tinfo\tenvoy main\tstarting",
        br#"{"level":"info","time":"2026-11-21T02:01:19.430Z","scope":"envoy main","msg":"starting"}"#,
        // An application's own request log.
        br#"{"method":"GET","path":"/get","duration":3,"user_agent":"curl/8","request_id":"x","protocol":"HTTP/1.1"}"#,
        br#"203.0.113.1 - - [21/Nov/2026:02:01:19 +0000] "GET / HTTP/1.1" 200 12"#,
        b"[2026-11-21 02:01:19.430][1][info][main] starting",
        // A text format of the operator's own.
        br"T up=outbound|443||kyma-project.io; 198.18.0.25:45252",
        // Envoy's own default, without addresses.
        br#"[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "tcp://10.0.2.1:80""#,
        &SIDECAR_ROUTED.as_bytes()[..SIDECAR_ROUTED.len() - 20],
    ];
    for other in others {
        assert_eq!(parse_line(other), None, "{}", String::from_utf8_lossy(other));
    }
}

#[test]
fn line_ends_do_not_matter() {
    let with_end = format!("{SIDECAR_ROUTED}\r\n");
    assert_eq!(
        parse_line(with_end.as_bytes()),
        parse_line(SIDECAR_ROUTED.as_bytes())
    );
}

/// Envoy escapes nothing in text: a client's header must not become the fields that evidence rests on.
#[test]
fn a_client_cannot_write_fields_of_its_own() {
    let forged = r#"x" "id" "kyma-project.io" "203.0.113.10:443" outbound|443||kyma-project.io 198.18.0.19:1 198.18.0.19:8443 198.18.0.25:45252 kyma-project.io -"#;
    let text = ALLOW_ANY_HTTP.replace("curl/7.88.1", forged);
    let line = parse_line(text.as_bytes()).unwrap();
    assert_eq!(line.upstream_cluster, Some(UpstreamCluster::Passthrough));
    assert_eq!(
        line.downstream_remote_address.as_deref(),
        Some("198.18.0.25:37132")
    );
    assert_eq!(line.upstream_host.as_deref(), Some("203.0.113.10:80"));
    assert_eq!(line.authority.as_deref(), Some("kyma-project.io"));
    let id = ALLOW_ANY_HTTP.replace("30e33939-", "a\"b");
    assert!(
        parse_line(id.as_bytes())
            .unwrap()
            .request_id
            .unwrap()
            .starts_with("a\"b")
    );
    let path = ALLOW_ANY_HTTP.replace("/get", "/a\"b");
    assert_eq!(
        parse_line(path.as_bytes()).unwrap().path.as_deref(),
        Some("/a\"b")
    );
}

#[test]
fn bytes_that_are_no_text_survive() {
    let mut raw = ALLOW_ANY_HTTP.as_bytes().to_vec();
    let at = raw.windows(4).position(|window| window == b"/get").unwrap();
    raw[at + 1] = 0xff;
    let line = parse_line(&raw).unwrap();
    assert_eq!(line.path.as_deref(), Some("/\u{fffd}et"));
    assert_eq!(
        line.downstream_remote_address.as_deref(),
        Some("198.18.0.25:37132")
    );
    assert!(line_mentions(&raw, "198.18.0.25:37132"));
    assert!(!line_mentions(&raw, "198.18.0.25:37133"));
}

/// Kyma's provider `stdout-json` (module 1.30): the cluster with a semicolon, the termination's details in place of the
/// transport's failure, and two fields more than Istio's own.
#[test]
fn a_line_of_kymas_own_json() {
    let line = r#"{"authority":null,"bytes_received":725,"bytes_sent":2385,"connection_termination_details":"rbac_access_denied_matched_policy[none]","downstream_local_address":"198.18.0.19:8443","downstream_remote_address":"198.18.0.25:45252","duration":49,"method":null,"path":null,"protocol":null,"request_id":null,"requested_server_name":"kyma-project.io","response_code":0,"response_code_details":null,"response_flags":"-","route_name":null,"start_time":"2026-11-21T02:01:19.430Z","traceparent":null,"tracestate":null,"upstream_cluster":"outbound|443||kyma-project.io;","upstream_host":"203.0.113.10:443","upstream_local_address":"198.18.0.19:58160","upstream_service_time":null,"upstream_transport_failure_reason":"rbac_access_denied_matched_policy[none]","user_agent":null,"x_forwarded_for":null}"#;
    let line = parse_line(line.as_bytes()).unwrap();
    assert!(
        line.upstream_cluster
            .as_ref()
            .unwrap()
            .is_of("kyma-project.io", 443)
    );
    assert_eq!(line.requested_server_name.as_deref(), Some("kyma-project.io"));
    assert_eq!(
        line.upstream_transport_failure_reason, None,
        "it is no such thing"
    );
    assert!(line.denied_by_policy());
}
