//! Every code of the catalogue beside a fault that is real, and beside the same command without it.
//!
//! It runs last: the tests before it write down which findings each of their runs had (`FINDINGS_SEEN` names the file).

use crate::support::codes::{FINDINGS_SEEN, Seen};
use kubectl_egress::finding::catalogue;
use std::collections::BTreeSet;

/// Set to `all`, a code that no run had fails the test: for a run of all suites. Else it is printed.
const REQUIRED: &str = "FINDINGS_REQUIRED";

/// What this lab cannot bring about, and who shows it instead.
const ELSEWHERE: &[(&str, &str)] = &[];

#[test]
fn every_code_was_seen_beside_a_run_without_it() {
    let Some(file) = std::env::var_os(FINDINGS_SEEN) else {
        println!("skipped: {FINDINGS_SEEN} names no file in which the other tests wrote what they saw");
        return;
    };
    let seen = Seen::all(&std::fs::read_to_string(file).unwrap());
    let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|(code, _)| *code).collect();
    let codes: Vec<&str> = catalogue::all().map(|article| article.code).collect();
    let missing: Vec<&str> = codes
        .iter()
        .copied()
        .filter(|code| !elsewhere.contains(code) && !is_paired(&seen, code))
        .collect();
    println!(
        "{} of {} codes were seen on the lab, each beside a run without it",
        codes.len() - missing.len() - elsewhere.len(),
        codes.len()
    );
    for (code, why) in ELSEWHERE {
        println!("{code} not here: {why}");
    }
    println!("not seen: {missing:?}");
    let required = std::env::var(REQUIRED).is_ok_and(|required| required == "all");
    assert!(!required || missing.is_empty(), "no pair for {missing:?}");
}

/// Whether a test has a run with the code, and one of the same subcommand without.
fn is_paired(seen: &[Seen], code: &str) -> bool {
    let with = seen.iter().filter(|run| run.codes.contains(code));
    with.into_iter().any(|with| {
        seen.iter().any(|without| {
            without.test == with.test
                && without.subcommand == with.subcommand
                && !without.codes.contains(code)
        })
    })
}
