//! The mesh model against the real thing: the same objects, the same requests, and both must say the same.
//!
//! A case is a way through the mesh (`ways`), broken or changed in one place (`changes`), with the requests that are sent.
//! All cases of a set are applied together, each with a host of its own; then the requests are sent, and what curl, both
//! proxies' access logs and the outside world say (`reality`) is held against the prediction from the objects that the
//! API server then has (`agreement`). A case on which they once disagreed stays in the fixed set.

mod agreement;
mod captured;
mod case;
mod changes;
mod fixed;
mod hidden;
mod objects;
mod pairs;
mod problems;
mod proxied;
mod pure;
mod reality;
mod repairs;
mod report;
mod ways;

use crate::support::open;
use agreement::Agreement;
use case::Case;
use reality::{Places, Reality, Sources};

/// One in so many cases is in the core.
const CORE: usize = 5;
/// How many cases are drawn.
const PAIRS: usize = 150;

/// Every way as it should be, what concerns a namespace, and one in five of the rest.
#[test]
fn a_core_of_the_cases_agrees() {
    compare(Sources::All, |places| {
        let wanted = |number, name: &str| {
            number % CORE == 0 || name.contains("as it should be") || name.contains("alone")
        };
        let cases = fixed::cases(places).into_iter().enumerate();
        cases
            .filter(|(number, case)| wanted(*number, &case.name))
            .map(|(_, case)| case)
            .collect()
    });
}

/// The fixed set: every way with every change that concerns it.
#[test]
fn every_case_of_the_fixed_set_agrees() {
    compare(Sources::All, |places| {
        let mut cases = fixed::cases(places);
        assert!(cases.len() >= 150, "{} cases are too few", cases.len());
        cases.retain(|case| is_wanted(&case.name));
        cases
    });
}

/// Two changes at once, another draw each time; `DIFFERENTIAL_SEED` repeats one.
#[test]
fn random_pairs_of_changes_agree() {
    let seed = number_of("DIFFERENTIAL_SEED").unwrap_or_else(|| fastrand::u64(..));
    let count = number_of("DIFFERENTIAL_PAIRS").map_or(PAIRS, |count| usize::try_from(count).unwrap());
    println!("DIFFERENTIAL_SEED={seed} DIFFERENTIAL_PAIRS={count}");
    compare(Sources::One, |places| {
        let mut cases = pairs::drawn(places, seed, count);
        cases.retain(|case| is_wanted(&case.name));
        cases
    });
}

/// While some of them are looked into: `DIFFERENTIAL_CASES` has a part of their names, or several, with `|` between.
fn is_wanted(name: &str) -> bool {
    let parts = std::env::var("DIFFERENTIAL_CASES").unwrap_or_default();
    parts.split('|').any(|part| name.contains(part))
}

fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}

fn compare(sources: Sources, cases: impl Fn(&Places) -> Vec<Case>) {
    // Other tests would find its gateway.
    let mut stage = open!(alone);
    let reality = Reality::prepare(&mut stage, sources);
    let cases = cases(&reality.places);
    let agreement = Agreement::of(&reality, &cases);
    println!("{agreement}");
    assert!(agreement.is_whole(), "{}", agreement.disagreements());
}
