//! Reads lines of any length in constant memory.

use std::io::{self, BufRead};

/// Longest line that is read; Envoy's headers are at most 60 KiB (its default `max_request_headers_kb`).
const LONGEST_LINE: usize = 256 * 1024;

/// What stands between two line feeds.
pub(super) enum Line<'a> {
    /// A line without its line feed.
    Whole(&'a [u8]),
    /// A line that is longer than any line of a log; it was passed over.
    TooLong,
}

/// Hands every line to `take`, until the end or until it says that it has enough.
pub(super) fn for_each_line(input: &mut impl BufRead, mut take: impl FnMut(Line) -> bool) -> io::Result<()> {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let available = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            available => available?,
        };
        let at_end = available.is_empty();
        let end = available.iter().position(|byte| *byte == b'\n');
        let part = &available[..end.unwrap_or(available.len())];
        if line.len() + part.len() > LONGEST_LINE {
            too_long = true;
            line.clear();
        }
        if !too_long {
            line.extend_from_slice(part);
        }
        let used = end.map_or(available.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() || at_end {
            if too_long || end.is_some() || !line.is_empty() {
                let wanted = if too_long {
                    take(Line::TooLong)
                } else {
                    take(Line::Whole(&line))
                };
                if !wanted {
                    return Ok(());
                }
            }
            line.clear();
            too_long = false;
        }
        if at_end {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn read(text: &[u8], buffer: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Vec::new();
        for_each_line(&mut BufReader::with_capacity(buffer, text), |line| {
            lines.push(match line {
                Line::Whole(line) => Some(line.to_vec()),
                Line::TooLong => None,
            });
            true
        })
        .unwrap();
        lines
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        for buffer in [1, 2, 3, 64] {
            let lines = read(b"a\n\nbcd\nlast", buffer);
            let expected = ["a", "", "bcd", "last"].map(|line| Some(line.as_bytes().to_vec()));
            assert_eq!(lines, expected, "{buffer}");
        }
        assert!(read(b"", 4).is_empty());
    }

    #[test]
    fn a_line_without_end_is_passed_over_and_the_next_one_read() {
        let mut text = vec![b'x'; 3 * LONGEST_LINE];
        text.extend_from_slice(b"\nnext\n");
        assert_eq!(read(&text, 4096), [None, Some(b"next".to_vec())]);
        text.truncate(2 * LONGEST_LINE);
        assert_eq!(read(&text, 4096), [None]);
    }
}
