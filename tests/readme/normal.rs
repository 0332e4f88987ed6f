//! What differs from run to run, taken out of a line: the one place for it.

/// Names that go on with something random.
const GENERATED: &[&str] = &[
    "curl-",
    "istio-egressgateway-",
    "kubectl-egress-unmeshed-",
    "kubectl-egress-lock-",
    "kubectl-egress-sandbox-",
];

/// A line with `0` for each number, `X` for what a name was completed with, and one blank for several.
pub(crate) fn normal(line: &str) -> String {
    let mut text = line.to_owned();
    for name in GENERATED {
        let mut parts = text.split(name);
        let mut new = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let random =
                |letter: char| letter.is_ascii_digit() || letter.is_ascii_lowercase() || letter == '-';
            new.push_str(name);
            new.push('X');
            new.push_str(part.trim_start_matches(random));
        }
        text = new;
    }
    let mut numbered = String::new();
    let mut before = ' ';
    for letter in text.chars() {
        let shown = if letter.is_ascii_digit() { '0' } else { letter };
        if !(shown == '0' && before == '0') {
            numbered.push(shown);
        }
        before = shown;
    }
    numbered.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn times_hashes_and_widths_are_taken_out() {
    assert_eq!(normal("✔ pod curl-75b66d54-gb5ff   4.8s"), "✔ pod curl-X 0.0s");
    assert_eq!(normal("at 08:20:24 UTC"), "at 0:0:0 UTC");
}
