//! What help says, and that it can be read.

use super::*;

#[test]
fn clap_finds_no_fault_with_the_definitions() {
    help::command().debug_assert();
}

#[test]
fn every_command_is_in_one_group_of_the_help() {
    let mut grouped: Vec<_> = help::GROUPS
        .iter()
        .flat_map(|(_, names)| *names)
        .copied()
        .collect();
    let command = help::command();
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    let mut defined: Vec<_> = shown.map(clap::Command::get_name).collect();
    grouped.sort_unstable();
    defined.sort_unstable();
    assert_eq!(grouped, defined);
}

#[test]
fn every_command_explains_itself_with_an_example_that_parses() {
    let command = help::command();
    for subcommand in command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set())
    {
        let name = subcommand.get_name();
        assert!(subcommand.get_about().is_some(), "{name}");
        let examples = subcommand
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let lines: Vec<_> = examples
            .lines()
            .filter_map(|line| line.trim().strip_prefix("kubectl egress "))
            .collect();
        assert!(!lines.is_empty(), "{name} has no example");
        for line in lines {
            assert!(line.starts_with(name) && parse(words(line)).is_ok(), "{line}");
        }
        for argument in subcommand.get_arguments() {
            assert!(argument.get_help().is_some(), "{name} {}", argument.get_id());
        }
    }
}

#[test]
fn help_fits_a_terminal() {
    for line in [
        "",
        "--help",
        "setup -h",
        "setup --help",
        "verify -h",
        "probe -h",
        "logs -h",
        "lockdown -h",
        "lockdown --help",
        "unlock -h",
    ] {
        for row in text(line).lines() {
            assert!(row.chars().count() <= 100, "`{line}`: {row}");
        }
    }
}

#[test]
fn nothing_typed_is_a_request_for_help() {
    let help = text("");
    assert!(
        help.contains("Usage: kubectl egress [OPTIONS] <COMMAND>"),
        "{help}"
    );
    assert!(
        help.contains("setup           Route hosts") && help.contains("tutorial --sandbox"),
        "{help}"
    );
    assert!(
        help.contains("--namespace") && !help.contains("--as-group"),
        "{help}"
    );
    assert!(text("--help").contains("--as-group"));
    assert_eq!(
        text("--version"),
        format!("kubectl-egress {}\n", env!("CARGO_PKG_VERSION"))
    );
}
