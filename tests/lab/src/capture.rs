//! What really goes over the wire between pods and to the outside world: packets captured in the node's network
//! namespace, as connections with the first bytes of both directions.
//!
//! The tool says how a leg is protected by what proxies are configured to do; this is what it is held against.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use rustix::process::{Pid, Signal, kill_process};

use crate::layout::ClusterLayout;
use crate::shell::inside;
use crate::wait::{Look, until};

/// Bytes kept of each direction: more than a ClientHello with a large post-quantum key share.
const KEPT_BYTES: usize = 8 * 1024;
/// How long tcpdump may lag behind.
const MARK_DEADLINE: Duration = Duration::from_secs(30);
/// Length of a capture file's header, and of the header before each packet (pcap file format).
const FILE_HEADER: usize = 24;
const PACKET_HEADER: usize = 16;

/// A capture that is under way; dropping it ends it.
#[derive(Debug)]
pub struct Capture {
    child: Child,
    /// What tcpdump wrote until now.
    written: Arc<Mutex<Vec<u8>>>,
    /// The API server of the lab, to which a connection marks the end.
    server: SocketAddr,
}

/// A TCP connection that began during a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedConnection {
    /// Who opened it.
    pub client: SocketAddr,
    /// To whom.
    pub server: SocketAddr,
    /// The first bytes of the client, at most 8 KiB.
    pub sent: Vec<u8>,
    /// The first bytes of the server, at most 8 KiB.
    pub received: Vec<u8>,
}

/// What a connection carries, by its client's first bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// The client sent nothing.
    Nothing,
    /// Readable HTTP.
    PlainHttp,
    /// TLS, with what its ClientHello shows.
    Tls {
        /// SNI.
        server_name: Option<String>,
        /// ALPN.
        protocols: Vec<String>,
    },
    /// A TLS hello of which not all was seen.
    Unfinished,
    /// Something else.
    Other,
}

impl Capture {
    /// Begins to capture all TCP that comes into the node of a lab, and returns when it listens.
    ///
    /// # Errors
    /// tcpdump is not installed, or does not start.
    pub(crate) fn start(layout: &ClusterLayout) -> Result<Self> {
        let mut command = inside(&layout.node_namespace(), "tcpdump");
        // Only what comes in at an interface: each packet is seen once on its way through the node.
        // Of the API server's connections only their beginnings, which are most of the traffic; and room for a machine
        // that is busy: a packet that is dropped is a connection that nobody can read.
        let flags = [
            "-i",
            "any",
            "-y",
            "LINUX_SLL",
            "-Q",
            "in",
            "-n",
            "-U",
            "--immediate-mode",
            "-B",
            "65536",
            "-Z",
            "root",
            "-w",
            "-",
            "tcp and (not port 6443 or tcp[tcpflags] & tcp-syn != 0)",
        ];
        command.args(flags);
        Self::listen(&mut command, layout.server_address())
            .context("cannot capture packets (apt-get install tcpdump)")
    }

    fn listen(command: &mut Command, server: SocketAddr) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdout = child.stdout.take().context("no stdout")?;
        let mut stderr = BufReader::new(child.stderr.take().context("no stderr")?);
        let written = Arc::new(Mutex::new(Vec::new()));
        let capture = Self {
            child,
            written: written.clone(),
            server,
        };
        std::thread::spawn(move || {
            let mut buffer = [0; 8 * 1024];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                locked(&written).extend_from_slice(&buffer[..length]);
            }
        });
        let mut said = String::new();
        while !said.contains("listening on") {
            if stderr.read_line(&mut said)? == 0 {
                bail!("tcpdump ended: {}", said.trim());
            }
        }
        // Read to its end, so that it never waits for us.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Ok(capture)
    }

    /// Ends the capture with everything that came until now: tcpdump lags behind, so a connection of our own marks the
    /// end, and is waited for.
    ///
    /// # Errors
    /// The mark does not come, or tcpdump wrote what is no capture.
    pub fn finish(self) -> Result<Vec<CapturedConnection>> {
        let mark = TcpStream::connect(self.server)?;
        let own = mark.local_addr()?;
        until("see the end of the capture", MARK_DEADLINE, || {
            let mut found = connections(&locked(&self.written))?;
            match found.iter().position(|connection| connection.client == own) {
                Some(end) => {
                    found.truncate(end);
                    Ok(Look::Done(found))
                }
                None => Ok(Look::NotYet(format!("{} connections", found.len()))),
            }
        })
    }

    fn interrupt(&self) {
        // It writes what it has and ends.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::INT);
        }
    }
}

fn locked(written: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.interrupt();
        let _ = self.child.wait();
    }
}

impl CapturedConnection {
    /// What it carries.
    pub fn carried(&self) -> Carried {
        match self.sent.first() {
            None => Carried::Nothing,
            // Content type "handshake" (RFC 8446, 5.1).
            Some(0x16) => client_hello(&self.sent),
            Some(_) => {
                let methods: [&[u8]; 4] = [b"GET ", b"HEAD ", b"POST ", b"PRI * HTTP/2"];
                if methods.iter().any(|method| self.sent.starts_with(method)) {
                    Carried::PlainHttp
                } else {
                    Carried::Other
                }
            }
        }
    }
}

fn client_hello(sent: &[u8]) -> Carried {
    let mut acceptor = rustls::server::Acceptor::default();
    if acceptor.read_tls(&mut Cursor::new(sent)).is_err() {
        return Carried::Other;
    }
    match acceptor.accept() {
        Ok(Some(accepted)) => {
            let hello = accepted.client_hello();
            let protocols = hello.alpn().into_iter().flatten();
            Carried::Tls {
                server_name: hello.server_name().map(str::to_owned),
                protocols: protocols
                    .map(|name| String::from_utf8_lossy(name).into_owned())
                    .collect(),
            }
        }
        Ok(None) => Carried::Unfinished,
        Err(_) => Carried::Other,
    }
}

/// Sender and receiver of a segment.
type Direction = (SocketAddr, SocketAddr);

#[derive(Default)]
struct Stream {
    /// Sequence number of the first byte.
    first: u32,
    bytes: Vec<u8>,
}

fn connections(file: &[u8]) -> Result<Vec<CapturedConnection>> {
    let mut rest = file.get(FILE_HEADER..).context("tcpdump wrote no capture")?;
    let mut streams: BTreeMap<Direction, Stream> = BTreeMap::new();
    let mut opened: Vec<Direction> = Vec::new();
    while let Some(header) = rest.get(..PACKET_HEADER) {
        let length = u32::from_ne_bytes(header[8..12].try_into()?) as usize;
        // The last one may be cut.
        let Some(packet) = rest.get(PACKET_HEADER..PACKET_HEADER + length) else {
            break;
        };
        rest = &rest[PACKET_HEADER + length..];
        add(packet, &mut streams, &mut opened);
    }
    let taken = |direction: &Direction| {
        streams
            .get(direction)
            .map(|stream| stream.bytes.clone())
            .unwrap_or_default()
    };
    let connection = |(client, server): &Direction| CapturedConnection {
        client: *client,
        server: *server,
        sent: taken(&(*client, *server)),
        received: taken(&(*server, *client)),
    };
    Ok(opened.iter().map(connection).collect())
}

/// Adds one packet; what is no TCP over IP is left out.
fn add(packet: &[u8], streams: &mut BTreeMap<Direction, Stream>, opened: &mut Vec<Direction>) {
    let Ok(sliced) = SlicedPacket::from_linux_sll(packet) else {
        return;
    };
    let (from, to): (IpAddr, IpAddr) = match &sliced.net {
        Some(NetSlice::Ipv4(ip)) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        Some(NetSlice::Ipv6(ip)) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        _ => return,
    };
    let Some(TransportSlice::Tcp(segment)) = &sliced.transport else {
        return;
    };
    let direction = (
        SocketAddr::new(from, segment.source_port()),
        SocketAddr::new(to, segment.destination_port()),
    );
    if segment.syn() {
        let first = segment.sequence_number().wrapping_add(1);
        if !segment.ack() && !opened.contains(&direction) {
            opened.push(direction);
        }
        streams.insert(
            direction,
            Stream {
                first,
                bytes: Vec::new(),
            },
        );
        return;
    }
    let Some(stream) = streams.get_mut(&direction) else {
        return;
    };
    // Only what continues what is there: a retransmission is skipped, nothing is put together out of order.
    let offset = segment.sequence_number().wrapping_sub(stream.first) as usize;
    if offset == stream.bytes.len() {
        let room = KEPT_BYTES.saturating_sub(stream.bytes.len());
        let payload = segment.payload();
        stream
            .bytes
            .extend_from_slice(&payload[..payload.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carrying(sent: &[u8]) -> Carried {
        let address: SocketAddr = "192.0.2.1:1".parse().unwrap();
        CapturedConnection {
            client: address,
            server: address,
            sent: sent.to_vec(),
            received: Vec::new(),
        }
        .carried()
    }

    #[test]
    fn plain_http_and_nothing_are_told_from_tls() {
        assert_eq!(carrying(b""), Carried::Nothing);
        assert_eq!(carrying(b"GET / HTTP/1.1\r\n"), Carried::PlainHttp);
        assert_eq!(carrying(b"\x16\x03\x01"), Carried::Unfinished);
        assert_eq!(carrying(b"SSH-2.0-x\r\n"), Carried::Other);
    }

    #[test]
    fn what_is_no_capture_is_an_error_and_an_empty_one_is_not() {
        assert!(connections(b"tcpdump: no").is_err());
        assert_eq!(connections(&[0; FILE_HEADER]).unwrap(), Vec::new());
    }

    /// A segment of one client as tcpdump writes it with the link type LINUX_SLL.
    fn segment(sequence: u32, syn: bool, payload: &[u8]) -> Vec<u8> {
        let link = (etherparse::LinuxSllPacketType::OTHERHOST, 6, [0; 8]);
        let mut builder = etherparse::PacketBuilder::linux_sll(link.0, link.1, link.2)
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(5000, 80, sequence, 1000);
        if syn {
            builder = builder.syn();
        }
        let mut packet = Vec::new();
        builder.write(&mut packet, payload).unwrap();
        let length = u32::try_from(packet.len()).unwrap().to_ne_bytes();
        [&[0; 8], &length[..], &[0; 4], &packet].concat()
    }

    #[test]
    fn a_connection_is_put_together_without_its_retransmissions() {
        let request = b"GET / HTTP/1.1\r\n";
        let file = [
            vec![0; FILE_HEADER],
            segment(99, true, b""),
            segment(100, false, request),
            segment(100, false, request),
            segment(116, false, b"\r\n"),
        ]
        .concat();
        let found = connections(&file).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].server, "10.0.0.2:80".parse().unwrap());
        assert_eq!(found[0].sent, b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(found[0].carried(), Carried::PlainHttp);
    }
}
