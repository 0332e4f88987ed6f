//! What holds for any line.

use super::lines::{ALL_TEXT, JSON_HTTP};
use super::probe::routed;
use kubectl_egress::evidence::{AccessLogLine, LogFormats, Needs, UpstreamCluster, parse_line, render_text};
use kubectl_egress::istio::access_log::LogTemplate;
use kubectl_egress::vocabulary::Outcome;
use proptest::option::of;
use proptest::prelude::*;

/// A field without quotes in the text format: no space, not `-`, not empty.
fn bare() -> impl Strategy<Value = Option<String>> {
    of("[!#-,./-~é][!#-~é]{0,20}")
}

/// A field between quotes: spaces, but no quotes.
fn quoted() -> impl Strategy<Value = Option<String>> {
    of("[!#-,./-~][ !#-~ü]{0,20}[!#-~]")
}

fn cluster() -> impl Strategy<Value = Option<UpstreamCluster>> {
    of(prop_oneof![
        Just(UpstreamCluster::Passthrough),
        Just(UpstreamCluster::BlackHole),
        (any::<u16>(), "[a-z-]{0,8}", "[a-z*.-]{1,20}")
            .prop_map(|(port, subset, host)| { UpstreamCluster::Outbound { port, subset, host } }),
        "[a-z_]{1,12}".prop_map(UpstreamCluster::Other),
    ])
}

prop_compose! {
    pub(crate) fn any_line()(
        start_time in "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z",
        request in (bare(), bare(), bare()),
        numbers in (any::<u16>(), any::<u64>(), any::<u64>(), any::<u64>()),
        response_flags in prop::collection::vec("[A-Z]{2,5}", 0..3),
        endings in (bare(), bare(), quoted()),
        headers in (bare(), quoted(), quoted(), quoted(), quoted()),
        upstream in (quoted(), cluster(), bare()),
        downstream in (bare(), bare(), bare(), bare()),
    ) -> AccessLogLine {
        let mut line = AccessLogLine {
            raw: String::new(),
            start_time: Some(start_time),
            method: request.0, path: request.1, protocol: request.2,
            response_code: numbers.0,
            response_flags,
            response_code_details: endings.0,
            connection_termination_details: endings.1,
            upstream_transport_failure_reason: endings.2,
            bytes_received: numbers.1, bytes_sent: numbers.2, duration: numbers.3,
            upstream_service_time: headers.0,
            x_forwarded_for: headers.1,
            user_agent: headers.2, request_id: headers.3, authority: headers.4,
            upstream_host: upstream.0, upstream_cluster: upstream.1, upstream_local_address: upstream.2,
            downstream_local_address: downstream.0, downstream_remote_address: downstream.1,
            requested_server_name: downstream.2, route_name: downstream.3,
        };
        line.raw = render_text(&line);
        line
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(line in any_line()) {
        prop_assert_eq!(parse_line(line.raw.as_bytes()), Some(line));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_line(&bytes);
    }

    /// Templates are the operator's, lines anybody's.
    #[test]
    fn any_template_and_any_line_are_survived(template in "[%A-Z_():? -~é]{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let templates = [
            LogTemplate::Text(template.clone()),
            LogTemplate::Labels([("label".to_owned(), template)].into()),
        ];
        for template in templates {
            let formats = LogFormats::new(&[template]);
            let _ = formats.parse(&bytes);
            let _ = formats.lacks(Needs { source: true, http: true });
        }
    }

    /// Whatever a client writes into a header, the fields at both ends stay the proxy's.
    #[test]
    fn no_header_moves_a_field_of_a_format_of_the_operators_own(agent in "[ -~é]{0,60}") {
        let template = "%RESPONSE_FLAGS% \"%REQ(USER-AGENT)%\" %UPSTREAM_CLUSTER% %DOWNSTREAM_REMOTE_ADDRESS%";
        let formats = LogFormats::new(&[LogTemplate::Text(template.to_owned())]);
        let raw = format!("UF \"{agent}\" PassthroughCluster 10.0.0.9:1");
        let line = formats.parse(raw.as_bytes()).unwrap();
        prop_assert_eq!(line.response_flags, ["UF"]);
        prop_assert_eq!(line.upstream_cluster, Some(UpstreamCluster::Passthrough));
        prop_assert_eq!(line.downstream_remote_address.as_deref(), Some("10.0.0.9:1"));
    }

    #[test]
    fn any_damage_is_survived(
        which in 0..=ALL_TEXT.len(),
        at in any::<prop::sample::Index>(),
        length in 0_usize..40,
        garbage in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = ALL_TEXT.get(which).unwrap_or(&JSON_HTTP).as_bytes().to_vec();
        let at = at.index(bytes.len());
        let end = (at + length).min(bytes.len());
        bytes.splice(at..end, garbage);
        let _ = parse_line(&bytes);
    }

    /// Whatever else is in the gateway's log, a request that went directly is never routed, and one without a
    /// sidecar's line neither.
    #[test]
    fn no_line_of_the_gateway_makes_a_probe_routed(line in any_line()) {
        let without_sidecars_line = routed().change(|evidence| evidence.sidecar_lines.clear()).gateway(&line.raw);
        prop_assert_eq!(without_sidecars_line.outcome(), Outcome::Inconclusive);
        let only_this = routed().change(|evidence| evidence.gateway_lines.clear()).gateway(&line.raw);
        prop_assert_ne!(only_this.outcome(), Outcome::Routed);
    }
}
