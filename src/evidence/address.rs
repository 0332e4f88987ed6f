//! Socket addresses as proxies and curl write them.

use std::net::{IpAddr, SocketAddr};

/// Writes an address and a port as Envoy does: `192.0.2.1:443`, `[2001:db8::1]:443`.
///
/// An address that is none is kept as it is, so that it equals only itself.
pub fn socket_address(address: &str, port: u16) -> String {
    match address.parse::<IpAddr>() {
        Ok(parsed) => SocketAddr::new(parsed.to_canonical(), port).to_string(),
        Err(_) => format!("{address}:{port}"),
    }
}

/// Whether two socket addresses are the same, however their IPv6 addresses are written.
pub(super) fn same_socket(left: &str, right: &str) -> bool {
    // IPv4 has one spelling. Every line is compared with every probe, so that this is asked a million times.
    if left == right || !(left.starts_with('[') || right.starts_with('[')) {
        return left == right;
    }
    match (parse(left), parse(right)) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}

/// Whether the host part of a socket address is one of the given IP addresses.
pub(super) fn is_at_one_of(socket: &str, addresses: &[String]) -> bool {
    parse(socket).is_some_and(|socket| {
        addresses.iter().any(|address| {
            address
                .parse::<IpAddr>()
                .is_ok_and(|address| address.to_canonical() == socket.ip())
        })
    })
}

fn parse(text: &str) -> Option<SocketAddr> {
    let parsed: SocketAddr = text.parse().ok()?;
    Some(SocketAddr::new(parsed.ip().to_canonical(), parsed.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_addresses_as_envoy_does() {
        assert_eq!(socket_address("198.18.0.25", 37136), "198.18.0.25:37136");
        assert_eq!(socket_address("FD00::0:1", 443), "[fd00::1]:443");
        assert_eq!(socket_address("::ffff:10.0.0.1", 1), "10.0.0.1:1");
    }

    #[test]
    fn compares_addresses_and_not_their_spelling() {
        assert!(same_socket("[fd00:0::1]:443", "[fd00::1]:443"));
        assert!(same_socket("[::ffff:10.0.0.1]:80", "10.0.0.1:80"));
        assert!(!same_socket("10.0.0.1:80", "10.0.0.1:8080"));
        assert!(!same_socket("10.0.0.1:80", "110.0.0.1:80"));
        assert!(same_socket("envoy://internal/x", "envoy://internal/x"));
    }

    #[test]
    fn finds_the_owner_of_an_address() {
        let addresses = ["198.18.0.19".to_owned(), "fd00::19".to_owned()];
        assert!(is_at_one_of("198.18.0.19:8443", &addresses));
        assert!(is_at_one_of("[fd00:0:0::19]:8443", &addresses));
        assert!(!is_at_one_of("198.18.0.190:8443", &addresses));
        assert!(!is_at_one_of("-", &addresses));
    }
}
