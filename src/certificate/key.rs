//! Private keys of the user's own, in the three forms in which tools write them.

use super::pem::{self, Fault};
use rcgen::KeyPair;
use rcgen::PublicKeyData as _;
use secrecy::zeroize::Zeroizing;

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyFault {
    /// The text gives none.
    #[error(transparent)]
    Pem(#[from] Fault),
    /// Its algorithm or size is none that we know.
    #[error("its private key is none of RSA (2048 bits or more), ECDSA P-256 or P-384, Ed25519")]
    Unknown,
}

/// rsaEncryption with NULL parameters (RFC 8017 appendix C).
const RSA: &[u8] = &[
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
/// id-ecPublicKey with secp256r1, then with secp384r1 (RFC 5480).
const CURVES: [&[u8]; 2] = [
    &[
        0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
        0x3d, 0x03, 0x01, 0x07,
    ],
    &[
        0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00,
        0x22,
    ],
];

/// Reads the first private key of a PEM text: PKCS #8, PKCS #1 (RSA) or SEC 1 (EC).
pub(super) fn read(text: &[u8]) -> Result<KeyPair, KeyFault> {
    let (label, der) = pem::private_key(text)?;
    let der = Zeroizing::new(der);
    let algorithms: &[&[u8]] = match label.as_str() {
        "RSA PRIVATE KEY" => &[RSA],
        "EC PRIVATE KEY" => &CURVES,
        _ => return KeyPair::try_from(der.as_slice()).map_err(|_| KeyFault::Unknown),
    };
    algorithms
        .iter()
        .find_map(|algorithm| {
            let wrapped = Zeroizing::new(pkcs8(algorithm, &der));
            KeyPair::try_from(wrapped.as_slice()).ok()
        })
        .ok_or(KeyFault::Unknown)
}

/// The public key of a private one, as SubjectPublicKeyInfo (DER).
pub(super) fn public_key(pair: &KeyPair) -> Vec<u8> {
    pair.subject_public_key_info()
}

/// `PrivateKeyInfo` of RFC 5208 around a key of an older form.
fn pkcs8(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let mut content = vec![0x02, 0x01, 0x00];
    content.extend_from_slice(algorithm);
    content.extend(tagged(0x04, key));
    tagged(0x30, &content)
}

/// Tag, length (X.690 section 8.1.3), content.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut der = vec![tag];
    match length {
        [] => der.push(0),
        [short @ 0..=0x7f] => der.push(*short),
        // A length has at most eight bytes.
        long => {
            der.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            der.extend_from_slice(long);
        }
    }
    der.extend_from_slice(content);
    der
}
