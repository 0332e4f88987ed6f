//! The outside world: hosts, whether they answer, what they show in TLS, and the log of who reached them.

use crate::sandbox::public_authority::ServerCertificate;

/// Whether a host answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reachability {
    /// It answers.
    Answers,
    /// Packets to it are dropped.
    Silent,
    /// Connections to it are refused.
    Refuses,
}

/// Which clients a server lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admits {
    /// Everybody.
    Everybody,
    /// Those with a certificate of this CA (PEM).
    ClientsOf(String),
    /// Those with a certificate of a CA that nobody here has the key of.
    Nobody,
}

/// A host of the outside world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideHost {
    /// Its name, or `*.` and a domain.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Ports on which it answers; others refuse. On 443 and 8443 it speaks TLS.
    pub ports: Vec<u16>,
    /// Whether it answers at all.
    pub reachability: Reachability,
    /// What it shows in TLS.
    pub certificate: ServerCertificate,
    /// Whom it lets in over TLS.
    pub admits: Admits,
}

impl OutsideHost {
    /// A host that answers on 80 and 443, and has a certificate for its name.
    pub fn new(name: &str, address: &str) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
            ports: vec![80, 443],
            reachability: Reachability::Answers,
            certificate: ServerCertificate::public(name),
            admits: Admits::Everybody,
        }
    }

    /// The same, with another reachability.
    #[must_use]
    pub fn reachability(mut self, reachability: Reachability) -> Self {
        self.reachability = reachability;
        self
    }

    /// The same, with another certificate.
    #[must_use]
    pub fn certificate(mut self, certificate: ServerCertificate) -> Self {
        self.certificate = certificate;
        self
    }

    /// The same, for other clients only.
    #[must_use]
    pub fn admits(mut self, admits: Admits) -> Self {
        self.admits = admits;
        self
    }

    /// The hosts of the tutorials and of the measurements (truth.md), and one of each that does not answer.
    pub fn defaults() -> Vec<Self> {
        let good = [
            ("kyma-project.io", "203.0.113.10"),
            ("www.kyma-project.io", "203.0.113.10"),
            ("edition.cnn.com", "203.0.113.11"),
            ("www.google.com", "203.0.113.12"),
            ("httpbin.org", "203.0.113.13"),
            ("kubernetes.io", "203.0.113.14"),
            ("istio.io", "203.0.113.15"),
            ("curl.se", "203.0.113.16"),
            ("www.openssl.org", "203.0.113.17"),
            ("www.baidu.com", "203.0.113.18"),
            ("raw.githubusercontent.com", "203.0.113.19"),
            ("tls.test", "203.0.113.20"),
            ("*.wild.test", "203.0.113.20"),
            ("*.scale.test", "203.0.113.20"),
            ("example.com", "203.0.113.24"),
            ("www.example.com", "203.0.113.24"),
            ("httpbin.external.test", "203.0.113.25"),
            ("*.wikipedia.org", "203.0.113.26"),
        ];
        let mut hosts: Vec<_> = good
            .iter()
            .map(|(name, address)| Self::new(name, address))
            .collect();
        hosts.extend([
            Self::new("mtls.test", "203.0.113.21").admits(Admits::Nobody),
            Self::new("wrongsan.test", "203.0.113.22").certificate(ServerCertificate::public("other.test")),
            Self::new("expired.test", "203.0.113.23").certificate(ServerCertificate::Issued {
                names: vec!["expired.test".into()],
                expired: true,
            }),
            Self::new("unreachable.test", "203.0.113.90").reachability(Reachability::Silent),
            Self::new("refused.test", "203.0.113.91").reachability(Reachability::Refuses),
        ]);
        hosts
    }

    /// Whether a name is this host.
    pub(in crate::sandbox) fn is(&self, name: &str) -> bool {
        self.name == name
            || self
                .name
                .strip_prefix('*')
                .is_some_and(|domain| name.ends_with(domain) && name.len() > domain.len())
    }
}

/// A request that reached the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideRequest {
    /// Name in SNI or Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The socket's peer: address of a pod.
    pub peer: String,
    /// `namespace/name` of the pod with that address.
    pub peer_pod: String,
    /// TLS or plain.
    pub tls: bool,
}
