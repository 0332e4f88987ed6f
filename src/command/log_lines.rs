//! Reads lines of any length in constant memory.

use memchr::memmem::Finder;
use std::io::{self, BufRead, BufReader, Read};

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
        let end = memchr::memchr(b'\n', available);
        // Nearly every line is in one piece: it need not be copied.
        if let (Some(end), true) = (end, line.is_empty() && !too_long) {
            let wanted = if end > LONGEST_LINE {
                take(Line::TooLong)
            } else {
                take(Line::Whole(&available[..end]))
            };
            input.consume(end + 1);
            if !wanted {
                return Ok(());
            }
            continue;
        }
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

/// How much is looked through at a time; more than the longest line.
const BLOCK: usize = 2 * LONGEST_LINE;

/// Hands every line that contains one of the words to `take`, or every line if there are none, until the end or until
/// it says that it has enough. Looking for a word in a whole block is many times faster than cutting it into lines.
pub(super) fn for_each_line_with(
    mut input: impl Read,
    words: &[&str],
    mut take: impl FnMut(Line) -> bool,
) -> io::Result<()> {
    if words.is_empty() {
        return for_each_line(&mut BufReader::with_capacity(BLOCK, input), take);
    }
    let finders: Vec<Finder<'_>> = words.iter().map(Finder::new).collect();
    let mut block = vec![0; BLOCK];
    let mut held = 0;
    // Whether the rest of a line is passed over whose beginning filled a block.
    let mut passing_over = false;
    loop {
        let read = match input.read(&mut block[held..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let filled = held + read;
        let at_end = read == 0;
        let whole = match memchr::memrchr(b'\n', &block[..filled]) {
            Some(last) => last + 1,
            None if at_end => filled,
            None if filled < BLOCK => {
                held = filled;
                continue;
            }
            None => {
                passing_over = true;
                held = 0;
                continue;
            }
        };
        let whole = if at_end { filled } else { whole };
        let mut lines = &block[..whole];
        if std::mem::take(&mut passing_over) {
            let end = memchr::memchr(b'\n', lines).map_or(lines.len(), |end| end + 1);
            lines = &lines[end..];
        }
        if !lines_with(lines, &finders, &mut take) || at_end {
            return Ok(());
        }
        block.copy_within(whole..filled, 0);
        held = filled - whole;
    }
}

/// The lines of a text that contain one of the words; `false` if that is enough.
fn lines_with(text: &[u8], finders: &[Finder<'_>], take: &mut impl FnMut(Line) -> bool) -> bool {
    let mut from = 0;
    // Where each word comes next.
    let mut next: Vec<Option<usize>> = finders.iter().map(|finder| finder.find(text)).collect();
    while let Some(found) = next.iter().flatten().min().copied() {
        let begin = memchr::memrchr(b'\n', &text[from..found]).map_or(from, |end| from + end + 1);
        let end = memchr::memchr(b'\n', &text[found..]).map_or(text.len(), |end| found + end);
        let line = if end - begin > LONGEST_LINE {
            Line::TooLong
        } else {
            Line::Whole(&text[begin..end])
        };
        if !take(line) {
            return false;
        }
        from = (end + 1).min(text.len());
        for (finder, next) in finders.iter().zip(&mut next) {
            if next.is_some_and(|next| next < from) {
                *next = finder.find(&text[from..]).map(|at| from + at);
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// A reader that gives as little at a time as is asked.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(buffer.len()).min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn found(text: &[u8], drops: usize, words: &[&str]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for_each_line_with(Drops(text, drops), words, |line| {
            if let Line::Whole(line) = line {
                lines.push(line.to_vec());
            }
            true
        })
        .unwrap();
        lines
    }

    #[test]
    fn lines_with_a_word_are_those_that_a_look_at_each_finds() {
        let text = b"one a\n\nb two a b\nc\n\xff a\n b\nab\nlast a";
        for drops in [1, 3, 1000] {
            for words in [&["a"][..], &["b"], &["a", "b"], &["zzz"]] {
                let one_of = |line: &&[u8]| {
                    let has = |word: &&str| line.windows(word.len()).any(|window| window == word.as_bytes());
                    words.iter().any(has)
                };
                let lines = text.split(|byte| *byte == b'\n');
                let expected: Vec<Vec<u8>> = lines.filter(one_of).map(<[u8]>::to_vec).collect();
                assert_eq!(found(text, drops, words), expected, "{words:?}");
            }
        }
        assert_eq!(found(b"", 1, &["a"]), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_line_longer_than_a_block_is_passed_over_and_those_around_it_are_found() {
        let mut text = b"a 1\n".to_vec();
        text.extend(vec![b'a'; 3 * BLOCK + 7]);
        text.extend_from_slice(b"\na 2\nb\na 3");
        assert_eq!(found(&text, 64 * 1024, &["a"]), [b"a 1", b"a 2", b"a 3"]);
    }
}
