//! What README names is there: commands, flags, codes of findings.

use crate::readme;
use kubectl_egress::finding::catalogue;
use regex::Regex;
use std::collections::BTreeSet;

/// Flags of other programs: cargo, kubectl, sha256sum.
const OF_OTHERS: &[&str] = &[
    "--check",
    "--locked",
    "--prefix",
    "--server-side",
    "--test",
    "--workspace",
];

fn found(pattern: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(readme()).unwrap();
    let pattern = Regex::new(pattern).unwrap();
    let found = pattern.captures_iter(&text).map(|found| found[1].to_owned());
    found.collect()
}

fn flags(command: &clap::Command, flags: &mut BTreeSet<String>) {
    for argument in command.get_arguments() {
        flags.extend(argument.get_long().map(|long| format!("--{long}")));
        let aliases = argument.get_all_aliases().unwrap_or_default();
        flags.extend(aliases.iter().map(|alias| format!("--{alias}")));
    }
    command
        .get_subcommands()
        .for_each(|below| self::flags(below, flags));
}

#[test]
fn every_flag_that_is_named_can_be_typed() {
    let mut known = BTreeSet::from(["--help".to_owned()]);
    flags(&kubectl_egress::cli::parser(), &mut known);
    let named = found(r"(?:^|[\s`(|])(--[a-z][a-z-]+)");
    assert!(named.len() > 30, "{named:?}");
    let unknown: Vec<_> = named
        .iter()
        .filter(|flag| !known.contains(*flag) && !OF_OTHERS.contains(&flag.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_command_is_in_the_table_of_commands() {
    let text = std::fs::read_to_string(readme()).unwrap();
    let table = text.split("## Commands\n\n").nth(1).unwrap();
    let table = table.split("\n\n").next().unwrap();
    let rows: String = table.lines().filter_map(|row| row.split('|').nth(1)).collect();
    let parser = kubectl_egress::cli::parser();
    for command in parser.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name();
        let is_there = ['`', ' ']
            .iter()
            .any(|end| rows.contains(&format!("`{name}{end}")));
        assert!(is_there || name == "help", "{name}: {rows}");
    }
}

#[test]
fn every_finding_that_is_named_can_be_explained() {
    let codes = found(r"\b(EGR-\d+)");
    assert!(codes.len() > 20, "{codes:?}");
    for code in codes {
        assert!(catalogue::article(&code).is_some(), "{code}");
    }
}
