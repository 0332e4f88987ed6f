//! Builds the evidence of a probe, as the lab would have left it.

use kubectl_egress::evidence::{
    Control, CurlReport, CurlResult, Expected, GatewayFacts, GatewayPodFacts, Lines, LiveConfiguration,
    LogState, PlannedWay, ProbeEvidence, ProbeRequest, ProbeResult, SourceFacts, Transports, UpstreamCluster,
    judge, parse_line,
};
use kubectl_egress::vocabulary::{BlockedBy, Encryption, Outcome, Scheme};
use std::sync::Arc;

pub(crate) const SERVICE_HOST: &str = "istio-egressgateway.istio-system.svc.cluster.local";
pub(crate) const GATEWAY_POD: &str = "istio-system/istio-egressgateway-1";
pub(crate) const RESET: &str = "Recv failure: Connection reset by peer";

/// The evidence under construction. The pod has both addresses of the lab's meshed pods.
#[derive(Clone)]
pub(crate) struct Probe(pub(crate) ProbeEvidence);

/// A probe of a URL from the meshed pod, with no curl report yet. The nonce is what the lab's User-Agent held.
pub(crate) fn probe(url: &str) -> Probe {
    let (scheme, rest) = url.split_once("://").unwrap();
    let scheme = if scheme == "http" {
        Scheme::Http
    } else {
        Scheme::Https
    };
    let default_port = if scheme == Scheme::Http { 80 } else { 443 };
    let (host, port) = match rest.split_once(':') {
        Some((host, port)) => (host, port.parse().unwrap()),
        None => (rest, default_port),
    };
    Probe(ProbeEvidence {
        request: ProbeRequest {
            id: 1,
            nonce: "7.88.1".to_owned(),
            scheme,
            host: host.to_owned(),
            port,
            path: "/get".to_owned(),
            method: "GET".to_owned(),
            max_time_seconds: 15,
            ca_certificate: None,
            show_headers: false,
            show_body: false,
            resolve: None,
            host_header: None,
            connect_to: None,
            proxy: None,
        },
        expected: Expected::Routed,
        source: SourceFacts {
            pod: "lab/curl".to_owned(),
            container: "curl".to_owned(),
            addresses: vec!["198.18.0.25".to_owned(), "198.18.0.27".to_owned()],
            meshed: true,
            interception: kubectl_egress::evidence::Interception::default(),
            log_state: LogState::Delivering,
            log_switch: None,
        },
        asked_at: Some("2026-11-20T09:00:00Z".to_owned()),
        curl: CurlResult::Lost("no report".to_owned()),
        sidecar_lines: Lines::default(),
        gateway_lines: Lines::default(),
        gateway: GatewayFacts {
            service_host: SERVICE_HOST.to_owned(),
            pods: vec![GatewayPodFacts {
                pod: GATEWAY_POD.to_owned(),
                addresses: vec!["198.18.0.19".to_owned()],
                log_state: LogState::Delivering,
            }],
        },
        control: Control::default(),
        planned: None,
        live: Arc::default(),
        network_policies: None,
    })
}

impl Probe {
    /// curl's report; the addresses are those of the connection, `-` for none.
    pub(crate) fn curl(self, exit_code: i32, http_code: u16, local: &str, remote: &str) -> Self {
        self.curl_said(
            exit_code,
            http_code,
            local,
            remote,
            if exit_code == 0 { "" } else { RESET },
        )
    }

    pub(crate) fn curl_said(
        mut self,
        exit_code: i32,
        http_code: u16,
        local: &str,
        remote: &str,
        error: &str,
    ) -> Self {
        let address = |text: &str| (text != "-").then(|| text.to_owned());
        self.0.curl = CurlResult::Report(CurlReport {
            id: 1,
            nonce: self.0.request.nonce.clone(),
            exit_code,
            error: error.to_owned(),
            http_code,
            local_address: address(local),
            remote_address: address(remote),
            num_connects: u32::from(local != "-"),
            ..CurlReport::default()
        });
        self
    }

    pub(crate) fn sidecar(mut self, line: &str) -> Self {
        self.0
            .sidecar_lines
            .push(parse_line(line.as_bytes()).expect("a line of the access log"));
        self
    }

    pub(crate) fn gateway(self, line: &str) -> Self {
        self.gateway_at(GATEWAY_POD, line)
    }

    pub(crate) fn gateway_at(mut self, pod: &str, line: &str) -> Self {
        let line = parse_line(line.as_bytes()).expect("a line of the access log");
        self.0.gateway_lines.push((pod.to_owned(), line));
        self
    }

    pub(crate) fn expecting(mut self, expected: Expected) -> Self {
        self.0.expected = expected;
        self
    }

    /// The host is up, and a policy selects the source.
    pub(crate) fn policy_and_control(mut self) -> Self {
        self.0.network_policies = Some(true);
        self.0.control.host_up = Some(true);
        self
    }

    pub(crate) fn without_sidecar(mut self) -> Self {
        self.0.source.meshed = false;
        self.0.source.addresses = vec!["198.18.0.26".to_owned()];
        self
    }

    /// The plan leads it through the gateway with a protected mesh leg (`Some`), or out at the sidecar.
    pub(crate) fn planned(mut self, cluster: &str, mesh: Option<Encryption>, outside: Encryption) -> Self {
        self.0.planned = Some(PlannedWay {
            outside_cluster: UpstreamCluster::parse(cluster),
            planned_host: self.0.request.host.clone(),
            mesh,
            outside,
            secret: Some("istio-system/client-credential".to_owned()),
            client_certificate: false,
        });
        self
    }

    /// curl had finished the TLS handshake.
    pub(crate) fn handshake(mut self) -> Self {
        if let CurlResult::Report(report) = &mut self.0.curl {
            report.handshake = true;
        }
        self
    }

    /// The plan says that the host wants a client certificate.
    pub(crate) fn wants_client_certificate(mut self) -> Self {
        if let Some(planned) = &mut self.0.planned {
            planned.client_certificate = true;
        }
        self
    }

    /// What the proxies' configuration says of every cluster that a line of the probe names.
    pub(crate) fn live(mut self, sidecar: Encryption, gateway: Encryption) -> Self {
        let cluster_of = |line: &kubectl_egress::evidence::AccessLogLine, how| {
            let cluster = line.upstream_cluster.as_ref()?;
            Some((cluster.to_string(), how))
        };
        let sidecar: Transports = self
            .0
            .sidecar_lines
            .iter()
            .filter_map(|line| cluster_of(line, sidecar))
            .collect();
        let of_gateway: Transports = self
            .0
            .gateway_lines
            .iter()
            .filter_map(|(_, line)| cluster_of(line, gateway))
            .collect();
        self.0.live = Arc::new(LiveConfiguration {
            sidecar,
            gateway: [(GATEWAY_POD.to_owned(), of_gateway)].into(),
        });
        self
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut ProbeEvidence)) -> Self {
        change(&mut self.0);
        self
    }

    pub(crate) fn judge(&self) -> ProbeResult {
        judge(&self.0)
    }

    /// The outcome, with the findings' codes where the outcome is not the expected one.
    pub(crate) fn outcome(&self) -> Outcome {
        self.judge().outcome
    }
}

/// The probe of the lab's first line: through the gateway.
pub(crate) fn routed() -> Probe {
    probe("https://kyma-project.io")
        .curl(0, 200, "198.18.0.25:37136", "203.0.113.10:443")
        .sidecar(super::lines::SIDECAR_ROUTED)
        .gateway(super::lines::GATEWAY_ROUTED)
}

/// A TLS line of the sidecar to the gateway, in the lab's format, for rows whose lines the lab's report shortens.
pub(crate) fn sidecar_tls(ending: &str, upstream_local: &str) -> String {
    format!(
        r#"[2026-11-21T02:01:19.427Z] "- - -" 0 {ending} - "-" "-" "-" "-" "198.18.0.19:8443" outbound|443|kyma-project|{SERVICE_HOST} {upstream_local} 203.0.113.10:443 198.18.0.25:37136 kyma-project.io -"#
    )
}

/// A TLS line of the gateway for the same connection.
pub(crate) fn gateway_tls(ending: &str, upstream: &str, cluster: &str, upstream_local: &str) -> String {
    format!(
        r#"[2026-11-21T02:01:19.430Z] "- - -" 0 {ending} - "-" "-" "-" "-" "{upstream}" {cluster} {upstream_local} 198.18.0.19:8443 198.18.0.25:45252 kyma-project.io -"#
    )
}

pub(crate) fn codes(result: &ProbeResult) -> Vec<&str> {
    result
        .findings
        .iter()
        .map(|finding| finding.code.as_str())
        .collect()
}

pub(crate) fn blocked_by(result: &ProbeResult) -> Option<BlockedBy> {
    assert_eq!(
        result.outcome == Outcome::Blocked,
        result.blocked_by.is_some(),
        "{result:?}"
    );
    result.blocked_by
}
