//! That no command is missing here: clap's own list held against what is stored.

use std::collections::BTreeMap;
use std::path::Path;

/// Whose result is no document: a script, a kubeconfig, a story.
const WITHOUT_JSON: &[&str] = &["completion", "sandbox", "tutorial"];

/// The commands that were typed for the stored snapshots, by whether JSON was asked for.
fn typed() -> BTreeMap<bool, Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshot/snapshots");
    let mut typed: BTreeMap<bool, Vec<String>> = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines();
        for line in lines.filter_map(|line| line.strip_prefix("$ kubectl egress ")) {
            let json = path.to_string_lossy().ends_with(".json.snap");
            typed.entry(json).or_default().push(format!("{line} "));
        }
    }
    typed
}

/// Commands, and those below them, as they are typed.
fn commands() -> Vec<String> {
    let parser = kubectl_egress::cli::parser();
    let shown = parser.get_subcommands().filter(|command| !command.is_hide_set());
    shown
        .flat_map(|command| {
            let name = command.get_name().to_owned();
            let below = command.get_subcommands().filter(|below| !below.is_hide_set());
            let below: Vec<String> = below
                .map(|below| format!("{name} {}", below.get_name()))
                .collect();
            [name].into_iter().chain(below)
        })
        .filter(|command| command != "help" && !command.ends_with(" help"))
        .collect()
}

#[test]
fn every_command_is_seen_in_both_forms() {
    let typed = typed();
    let commands = commands();
    assert!(
        commands.len() >= 25 && commands.contains(&"certs inspect".to_owned()),
        "{commands:?}"
    );
    let is_there = |json: bool, command: &str| {
        let beginning = format!("{command} ");
        typed[&json].iter().any(|line| line.starts_with(&beginning))
    };
    let no_text: Vec<_> = commands
        .iter()
        .filter(|command| !is_there(false, command))
        .collect();
    let no_json: Vec<_> = commands
        .iter()
        .filter(|command| {
            let first = command.split(' ').next().unwrap();
            !WITHOUT_JSON.contains(&first) && !is_there(true, command)
        })
        .collect();
    assert!(
        no_text.is_empty() && no_json.is_empty(),
        "no snapshot in human form: {no_text:?}; as JSON: {no_json:?}"
    );
}

/// Scripts are read by shells, and the version by whoever asks which one it is.
const WITHOUT_NEXT: &[&str] = &["completion bash", "completion zsh", "completion fish", "version"];

#[test]
fn every_command_ends_with_what_to_type_next() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshot/snapshots");
    let mut silent = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("$ kubectl egress "));
        let Some(typed) = line.filter(|typed| !typed.ends_with("-o json")) else {
            continue;
        };
        let says = text
            .lines()
            .any(|line| line.starts_with("next: ") || line.starts_with("hint: "));
        if !says && !WITHOUT_NEXT.contains(&typed) {
            silent.push(typed.to_owned());
        }
    }
    assert!(silent.is_empty(), "{silent:?}");
}

/// Stories are told to somebody who looks at them.
#[test]
fn every_story_is_seen() {
    let typed = typed();
    for story in kubectl_egress::cli::Story::ALL {
        let named = format!("tutorial {story} ");
        let is_default = *story == kubectl_egress::cli::Story::default();
        let seen = |line: &String| {
            let whole = !line.contains("--list") && !line.contains("--only");
            whole && (line.starts_with(&named) || (is_default && line.starts_with("tutorial --")))
        };
        assert!(typed[&false].iter().any(seen), "{story}");
    }
}
