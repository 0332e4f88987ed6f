//! PEM (RFC 7468): the blocks of a file, and what is wrong where there are none.

use std::fmt::Write as _;
use x509_parser::pem::Pem;

/// Why a text gives no certificate or key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// No PEM at all.
    #[error("it is not PEM: it has no line `-----BEGIN …-----`{hint}")]
    NotPem {
        /// What it looks like instead, if that can be told.
        hint: &'static str,
    },
    /// A block that does not end, or whose content is not base64.
    #[error("its PEM block {number} is damaged: {cause}")]
    Damaged {
        /// Which, from 1.
        number: usize,
        /// What the parser says.
        cause: String,
    },
    /// PEM of something else.
    #[error("it holds {found}, but no {wanted}")]
    Other {
        /// What was looked for.
        wanted: &'static str,
        /// Labels that were found.
        found: String,
    },
    /// A private key behind a passphrase.
    #[error("its private key is encrypted with a passphrase, which a gateway cannot type")]
    Encrypted,
}

/// The certificates of a text, in their order, as DER.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    let blocks = blocks(text, |label| label.ends_with("CERTIFICATE"))?;
    let found = labels(&blocks);
    let certificates: Vec<Vec<u8>> = blocks
        .into_iter()
        .filter(|block| matches!(block.label.as_str(), "CERTIFICATE" | "X509 CERTIFICATE"))
        .map(|block| block.contents)
        .collect();
    if certificates.is_empty() {
        return Err(Fault::Other {
            wanted: "certificate",
            found,
        });
    }
    Ok(certificates)
}

/// The first private key of a text: its label and its DER.
pub(super) fn private_key(text: &[u8]) -> Result<(String, Vec<u8>), Fault> {
    if is_encrypted(text) {
        return Err(Fault::Encrypted);
    }
    let blocks = blocks(text, |label| label.ends_with("PRIVATE KEY"))?;
    let found = labels(&blocks);
    blocks
        .into_iter()
        .find(|block| block.label.ends_with("PRIVATE KEY"))
        .map(|block| (block.label, block.contents))
        .ok_or(Fault::Other {
            wanted: "private key",
            found,
        })
}

/// Encrypted as PKCS #8 (RFC 5958) or the older way of OpenSSL (RFC 1421 headers).
fn is_encrypted(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text
            .lines()
            .any(|line| line.starts_with("Proc-Type:") && line.contains("ENCRYPTED"))
}

/// All blocks. A damaged one counts only if it is of a kind that is looked for.
fn blocks(text: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Vec<Pem>, Fault> {
    let mut blocks = Vec::new();
    for (index, block) in Pem::iter_from_buffer(text).enumerate() {
        match block {
            Ok(block) => blocks.push(block),
            Err(error) if label_of_block(text, index).is_none_or(|label| wanted(&label)) => {
                return Err(Fault::Damaged {
                    number: index + 1,
                    cause: error.to_string(),
                });
            }
            Err(_) => {}
        }
    }
    if blocks.is_empty() {
        // DER is a SEQUENCE, whose first byte is 0x30.
        let hint = if text.first() == Some(&0x30) {
            "; it may be DER: openssl x509 -inform der -in FILE -out FILE.pem"
        } else {
            ""
        };
        return Err(Fault::NotPem { hint });
    }
    Ok(blocks)
}

fn label_of_block(text: &[u8], index: usize) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let line = text
        .lines()
        .filter(|line| line.starts_with("-----BEGIN "))
        .nth(index)?;
    Some(
        line.trim_start_matches("-----BEGIN ")
            .trim_end_matches('-')
            .to_owned(),
    )
}

fn labels(blocks: &[Pem]) -> String {
    let mut labels: Vec<&str> = blocks.iter().map(|block| block.label.as_str()).collect();
    labels.dedup();
    labels.join(", ")
}

/// DER as a PEM block with a line feed at its end.
pub(super) fn text(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64(der).as_bytes().chunks(64) {
        let _ = writeln!(text, "{}", String::from_utf8_lossy(line));
    }
    let _ = writeln!(text, "-----END {label}-----");
    text
}

/// Base64 (RFC 4648 section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().enumerate().fold(0_u32, |group, (place, byte)| {
            group | u32::from(*byte) << (16 - 8 * place)
        });
        for place in 0..4 {
            let letter = LETTERS[(group >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}
