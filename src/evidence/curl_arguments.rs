//! What curl is asked to do.

use crate::vocabulary::Scheme;

/// Begins the line that curl writes after each transfer. `(` begins no HTTP header, so none can be taken for it.
pub(super) const REPORT_MARK: &str = "(kubectl-egress";

/// One transfer to be made by curl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeRequest {
    /// Number of the probe; unique within one run of curl.
    pub id: u32,
    /// Random word; travels in User-Agent, so that a plain HTTP request can be told from others on its connection.
    pub nonce: String,
    /// `http` or `https`.
    pub scheme: Scheme,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Path with the query, beginning with `/`.
    pub path: String,
    /// HTTP method.
    pub method: String,
    /// After how many seconds curl gives up. More than 10, or a dropped packet looks like a slow host: Envoy's
    /// connect timeout is 10 s (measured on the lab).
    pub max_time_seconds: u32,
    /// Path of a CA bundle in the source's container.
    pub ca_certificate: Option<String>,
    /// Whether the response's headers are wanted.
    pub show_headers: bool,
    /// Whether the response's body is wanted.
    pub show_body: bool,
    /// `HOST:PORT:ADDRESS` for curl's `--resolve`.
    pub resolve: Option<String>,
    /// The header Host, if it is to differ from the URL's host.
    pub host_header: Option<String>,
    /// `HOST:PORT:HOST:PORT` for curl's `--connect-to`: another name to connect to, the request stays the same.
    pub connect_to: Option<String>,
    /// `HOST:PORT` of a proxy that curl asks for a tunnel by CONNECT.
    pub proxy: Option<String>,
}

impl ProbeRequest {
    /// The URL, without the port if it is the scheme's own.
    ///
    /// Brackets and braces of the path are percent-encoded: curl would take them for a pattern.
    pub fn url(&self) -> String {
        let scheme = self.scheme.as_str();
        let port = match (self.scheme, self.port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => String::new(),
            (_, port) => format!(":{port}"),
        };
        let mut path = String::with_capacity(self.path.len() + 1);
        if !self.path.starts_with('/') {
            path.push('/');
        }
        for character in self.path.chars() {
            match character {
                '[' => path.push_str("%5B"),
                ']' => path.push_str("%5D"),
                '{' => path.push_str("%7B"),
                '}' => path.push_str("%7D"),
                ' ' => path.push_str("%20"),
                other => path.push(other),
            }
        }
        format!("{scheme}://{}{port}{path}", self.host)
    }
}

/// All arguments behind `curl` for a run of several probes, one after the other.
///
/// - Options are repeated in every section, because `--next` forgets them.
/// - Proxies of the environment are left out: what is to be seen is the mesh's way.
/// - No redirect is followed; each would be a probe of its own.
/// - Certificates are always verified: a success over TLS then means that the host itself answered.
///
/// Transfers in parallel (`-Z`) have their place here: one more option at the front, and one file per body.
pub fn curl_arguments(probes: &[ProbeRequest]) -> Vec<String> {
    let mut arguments = Vec::with_capacity(probes.len() * 16);
    for (position, probe) in probes.iter().enumerate() {
        if position > 0 {
            arguments.push("--next".to_owned());
        }
        push_section(&mut arguments, probe);
    }
    arguments
}

fn push_section(arguments: &mut Vec<String>, probe: &ProbeRequest) {
    let mut option = |name: &str, value: &str| {
        arguments.push(name.to_owned());
        if !value.is_empty() {
            arguments.push(value.to_owned());
        }
    };
    // Before all others: a curlrc of the container could switch verification off.
    option("-q", "");
    option("-s", "");
    option("-S", "");
    match &probe.proxy {
        Some(proxy) => {
            option("-p", "");
            option("-x", &format!("http://{proxy}"));
            // Overrides a list in the environment.
            option("--noproxy", ",");
        }
        None => option("--noproxy", "*"),
    }
    option("-m", &probe.max_time_seconds.to_string());
    option("-A", &format!("kubectl-egress/{}", probe.nonce));
    match probe.method.as_str() {
        "GET" | "" => {}
        // `-X HEAD` would wait for a body that never comes.
        "HEAD" => option("-I", ""),
        method => option("-X", method),
    }
    if let Some(path) = &probe.ca_certificate {
        option("--cacert", path);
    }
    if let Some(resolve) = &probe.resolve {
        option("--resolve", resolve);
    }
    if let Some(host) = &probe.host_header {
        option("-H", &format!("Host: {host}"));
    }
    if let Some(other) = &probe.connect_to {
        option("--connect-to", other);
    }
    if probe.show_headers {
        option("-D", "-");
    }
    option("-o", if probe.show_body { "-" } else { "/dev/null" });
    option("-w", &report_format(probe));
    option(&probe.url(), "");
}

/// One line per transfer. The error's text comes last because it is free; `size` tells where the body begins, so
/// that no body can pass for a report.
fn report_format(probe: &ProbeRequest) -> String {
    let shown = match (probe.show_headers, probe.show_body) {
        (false, false) => "none",
        (true, false) => "headers",
        (false, true) => "body",
        (true, true) => "both",
    };
    format!(
        "\\n{REPORT_MARK} {} id={} shown={shown} exit=%{{exitcode}} http=%{{http_code}} local=%{{local_ip}} \
         local_port=%{{local_port}} remote=%{{remote_ip}} remote_port=%{{remote_port}} time=%{{time_total}} \
         handshake=%{{time_appconnect}} connects=%{{num_connects}} size=%{{size_download}} error=%{{errormsg}}\\n",
        probe.nonce, probe.id
    )
}
