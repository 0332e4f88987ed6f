//! `--help` of everything.

use crate::normal::assert_stored;
use std::process::Command;

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"))
        .args(arguments)
        .env("COLUMNS", "80")
        .env("NO_COLOR", "1")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands as the help itself lists them.
fn commands() -> Vec<String> {
    let text = help(&["--help"]);
    let listed = text.split("Flags of every command").next().unwrap();
    let listed = listed.split_once("The main job:").unwrap().1;
    let names = listed
        .lines()
        .filter(|line| line.starts_with("  ") && line.get(17..18) == Some(" "))
        .filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// Flags of every command stand in the overview; what is the command's own, here.
fn own(text: &str) -> String {
    let mut kept = String::new();
    let mut skipping = false;
    for line in text.lines() {
        if line == "Connection:" || line == "Output:" {
            skipping = true;
        } else if !line.is_empty() && !line.starts_with(' ') {
            skipping = false;
        }
        if !skipping {
            kept.push_str(line.trim_end());
            kept.push('\n');
        }
    }
    kept
}

#[test]
fn the_overview() {
    assert_stored("help", &help(&["--help"]));
}

#[test]
fn every_command_has_examples_that_can_be_copied() {
    let commands = commands();
    assert!(commands.len() >= 20, "{commands:?}");
    let mut all: Vec<Vec<&str>> = commands.iter().map(|name| vec![name.as_str()]).collect();
    all.push(vec!["certs", "inspect"]);
    for path in all {
        let name = path.join("_");
        let text = help(&[path.as_slice(), &["--help"]].concat());
        let (_, examples) = text
            .split_once("Example")
            .unwrap_or_else(|| panic!("{name} has no example"));
        let typed = format!("  kubectl egress {}", path.join(" "));
        assert!(
            examples.lines().any(|line| line.starts_with(&typed)),
            "{name}: {examples}"
        );
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
        assert_stored(&format!("help_{name}"), &own(&text));
    }
}
