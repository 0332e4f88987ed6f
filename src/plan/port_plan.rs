//! How one port of a host leaves: the mode, and what else may be said about it. The same words as in a plan file.

use crate::vocabulary::{Encryption, HostName, HostPort, Mode, Place, Scheme};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// One port of a host, as a plan and its file say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortPlan {
    /// The port that the application uses, 1 to 65535.
    pub port: u16,
    /// How its traffic leaves.
    #[serde(default)]
    pub mode: Mode,
    /// Which proxy originates TLS; only for origination.
    #[serde(default, skip_serializing_if = "is_default")]
    pub at: Place,
    /// Whether Istio's mutual TLS protects the leg to the gateway; absent: as [`PortPlan::mesh_mtls`] says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh_mtls: Option<bool>,
    /// Port of the host outside; absent: 443 for origination, else the application's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_port: Option<u16>,
    /// What the gateway shows to the host; only for `mtls-origination`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<SecretSource>,
    /// Whom the originating proxy trusts; absent: the system's authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<SecretSource>,
    /// File with the authorities that an originating sidecar trusts, a path in its container; absent: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Leave in the headers by which Istio tells the host who called.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keep_headers: bool,
    /// Only workloads of these namespaces (and the plan's own) may use it; needs mutual TLS on the mesh leg.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_from: Vec<String>,
    /// The one server that answers for all names of a wildcard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<HostName>,
    /// How the names of a wildcard become addresses, if there is no one server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// The name of a wildcard that is probed; absent: `server`, where the wildcard covers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<HostName>,
    /// `NAMESPACE/NAME` of the Kubernetes Service by which the host is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// An external HTTPS proxy (CONNECT) by which the host is reached; in a file `HOST:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "as_typed")]
    pub proxy: Option<HostPort>,
    /// Whether the sidecar, or the gateway in mode passthrough, speaks CONNECT to that proxy in the application's place.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tunnel: bool,
    /// All addresses of the proxy that the application speaks to, or of the endpoints of a headless Service; absent:
    /// looked up when the plan is set up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
}

/// A Secret, by name, in the namespace of the proxy that uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretSource {
    /// Its name.
    pub secret: String,
}

/// How the names of a wildcard become addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// The sidecar resolves each name when it is asked for (Istio's `DYNAMIC_DNS`).
    Dynamic,
}

/// `HOST:PORT`, as it is typed.
mod as_typed {
    use crate::vocabulary::HostPort;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde gives the field as it is")]
    pub(super) fn serialize<S: Serializer>(
        proxy: &Option<HostPort>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&proxy.as_ref().map(ToString::to_string).unwrap_or_default())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<HostPort>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refuse = || D::Error::custom(format!("`{text}` is not HOST:PORT, as in proxy.example.com:3128"));
        let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
        let host = host
            .parse()
            .map_err(|error: crate::vocabulary::HostNameError| D::Error::custom(error.to_string()))?;
        let port = port.parse().map_err(|_| refuse())?;
        Ok(Some(HostPort { host, port }))
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl PortPlan {
    /// A port in a mode, with nothing else said.
    pub fn new(port: u16, mode: Mode) -> Self {
        Self {
            port,
            mode,
            at: Place::Gateway,
            mesh_mtls: None,
            target_port: None,
            client_certificate: None,
            ca_certificate: None,
            ca_file: None,
            keep_headers: false,
            allow_from: Vec::new(),
            server: None,
            resolution: None,
            sample: None,
            service: None,
            proxy: None,
            tunnel: false,
            addresses: Vec::new(),
        }
    }

    /// What the application speaks.
    pub fn scheme(&self) -> Scheme {
        self.mode.scheme(self.port)
    }

    /// Whether it goes through the gateway.
    pub fn through_gateway(&self) -> bool {
        self.mode != Mode::Direct && self.at == Place::Gateway
    }

    /// Whether Istio's mutual TLS protects the leg to the gateway. Unless said otherwise it does for modes that carry
    /// HTTP, which would be plaintext there (truth.md 4), and does not for passthrough, which is TLS already.
    pub fn mesh_mtls(&self) -> bool {
        self.through_gateway() && self.mesh_mtls.unwrap_or(self.mode != Mode::Passthrough)
    }

    /// The port of the host outside.
    pub fn target_port(&self) -> u16 {
        self.target_port
            .unwrap_or(if self.mode.originates() { 443 } else { self.port })
    }

    /// The proxy that the application itself speaks CONNECT to.
    pub fn own_proxy(&self) -> Option<&HostPort> {
        self.proxy.as_ref().filter(|_| !self.tunnel)
    }

    /// The proxy that a proxy of the mesh speaks CONNECT to.
    pub fn tunnel_proxy(&self) -> Option<&HostPort> {
        self.proxy.as_ref().filter(|_| self.tunnel)
    }

    /// DNS name of the Kubernetes Service by which the host is called. Nearly all clusters use `cluster.local`.
    pub fn service_host(&self) -> Option<String> {
        let (namespace, name) = self.service.as_deref()?.split_once('/')?;
        Some(format!("{name}.{namespace}.svc.cluster.local"))
    }

    /// How the leg to the host is protected, by the application or by a proxy.
    pub fn outside_encryption(&self) -> Encryption {
        match (self.mode, self.scheme()) {
            (Mode::MtlsOrigination, _) => Encryption::Mtls,
            (Mode::TlsOrigination, _) | (_, Scheme::Https) => Encryption::Tls,
            (_, Scheme::Http) => Encryption::Plaintext,
        }
    }

    /// The Secret that the gateway's proxy uses for its TLS to the host.
    pub fn credential_name(&self) -> Option<&str> {
        let source = self.client_certificate.as_ref().or(self.ca_certificate.as_ref());
        source.map(|source| source.secret.as_str())
    }
}

impl fmt::Display for PortPlan {
    /// `80 (tls-origination)`, `80 (tls-origination at the sidecar)`, `443 (passthrough, mesh mTLS)`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}", self.port, self.mode)?;
        if self.at == Place::Sidecar {
            formatter.write_str(" at the sidecar")?;
        }
        if self.mode == Mode::Passthrough && self.mesh_mtls() {
            formatter.write_str(", mesh mTLS")?;
        }
        if self.mode != Mode::Passthrough && self.through_gateway() && !self.mesh_mtls() {
            formatter.write_str(", no mesh mTLS")?;
        }
        formatter.write_str(")")
    }
}
