//! One line of the outside world's log.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// What happened on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A request was read; its answer follows at once.
    Request,
    /// The TLS handshake failed; `error` says how.
    TlsFailed,
    /// A server that never answers accepted a connection.
    Accepted,
    /// A server that resets connections did so.
    Reset,
    /// A connection ended without any request on it.
    Closed,
    /// A proxy was asked for a tunnel; `path` says where to, `error` why there was none.
    Tunnel,
    /// A resolver was asked by UDP; `host` says for which name.
    Question,
}

/// The certificate that a client showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// Its subject, as in `CN=client`.
    pub subject: String,
    /// SHA-256 of its DER form, in lowercase hexadecimal digits.
    pub sha256: String,
    /// Whether the client CA signed it.
    pub verified: bool,
}

/// One event at a server of the outside world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorldEvent {
    /// When, RFC 3339 with milliseconds.
    pub time: String,
    /// The server's name in the table.
    pub server: String,
    /// What happened.
    pub event: EventKind,
    /// The server's own address.
    pub local: SocketAddr,
    /// Who the connection came from: the socket's peer, which no header can change.
    pub peer: SocketAddr,
    /// The server's port.
    pub port: u16,
    /// The server name in the TLS hello.
    pub sni: Option<String>,
    /// The Host header.
    pub host: Option<String>,
    /// The request's method.
    pub method: Option<String>,
    /// The request's path and query.
    pub path: Option<String>,
    /// The request's headers; several of one name are joined with a comma.
    pub headers: BTreeMap<String, String>,
    /// The client's certificate, if it showed one.
    pub client_certificate: Option<ClientCertificate>,
    /// What went wrong, where something did.
    pub error: Option<String>,
}

impl WorldEvent {
    /// Starts an event with what is known about every connection.
    pub fn new(server: &str, event: EventKind, local: SocketAddr, peer: SocketAddr) -> Self {
        Self {
            time: format!("{:.3}", jiff::Timestamp::now()),
            server: server.to_owned(),
            event,
            local,
            peer,
            port: local.port(),
            sni: None,
            host: None,
            method: None,
            path: None,
            headers: BTreeMap::new(),
            client_certificate: None,
            error: None,
        }
    }

    /// The address of whoever really opened the connection.
    pub fn peer_ip(&self) -> IpAddr {
        self.peer.ip()
    }

    /// Says whether this is a request.
    pub fn is_request(&self) -> bool {
        self.event == EventKind::Request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_and_survives_it() {
        let local = "203.0.113.10:443".parse().unwrap();
        let peer = "198.18.0.19:41234".parse().unwrap();
        let mut event = WorldEvent::new("kyma-project.io", EventKind::TlsFailed, local, peer);
        event.error = Some("two\nlines".into());
        let line = serde_json::to_string(&event).unwrap();
        assert!(!line.contains('\n'));
        assert!(
            line.contains(r#""event":"tls-failed""#) && line.contains(r#""peer":"198.18.0.19:41234""#),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<WorldEvent>(&line).unwrap(), event);
    }

    #[test]
    fn the_time_has_milliseconds() {
        let any = "127.0.0.1:1".parse().unwrap();
        let time = WorldEvent::new("x", EventKind::Reset, any, any).time;
        assert_eq!(time.len(), "2026-11-21T02:01:19.427Z".len(), "{time}");
        assert!(time.parse::<jiff::Timestamp>().is_ok());
    }
}
