//! Envoy's access log: the line as Istio's default formats write it (truth.md sections 1 and 7).

use jiff::Timestamp;
use serde_json::{Value, json};

/// One line, field by field; `None` and zero are written as Envoy writes them.
#[derive(Debug, Clone, Default)]
pub(in crate::sandbox) struct LogFields {
    pub(in crate::sandbox) method: Option<String>,
    pub(in crate::sandbox) path: Option<String>,
    pub(in crate::sandbox) protocol: Option<String>,
    pub(in crate::sandbox) response_code: u16,
    pub(in crate::sandbox) flags: Option<String>,
    pub(in crate::sandbox) details: Option<String>,
    pub(in crate::sandbox) failure_reason: Option<String>,
    pub(in crate::sandbox) bytes_received: u64,
    pub(in crate::sandbox) bytes_sent: u64,
    pub(in crate::sandbox) duration: u64,
    pub(in crate::sandbox) service_time: Option<u64>,
    pub(in crate::sandbox) forwarded_for: Option<String>,
    pub(in crate::sandbox) user_agent: Option<String>,
    pub(in crate::sandbox) request_id: Option<String>,
    pub(in crate::sandbox) authority: Option<String>,
    pub(in crate::sandbox) upstream_host: Option<String>,
    pub(in crate::sandbox) upstream_cluster: Option<String>,
    pub(in crate::sandbox) upstream_local: Option<String>,
    pub(in crate::sandbox) downstream_local: String,
    pub(in crate::sandbox) downstream_remote: String,
    pub(in crate::sandbox) server_name: Option<String>,
    pub(in crate::sandbox) route: Option<String>,
}

fn or_dash(value: Option<&String>) -> &str {
    value.map_or("-", String::as_str)
}

impl LogFields {
    /// Istio's default text format.
    pub(in crate::sandbox) fn text(&self, start: Timestamp) -> String {
        let service_time = self
            .service_time
            .map_or_else(|| "-".to_owned(), |time| time.to_string());
        format!(
            "[{}] \"{} {} {}\" {} {} {} - \"{}\" {} {} {} {service_time} \"{}\" \"{}\" \"{}\" \"{}\" \"{}\" {} {} {} {} {} {}",
            start.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
            or_dash(self.method.as_ref()),
            or_dash(self.path.as_ref()),
            or_dash(self.protocol.as_ref()),
            self.response_code,
            or_dash(self.flags.as_ref()),
            or_dash(self.details.as_ref()),
            or_dash(self.failure_reason.as_ref()),
            self.bytes_received,
            self.bytes_sent,
            self.duration,
            or_dash(self.forwarded_for.as_ref()),
            or_dash(self.user_agent.as_ref()),
            or_dash(self.request_id.as_ref()),
            or_dash(self.authority.as_ref()),
            or_dash(self.upstream_host.as_ref()),
            or_dash(self.upstream_cluster.as_ref()),
            or_dash(self.upstream_local.as_ref()),
            self.downstream_local,
            self.downstream_remote,
            or_dash(self.server_name.as_ref()),
            or_dash(self.route.as_ref()),
        )
    }

    /// Istio's default JSON format: sorted keys, `null` where the text has a dash.
    pub(in crate::sandbox) fn json(&self, start: Timestamp) -> String {
        let line: Value = json!({
            "authority": self.authority, "bytes_received": self.bytes_received, "bytes_sent": self.bytes_sent,
            "connection_termination_details": null, "downstream_local_address": self.downstream_local,
            "downstream_remote_address": self.downstream_remote, "duration": self.duration, "method": self.method,
            "path": self.path, "protocol": self.protocol, "request_id": self.request_id,
            "requested_server_name": self.server_name, "response_code": self.response_code,
            "response_code_details": self.details, "response_flags": or_dash(self.flags.as_ref()),
            "route_name": self.route, "start_time": start.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            "upstream_cluster": self.upstream_cluster, "upstream_host": self.upstream_host,
            "upstream_local_address": self.upstream_local,
            "upstream_service_time": self.service_time.map(|time| time.to_string()),
            "upstream_transport_failure_reason": self.failure_reason, "user_agent": self.user_agent,
            "x_forwarded_for": self.forwarded_for,
        });
        line.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of truth.md section 1, word for word.
    #[test]
    fn text_is_as_measured() {
        let fields = LogFields {
            bytes_received: 725,
            bytes_sent: 2385,
            duration: 52,
            upstream_host: Some("198.18.0.19:8443".into()),
            upstream_cluster: Some(
                "outbound|443|kyma-project|istio-egressgateway.istio-system.svc.cluster.local".into(),
            ),
            upstream_local: Some("198.18.0.25:45252".into()),
            downstream_local: "203.0.113.10:443".into(),
            downstream_remote: "198.18.0.25:37136".into(),
            server_name: Some("kyma-project.io".into()),
            ..LogFields::default()
        };
        let start: Timestamp = "2026-11-21T02:01:19.427Z".parse().unwrap();
        assert_eq!(
            fields.text(start),
            r#"[2026-11-21T02:01:19.427Z] "- - -" 0 - - - "-" 725 2385 52 - "-" "-" "-" "-" "198.18.0.19:8443" outbound|443|kyma-project|istio-egressgateway.istio-system.svc.cluster.local 198.18.0.25:45252 203.0.113.10:443 198.18.0.25:37136 kyma-project.io -"#
        );
    }
}
