//! What every run has to keep, whatever failed.

use crate::place::Run;
use std::time::Duration;

/// Words that only a dump of our own or a library's types has.
const DUMPS: [&str; 14] = [
    "Some(",
    "None)",
    "Error {",
    "Error(",
    "Status {",
    "kube::",
    "Api(",
    "hyper::",
    "Os {",
    "Custom {",
    "panicked",
    "Failure::",
    "Obstacle",
    "serde_json",
];

/// However long a command may take after one failure, by the cluster's clock: the longest single wait there is is a
/// body that keeps dripping, which is given up after ten request timeouts.
const LONGEST: Duration = Duration::from_secs(900);

/// What is wrong with a run one of whose requests failed. `usual` are the codes without a failure.
pub(crate) fn broken(run: &Run, usual: &[u8], may_deny: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some(code) = run.code else {
        return vec!["it never ends".to_owned()];
    };
    // Disproven, and invalid, are statements about the user's own affairs, for which a failure is no reason.
    let allowed = usual.contains(&code) || matches!(code, 3..=6) || (may_deny && matches!(code, 1 | 2));
    if !allowed {
        wrong.push(format!("exit code {code}, without a failure {usual:?}"));
    }
    if run.took > LONGEST {
        wrong.push(format!("it takes {} s", run.took.as_secs()));
    }
    let error = run.stderr.lines().filter(|line| line.starts_with("error: "));
    if error.count() != usize::from(matches!(code, 2 | 4..=6))
        && !usual.contains(&code)
        && code != 3
        && code != 1
    {
        wrong.push("not exactly one line `error: `".to_owned());
    }
    for text in [&run.stdout, &run.stderr] {
        wrong.extend(
            DUMPS
                .iter()
                .filter(|dump| text.contains(**dump))
                .map(|dump| format!("`{dump}` in the text")),
        );
        if text.contains('\u{1b}') || text.contains('\u{0}') {
            wrong.push("a control character of the server in the text".to_owned());
        }
    }
    wrong
}
