//! Established connections, for the engine that cuts those which its rules would not allow any more.

use std::net::IpAddr;

use super::object::Protocol;
use super::ruleset::{Packet, Ruleset, Verdict};
use crate::output;
use crate::shell::{self, command};

/// A connection over TCP that the kernel tracks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Connection {
    source: IpAddr,
    source_port: u16,
    /// Where the source believes it goes; perhaps a Service.
    asked: (IpAddr, u16),
    /// Where it really goes.
    destination: (IpAddr, u16),
}

/// Makes the kernel forget the connections that `rules` do not allow. What was forgotten cannot go on: a packet that is
/// part of no known connection and begins none does not reach an isolated pod.
///
/// Connections that the node itself began are never judged.
pub(super) fn cut(rules: &Ruleset, node_addresses: &[IpAddr]) {
    let listed = match shell::output(command("conntrack").args(["-L", "-p", "tcp"])) {
        Ok(text) => text,
        Err(error) => return output::note(&format!("connections cannot be listed: {error:#}")),
    };
    let connections = listed.lines().filter_map(parse);
    for connection in connections.filter(|connection| !node_addresses.contains(&connection.source)) {
        if rules.judge(&connection.packet()) != Verdict::Allowed {
            connection.forget();
        }
    }
}

impl Connection {
    fn packet(&self) -> Packet {
        Packet {
            source: self.source,
            destination: self.destination.0,
            port: Some((Protocol::Tcp, self.destination.1)),
        }
    }

    fn forget(&self) {
        let family = if self.source.is_ipv4() { "ipv4" } else { "ipv6" };
        let mut conntrack = command("conntrack");
        conntrack
            .args(["-D", "-f", family, "-p", "tcp"])
            .args(["--orig-src", &self.source.to_string()])
            .args(["--orig-dst", &self.asked.0.to_string()])
            .args(["--sport", &self.source_port.to_string()])
            .args(["--dport", &self.asked.1.to_string()]);
        // It may have ended by itself meanwhile.
        let _ = shell::output(&mut conntrack);
    }
}

/// Reads a line of `conntrack -L`: the tuple as it was asked for, then that of the answers.
fn parse(line: &str) -> Option<Connection> {
    let values = |name: &'static str| line.split(' ').filter_map(move |field| field.strip_prefix(name));
    let (mut sources, mut destinations) = (values("src="), values("dst="));
    let (mut source_ports, mut destination_ports) = (values("sport="), values("dport="));
    Some(Connection {
        source: sources.next()?.parse().ok()?,
        source_port: source_ports.next()?.parse().ok()?,
        asked: (
            destinations.next()?.parse().ok()?,
            destination_ports.next()?.parse().ok()?,
        ),
        destination: (sources.next()?.parse().ok()?, source_ports.next()?.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_to_a_service_is_one_to_its_pod() {
        let line = "tcp      6 431999 ESTABLISHED src=198.18.0.5 dst=198.19.0.10 sport=40000 dport=443 \
                    src=198.18.0.2 dst=198.18.0.5 sport=8443 dport=40000 [ASSURED] mark=0 use=1";
        let connection = parse(line).unwrap();
        assert_eq!(connection.asked, ("198.19.0.10".parse().unwrap(), 443));
        let packet = connection.packet();
        assert_eq!(packet.source, "198.18.0.5".parse::<IpAddr>().unwrap());
        assert_eq!(packet.destination, "198.18.0.2".parse::<IpAddr>().unwrap());
        assert_eq!(packet.port, Some((Protocol::Tcp, 8443)));
    }

    #[test]
    fn other_lines_are_no_connections() {
        assert_eq!(parse(""), None);
        assert_eq!(
            parse("icmp 1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=1 src=10.0.0.2 dst=10.0.0.1 type=0"),
            None
        );
    }
}
