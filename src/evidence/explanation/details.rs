//! `%RESPONSE_CODE_DETAILS%` and `%CONNECTION_TERMINATION_DETAILS%` in plain words (Envoy documentation, "Response Code
//! Details").

use super::transport_failure::TransportFailure;

/// What the details say, as a sentence without its full stop; `None` for details that we do not know.
pub fn details_meaning(details: &str) -> Option<String> {
    if let Some(rest) = details.strip_prefix("upstream_reset_before_response_started{") {
        let inside = rest.strip_suffix('}').unwrap_or(rest);
        return Some(reset(inside));
    }
    if let Some(rest) = details.strip_prefix("rbac_access_denied_matched_policy[") {
        let policy = rest.strip_suffix(']').unwrap_or(rest);
        return Some(denied(policy));
    }
    let name = details.split(['{', '[']).next().unwrap_or(details);
    KNOWN
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, meaning)| (*meaning).to_owned())
}

/// `none` where an ALLOW policy is there and no rule of it fits; else `ns[NAMESPACE]-policy[NAME]-rule[N]`.
fn denied(policy: &str) -> String {
    if policy == "none" {
        return "no rule of the AuthorizationPolicies that allow fits this request".to_owned();
    }
    match denying_policy(policy) {
        Some((namespace, name)) => {
            format!("the AuthorizationPolicy {namespace}/{name} denies this request")
        }
        None => format!("the AuthorizationPolicy rule {policy} denies this request"),
    }
}

/// Namespace and name in `ns[NAMESPACE]-policy[NAME]-rule[N]`.
fn denying_policy(policy: &str) -> Option<(&str, &str)> {
    let (namespace, rest) = policy.strip_prefix("ns[")?.split_once("]-policy[")?;
    let (name, _) = rest.split_once("]-rule[")?;
    Some((namespace, name))
}

/// `connection_termination`, or `remote_connection_failure|REASON`.
fn reset(inside: &str) -> String {
    let (what, reason) = inside.split_once('|').unwrap_or((inside, ""));
    let meaning = match what {
        "connection_termination" => "the upstream closed the connection before it answered",
        "connection_timeout" => {
            "no connection to the upstream within the time limit (10 s): packets are dropped, or the host is dead"
        }
        "connection_failure" | "local_connection_failure" | "remote_connection_failure" => {
            if reason.is_empty() {
                "no connection to the upstream could be made"
            } else {
                return TransportFailure::read(reason).meaning();
            }
        }
        "remote_reset" | "remote_refused_stream_reset" => "the upstream reset the request before it answered",
        "local_reset" | "local_refused_stream_reset" => "the proxy itself gave the request up",
        "overflow" => "too many connections or requests are under way (circuit breaker)",
        "protocol_error" => "the upstream's answer was not the HTTP that was expected",
        _ => "the request was given up before the upstream answered",
    };
    meaning.to_owned()
}

const KNOWN: &[(&str, &str)] = &[
    ("via_upstream", "the upstream answered this, not the proxy"),
    ("direct_response", "the proxy answered itself, as its route says"),
    ("route_not_found", "no route fits the request"),
    (
        "cluster_not_found",
        "the route names a cluster that the proxy does not have",
    ),
    ("no_cluster_configured", "the route has no cluster"),
    (
        "filter_chain_not_found",
        "no filter chain of the listener fits the connection: its SNI, or whether it is TLS",
    ),
    ("no_healthy_upstream", "the cluster has no endpoint"),
    (
        "downstream_remote_disconnect",
        "the client went away before it had its answer",
    ),
    (
        "downstream_local_disconnect",
        "the proxy closed the client's connection",
    ),
    (
        "upstream_response_timeout",
        "the upstream did not answer in the time that the route allows",
    ),
    ("upstream_per_try_timeout", "each attempt ran out of time"),
    (
        "upstream_max_stream_duration_reached",
        "the request went on for too long",
    ),
    (
        "upstream_reset_after_response_started",
        "the upstream broke off in the middle of its answer",
    ),
    ("maintenance_mode", "the cluster is in maintenance mode"),
    (
        "duration_timeout",
        "the connection was open for longer than allowed",
    ),
    (
        "stream_idle_timeout",
        "nothing was sent for longer than the idle time limit",
    ),
    (
        "request_overall_timeout",
        "the whole request took longer than allowed",
    ),
    (
        "request_header_timeout",
        "the request's headers did not come in time",
    ),
    (
        "response_payload_too_large",
        "the answer is larger than the proxy keeps",
    ),
    (
        "request_payload_too_large",
        "the request is larger than the proxy keeps",
    ),
    (
        "request_headers_too_large",
        "the request's headers are larger than allowed",
    ),
    ("missing_host_header", "the request has no Host"),
    ("missing_path", "the request has no path"),
    ("path_normalization_failed", "the request's path is not valid"),
    (
        "absolute_path_rejected",
        "the request has an absolute URL where the route does not allow it",
    ),
    ("low_version", "the request is HTTP/1.0, which is not switched on"),
    ("overload", "the proxy is short of memory or connections"),
    (
        "fault_filter_abort",
        "a VirtualService with `fault` aborted it on purpose",
    ),
    ("request_rate_limited", "a rate limit refused it"),
    ("local_rate_limited", "a rate limit of this proxy refused it"),
    ("rate_limiter_error", "the rate limit service did not answer"),
    ("ext_authz_denied", "an external authorization service refused it"),
    (
        "ext_authz_error",
        "an external authorization service did not answer",
    ),
    (
        "jwt_authn_access_denied",
        "the request has no valid token, which a RequestAuthentication asks for",
    ),
    ("rbac_access_denied", "an AuthorizationPolicy denies this request"),
    (
        "http1.codec_error",
        "what came is not HTTP/1.1, for example TLS to a port for plain HTTP",
    ),
    (
        "http2.violation.of.messaging.rule",
        "what came breaks the rules of HTTP/2",
    ),
    (
        "dns_resolution_failure",
        "the proxy could not resolve the host's name",
    ),
    ("internal_redirect", "the proxy follows a redirect itself"),
    (
        "upgrade_failed",
        "the request asks for an upgrade that is not switched on",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_details_of_the_lab_are_in_plain_words() {
        for (details, says) in [
            ("via_upstream", "the upstream answered"),
            ("filter_chain_not_found", "SNI"),
            (
                "upstream_reset_before_response_started{connection_termination}",
                "closed the connection",
            ),
            (
                "upstream_reset_before_response_started{connection_timeout}",
                "10 s",
            ),
            (
                "upstream_reset_before_response_started{remote_connection_failure|TLS_error:_Secret_is_not_supplied_by_SDS}",
                "not given the Secret",
            ),
            ("rbac_access_denied_matched_policy[none]", "no rule"),
            (
                "rbac_access_denied_matched_policy[ns[demo]-policy[deny-all]-rule[0]]",
                "demo/deny-all",
            ),
            ("http1.codec_error", "not HTTP/1.1"),
        ] {
            let meaning = details_meaning(details).unwrap();
            assert!(meaning.contains(says), "{details}: {meaning}");
        }
        assert_eq!(details_meaning("something_new"), None);
    }
}
