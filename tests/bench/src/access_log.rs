//! Generated access logs: what a busy gateway writes, with hostile lines among it.

use anyhow::Result;
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// The host that is looked for: one line in a hundred is about it.
pub(crate) const WANTED: &str = "wanted.example.com";
/// Lines of a block; the file repeats it, so that it is written as fast as the disk takes it. Small, because a process
/// that is measured is said to have had at least the memory of the one that started it.
const LINES: usize = 4_000;
/// Of so many lines one is hostile.
const HOSTILE: usize = 500;

/// How the proxy writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Istio's default text.
    Text,
    /// Istio's default JSON.
    Json,
}

/// Writes a log of at least so many bytes; returns how many.
pub(crate) fn write(path: &Path, format: Format, size: u64) -> Result<u64> {
    let block = block(format);
    let mut file = File::create(path)?;
    let mut written = 0;
    while written < size {
        file.write_all(&block)?;
        written += block.len() as u64;
    }
    Ok(written)
}

fn block(format: Format) -> Vec<u8> {
    // Always the same, so that runs of different days can be compared.
    let mut random = fastrand::Rng::with_seed(9);
    let mut bytes = Vec::new();
    for number in 0..LINES {
        if number % HOSTILE == 13 {
            bytes.extend_from_slice(&hostile(number / HOSTILE));
        } else {
            bytes.extend_from_slice(line(format, &mut random).as_bytes());
        }
        bytes.push(b'\n');
    }
    bytes
}

fn line(format: Format, random: &mut fastrand::Rng) -> String {
    let host = if random.u32(..100) == 0 {
        WANTED.to_owned()
    } else {
        format!("service-{}.example.com", random.u32(..500))
    };
    let (millisecond, duration, pod) = (random.u32(..1000), random.u32(..5000), random.u8(1..=250));
    let (received, sent, port) = (random.u32(..10_000), random.u32(..100_000), random.u16(32_768..));
    let time = format!("2026-11-21T02:{:02}:17.{millisecond:03}Z", random.u32(..60));
    let (client, upstream) = (format!("198.18.0.{pod}:{port}"), format!("203.0.113.{pod}:443"));
    let http = random.bool();
    match (format, http) {
        (Format::Text, false) => format!(
            r#"[{time}] "- - -" 0 - - - "-" {received} {sent} {duration} - "-" "-" "-" "-" "{upstream}" outbound|443||{host} 198.18.0.19:45808 198.18.0.19:8443 {client} {host} -"#
        ),
        (Format::Text, true) => format!(
            r#"[{time}] "GET /api/v1/items/{sent} HTTP/2" 200 - via_upstream - "-" {received} {sent} {duration} {duration} "198.18.0.{pod}" "curl/7.88.1" "fbfc995f-98cc-4b6f-8b26-{sent:012}" "{host}" "{upstream}" outbound|443||{host} 198.18.0.19:52198 198.18.0.19:8080 {client} outbound_.80_.x_.gateway -"#
        ),
        (Format::Json, false) => format!(
            r#"{{"authority":null,"bytes_received":{received},"bytes_sent":{sent},"connection_termination_details":null,"downstream_local_address":"198.18.0.19:8443","downstream_remote_address":"{client}","duration":{duration},"method":null,"path":null,"protocol":null,"request_id":null,"requested_server_name":"{host}","response_code":0,"response_code_details":null,"response_flags":"-","route_name":null,"start_time":"{time}","upstream_cluster":"outbound|443||{host}","upstream_host":"{upstream}","upstream_local_address":"198.18.0.19:45808","upstream_service_time":null,"upstream_transport_failure_reason":null,"user_agent":null,"x_forwarded_for":null}}"#
        ),
        (Format::Json, true) => format!(
            r#"{{"authority":"{host}","bytes_received":{received},"bytes_sent":{sent},"connection_termination_details":null,"downstream_local_address":"198.18.0.19:8080","downstream_remote_address":"{client}","duration":{duration},"method":"GET","path":"/api/v1/items/{sent}","protocol":"HTTP/2","request_id":"fbfc995f-98cc-4b6f-8b26-{sent:012}","requested_server_name":"outbound_.80_.x_.gateway","response_code":200,"response_code_details":"via_upstream","response_flags":"-","route_name":null,"start_time":"{time}","upstream_cluster":"outbound|443||{host}","upstream_host":"{upstream}","upstream_local_address":"198.18.0.19:52198","upstream_service_time":"{duration}","upstream_transport_failure_reason":null,"user_agent":"curl/7.88.1","x_forwarded_for":"198.18.0.{pod}"}}"#
        ),
    }
}

/// What a client, or another program in the container, can put into a log.
fn hostile(kind: usize) -> Vec<u8> {
    let quoted = r#"[2026-11-21T02:00:00.000Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 0 1 1 "-" "x" "y" "wanted.example.com" "1.2.3.4:443" outbound|443||wanted.example.com 1.1.1.1:1 2.2.2.2:2 3.3.3.3:3 wanted.example.com -" "z" "a.example.com" "203.0.113.1:443" outbound|443||a.example.com 198.18.0.19:1 198.18.0.19:2 198.18.0.3:3 a.example.com -"#;
    match kind % 7 {
        0 => quoted.as_bytes().to_vec(),
        // Bytes of no character.
        1 => [
            b"[2026-11-21T02:00:00.000Z] \"GET /".as_slice(),
            &[0xff, 0xfe, 0x80, 0],
            b" wanted.example.com",
        ]
        .concat(),
        2 => vec![b'x'; 300 * 1024],
        3 => Vec::new(),
        4 => br#"{"authority":["wanted.example.com"],"response_flags":{"a":[[[[1]]]]},"upstream_cluster":7}"#
            .to_vec(),
        5 => b"2026-11-21T02:00:00Z\tinfo\txdsproxy\tconnected to upstream XDS server wanted.example.com"
            .to_vec(),
        _ => br#"{"authority":"wanted.example.com"#.to_vec(),
    }
}
