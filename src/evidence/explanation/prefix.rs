//! What stands in front of a line: timestamps of `kubectl logs --timestamps`, pods of `--prefix` and of stern, the
//! container runtime's own `stdout F`.

/// The most words that are taken off.
const MOST_WORDS: usize = 7;
/// The longest word that can be one.
const LONGEST_WORD: usize = 300;

/// The beginnings at which the proxy's own line may start, the whole first; and the pod, as far as what was taken off
/// names one.
pub fn without_prefix(raw: &[u8]) -> impl Iterator<Item = (&[u8], Option<&str>)> {
    let mut rest = Some(raw);
    let mut seen = Seen::default();
    std::iter::from_fn(move || {
        let current = rest?;
        let pod = seen.pod();
        rest = seen.take(current);
        Some((current, pod))
    })
}

/// The words that were taken off.
#[derive(Debug, Default, Clone, Copy)]
struct Seen<'a> {
    words: usize,
    /// Between brackets, as kubectl writes it.
    bracketed: Option<&'a str>,
    /// Plain names, as stern writes them: the pod is the last but one (before the container).
    names: [Option<&'a str>; 2],
}

impl<'a> Seen<'a> {
    fn pod(&self) -> Option<&'a str> {
        let [before, last] = self.names;
        self.bracketed.or(before).or(last)
    }

    /// Takes one more word off, if it is one of those.
    fn take(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        if self.words == MOST_WORDS {
            return None;
        }
        self.words += 1;
        let text = without_color(text).trim_ascii_start();
        let end = text
            .iter()
            .take(LONGEST_WORD)
            .position(|byte| b" \t".contains(byte))?;
        let word = std::str::from_utf8(uncolored(&text[..end])).ok()?;
        if let Some(inside) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
            let inside = inside.strip_prefix("pod/")?;
            self.bracketed = Some(inside.split('/').next().unwrap_or(inside));
        } else if is_name(word) && !is_mark(word) {
            self.names = [self.names[1], Some(word)];
        } else if !is_mark(word) && !is_timestamp(word) {
            return None;
        }
        Some(without_color(&text[end..]).trim_ascii_start())
    }
}

/// The stream and whether the line is whole (the container runtime's), and what stern puts between.
fn is_mark(word: &str) -> bool {
    matches!(
        word,
        "stdout" | "stderr" | "F" | "P" | "|" | "│" | "›" | "+" | ">"
    )
}

fn is_timestamp(word: &str) -> bool {
    word.len() >= 19
        && word.as_bytes()[4] == b'-'
        && word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"-:.TZ+".contains(&byte))
}

/// A pod's or container's name (RFC 1123).
fn is_name(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    word.len() <= 253
        && word
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && word.bytes().all(|byte| plain(byte) || b"-.".contains(&byte))
}

/// The text behind colours.
fn without_color(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_prefix(b"\x1b[") {
        let Some(end) = rest.iter().position(|byte| *byte == b'm') else {
            return text;
        };
        text = &rest[end + 1..];
    }
    text
}

/// A word without the colours at its end.
fn uncolored(word: &[u8]) -> &[u8] {
    word.iter()
        .position(|byte| *byte == 0x1b)
        .map_or(word, |end| &word[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parse_line;

    const LINE: &str = r#"[2026-11-21T02:26:23.300Z] "- - -" 0 NC - - "-" 0 0 3 - "-" "-" "-" "-" "-" - - 203.0.113.20:443 198.18.0.27:41916 tls.test -"#;

    /// The pod, empty if none is named; `None` if the line is not found.
    fn read(prefix: &str) -> Option<String> {
        let raw = format!("{prefix}{LINE}");
        without_prefix(raw.as_bytes())
            .find_map(|(rest, pod)| parse_line(rest).map(|_| pod.unwrap_or_default().to_owned()))
    }

    #[test]
    fn what_kubectl_stern_and_the_runtime_write_in_front_is_taken_off() {
        for (prefix, pod) in [
            ("", None),
            ("   ", None),
            ("2026-11-21T02:26:23.300123456Z ", None),
            (
                "[pod/shop-75b66d54-gb5ff/istio-proxy] ",
                Some("shop-75b66d54-gb5ff"),
            ),
            (
                "[pod/shop-1/istio-proxy] 2026-11-21T02:26:23.300123456Z ",
                Some("shop-1"),
            ),
            ("shop-1 istio-proxy ", Some("shop-1")),
            ("shop-1 › istio-proxy │ ", Some("shop-1")),
            ("demo shop-1 istio-proxy ", Some("shop-1")),
            (
                "\u{1b}[35mshop-1\u{1b}[0m \u{1b}[36mistio-proxy\u{1b}[0m ",
                Some("shop-1"),
            ),
            ("2026-11-21T02:26:23.300123456+01:00 stdout F ", None),
        ] {
            assert_eq!(
                read(prefix).as_deref(),
                Some(pod.unwrap_or_default()),
                "{prefix:?}"
            );
        }
    }

    #[test]
    fn what_is_somebody_elses_sentence_stays() {
        assert_eq!(read("ERROR the proxy said: "), None);
        assert_eq!(read("got \"line\" "), None);
        assert_eq!(read(&"a ".repeat(20)), None);
        assert_eq!(read("2026-11-21T02:26:23Z\tinfo\tgot: "), None);
    }
}
