//! A line of a proxy's access log.

use super::{UpstreamCluster, json_format, text_format};

/// What one line says about one connection (TCP, TLS) or one request (HTTP).
///
/// `-`, `null` and absent fields are `None`. Bytes that are not UTF-8 are replaced in all texts, `raw` included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessLogLine {
    /// The line as it came, without its line end.
    pub raw: String,
    /// When it began, by the proxy's clock, RFC 3339.
    pub start_time: Option<String>,
    /// HTTP method; `None` for connections that are not HTTP.
    pub method: Option<String>,
    /// HTTP path.
    pub path: Option<String>,
    /// `HTTP/1.1`, `HTTP/2`.
    pub protocol: Option<String>,
    /// HTTP status; 0 for TCP, or when the client was gone before it had an answer.
    pub response_code: u16,
    /// Envoy's short flags, for example `UF`, `URX`; empty if all went well.
    pub response_flags: Vec<String>,
    /// Why the response code is what it is, for example `via_upstream`.
    pub response_code_details: Option<String>,
    /// Why the connection was ended by the proxy, for example `rbac_access_denied_matched_policy[none]`.
    pub connection_termination_details: Option<String>,
    /// Why the connection to the upstream failed.
    pub upstream_transport_failure_reason: Option<String>,
    /// Bytes from the client.
    pub bytes_received: u64,
    /// Bytes to the client.
    pub bytes_sent: u64,
    /// Milliseconds from the first byte of the client to the last byte to it.
    pub duration: u64,
    /// Milliseconds that the upstream took, as it says.
    pub upstream_service_time: Option<String>,
    /// The header X-Forwarded-For.
    pub x_forwarded_for: Option<String>,
    /// The header User-Agent.
    pub user_agent: Option<String>,
    /// The header X-Request-Id. It is made anew at the gateway, so it joins nothing.
    pub request_id: Option<String>,
    /// The header Host.
    pub authority: Option<String>,
    /// `ip:port` of the upstream that was chosen.
    pub upstream_host: Option<String>,
    /// The cluster that it was chosen from.
    pub upstream_cluster: Option<UpstreamCluster>,
    /// `ip:port` of the proxy's end of the connection to the upstream; `None` if none was made.
    pub upstream_local_address: Option<String>,
    /// `ip:port` that the client connected to (for a sidecar: before the redirection).
    pub downstream_local_address: Option<String>,
    /// `ip:port` of the client.
    pub downstream_remote_address: Option<String>,
    /// The SNI.
    pub requested_server_name: Option<String>,
    /// Name of the route.
    pub route_name: Option<String>,
}

impl AccessLogLine {
    /// Whether any of the flags is set.
    pub fn has_flag(&self, flag: &str) -> bool {
        self.response_flags.iter().any(|given| given == flag)
    }

    /// Whether the line is about an HTTP request, as opposed to a connection.
    pub fn is_http(&self) -> bool {
        self.method.is_some()
    }

    /// Whether the upstream answered, and not the proxy itself: details `via_upstream`, no flags.
    pub fn answered_by_upstream(&self) -> bool {
        self.response_flags.is_empty() && self.response_code_details.as_deref() == Some("via_upstream")
    }

    /// Whether an AuthorizationPolicy ended it. Envoy names the policy in the details of the response (HTTP) or of
    /// the termination (TCP): `rbac_access_denied_matched_policy[…]`.
    pub fn denied_by_policy(&self) -> bool {
        [&self.response_code_details, &self.connection_termination_details]
            .into_iter()
            .flatten()
            .any(|details| details.starts_with("rbac_access_denied"))
    }

    /// Why nothing came back from where the proxy sent it, for a line of a failure behind the proxy.
    pub(super) fn failure(&self) -> String {
        let what = if self.upstream_local_address.is_none() {
            "no connection"
        } else {
            "no answer"
        };
        format!("{what}: {}", self.ending())
    }

    /// Flags and details in a few words, for messages: `UF,URX delayed_connect_error:_Connection_refused`.
    pub fn ending(&self) -> String {
        let flags = match self.response_flags.as_slice() {
            [] => "no flags".to_owned(),
            flags => flags.join(","),
        };
        let details = self
            .upstream_transport_failure_reason
            .as_deref()
            .or(self.connection_termination_details.as_deref())
            .or(self.response_code_details.as_deref());
        match details {
            Some(details) => format!("{flags} {details}"),
            None => flags,
        }
    }
}

/// Reads a line of an access log in Istio's default text, in its default JSON, or in JSON with labels of the
/// operator's own as long as they keep Istio's names.
///
/// Anything else is `None`: the proxy's own log, an application's output, formats of the operator's own in text.
/// Any bytes may come.
pub fn parse_line(raw: &[u8]) -> Option<AccessLogLine> {
    let line = raw.trim_ascii();
    match line.first()? {
        b'[' => text_format::parse(line),
        b'{' => json_format::parse(line),
        _ => None,
    }
}

/// Whether a raw line contains a word: the cheap question to ask before [`parse_line`] where a log is long and only
/// the lines of one host or address matter.
pub fn line_mentions(raw: &[u8], word: &str) -> bool {
    memchr::memmem::find(raw, word.as_bytes()).is_some()
}
