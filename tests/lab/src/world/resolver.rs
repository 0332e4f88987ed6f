//! A resolver of the outside world: it answers every question with its own address, and logs who asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::net::UdpSocket;

use super::event::{EventKind, WorldEvent};
use super::writer::Writer;
use crate::output;

/// Length of a message's header (RFC 1035, 4.1.1).
const HEADER: usize = 12;

/// Answers until the process is stopped.
pub(super) async fn serve(name: &'static str, writer: Arc<Writer>, socket: UdpSocket) {
    let mut message = [0; 1500];
    loop {
        let answered = match socket.recv_from(&mut message).await {
            Ok((length, peer)) => {
                let question = message.get(..length).unwrap_or_default();
                answer(name, &writer, &socket, question, peer).await
            }
            Err(error) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(error.into())
            }
        };
        if let Err(error) = answered {
            output::note(&format!("resolver {name}: {error:#}"));
        }
    }
}

async fn answer(
    name: &str,
    writer: &Writer,
    socket: &UdpSocket,
    question: &[u8],
    peer: SocketAddr,
) -> Result<()> {
    let local = socket.local_addr()?;
    let mut event = WorldEvent::new(name, EventKind::Question, local, peer);
    let asked = read_question(question);
    event.host = asked.as_ref().map(|(host, _)| host.clone());
    writer.write(&event)?;
    let (Some((_, end)), IpAddr::V4(own)) = (asked, local.ip()) else {
        bail!("no question of one name from {peer}");
    };
    let Some(asked) = question.get(..end) else {
        bail!("a question that is cut from {peer}");
    };
    let is_address = asked.get(end - 4..end - 2) == Some(&[0, 1]);
    let mut message = asked.to_vec();
    // An answer, authoritative, without error; one question, one record if an IPv4 address was asked for.
    message.splice(2..HEADER, [0x84, 0, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    if is_address {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
        message.extend(own.octets());
    }
    socket.send_to(&message, peer).await?;
    Ok(())
}

/// The first question's name, and where the question ends.
fn read_question(message: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = message.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).into_owned());
        at += length;
    }
    // Type and class.
    (message.len() >= at + 4).then(|| (labels.join("."), at + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_and_a_cut_one_is_not() {
        let mut message = vec![0; HEADER];
        message.extend(b"\x01a\x04test\x00\x00\x01\x00\x01");
        assert_eq!(
            read_question(&message),
            Some(("a.test".to_owned(), message.len()))
        );
        for length in 0..message.len() {
            assert_eq!(read_question(&message[..length]), None, "{length}");
        }
    }
}
