//! Which findings the runs of the suite had: a file that `FINDINGS_SEEN` names gets a line for each run.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;

/// Names the file; without it nothing is written.
pub(crate) const FINDINGS_SEEN: &str = "FINDINGS_SEEN";

/// What one run of the tool had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The test that ran it.
    pub(crate) test: String,
    /// Its subcommand.
    pub(crate) subcommand: String,
    /// The codes that it printed.
    pub(crate) codes: BTreeSet<String>,
}

impl Seen {
    /// Writes down what a run printed. Articles that were asked for by their code are no findings.
    pub(crate) fn record(arguments: &str, printed: &str) {
        let Some(file) = std::env::var_os(FINDINGS_SEEN) else {
            return;
        };
        if arguments.contains("EGR-") {
            return;
        }
        let test = std::thread::current().name().unwrap_or("unnamed").to_owned();
        let subcommand = arguments.split_whitespace().next().unwrap_or("none");
        let codes: Vec<String> = codes(printed).into_iter().collect();
        let line = format!("{test} {subcommand} {}\n", codes.join(" "));
        // One write, as several tests have the file open.
        let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }

    /// All lines of the file.
    pub(crate) fn all(text: &str) -> Vec<Self> {
        let line = |line: &str| {
            let mut words = line.split_whitespace().map(str::to_owned);
            Some(Self {
                test: words.next()?,
                subcommand: words.next()?,
                codes: words.collect(),
            })
        };
        text.lines().filter_map(line).collect()
    }
}

fn codes(printed: &str) -> BTreeSet<String> {
    let begins = printed.match_indices("EGR-").map(|(begin, _)| begin);
    let code = |begin: usize| printed.get(begin..begin + 7);
    begins
        .filter_map(code)
        .filter(|code| code[4..].bytes().all(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}
