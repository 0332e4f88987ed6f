//! What travels on a connection, layer by layer from outside in.

use crate::vocabulary::Scheme;

/// What one connection carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payload {
    /// A plain HTTP request with this Host.
    Http { host: String },
    /// A request to a forward proxy for a tunnel to this `host:port`, and what the tunnel carries.
    Connect { authority: String },
    /// TLS of the application's own, with this server name.
    ApplicationTls { server_name: String },
    /// TLS that a proxy put around it with a certificate of the mesh (`ISTIO_MUTUAL`).
    MeshTls {
        server_name: String,
        inner: Box<Payload>,
    },
    /// TLS that a proxy originated towards a server outside.
    Originated {
        /// The name that it asks for, if any.
        server_name: Option<String>,
        inner: Box<Payload>,
    },
}

impl Payload {
    /// What an application sends.
    pub(super) fn of_application(scheme: Scheme, host: &str) -> Self {
        let host = host.to_owned();
        match scheme {
            Scheme::Http => Self::Http { host },
            Scheme::Https => Self::ApplicationTls { server_name: host },
        }
    }

    /// Whether the first bytes are those of a TLS handshake.
    pub(super) fn is_tls(&self) -> bool {
        !matches!(self, Self::Http { .. } | Self::Connect { .. })
    }

    /// The server name that the outermost TLS asks for.
    pub(super) fn server_name(&self) -> Option<&str> {
        match self {
            Self::ApplicationTls { server_name } | Self::MeshTls { server_name, .. } => Some(server_name),
            Self::Originated { server_name, .. } => server_name.as_deref(),
            Self::Http { .. } | Self::Connect { .. } => None,
        }
    }

    /// The Host of plain HTTP.
    pub(super) fn host(&self) -> Option<&str> {
        match self {
            Self::Http { host } => Some(host),
            _ => None,
        }
    }

    /// In words, for findings.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Http { .. } => "plain HTTP".to_owned(),
            Self::Connect { authority } => format!("CONNECT {authority}"),
            Self::ApplicationTls { server_name } => format!("TLS of the application, for {server_name}"),
            Self::MeshTls { server_name, inner } => {
                format!("TLS of the mesh, for {server_name}, around {}", inner.describe())
            }
            Self::Originated { inner, .. } => format!("TLS of a proxy around {}", inner.describe()),
        }
    }
}
