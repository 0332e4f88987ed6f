//! Cases that nobody thought of: a way with two changes at once, drawn by a seed.

use super::case::Case;
use super::changes::{CHANGES, Change};
use super::reality::Places;
use super::ways::Way;
use std::collections::BTreeSet;

/// Draws so many different cases, at either gateway.
pub(super) fn drawn(places: &Places, seed: u64, count: usize) -> Vec<Case> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut names = BTreeSet::new();
    let mut cases: Vec<Case> = Vec::new();
    while cases.len() < count {
        let way = Way::ALL[random.usize(..Way::ALL.len())];
        let (place, at) = if random.bool() {
            (&places.own, "")
        } else {
            (&places.stock, " in the root namespace")
        };
        let (first, second) = pair(way, &mut random);
        let name = format!("{way:?}{at}: {} + {}", first.name, second.name);
        if !names.insert(name.clone()) {
            continue;
        }
        let number = cases.len();
        let mut case = way.case(place, number, &places.run);
        (first.make)(&mut case);
        (second.make)(&mut case);
        case.name = format!("{number}. {name}");
        cases.push(case);
    }
    cases
}

/// Two changes that concern the way, in the order in which both can be made: an object is taken away last.
fn pair(way: Way, random: &mut fastrand::Rng) -> (&'static Change, &'static Change) {
    let concerning: Vec<&Change> = CHANGES.iter().filter(|change| (change.concerns)(way)).collect();
    let mut drawn = random.choose_multiple(concerning.iter().copied().enumerate(), 2);
    drawn.sort_unstable_by_key(|(index, change)| (change.takes_away(), *index));
    (drawn[0].1, drawn[1].1)
}
