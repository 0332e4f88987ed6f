//! README as a newcomer follows it: every block of commands is run, from top to bottom, with the real kubectl against one
//! served sandbox; what is shown as a screen is compared with what comes out; YAML is read, and applied where it says so.
//!
//! The info string of a block says what it is:
//!
//! | info string | what is done |
//! |---|---|
//! | `sh` | each line is run, and exits 0, or 1 where its comment says so |
//! | `console` | each `$ ` line is run, and the screen below it compared; `…` stands for lines left out |
//! | `yaml` | read |
//! | `yaml file: NAME` | read, and written to that file for the commands after it |
//! | `yaml apply: REASON` | read, and applied with `kubectl apply` |
//! | `… not-run: REASON` | not run, which is printed with the reason |
//! | `text` | a picture |
//!
//! `UPDATE_README=1` writes the screens anew; what was left out has to be left out again.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking; a block that is not run says so"
)]

mod block;
mod normal;
mod place;
mod words;

use block::{Block, blocks};
use normal::normal;
use place::{Place, Ran};
use std::path::PathBuf;

fn readme() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

#[test]
fn every_block_runs_and_every_screen_is_the_real_one() {
    let text = std::fs::read_to_string(readme()).unwrap();
    let Some(place) = Place::new() else {
        eprintln!("skipped: kubectl is not installed");
        return;
    };
    let mut wrong = Vec::new();
    let mut screens: Vec<(String, String)> = Vec::new();
    let (mut run, mut not_run) = (0, 0);
    for block in blocks(&text) {
        if let Some(reason) = block.detail("not-run") {
            eprintln!("README line {}: not run: {reason}", block.line);
            not_run += 1;
            continue;
        }
        run += 1;
        match block.language() {
            "sh" => lines(&block, &place, &mut wrong),
            "console" => screen(&block, &place, &mut wrong, &mut screens),
            "yaml" => yaml(&block, &place, &mut wrong),
            "text" => {}
            other => wrong.push(format!(
                "line {}: a block of kind {other:?} is never run",
                block.line
            )),
        }
    }
    eprintln!("{run} blocks of README run, {not_run} not");
    if std::env::var_os("UPDATE_README").is_some() {
        let new = screens
            .iter()
            .fold(text, |text, (old, new)| text.replacen(old, new, 1));
        std::fs::write(readme(), new).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn lines(block: &Block, place: &Place, wrong: &mut Vec<String>) {
    for line in block.text.lines().filter(|line| !line.trim().is_empty()) {
        let expected = i32::from(line.contains("# exits 1"));
        let ran = place.run(line);
        if ran.code != Some(expected) {
            wrong.push(format!("line {}: {line}\n{ran:?}", block.line));
        }
    }
}

fn screen(block: &Block, place: &Place, wrong: &mut Vec<String>, screens: &mut Vec<(String, String)>) {
    for (typed, shown) in block.commands() {
        let Ran { stdout, stderr, .. } = place.run(&typed);
        let real = format!("{stderr}{stdout}");
        if let Err(difference) = compare(&shown, &real) {
            wrong.push(format!("line {}: {typed}\n{difference}", block.line));
            screens.push((format!("$ {typed}\n{shown}"), format!("$ {typed}\n{real}")));
        }
    }
}

/// Whether what is shown came out. Work goes on side by side, so that the order of lines is not the same each time.
fn compare(shown: &str, real: &str) -> Result<(), String> {
    let whole = !shown.lines().any(|line| line.trim() == "…");
    let mut left: Vec<String> = real.lines().map(normal).filter(|line| !line.is_empty()).collect();
    let mut missing = Vec::new();
    for line in shown
        .lines()
        .filter(|line| !line.trim().is_empty() && line.trim() != "…")
    {
        match left.iter().position(|one| *one == normal(line)) {
            Some(at) => drop(left.remove(at)),
            None => missing.push(line),
        }
    }
    if missing.is_empty() && (left.is_empty() || !whole) {
        return Ok(());
    }
    let more = if whole { left.join("\n+ ") } else { String::new() };
    Err(format!(
        "- {}\n+ {more}\n=== all of it\n{real}",
        missing.join("\n- ")
    ))
}

fn yaml(block: &Block, place: &Place, wrong: &mut Vec<String>) {
    let read: Result<serde_json::Value, _> = serde_saphyr::from_str(&block.text);
    if let Err(error) = read {
        wrong.push(format!("line {}: {error}", block.line));
    }
    if let Some(name) = block.detail("file") {
        place.write(name, &block.text);
    }
    if block.detail("apply").is_some() {
        place.write("applied.yaml", &block.text);
        let ran = place.run("kubectl apply -f applied.yaml");
        if ran.code != Some(0) {
            wrong.push(format!("line {}: {ran:?}", block.line));
        }
    }
}

#[test]
fn what_is_left_out_and_what_differs_each_time_is_no_difference() {
    let real = "✔ source demo/curl  pod curl-75b66d54-gb5ff  4.8s\n✔ both  0.1s\n";
    compare("✔ both  0.2s\n✔ source demo/curl  pod curl-1-2 5.0s\n", real).unwrap();
    compare("✔ both  0.2s\n…\n", real).unwrap();
    compare("✔ both  0.2s\n", real).unwrap_err();
    compare("✘ both  0.2s\n…\n", real).unwrap_err();
}
