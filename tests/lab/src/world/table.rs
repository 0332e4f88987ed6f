//! The one table of the outside world. To add a name, add an entry.

use std::net::Ipv4Addr;

use crate::layout::ClusterLayout;

/// How a server behaves on its ports 80 and 443.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers every request with a JSON echo of it.
    Echo,
    /// The same on port 80; on port 443 it demands a certificate of the client CA.
    DemandClientCertificate,
    /// Answers 301 to this URL.
    Redirect(&'static str),
    /// Accepts connections and never says a word.
    Silent,
    /// Resets every connection.
    Reset,
    /// Nothing listens.
    Refuse,
    /// A forward proxy: on [`PROXY_PORT`] it takes `CONNECT` to any name of the outside world, and connects from its own
    /// address. An echo on its other ports.
    Proxy,
    /// A resolver that everybody may ask: on UDP `RESOLVER_PORT` every name has its own address, and
    /// `RESOLVER_TLS_PORT` speaks TLS. An echo on its other ports.
    Resolver,
}

/// Where the resolver takes questions.
pub(super) const RESOLVER_PORT: u16 = 53;

/// A port of TCP that is neither of HTTP nor of HTTPS (DNS over TLS, RFC 7858).
pub(super) const RESOLVER_TLS_PORT: u16 = 853;

/// Where the forward proxy takes `CONNECT`.
pub const PROXY_PORT: u16 = 3128;

/// Names of the second cluster's ingress gateway, whether there is one or not.
pub const TARGET_NAMES: &[&str] = &["target.example.com", "nginx.example.com", "httpbin.example.com"];

/// What a server's certificate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateKind {
    /// The server's own names.
    Good,
    /// Another name.
    For(&'static str),
    /// The server's own names, but it ended yesterday.
    Expired,
}

/// One server of the outside world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// Its DNS names; the first one is what the log calls it. `*.` names resolve for every label.
    pub names: &'static [&'static str],
    /// The last bytes of its addresses in 203.0.113.0/24, all of them A records of every name.
    pub hosts: &'static [u8],
    /// What it does.
    pub behaviour: Behaviour,
    /// What its certificate says.
    pub certificate: CertificateKind,
}

const fn server(names: &'static [&'static str], hosts: &'static [u8]) -> Server {
    Server {
        names,
        hosts,
        behaviour: Behaviour::Echo,
        certificate: CertificateKind::Good,
    }
}

/// Every server of the outside world.
pub const SERVERS: &[Server] = &[
    server(&["kyma-project.io", "www.kyma-project.io"], &[10]),
    server(&["edition.cnn.com"], &[11]),
    server(&["www.google.com"], &[12]),
    server(&["noise.test"], &[13]),
    server(&["tls.test", "*.wild.test"], &[20]),
    Server {
        behaviour: Behaviour::DemandClientCertificate,
        ..server(&["mtls.test"], &[21])
    },
    Server {
        certificate: CertificateKind::For("other.test"),
        ..server(&["wrongsan.test"], &[22])
    },
    Server {
        certificate: CertificateKind::Expired,
        ..server(&["expired.test"], &[23])
    },
    Server {
        behaviour: Behaviour::Silent,
        ..server(&["silent.test"], &[24])
    },
    Server {
        behaviour: Behaviour::Reset,
        ..server(&["reset.test"], &[25])
    },
    server(&["rotating.test"], &[26, 27, 28]),
    Server {
        behaviour: Behaviour::Refuse,
        ..server(&["refused.test"], &[29])
    },
    Server {
        behaviour: Behaviour::Redirect("https://edition.cnn.com/"),
        ..server(&["redirect.test"], &[30])
    },
    // A wildcard name of another server's, and a server of its own all the same.
    server(&["apart.wild.test"], &[31]),
    Server {
        behaviour: Behaviour::Proxy,
        ..server(&["proxy.test"], &[32, 33])
    },
    Server {
        behaviour: Behaviour::DemandClientCertificate,
        certificate: CertificateKind::For("other.test"),
        ..server(&["mtls-wrongsan.test"], &[34])
    },
    Server {
        behaviour: Behaviour::DemandClientCertificate,
        certificate: CertificateKind::Expired,
        ..server(&["mtls-expired.test"], &[35])
    },
    Server {
        behaviour: Behaviour::Resolver,
        ..server(&["resolver.test"], &[53])
    },
];

impl Server {
    /// What the log calls it.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// Its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        self.hosts.iter().map(|host| Ipv4Addr::new(203, 0, 113, *host))
    }

    /// The names in its certificate.
    pub fn certificate_names(&self) -> Vec<String> {
        match self.certificate {
            CertificateKind::For(name) => vec![name.to_owned()],
            CertificateKind::Good | CertificateKind::Expired => {
                self.names.iter().map(|name| (*name).to_owned()).collect()
            }
        }
    }

    /// The domains that its wildcard names stand for.
    pub(crate) fn domains(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.names.iter().filter_map(|name| name.strip_prefix("*."))
    }
}

/// Finds the server that a name resolves to: its own one before one of its domain.
pub(crate) fn find(host: &str) -> Option<&'static Server> {
    let below = |domain: &str| {
        let label = host.strip_suffix(domain);
        label.is_some_and(|label| label.len() > 1 && label.ends_with('.'))
    };
    SERVERS
        .iter()
        .find(|server| server.names.contains(&host))
        .or_else(|| SERVERS.iter().find(|server| server.domains().any(below)))
}

/// The addresses that a name resolves to inside the lab; none for an unknown name.
pub fn addresses_of(host: &str) -> Vec<Ipv4Addr> {
    if TARGET_NAMES.contains(&host) {
        return vec![ClusterLayout::ingress_address()];
    }
    find(host)
        .map(|server| server.addresses().collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_addresses_are_used_once() {
        let names: Vec<_> = SERVERS.iter().flat_map(|server| server.names).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        let hosts: Vec<_> = SERVERS.iter().flat_map(|server| server.hosts).collect();
        assert_eq!(hosts.iter().collect::<BTreeSet<_>>().len(), hosts.len());
    }

    #[test]
    fn a_wildcard_covers_labels_and_not_the_bare_domain() {
        assert_eq!(addresses_of("a.wild.test"), [Ipv4Addr::new(203, 0, 113, 20)]);
        assert!(find("wild.test").is_none());
        assert!(find(".wild.test").is_none());
        assert!(find("awild.test").is_none());
        assert_eq!(find("apart.wild.test").unwrap().name(), "apart.wild.test");
    }

    #[test]
    fn a_rotating_name_has_several_addresses() {
        assert_eq!(addresses_of("rotating.test").len(), 3);
        assert!(addresses_of("nobody.test").is_empty());
    }

    #[test]
    fn the_wrong_certificate_does_not_name_its_server() {
        assert_eq!(find("wrongsan.test").unwrap().certificate_names(), ["other.test"]);
    }
}
