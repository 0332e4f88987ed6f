//! What a run says, without what two clusters cannot have in common: names of pods and runs, addresses, times, sizes.

use crate::support::Run;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};

/// Compares exit code, standard output and steps of two runs; returns how many comparisons that were.
pub(super) fn compare(typed: &str, real: &Run, simulated: &Run, differences: &mut Vec<String>) -> usize {
    if real.code != simulated.code {
        differences.push(format!(
            "`{typed}`: exit codes differ\non the lab: {real}\nin the sandbox: {simulated}"
        ));
    }
    let (on_lab, here) = (output(real), output(simulated));
    lines(&format!("output of `{typed}`"), &on_lab, &here, differences);
    let (on_lab, here) = (steps(real), steps(simulated));
    lines(&format!("steps of `{typed}`"), &on_lab, &here, differences);
    3
}

/// Notes the lines that only one of two texts has.
pub(super) fn lines(what: &str, real: &[String], simulated: &[String], differences: &mut Vec<String>) {
    if real == simulated {
        return;
    }
    let only = |these: &[String], those: &[String]| -> String {
        let lines = these.iter().filter(|line| !those.contains(line));
        lines.fold(String::new(), |text, line| text + "\n    " + line)
    };
    differences.push(format!(
        "{what}\n  only on the lab:{}\n  only in the sandbox:{}",
        only(real, simulated),
        only(simulated, real)
    ));
}

fn output(run: &Run) -> Vec<String> {
    match serde_json::from_str::<Value>(&run.stdout) {
        Ok(document) => {
            let shown = serde_json::to_string_pretty(&of_document(document)).unwrap();
            shown.lines().map(str::to_owned).collect()
        }
        Err(_) => groups(&run.stdout).iter().map(|group| text(group)).collect(),
    }
}

/// Each line that begins at the margin with all that stands below it: addresses are not of one length, so that lines
/// do not end at the same words.
fn groups(shown: &str) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for line in shown.lines() {
        match groups.last_mut() {
            Some(group) if line.starts_with(' ') => {
                group.push(' ');
                group.push_str(line.trim_start());
            }
            _ => groups.push(line.to_owned()),
        }
    }
    groups
}

/// Steps that were done, objects, warnings and the next command; in any order, for steps run side by side. What is only
/// waited for depends on how long it takes.
fn steps(run: &Run) -> Vec<String> {
    let shown = text(&run.stderr);
    let mut lines: Vec<String> = shown
        .lines()
        .filter(|line| !line.starts_with('…') && !line.starts_with("..") && !line.is_empty())
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

fn of_document(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(name, _)| !is_measured(name))
                .map(|(name, value)| {
                    let value = match (&value, name.as_str()) {
                        (Value::String(line), "text") => Value::String(receipt(line)),
                        _ => of_document(value),
                    };
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(of_document).collect()),
        Value::String(said) => Value::String(text(&said)),
        other => other,
    }
}

/// Times, and counters of what other probes did before.
fn is_measured(name: &str) -> bool {
    ["time", "timeTotalMs", "connections", "requests"].contains(&name)
}

/// Of an access log line the request, the code, flags, details and the cluster; of counters the requests.
fn receipt(line: &str) -> String {
    if let Some((requests, _)) = line
        .strip_prefix("requests ")
        .and_then(|rest| rest.split_once(','))
    {
        return format!("requests {requests}");
    }
    if !line.starts_with('[') {
        return text(line);
    }
    let parts: Vec<&str> = line.split('"').collect();
    let cluster = line
        .split_whitespace()
        .find(|word| word.contains('|') || word.ends_with("Cluster"));
    let request = parts.get(1).unwrap_or(&"");
    format!(
        "line {request} {} {}",
        parts.get(2).unwrap_or(&"").trim(),
        cluster.unwrap_or("-")
    )
}

/// A text without what is peculiar to a cluster or a run.
pub(super) fn text(said: &str) -> String {
    // curl said it one way until 8.12, and says it the other way since.
    let said = said.replace("Couldn't connect", "Could not connect");
    said.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn line(said: &str) -> String {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-.:_".contains(letter);
    let mut shown = String::new();
    let mut rest = said;
    let mut before = String::new();
    while !rest.is_empty() {
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        let (found, after) = rest.split_at(end);
        let trimmed = found.trim_end_matches([':', '.']);
        shown.push_str(&word(trimmed, &before, after));
        shown.push_str(&found[trimmed.len()..]);
        if !found.is_empty() {
            found.clone_into(&mut before);
        }
        let next = after.find(is_part).unwrap_or(after.len());
        let (between, further) = after.split_at(next);
        shown.push_str(between);
        rest = further;
    }
    shown
}

fn word(found: &str, before: &str, after: &str) -> String {
    let count =
        after.starts_with(" milliseconds") || after.starts_with(" log lines") || after.starts_with(" ms");
    let number = found.starts_with(|letter: char| letter.is_ascii_digit());
    let is_time = number && found.contains(':') && (found.len() == 8 || found.contains('T'));
    if before == "--context" {
        "CONTEXT".to_owned()
    } else if found.parse::<IpAddr>().is_ok() || found.parse::<SocketAddr>().is_ok() {
        "ADDRESS".to_owned()
    } else if is_duration(found) || (count && number) {
        "NUMBER".to_owned()
    } else if is_time {
        "TIME".to_owned()
    } else {
        name(found)
    }
}

/// `250ms`, `12.3s`, and from a minute on `1m05s`: on a busy machine a step takes as long.
fn is_duration(found: &str) -> bool {
    let is_number = |text: &str| {
        text.starts_with(|letter: char| letter.is_ascii_digit())
            && text
                .chars()
                .all(|letter| letter.is_ascii_digit() || letter == '.')
    };
    let one_unit = |unit| found.strip_suffix(unit).is_some_and(is_number);
    let minutes = |text: &str| {
        text.split_once('m')
            .is_some_and(|(minutes, seconds)| is_number(minutes) && is_number(seconds))
    };
    ["s", "ms", "m"].into_iter().any(one_unit) || found.strip_suffix('s').is_some_and(minutes)
}

/// Names of pods, and of what a run makes for itself.
fn name(found: &str) -> String {
    let parts: Vec<&str> = found.split('-').collect();
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.chars().all(|digit| digit.is_ascii_hexdigit())
    };
    match parts.as_slice() {
        ["curl", _, _] => "curl-POD".to_owned(),
        ["istio", "egressgateway", _, _] => "istio-egressgateway-POD".to_owned(),
        ["kubectl", "egress", kind @ ("unmeshed" | "meshed"), run] if is_hex(run, 6) => {
            format!("kubectl-egress-{kind}-RUN")
        }
        // The switch's pod has an end that Kubernetes chose.
        ["kubectl", "egress", "lock", run, rest @ ..] if is_hex(run, 10) => {
            let what = rest.first().unwrap_or(&"");
            format!("kubectl-egress-lock-RUN {what}")
        }
        // A run's number by itself.
        [run] if is_hex(run, 10) => "RUN".to_owned(),
        // A certificate's digest.
        [digest] if is_hex(digest, 64) => "DIGEST".to_owned(),
        _ => found.to_owned(),
    }
}

#[test]
fn how_long_a_step_took_makes_no_difference() {
    for took in ["0.4s", "59.9s", "1m05s", "12m40s", "250ms", "15m"] {
        assert_eq!(
            text(&format!("✔ source x/curl  {took}")),
            "✔ source x/curl  NUMBER"
        );
    }
    for other in ["s", "ms", "5.s3", "m5s", "80to443", "v1", "10m5"] {
        assert_eq!(text(&format!("port {other}")), format!("port {other}"));
    }
}

#[test]
fn names_of_a_run_make_no_difference_whichever_digits_they_got() {
    for (first, second) in [
        ("kubectl-egress-unmeshed-fffacc", "kubectl-egress-unmeshed-4f60a2"),
        ("kubectl-egress-meshed-abcdef", "kubectl-egress-meshed-012345"),
        (
            "kubectl-egress-lock-decadeface-switch-bcdfg",
            "kubectl-egress-lock-0123456789-switch-x2z4w",
        ),
        (
            "kubectl-egress-lock-decadeface-canary",
            "kubectl-egress-lock-a1b2c3d4e5-canary",
        ),
        (
            "NetworkPolicy x/kubectl-egress-lock-decadeface",
            "NetworkPolicy x/kubectl-egress-lock-0a1b2c3d4e",
        ),
        ("curl-bcdfghjkl-mnpqr", "curl-2456789bcd-x5z7b"),
    ] {
        assert_eq!(text(first), text(second));
    }
    for (one, other) in [
        ("kubectl-egress-unmeshed-fffacc", "kubectl-egress-meshed-fffacc"),
        (
            "kubectl-egress-lock-decadeface-switch",
            "kubectl-egress-lock-decadeface-canary",
        ),
    ] {
        assert_ne!(text(one), text(other));
    }
}
