//! SHA-256 in the forms that the lab needs.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Lowercase hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// SHA-256 of several parts; the length of each is hashed too, so that no two lists are the same.
pub(crate) fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    hexadecimal(&hasher.finalize())
}

/// A writer that hashes and counts what passes through.
pub(crate) struct HashingWriter<W> {
    inner: W,
    hasher: Sha256,
    length: u64,
}

impl<W: std::io::Write> HashingWriter<W> {
    /// Wraps a writer.
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            length: 0,
        }
    }

    /// The writer, the digest in hexadecimal digits, and the length.
    pub(crate) fn finish(self) -> (W, String, u64) {
        (self.inner, hexadecimal(&self.hasher.finalize()), self.length)
    }
}

impl<W: std::io::Write> std::io::Write for HashingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hasher.update(buffer.get(..written).unwrap_or_default());
        self.length += u64::try_from(written).unwrap_or_default();
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(
            of_parts([b"ab".as_slice(), b"c"]),
            of_parts([b"a".as_slice(), b"bc"])
        );
        assert_eq!(of_parts([b"a".as_slice()]), of_parts([b"a".as_slice()]));
    }

    #[test]
    fn what_passes_through_is_hashed() {
        let mut writer = HashingWriter::new(Vec::new());
        writer.write_all(b"abc").unwrap();
        let (inner, digest, length) = writer.finish();
        assert_eq!((inner.as_slice(), length), (b"abc".as_slice(), 3));
        assert_eq!(
            digest,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
