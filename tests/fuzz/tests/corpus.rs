//! Every kept input is tried again, those among them that once crashed something.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it tried"
)]

use kubectl_egress_fuzz::TARGETS;
use std::path::{Path, PathBuf};

fn files(folder: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    listed.map(|entry| entry.unwrap().path()).collect()
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn every_kept_input_is_survived() {
    for (name, target) in TARGETS {
        let inputs = files(&corpus().join(name));
        assert!(inputs.len() >= 3, "{name} has {} inputs", inputs.len());
        for input in inputs {
            // Says which, should it panic.
            println!("{}", input.display());
            target(&std::fs::read(&input).unwrap());
        }
        target(b"");
    }
}

#[test]
fn every_target_has_a_program_and_inputs() {
    let mut names: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.sort();
    for (folder, suffix) in [("corpus", ""), ("fuzz_targets", ".rs")] {
        let mut found: Vec<String> = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
            .iter()
            .map(|path| {
                path.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .trim_end_matches(suffix)
                    .to_owned()
            })
            .collect();
        found.sort();
        assert_eq!(found, names, "{folder}");
    }
}
