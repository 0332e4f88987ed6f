//! Reads `table.txt`: one row for each line, resource, verb.

use crate::vocabulary::{Circumstance, ClusterCommand};
use std::sync::LazyLock;

/// The namespaces of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Plan,
    Work,
    Routing,
    Gateway,
    Istio,
    Dns,
    Api,
    Kyma,
    Everywhere,
}

/// The objects of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Any,
    Journal,
    Mesh,
    Secret,
}

/// One verb on one resource.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) when: Option<Circumstance>,
    pub(super) place: Place,
    pub(super) group: String,
    pub(super) resource: String,
    pub(super) name: Name,
    pub(super) verb: String,
    pub(super) commands: Vec<ClusterCommand>,
}

/// All of them.
pub(super) fn rows() -> &'static [Row] {
    static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| read(include_str!("table.txt")));
    &ROWS
}

/// A line that cannot be read is a mistake of ours: a test reads them all.
fn read(text: &str) -> Vec<Row> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(line).flatten().collect()
}

fn line(line: &str) -> Option<Vec<Row>> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [when, place, group, resources, verbs, commands] = columns.as_slice() else {
        return None;
    };
    let when = match *when {
        "always" => None,
        word => Some(*Circumstance::ALL.iter().find(|one| one.to_string() == word)?),
    };
    let place = place_of(place)?;
    let commands: Option<Vec<ClusterCommand>> = commands
        .split(',')
        .map(|word| ClusterCommand::ALL.iter().find(|one| one.word() == word).copied())
        .collect();
    let commands = commands?;
    let mut rows = Vec::new();
    for resource in resources.split(',') {
        let (resource, name) = resource.split_once('=').unwrap_or((resource, ""));
        for verb in verbs.split(',') {
            rows.push(Row {
                when,
                place,
                group: if *group == "core" {
                    String::new()
                } else {
                    (*group).to_owned()
                },
                resource: resource.to_owned(),
                name: name_of(name)?,
                verb: verb.to_owned(),
                commands: commands.clone(),
            });
        }
    }
    Some(rows)
}

fn place_of(word: &str) -> Option<Place> {
    Some(match word {
        "plan" => Place::Plan,
        "work" => Place::Work,
        "routing" => Place::Routing,
        "gateway" => Place::Gateway,
        "istio" => Place::Istio,
        "dns" => Place::Dns,
        "api" => Place::Api,
        "kyma" => Place::Kyma,
        "everywhere" => Place::Everywhere,
        _ => return None,
    })
}

fn name_of(word: &str) -> Option<Name> {
    Some(match word {
        "" => Name::Any,
        "JOURNAL" => Name::Journal,
        "MESH" => Name::Mesh,
        "SECRET" => Name::Secret,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_and_every_command_is_there() {
        let lines = include_str!("table.txt")
            .lines()
            .filter(|text| !text.starts_with('#'));
        for text in lines {
            assert!(line(text).is_some(), "{text}");
        }
        for command in ClusterCommand::ALL {
            assert!(
                rows().iter().any(|row| row.commands.contains(command)),
                "{command}"
            );
        }
    }

    #[test]
    fn nothing_is_there_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for row in rows() {
            for command in &row.commands {
                let (when, place) = (format!("{:?}", row.when), format!("{:?}", row.place));
                let name = format!("{:?}", row.name);
                let key = (when, place, &row.group, &row.resource, name, &row.verb, command);
                assert!(seen.insert(key.clone()), "{key:?}");
            }
        }
    }
}
