//! `check`: faults in live objects or in files; exits 1 on errors.

use super::connection::cluster as connect;
use super::object_files;
use crate::cli::{self, Connection};
use crate::engine::check::{self, Findings};
use crate::engine::inventory::Scope;
use crate::error::{Error, Result};
use crate::finding::{self, Severity};
use crate::report::{Printer, view};
use crate::vocabulary::{ExitCode, Object, OutputFormat};
use std::collections::BTreeMap;

/// Looks, and prints what it finds.
pub(super) async fn check(
    connection: &Connection,
    settings: cli::Check,
    printer: &Printer,
) -> Result<ExitCode> {
    for code in &settings.suppress {
        if finding::article(code).is_none() {
            return Err(Error::usage(format!("there is no finding {code} to suppress"))
                .hint("`kubectl egress check -o json` shows the codes that are found"));
        }
    }
    let (findings, name) = if settings.files.is_empty() {
        in_cluster(connection, &settings, printer).await?
    } else {
        (in_files(connection, &settings)?, "files".to_owned())
    };
    let findings = findings.without(&settings.suppress);
    for sentence in &findings.unread {
        printer.warning(&format!("{sentence}; what depends on it was not checked"));
    }
    if printer.settings().output == OutputFormat::Junit {
        printer.data(&view::junit(&findings, &name));
    } else {
        printer.document(&findings, |style| view::checked(&findings, style))?;
    }
    let failed = findings
        .findings
        .iter()
        .any(|placed| placed.finding.severity == Severity::Error);
    if let Some(first) = findings.findings.first() {
        printer.next(&format!("kubectl egress explain {}", first.finding.code));
    } else {
        printer.next("kubectl egress explain HOST");
    }
    Ok(if failed {
        ExitCode::Disproven
    } else {
        ExitCode::Success
    })
}

async fn in_cluster(
    connection: &Connection,
    settings: &cli::Check,
    printer: &Printer,
) -> Result<(Findings, String)> {
    let cluster = connect(connection, printer).await?;
    let own = connection
        .namespace
        .as_deref()
        .unwrap_or(cluster.default_namespace());
    let (scope, name) = if settings.all_namespaces {
        (Scope::All, "all namespaces".to_owned())
    } else {
        (Scope::Namespace(own.to_owned()), format!("namespace {own}"))
    };
    Ok((check::of_cluster(&cluster, &scope).await?, name))
}

fn in_files(connection: &Connection, settings: &cli::Check) -> Result<Findings> {
    let namespace = connection.namespace.as_deref().unwrap_or("default");
    let read = object_files::read(&settings.files, namespace)?;
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for found in &read {
        let place = format!("{}:{}", found.file, found.line);
        let name = check::name_of(&found.object);
        if let Some(first) = places.insert(name.clone(), place.clone()) {
            return Err(
                Error::usage(format!("{name} is there twice: {first} and {place}"))
                    .because("which of the two would be applied last is not known")
                    .hint("name the files of one state only"),
            );
        }
    }
    let objects: Vec<Object> = read.into_iter().map(|found| found.object).collect();
    Ok(check::of_files(&objects, &places))
}
