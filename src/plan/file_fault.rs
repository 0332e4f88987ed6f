//! What is wrong with a plan file, said with its place, its rule and a fix.

use super::file_place::Places;
use super::rules::PlanError;
use crate::error::Error;
use crate::vocabulary::HostName;

/// The hosts and ports of a file as they stand there: path, host, port.
pub(super) type Written = Vec<(String, HostName, u16)>;

/// A file that is being read.
pub(super) struct Faults<'file> {
    name: &'file str,
    places: Places,
}

impl<'file> Faults<'file> {
    pub(super) fn of(name: &'file str, text: &str) -> Self {
        Self {
            name,
            places: Places::read(text),
        }
    }

    /// A field that breaks a rule.
    pub(super) fn field(&self, path: &str, rule: &str) -> Error {
        let valid = "`kubectl egress render HOST -o plan` prints a valid one";
        self.refuse(self.places.of(path), Some(path), rule).hint(valid)
    }

    /// A rule that hosts break, at the port that breaks it.
    pub(super) fn plan(&self, error: &PlanError, written: &Written) -> Error {
        let (host, port, field) = error.subject();
        let mut found = written.iter().filter(|(_, at, number)| {
            host.is_none_or(|host| at == host) && port.is_none_or(|port| *number == port)
        });
        // The second of two that are the same is the one too many.
        let entry = match error {
            PlanError::Twice(_) => found.nth(1),
            _ => found.next(),
        };
        let path = match (entry.filter(|_| host.is_some()), field) {
            (None, _) => "spec.hosts".to_owned(),
            (Some((path, ..)), None) => path.clone(),
            (Some((path, ..)), Some(field)) => format!("{path}.{field}"),
        };
        self.field(&path, &error.to_string())
    }

    /// What the parser refuses.
    pub(super) fn parser(&self, error: &serde_saphyr::Error) -> Error {
        let at = error
            .location()
            .map(|location| (location.line(), location.column()));
        let said = error.to_string();
        let said = said.lines().next().unwrap_or_default();
        // It begins with its own place: `error: line 9 column 13: `.
        let rule = match said
            .split_once("column ")
            .and_then(|(_, rest)| rest.split_once(": "))
        {
            Some((_, rule)) => rule,
            None => said,
        };
        let path = at.and_then(|(line, column)| self.places.path_at(line, column));
        let fix = fix(rule);
        let rule = rule.replace("unknown variant", "unknown value");
        let rule = rule.replace("invalid u16", "not a whole number from 0 to 65535");
        self.refuse(at, path, &rule).hint(fix)
    }

    fn refuse(&self, at: Option<(u64, u64)>, path: Option<&str>, rule: &str) -> Error {
        let place = at.map_or_else(String::new, |(line, column)| {
            format!(" at line {line}, column {column}")
        });
        let rule = path.map_or_else(|| rule.to_owned(), |path| format!("`{path}`: {rule}"));
        Error::usage(format!("the plan file {} is not valid{place}", self.name)).because(rule)
    }
}

/// What to write in place of a word that is not known, or of a value that does not fit.
fn fix(rule: &str) -> String {
    let mut quoted = rule.split('`').skip(1).step_by(2);
    let word = quoted.next().unwrap_or_default();
    let expected: Vec<&str> = match rule.split_once("expected one of ") {
        Some((_, list)) => list
            .split(',')
            .map(|name| name.trim().trim_matches('`'))
            .collect(),
        None => Vec::new(),
    };
    let alike =
        |name: &str| strsim::normalized_damerau_levenshtein(&word.to_lowercase(), &name.to_lowercase());
    let rated = expected.iter().map(|name| (alike(name), *name));
    let nearest = rated
        .filter(|(ratio, _)| *ratio >= 0.6)
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match nearest {
        Some((_, name)) => format!("write `{name}` instead of `{word}`"),
        None if rule.starts_with("missing field") => format!("add `{word}`"),
        None if !expected.is_empty() => {
            format!("leave `{word}` out, or write one of {}", expected.join(", "))
        }
        None => "`kubectl egress render HOST -o plan` prints a valid one".to_owned(),
    }
}
