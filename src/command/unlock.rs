//! `unlock`: takes the lock of a namespace away.

use super::connection::{connect, or_interrupted};
use super::document::{self, Document};
use super::setup::dry_run;
use crate::cli::{self, Connection};
use crate::engine::lockdown;
use crate::error::Result;
use crate::report::Printer;
use crate::vocabulary::{ClusterCommand, ExitCode};

/// Takes it away; that there is none is no failure.
pub(super) async fn unlock(
    connection: &Connection,
    settings: cli::Unlock,
    printer: &Printer,
) -> Result<ExitCode> {
    let connected = connect(connection, &settings.plan, printer).await?;
    connected.preflight(ClusterCommand::Unlock, &[], printer).await?;
    let (plan, namespace) = (&connected.plan, &connected.namespace);
    let how = dry_run(settings.change);
    let dry_run = how.is_dry();
    let events = printer.events();
    let work = lockdown::unlock(&connected.cluster, plan, namespace, how, &events);
    let removed: Vec<String> = or_interrupted(work, plan)
        .await?
        .iter()
        .map(ToString::to_string)
        .collect();
    let document = Document::new(document::Unlock {
        plan: plan.to_string(),
        namespace: namespace.clone(),
        dry_run,
        removed: removed.clone(),
    });
    printer.document(&document, |_| match (removed.is_empty(), dry_run) {
        (true, _) => format!("Namespace {namespace} has no lock of the plan {plan}.\n"),
        (false, true) => format!("Would be removed:\n  {}\n", removed.join("\n  ")),
        (false, false) => format!("Namespace {namespace} is not locked any more.\n"),
    })?;
    let again = if dry_run { "unlock" } else { "verify" };
    printer.next(&format!("kubectl egress {again} -n {namespace}"));
    Ok(ExitCode::Success)
}
