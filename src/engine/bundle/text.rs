//! Takes out of free text what looks like a credential. The last line of defence: see [`super`] for the first.

use regex_lite::{Captures, Regex};
use std::borrow::Cow;
use std::sync::LazyLock;

/// What stands where something was.
pub(super) const REMOVED: &str = "[removed]";

/// What looks like a credential, and what is put there; in this order, the more certain first.
const PATTERNS: &[(&str, &str)] = &[
    // A private key, whole or cut off, with real line breaks or written-out ones.
    (
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)",
        REMOVED,
    ),
    // A JSON Web Token, such as a service account's.
    (
        r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?",
        REMOVED,
    ),
    // Headers: everything behind the name, to a quotation mark or the end of the line.
    (
        r#"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(["']?\s*[:=]\s*["']?)[^\r\n"']+"#,
        "$1$2[removed]",
    ),
    (
        r"(?i)\b(bearer|basic|negotiate|digest)\s+[A-Za-z0-9._~+/=-]{4,}",
        "$1 [removed]",
    ),
    // User and password in a URL.
    (r#"://[^/\s@"']+@"#, "://[removed]@"),
    // A query.
    (r#"\?[A-Za-z0-9_.~%\[\]-]+=[^\s"']*"#, "?[removed]"),
    // NAME=VALUE or "NAME": "VALUE", where the name says what it is.
    (
        r#"(?i)([a-z0-9_.-]*(?:passw(?:or)?d|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|session)[a-z0-9_.-]*)(\\?["']?\s*[=:]\s*\\?["']?)[^\s"',;&}\\]+"#,
        "$1$2[removed]",
    ),
    // Tokens of well-known issuers: GitHub, GitLab, Slack, AWS, Google, and those that begin with sk-.
    (
        r"\b(?:gh[pousr]_[A-Za-z0-9]{16,}|glpat-[A-Za-z0-9_-]{10,}|xox[abeoprs]-[A-Za-z0-9-]{8,}|A(?:KI|SI)A[0-9A-Z]{12,}|AIza[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9_-]{16,})",
        REMOVED,
    ),
];

static COMPILED: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    // A test compiles each of them.
    let compiled = PATTERNS
        .iter()
        .filter_map(|(pattern, put)| Some((Regex::new(pattern).ok()?, *put)));
    compiled.collect()
});

static RUN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/_-]{32,}={0,2}").ok());

/// The text without credentials; borrowed if there was none.
pub(super) fn scrubbed(text: &str) -> Cow<'_, str> {
    let mut clean = Cow::Borrowed(text);
    for (pattern, put) in COMPILED.iter() {
        if let Cow::Owned(changed) = pattern.replace_all(&clean, *put) {
            clean = Cow::Owned(changed);
        }
    }
    if let Some(run) = RUN.as_ref()
        && let Cow::Owned(changed) = run.replace_all(&clean, random)
    {
        clean = Cow::Owned(changed);
    }
    clean
}

/// Long runs of small and capital letters and digits, as keys in base64 are; digests and UIDs have no capitals.
fn random(found: &Captures) -> String {
    let run = &found[0];
    let has = |kind: fn(&char) -> bool| run.chars().any(|character| kind(&character));
    let mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit);
    if mixed { REMOVED.to_owned() } else { run.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[test]
    fn every_pattern_is_one() {
        assert_eq!(COMPILED.len(), PATTERNS.len());
        assert!(RUN.is_some());
    }

    #[rstest]
    #[case::header("Authorization: Bearer abcdef", "Authorization: [removed]")]
    #[case::json_header(r#"{"cookie":"a=planted; b=c","x":1}"#, r#"{"cookie":"[removed]","x":1}"#)]
    #[case::bearer("sent bearer planted.value", "sent bearer [removed]")]
    #[case::url("https://user:planted@host/a", "https://[removed]@host/a")]
    #[case::query("GET /a?token=planted&b=c HTTP/1.1", "GET /a?[removed] HTTP/1.1")]
    #[case::named("DB_PASSWORD=planted next", "DB_PASSWORD=[removed] next")]
    #[case::named_json(r#"{"apiKey": "planted"}"#, r#"{"apiKey": "[removed]"}"#)]
    #[case::token("x eyJhbGciOi.eyJzdWIi.c2ln y", "x [removed] y")]
    #[case::cut_key("a -----BEGIN RSA PRIVATE KEY-----\nplanted", "a [removed]")]
    #[case::random("key c2VjcmV0LXBsYW50ZWQtdmFsdWUtMTIzNDU2Nzg5MA== end", "key [removed] end")]
    fn takes_out(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(scrubbed(text), expected);
    }

    #[rstest]
    #[case("outbound|443||kyma-project.io")]
    #[case("docker.io/istio/proxyv2@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    #[case("0b5c1e1e-6d0a-4d4c-8f0e-0d8f6f7a9b1c")]
    #[case("spiffe://cluster.local/ns/demo/sa/curl")]
    #[case("2026-11-21T10:00:00Z UF,URX upstream_reset_before_response_started{connection_failure}")]
    fn leaves_what_helps(#[case] text: &str) {
        assert!(matches!(scrubbed(text), Cow::Borrowed(_)) || scrubbed(text) == text);
    }

    proptest! {
        #[test]
        fn nothing_is_found_twice(text in any::<String>()) {
            let once = scrubbed(&text).into_owned();
            prop_assert_eq!(scrubbed(&once).into_owned(), once);
        }
    }
}
