//! What differs from run to run made the same, in one place. Lengths stay where text is broken into lines by them.

use regex::Regex;
use std::sync::LazyLock;

/// Patterns, and what stands for what they match.
const FILTERS: &[(&str, &str)] = &[
    (
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z",
        "2026-01-01T00:00:00.000Z",
    ),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-01-01T00:00:00Z"),
    (r"\b20[2-9]\d-\d\d-\d\d\b", "2026-01-01"),
    (r"\d\d:\d\d:\d\d UTC", "00:00:00 UTC"),
    (
        r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
        "00000000-0000-0000-0000-000000000000",
    ),
    (r"\b[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){19,31}\b", "FINGERPRINT"),
    (r"\b[0-9a-f]{64}\b", "FINGERPRINT"),
    // A run's name in a User-Agent and in labels.
    (r"kubectl-egress/[0-9a-f]{16}", "kubectl-egress/0000000000000000"),
    (r#"/lock": "[0-9a-f]{10}""#, r#"/lock": "0000000000""#),
    // Pods: NAME-TEMPLATE-RANDOM.
    (
        r"-[bcdfghjklmnpqrstvwxz2456789]{10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b",
        "-template00-rand0",
    ),
    (
        r"kubectl-egress-lock-[0-9a-f]{10}",
        "kubectl-egress-lock-0000000000",
    ),
    (r"unmeshed-[0-9a-f]{6}", "unmeshed-000000"),
    (r"\b[0-9a-f]{16}\.sentinel", "0000000000000000.sentinel"),
    (r"http://127\.0\.0\.1:\d{4,5}\b", "http://127.0.0.1:PORTS"),
    (r"127\.0\.0\.1:\d{5}\b", "198.18.0.00:00000"),
    (r"198\.18\.0\.\d+:\d{5}\b", "198.18.0.00:00000"),
    (r"198\.18\.0\.\d+", "198.18.0.00"),
    (r"\b\d+ ms\b", "0 ms"),
    (r"That took \d+\.\d s", "That took 0.0 s"),
    // Elapsed times end a line.
    (r"(?m)  \d+\.\ds$", "  0.0s"),
    (
        r#""(uid|userAgent|nonce|resourceVersion)": "[^"]*""#,
        r#""$1": "-""#,
    ),
    (r#""timeTotalMs": \d+"#, r#""timeTotalMs": 0"#),
    (r#""durationMilliseconds": \d+"#, r#""durationMilliseconds": 0"#),
    // How often a listener knocked is in what `learn` counts.
    (
        r#""(requests|connections|lines|count|bytesIn|bytesOut|verificationMs|readingMs)": \d+"#,
        r#""$1": 0"#,
    ),
    (r"\b\d+(\s+)(log lines?|requests|connections)\b", "0$1$2"),
    // Who listens for lines knocks at the gateway until one comes: how often is chance.
    (r"(?m)(\b10\.96\.0\.13:443 .*gateway  )\d+ *", "${1}times "),
    // Bytes, bytes, milliseconds of a line of Envoy's default format.
    (r"(\d+ \d+) \d+ (- \\?\x22)", "$1 0 $2"),
    (r"/tmp/[^/\s]+/", "/tmp/folder/"),
    (r"/tmp/\.tmp\w+", "/tmp/folder"),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let filters = FILTERS.iter();
    filters
        .map(|(pattern, replacement)| (Regex::new(pattern).unwrap(), *replacement))
        .collect()
});

/// The text as it is in every run.
pub(crate) fn normal(text: &str) -> String {
    COMPILED
        .iter()
        .fold(text.to_owned(), |text, (pattern, replacement)| {
            pattern.replace_all(&text, *replacement).into_owned()
        })
}

/// Compares with the stored snapshot of this name.
#[track_caller]
pub(crate) fn assert_stored(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

const CHANGES: &[&str] = &["created", "configured", "deleted", "unchanged"];

/// Standard error with the lines of progress, whose order is that of chance, sorted below a heading of their own.
pub(crate) fn in_order(error: &str) -> String {
    let (mut progress, mut rest): (Vec<String>, Vec<&str>) = (Vec::new(), Vec::new());
    // Whether further lines, behind four blanks, belong to a step.
    let mut in_step = false;
    for line in error.lines() {
        let changed = line.starts_with("  ") && line.split(' ').any(|word| CHANGES.contains(&word));
        let ended = ["✔ ", "– ", "✘ "].iter().any(|mark| line.starts_with(mark));
        let further = in_step && line.starts_with("    ");
        in_step = ended || further;
        if line.starts_with("… ") {
            // What began has an end too, and what was waited for is chance.
        } else if further {
            let step = progress.last_mut().unwrap();
            step.push('\n');
            step.push_str(line);
        } else if changed || ended {
            progress.push(line.to_owned());
        } else {
            rest.push(line);
        }
    }
    progress.sort_unstable();
    let mut text = String::new();
    if !progress.is_empty() {
        text.push_str("(progress, sorted)\n");
        text.push_str(&progress.join("\n"));
        text.push('\n');
    }
    if !rest.is_empty() {
        text.push_str(&rest.join("\n"));
        text.push('\n');
    }
    text
}
