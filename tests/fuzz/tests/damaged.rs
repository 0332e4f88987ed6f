//! Kept inputs, damaged: bytes changed, doubled, cut out, or taken from another input. It needs no special compiler and finds
//! what lies near; `.ci/fuzz` also follows what each input reaches.
//!
//! `FUZZ_SECONDS=60` tries each target for so long (with `FUZZ_SEED` other damage, `FUZZ_ONLY` one target), and says how many
//! inputs that were.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it tried"
)]

use kubectl_egress_fuzz::{TARGETS, Target};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many damaged inputs each target gets when nobody says for how long. Those that start a cluster are slow.
const USUAL: usize = 40;

fn inputs(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let files = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    // The order of a folder is nobody's promise, and damage is to be the same everywhere.
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A place in the bytes, the end included.
fn place(random: &mut fastrand::Rng, bytes: &[u8]) -> usize {
    random.usize(..=bytes.len())
}

fn damage(random: &mut fastrand::Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let start = place(random, bytes);
    let end = (start + random.usize(..16)).min(bytes.len());
    match random.u8(..6) {
        0 => drop(bytes.drain(start..end)),
        1 => {
            let again = bytes[start..end].to_vec();
            bytes.splice(start..start, again);
        }
        2 => bytes.insert(start, random.u8(..)),
        3 => bytes.insert(
            start,
            *random
                .choice(b"\0\n\r\"'\\{}[]:,-%$&*!|>#\x1b\xff0Aa".as_slice())
                .unwrap(),
        ),
        4 => {
            let from = place(random, other);
            let until = (from + random.usize(..64)).min(other.len());
            bytes.splice(start..end, other[from..until].iter().copied());
        }
        _ => {
            if let Some(byte) = bytes.get_mut(start) {
                *byte ^= 1 << random.u8(..8);
            }
        }
    }
}

/// Tries one target; how many inputs, and the first that is not survived.
fn tried(target: Target, kept: &[Vec<u8>], wanted: Option<Duration>, seed: u64) -> (usize, Option<Vec<u8>>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let began = Instant::now();
    let mut count = 0;
    while wanted.map_or(count < USUAL, |wanted| began.elapsed() < wanted) {
        let mut bytes = random.choice(kept).unwrap().clone();
        let other = random.choice(kept).unwrap();
        for _ in 0..=random.u8(..4) {
            damage(&mut random, &mut bytes, other);
        }
        count += 1;
        if catch_unwind(AssertUnwindSafe(|| target(&bytes))).is_err() {
            return (count, Some(bytes));
        }
    }
    (count, None)
}

#[test]
fn every_damaged_input_is_survived() {
    let setting = |name: &str| std::env::var(name).ok();
    let seconds = setting("FUZZ_SECONDS").and_then(|text| text.parse().ok());
    let seed = setting("FUZZ_SEED")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let only = setting("FUZZ_ONLY").unwrap_or_default();
    let mut failed = Vec::new();
    for (name, target) in TARGETS.iter().filter(|(name, _)| name.contains(&only)) {
        let (count, crash) = tried(*target, &inputs(name), seconds.map(Duration::from_secs), seed);
        println!("{name}: {count} inputs");
        if let Some(bytes) = crash {
            failed.push(format!("{name}: {}", bytes.escape_ascii()));
        }
    }
    assert!(failed.is_empty(), "not survived:\n{}", failed.join("\n"));
}
