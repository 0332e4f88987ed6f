//! Lines of a body that arrives bit by bit.

use bytes::BytesMut;
use http_body_util::BodyExt;
use kube::client::Body;

/// How a body ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The server ended it; the bytes after the last line break.
    Clean(Vec<u8>),
    /// The connection broke; what had come of the current line is dropped, because the rest is missing.
    Cut(String),
}

/// Splits a body into lines of bytes: one byte that is not UTF-8 must not end a log.
pub(super) struct Lines {
    body: Body,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line break.
    searched: usize,
    /// Bytes of a line that are kept; the rest of a longer line is dropped.
    limit: usize,
    /// Whether the current line has reached the limit.
    overlong: bool,
}

impl Lines {
    /// Reads lines of at most `limit` bytes, the rest of longer ones being dropped.
    pub(super) fn new(body: Body, limit: usize) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            searched: 0,
            limit,
            overlong: false,
        }
    }

    /// The next line without its line break, or how the body ended. Nothing is lost if this is cancelled.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, End> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(line);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => {
                    let mut innermost: &dyn std::error::Error = &error;
                    while let Some(source) = innermost.source() {
                        innermost = source;
                    }
                    return Err(End::Cut(innermost.to_string()));
                }
                None => {
                    let mut rest = self.buffer.split().to_vec();
                    rest.truncate(self.limit);
                    return Err(End::Clean(rest));
                }
            }
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let found = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        let Some(position) = found else {
            if self.buffer.len() > self.limit {
                self.buffer.truncate(self.limit);
                self.overlong = true;
            }
            self.searched = self.buffer.len();
            return None;
        };
        let end = self.searched + position;
        let mut line = self.buffer.split_to(end + 1).to_vec();
        line.truncate(if self.overlong {
            self.limit
        } else {
            end.min(self.limit)
        });
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        self.searched = 0;
        self.overlong = false;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(body: &[u8], limit: usize) -> (Vec<Vec<u8>>, End) {
        let mut lines = Lines::new(Body::from(body.to_vec()), limit);
        let mut found = Vec::new();
        loop {
            match lines.next().await {
                Ok(line) => found.push(line),
                Err(end) => return (found, end),
            }
        }
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_survive_and_the_rest_is_told() {
        let (lines, end) = all(b"a\xffb\r\n\nlast", 100).await;
        assert_eq!(lines, [b"a\xffb".to_vec(), Vec::new()]);
        assert_eq!(end, End::Clean(b"last".to_vec()));
    }

    #[tokio::test]
    async fn long_lines_are_cut_and_the_next_line_is_whole() {
        let (lines, _) = all(b"abcdefgh\nxy\n", 4).await;
        assert_eq!(lines, [b"abcd".to_vec(), b"xy".to_vec()]);
    }
}
