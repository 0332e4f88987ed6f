//! Which request each attempt makes.

use super::targets::{Targets, name_of, no_declared, request};
use crate::evidence::{ProbeRequest, Program};
use crate::vocabulary::{ATTEMPTS, Attempt, AttemptFrom, Scheme};
use std::net::IpAddr;

/// Nothing is between curl and the network, so that a dropped connection shows at once.
const SHORT_SECONDS: u32 = 4;
/// Port of DNS over TLS (RFC 7858): one that is neither of HTTP nor of HTTPS.
const OTHER_PORT: u16 = 853;
/// Where an ingress gateway's pods take TLS, as a rule.
const INGRESS_PORT: u16 = 8443;
/// Port of every Istio gateway that tells its health.
const HEALTH_PORT: u16 = 15021;
/// Port at which sidecars call istiod, and which a lock lets through.
const ISTIOD_PORT: u16 = 15012;

/// One attempt with what it does.
#[derive(Debug, Clone)]
pub(super) struct Try {
    pub(super) attempt: &'static Attempt,
    pub(super) what: What,
    /// Host and port whose answer to anybody shows that somebody is there.
    pub(super) control: Option<(String, u16)>,
}

/// How an attempt is made, and so how it is judged.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// Straight out.
    Straight(ProbeRequest),
    /// At the egress gateway's port; whether it is to carry the name.
    AtGateway(bool, ProbeRequest),
    /// At the ingress gateway, and at its health port.
    AtIngress(Box<[ProbeRequest; 2]>),
    /// A tunnel is asked for.
    Tunnel(ProbeRequest),
    /// By a program other than curl.
    Program(Program, Vec<String>),
    /// It cannot be made here: why.
    Impossible(String),
}

impl What {
    /// Its requests, in order.
    pub(super) fn requests(&self) -> Vec<&ProbeRequest> {
        match self {
            Self::Straight(one) | Self::AtGateway(_, one) | Self::Tunnel(one) => vec![one],
            Self::AtIngress(both) => both.iter().collect(),
            Self::Program(..) | Self::Impossible(_) => Vec::new(),
        }
    }
}

/// What is tried from a place, in the list's order. Attempts whose probes `verify` makes anyway are not among them.
pub(super) fn of(from: AttemptFrom, targets: &Targets) -> Vec<Try> {
    let attempts = ATTEMPTS.iter().filter(|attempt| attempt.from == from);
    attempts
        .filter_map(|attempt| {
            let what = match attempt.id {
                "direct-ip" => by_address(targets, |address| https(&bracketed(address), 443)),
                "direct-ip-host-header" => host_at_address(targets),
                "plain-http-443" => Ok(What::Straight(plain(targets.forbidden.as_str(), 443))),
                "other-tcp-port" => {
                    let resolver = bracketed(targets.resolver);
                    Ok(What::Straight(https(&resolver, OTHER_PORT)))
                }
                "udp-443" => Ok(quic(targets)),
                "udp-53" => Ok(lookup(targets)),
                "icmp" => Ok(ping(targets.resolver)),
                "ipv6" => by_address_v6(targets),
                "uid-1337"
                | "exclude-outbound-ports"
                | "exclude-outbound-ip-ranges"
                | "include-no-ip-ranges"
                | "ephemeral-container"
                | "host-network"
                | "other-namespace" => Ok(What::Straight(https(targets.forbidden.as_str(), 443))),
                "gateway-port" | "other-namespace-gateway-port" => at_gateway(targets, true),
                "gateway-port-undeclared" => at_gateway(targets, false),
                "ingress-gateway" => at_ingress(targets),
                "istiod-as-proxy" => tunnel(targets),
                _ => return None,
            };
            Some(Try {
                attempt,
                what: what.unwrap_or_else(What::Impossible),
                control: control(attempt.id, targets),
            })
        })
        .collect()
}

/// Whose answer shows that the destination is up. Resolver and gateways have none but the record from before the lock.
fn control(id: &str, targets: &Targets) -> Option<(String, u16)> {
    let host = targets.forbidden.to_string();
    match id {
        "direct-ip-host-header" => Some((host, 80)),
        "other-tcp-port"
        | "udp-443"
        | "udp-53"
        | "icmp"
        | "ipv6"
        | "ingress-gateway"
        | "istiod-as-proxy"
        | "gateway-port"
        | "gateway-port-undeclared"
        | "other-namespace-gateway-port" => None,
        _ => Some((host, 443)),
    }
}

fn https(host: &str, port: u16) -> ProbeRequest {
    request(Scheme::Https, host, port, SHORT_SECONDS)
}

fn plain(host: &str, port: u16) -> ProbeRequest {
    request(Scheme::Http, host, port, SHORT_SECONDS)
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn by_address(targets: &Targets, ask: impl Fn(IpAddr) -> ProbeRequest) -> Result<What, String> {
    Ok(What::Straight(ask(targets.address()?)))
}

fn by_address_v6(targets: &Targets) -> Result<What, String> {
    let found = targets.addresses_v6.as_ref().map_err(Clone::clone)?;
    let address = found.first().ok_or("no IPv6 address")?;
    Ok(What::Straight(https(&bracketed(*address), 443)))
}

fn host_at_address(targets: &Targets) -> Result<What, String> {
    let planned = targets.declared.as_ref().ok_or_else(no_declared)?;
    let (host, address) = (name_of(planned), targets.address()?);
    let mut request = plain(&host, 80);
    request.resolve = Some(format!("{host}:80:{}", bracketed(address)));
    Ok(What::Straight(request))
}

fn at_gateway(targets: &Targets, declared: bool) -> Result<What, String> {
    let planned = targets.declared.as_ref().ok_or_else(no_declared)?;
    let gateway = targets.gateway.as_ref().ok_or("no pod of the gateway is ready")?;
    let host = if declared {
        name_of(planned)
    } else {
        targets.forbidden.to_string()
    };
    let mut request = request(planned.how.scheme(), &host, planned.port(), SHORT_SECONDS);
    request.connect_to = Some(to(&request, gateway, targets.gateway_port));
    Ok(What::AtGateway(declared, request))
}

fn at_ingress(targets: &Targets) -> Result<What, String> {
    let planned = targets.declared.as_ref().ok_or_else(no_declared)?;
    let ingress = targets
        .ingress
        .as_ref()
        .ok_or("no pod with the label istio=ingressgateway is ready in istio-system")?;
    let mut through = https(&name_of(planned), 443);
    through.connect_to = Some(to(&through, ingress, INGRESS_PORT));
    let mut health = plain("health.kubectl-egress.invalid", HEALTH_PORT);
    health.connect_to = Some(to(&health, ingress, HEALTH_PORT));
    Ok(What::AtIngress(Box::new([through, health])))
}

fn tunnel(targets: &Targets) -> Result<What, String> {
    let istiod = targets
        .istiod
        .as_ref()
        .ok_or("no pod with the label app=istiod is ready in istio-system")?;
    let mut request = https(targets.forbidden.as_str(), 443);
    request.proxy = Some(format!("{}:{ISTIOD_PORT}", in_url(istiod)));
    Ok(What::Tunnel(request))
}

/// curl's `--connect-to`.
fn to(request: &ProbeRequest, address: &str, port: u16) -> String {
    format!("{}:{}:{}:{port}", request.host, request.port, in_url(address))
}

fn in_url(address: &str) -> String {
    address.parse().map_or_else(|_| address.to_owned(), bracketed)
}

fn quic(targets: &Targets) -> What {
    let url = format!("https://{}/", targets.forbidden);
    let limit = SHORT_SECONDS.to_string();
    let words = [
        "curl",
        "-q",
        "-s",
        "-S",
        "--noproxy",
        "*",
        "--http3-only",
        "-m",
        &limit,
        "-o",
        "/dev/null",
        "-w",
        "\\n%{http_code}\\n",
        &url,
    ];
    What::Program(Program::Quic, words.map(str::to_owned).to_vec())
}

fn lookup(targets: &Targets) -> What {
    let server = targets.resolver.to_string();
    let words = [
        "busybox",
        "nslookup",
        "-type=a",
        targets.forbidden.as_str(),
        &server,
    ];
    What::Program(Program::Lookup, words.map(str::to_owned).to_vec())
}

fn ping(address: IpAddr) -> What {
    let address = address.to_string();
    let words = ["busybox", "ping", "-c", "1", "-W", "3", &address];
    What::Program(Program::Ping, words.map(str::to_owned).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets() -> Targets {
        Targets {
            declared: None,
            forbidden: "www.example.org".parse().unwrap(),
            addresses: Ok(vec!["192.0.2.1".parse().unwrap()]),
            addresses_v6: Err("none".to_owned()),
            gateway: None,
            gateway_port: 8443,
            ingress: None,
            istiod: Some("10.0.0.9".to_owned()),
            resolver: "192.0.2.53".parse().unwrap(),
        }
    }

    /// A new entry of the list needs a request here, a probe of `verify`, or a reason to need none.
    #[test]
    fn every_attempt_is_made_or_is_among_the_probes_of_verify() {
        let targets = targets();
        for attempt in ATTEMPTS {
            let made = of(attempt.from, &targets)
                .iter()
                .any(|one| one.attempt.id == attempt.id);
            let otherwise = attempt.id == "no-sidecar"
                || matches!(attempt.from, AttemptFrom::Meshed | AttemptFrom::Nowhere);
            assert!(made != otherwise, "{}", attempt.id);
        }
    }

    #[test]
    fn what_cannot_be_made_says_why() {
        let tries = of(AttemptFrom::Unmeshed, &targets());
        let what = |id: &str| {
            tries
                .iter()
                .find(|one| one.attempt.id == id)
                .unwrap()
                .what
                .clone()
        };
        assert!(matches!(what("ipv6"), What::Impossible(why) if why == "none"));
        assert!(matches!(what("gateway-port"), What::Impossible(why) if why.contains("plan")));
        let What::Straight(direct) = what("direct-ip") else {
            panic!("made")
        };
        assert_eq!((direct.host.as_str(), direct.resolve), ("192.0.2.1", None));
        let What::Tunnel(tunnel) = what("istiod-as-proxy") else {
            panic!("made")
        };
        assert_eq!(tunnel.proxy.as_deref(), Some("10.0.0.9:15012"));
    }
}
