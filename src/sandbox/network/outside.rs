//! The outside world: hosts, whether they answer, and the log of who reached them.

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

/// A host of the outside world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideHost {
    /// Its name, or `*.` and a domain.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Ports on which it answers; others refuse.
    pub ports: Vec<u16>,
    /// Whether it answers at all.
    pub reachability: Reachability,
    /// What is wrong with its certificate, in OpenSSL's words, if anything is.
    pub certificate_problem: Option<String>,
}

impl OutsideHost {
    /// A host that answers on 80 and 443.
    pub fn new(name: &str, address: &str) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
            ports: vec![80, 443],
            reachability: Reachability::Answers,
            certificate_problem: None,
        }
    }

    /// The same, with another reachability.
    #[must_use]
    pub fn reachability(mut self, reachability: Reachability) -> Self {
        self.reachability = reachability;
        self
    }

    fn bad_certificate(mut self, problem: &str) -> Self {
        self.certificate_problem = Some(problem.into());
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
            ("mtls.test", "203.0.113.21"),
            ("example.com", "203.0.113.24"),
            ("www.example.com", "203.0.113.24"),
            ("httpbin.external.test", "203.0.113.25"),
            ("*.wikipedia.org", "203.0.113.26"),
        ];
        let mut hosts: Vec<_> = good
            .iter()
            .map(|(name, address)| Self::new(name, address))
            .collect();
        hosts.push(Self::new("wrongsan.test", "203.0.113.22").bad_certificate(
            "no alternative certificate subject name matches target host name 'wrongsan.test'",
        ));
        hosts.push(
            Self::new("expired.test", "203.0.113.23")
                .bad_certificate("SSL certificate problem: certificate has expired"),
        );
        hosts.push(Self::new("unreachable.test", "203.0.113.90").reachability(Reachability::Silent));
        hosts.push(Self::new("refused.test", "203.0.113.91").reachability(Reachability::Refuses));
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
