//! Which hosts make a plan, and why others do not.

use super::{PlannedHost, PortPlan};
use crate::error::Error;
use crate::vocabulary::{HostName, HostPort, Mode, Place, Scheme};

/// Why hosts do not make a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A host and port stands there twice.
    #[error("{0} is named twice; name each host and port once")]
    Twice(HostPort),
    /// One SNI, or one Host header, cannot lead to two ports.
    #[error(
        "{host} is named with the ports {first} and {second}; a gateway tells TLS apart by server name (SNI) and HTTP by Host alone, so one host has one port of each kind there"
    )]
    TwoPorts {
        /// The host.
        host: HostName,
        /// Its first port.
        first: u16,
        /// Its second port.
        second: u16,
    },
    /// A wildcard whose names lead nowhere (Istio issue 61831).
    #[error(
        "{0} is a wildcard; through a gateway Istio leads a wildcard only to one fixed server: name it (`server`), or let the sidecar resolve each name (mode direct with `resolution: dynamic`), or name the hosts one by one"
    )]
    Wildcard(HostName),
    /// A wildcard in a mode that has to know the one name to ask for.
    #[error(
        "{host} is a wildcard, and mode {mode} has to know which name to ask the server for; name the hosts one by one"
    )]
    WildcardMode {
        /// The wildcard.
        host: HostName,
        /// Its mode.
        mode: Mode,
    },
    /// Nobody knows which name of a wildcard to probe.
    #[error("{0} is a wildcard; say which name of it `verify` shall probe (`sample`)")]
    NoSample(HostName),
    /// A name that a wildcard does not cover.
    #[error("{sample} is not covered by {host}; a wildcard covers names that end in what follows its `*`")]
    ForeignSample {
        /// The wildcard.
        host: HostName,
        /// The name.
        sample: HostName,
    },
    /// A port that clients speak plain HTTP to.
    #[error(
        "{0} uses port 80, where clients speak plain HTTP; mode passthrough carries TLS only; use port 443, or mode http or tls-origination"
    )]
    PlaintextPort(HostPort),
    /// A port that clients speak TLS to.
    #[error(
        "{at} uses port 443, where clients speak TLS; mode {mode} takes plain HTTP from the application; use port 80, or mode passthrough"
    )]
    TlsPort {
        /// Host and port.
        at: HostPort,
        /// Its mode.
        mode: Mode,
    },
    /// A setting that its mode has no use for.
    #[error("{at} has `{setting}`, which {reason}")]
    Setting {
        /// Host and port.
        at: HostPort,
        /// The setting, as a plan file spells it.
        setting: &'static str,
        /// Why not, and what to do.
        reason: &'static str,
    },
    /// mTLS origination without a certificate to show.
    #[error(
        "{0} has mode mtls-origination without a client certificate; name its Secret (--client-secret, or `clientCertificate: {{secret: NAME}}`)"
    )]
    NoClientCertificate(HostPort),
    /// Istio 1.31 drops `credentialName` at a sidecar and sends plaintext (truth.md, surprise 3).
    #[error(
        "{0} has mode mtls-origination at the sidecar; a sidecar drops `credentialName` silently and sends plaintext; use the gateway (`--at gateway`)"
    )]
    MutualAtSidecar(HostPort),
    /// HTTP and HTTPS on one port of a gateway.
    #[error(
        "{plain} comes to the gateway's HTTP port in plaintext and {protected} inside mutual TLS; one port of a gateway has one protocol: give both the same `meshMtls`, or use a second gateway in a plan of its own"
    )]
    MixedProtection {
        /// A host without mutual TLS on the mesh leg.
        plain: HostPort,
        /// A host with it.
        protected: HostPort,
    },
    /// Port 0.
    #[error("{0} has port 0; a port is 1 to 65535")]
    PortZero(HostName),
    /// No host at all.
    #[error("no host is named; name at least one, for example `kubectl egress setup kyma-project.io`")]
    Empty,
}

impl PlanError {
    /// Whom it is about: host, port, and the field of the port, as far as there is one.
    pub(super) fn subject(&self) -> (Option<&HostName>, Option<u16>, Option<&'static str>) {
        let at = |at: &HostPort, field| (Some(at.port), field);
        let (host, (port, field)) = match self {
            Self::Twice(place) => (&place.host, at(place, None)),
            Self::PlaintextPort(place) => (&place.host, at(place, Some("port"))),
            Self::TlsPort { at: place, .. } => (&place.host, at(place, Some("mode"))),
            // `at: sidecar`, `server, sample or resolution`: the first word is a field.
            Self::Setting {
                at: place, setting, ..
            } => (&place.host, at(place, setting.split([':', ',']).next())),
            Self::NoClientCertificate(place) => (&place.host, at(place, Some("clientCertificate"))),
            Self::MutualAtSidecar(place) => (&place.host, at(place, Some("at"))),
            Self::MixedProtection { plain, .. } => (&plain.host, at(plain, Some("meshMtls"))),
            Self::TwoPorts { host, second, .. } => (host, (Some(*second), Some("port"))),
            Self::WildcardMode { host, .. } => (host, (None, Some("mode"))),
            Self::ForeignSample { host, .. } => (host, (None, Some("sample"))),
            Self::Wildcard(host) | Self::NoSample(host) => (host, (None, None)),
            Self::PortZero(host) => (host, (Some(0), Some("port"))),
            Self::Empty => return (None, None, None),
        };
        (Some(host), port, field)
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        Self::usage(error.to_string())
    }
}

/// Checks hosts, sorted by host and port, one by one and against each other.
pub(super) fn check(hosts: &[PlannedHost]) -> Result<(), PlanError> {
    if hosts.is_empty() {
        return Err(PlanError::Empty);
    }
    for planned in hosts {
        check_one(planned)?;
    }
    for pair in hosts.windows(2) {
        if pair[0].host_port() == pair[1].host_port() {
            return Err(PlanError::Twice(pair[0].host_port()));
        }
    }
    check_detours(hosts)?;
    check_ports_of_a_host(hosts)?;
    check_http_port(hosts)
}

fn check_one(planned: &PlannedHost) -> Result<(), PlanError> {
    let how = &planned.how;
    if how.port == 0 {
        return Err(PlanError::PortZero(planned.host.clone()));
    }
    if how.mode == Mode::Passthrough && how.port == 80 {
        return Err(PlanError::PlaintextPort(planned.host_port()));
    }
    if how.mode != Mode::Direct && how.scheme() == Scheme::Http && how.port == 443 {
        return Err(PlanError::TlsPort {
            at: planned.host_port(),
            mode: how.mode,
        });
    }
    check_wildcard(planned)?;
    check_settings(planned)
}

fn check_wildcard(planned: &PlannedHost) -> Result<(), PlanError> {
    let (host, how) = (&planned.host, &planned.how);
    if !host.is_wildcard() {
        return Ok(());
    }
    match how.mode {
        Mode::Passthrough if how.server.is_none() => return Err(PlanError::Wildcard(host.clone())),
        Mode::Direct if how.server.is_none() && how.resolution.is_none() => {
            return Err(PlanError::Wildcard(host.clone()));
        }
        Mode::Passthrough | Mode::Direct => {}
        mode => {
            return Err(PlanError::WildcardMode {
                host: host.clone(),
                mode,
            });
        }
    }
    match planned.probed_name() {
        None => Err(PlanError::NoSample(host.clone())),
        Some(sample) if !host.covers(sample) => Err(PlanError::ForeignSample {
            host: host.clone(),
            sample: sample.clone(),
        }),
        Some(_) => Ok(()),
    }
}

/// Settings against the mode, each with the reason why it cannot be there.
fn check_settings(planned: &PlannedHost) -> Result<(), PlanError> {
    let how = &planned.how;
    if how.mode == Mode::MtlsOrigination && how.at == Place::Sidecar {
        return Err(PlanError::MutualAtSidecar(planned.host_port()));
    }
    if how.mode == Mode::MtlsOrigination && how.client_certificate.is_none() {
        return Err(PlanError::NoClientCertificate(planned.host_port()));
    }
    match wrong_setting(how, planned.host.is_wildcard()) {
        Some((setting, reason)) => Err(PlanError::Setting {
            at: planned.host_port(),
            setting,
            reason,
        }),
        None => Ok(()),
    }
}

fn wrong_setting(how: &PortPlan, wildcard: bool) -> Option<(&'static str, &'static str)> {
    let originates = how.mode.originates();
    let rules = [
        (
            how.at == Place::Sidecar && !originates,
            "at: sidecar",
            "is for tls-origination only",
        ),
        (
            how.mesh_mtls.is_some() && !how.through_gateway(),
            "meshMtls",
            "protects the leg to the gateway; this host does not go there",
        ),
        (
            how.client_certificate.is_some() && how.mode != Mode::MtlsOrigination,
            "clientCertificate",
            "is for mode mtls-origination only",
        ),
        (
            has_another_authority(how),
            "caCertificate",
            "is another Secret than the client certificate's; Istio reads both from one (`ca.crt` in it, or in NAME-cacert beside it): put the authority there, and leave `caCertificate` out",
        ),
        (
            how.ca_certificate.is_some() && !originates,
            "caCertificate",
            "is for modes where a proxy originates TLS; here the application checks the certificate itself",
        ),
        (
            how.ca_certificate.is_some() && how.at == Place::Sidecar,
            "caCertificate",
            "a sidecar cannot read from a Secret (Istio drops `credentialName` there and sends plaintext); use `at: gateway`",
        ),
        (
            how.ca_file.is_some() && how.at == Place::Gateway,
            "caFile",
            "is a file in a sidecar's container; a gateway reads its authorities from a Secret (`caCertificate`)",
        ),
        (
            how.keep_headers && (how.mode == Mode::Passthrough || !how.through_gateway()),
            "keepHeaders",
            "is for HTTP that goes through the gateway; nothing is removed from other traffic",
        ),
        (
            !how.allow_from.is_empty() && !how.mesh_mtls(),
            "allowFrom",
            "needs mutual TLS on the leg to the gateway, which tells it who calls; add `meshMtls: true`",
        ),
        (
            (how.server.is_some() || how.sample.is_some() || how.resolution.is_some()) && !wildcard,
            "server, sample or resolution",
            "is for wildcards only; this host is one name",
        ),
        (
            how.resolution.is_some() && how.mode != Mode::Direct,
            "resolution: dynamic",
            "works at the sidecar only; a gateway has no address then (503 UH); use mode direct, or name the one `server`",
        ),
        (
            how.server.is_some() && how.resolution.is_some(),
            "server",
            "is the one server of all names; with `resolution: dynamic` each name has its own: say one of them",
        ),
        (
            how.proxy.is_some() && !how.tunnel && how.mode != Mode::Direct,
            "proxy",
            "is spoken to by the application, past every gateway: use mode direct; or add `tunnel: true`, and the gateway speaks to it",
        ),
        (
            how.tunnel && (how.scheme() == Scheme::Http || wildcard),
            "tunnel",
            "carries TLS to one named host (Istio tunnels TCP only); use mode passthrough or direct at a TLS port",
        ),
        (
            how.proxy.is_some() && (how.service.is_some() || wildcard),
            "proxy",
            "is the whole way to one named host; leave `service` out, and name the hosts of a wildcard one by one",
        ),
        (
            how.service.is_some() && (how.through_gateway() || wildcard),
            "service",
            "is called at the sidecar, for one named host: use mode direct, or tls-origination with `at: sidecar`; through a gateway name the host itself",
        ),
        (
            !how.addresses.is_empty() && how.service.is_none() && (how.proxy.is_none() || how.tunnel),
            "addresses",
            "belong to a proxy that the application speaks to, or to a Service (`proxy`, `service`)",
        ),
        (
            how.tunnel && how.proxy.is_none(),
            "tunnel",
            "needs the proxy that it goes to (`proxy: HOST:PORT`)",
        ),
    ];
    rules
        .into_iter()
        .find_map(|(is_wrong, setting, reason)| is_wrong.then_some((setting, reason)))
}

/// Whether the authority is to come from a Secret that Istio does not read beside the client's.
fn has_another_authority(how: &PortPlan) -> bool {
    let (Some(client), Some(authority)) = (&how.client_certificate, &how.ca_certificate) else {
        return false;
    };
    authority.secret != client.secret && authority.secret != format!("{}-cacert", client.secret)
}

/// One Service stands for one host, by one list of addresses, and a proxy is no host of the plan.
fn check_detours(hosts: &[PlannedHost]) -> Result<(), PlanError> {
    for planned in hosts {
        let how = &planned.how;
        let of_service =
            |other: &&PlannedHost| other.how.service.is_some() && other.how.service == how.service;
        let differs =
            |other: &PlannedHost| other.host != planned.host || other.how.addresses != how.addresses;
        if hosts.iter().filter(of_service).any(differs) {
            return Err(PlanError::Setting {
                at: planned.host_port(),
                setting: "service",
                reason: "stands for one host with one list of addresses; give another host a Service of its own",
            });
        }
        if hosts
            .iter()
            .any(|other| how.proxy.as_ref().is_some_and(|proxy| proxy.host == other.host))
        {
            return Err(PlanError::Setting {
                at: planned.host_port(),
                setting: "proxy",
                reason: "is itself a host of this plan; a name is the one or the other",
            });
        }
    }
    Ok(())
}

/// Through a gateway, TLS is told apart by server name and HTTP by Host: one port of each kind per host.
fn check_ports_of_a_host(hosts: &[PlannedHost]) -> Result<(), PlanError> {
    for same_host in hosts.chunk_by(|left, right| left.host == right.host) {
        for scheme in [Scheme::Http, Scheme::Https] {
            let mut of_scheme = same_host
                .iter()
                .filter(|planned| planned.how.through_gateway() && planned.how.scheme() == scheme);
            if let (Some(first), Some(second)) = (of_scheme.next(), of_scheme.next()) {
                return Err(PlanError::TwoPorts {
                    host: first.host.clone(),
                    first: first.port(),
                    second: second.port(),
                });
            }
        }
    }
    Ok(())
}

/// The gateway's HTTP port speaks HTTP or HTTPS, not both (one listener, one protocol).
fn check_http_port(hosts: &[PlannedHost]) -> Result<(), PlanError> {
    let mut over_http = hosts
        .iter()
        .filter(|planned| planned.how.through_gateway() && planned.how.scheme() == Scheme::Http);
    let Some(first) = over_http.next() else {
        return Ok(());
    };
    match over_http.find(|planned| planned.how.mesh_mtls() != first.how.mesh_mtls()) {
        Some(other) => {
            let (plain, protected) = if first.how.mesh_mtls() {
                (other, first)
            } else {
                (first, other)
            };
            Err(PlanError::MixedProtection {
                plain: plain.host_port(),
                protected: protected.host_port(),
            })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
