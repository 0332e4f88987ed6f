//! `cleanup`: undoes the plan's journal, and with `--verify` looks whether anything of ours is left.

use super::connection::{connect_to_plan, or_interrupted};
use super::setup::dry_run;
use crate::cli::{self, Connection};
use crate::engine::undo::{self, UndoSettings};
use crate::error::Result;
use crate::report::Printer;
use crate::vocabulary::{ExitCode, names};
use serde_json::json;
use std::fmt::Write as _;

/// Undoes, then looks.
pub(super) async fn cleanup(
    connection: &Connection,
    settings: cli::Cleanup,
    printer: &Printer,
) -> Result<ExitCode> {
    let connected = connect_to_plan(connection, &settings.plan, printer).await?;
    let (cluster, plan) = (&connected.cluster, &connected.plan);
    let how = UndoSettings {
        dry_run: dry_run(settings.change),
        keep_namespace: settings.keep_namespace,
        timeout: settings.plan.timeout,
    };
    let dry_run = how.dry_run.is_dry();
    let remains = or_interrupted(undo::whole_plan(cluster, plan, how, &printer.events()), plan).await?;
    let left = if settings.verify && !dry_run {
        Some(undo::leftovers(cluster, plan).await?)
    } else {
        None
    };
    let document = json!({
        "apiVersion": names::API_VERSION, "kind": "Cleanup",
        "plan": plan.name, "namespace": plan.namespace, "dryRun": dry_run, "kept": remains, "leftovers": left,
    });
    printer.document(&document, |_| {
        let mut text = String::new();
        for kept in &remains {
            let _ = writeln!(text, "kept: {kept}");
        }
        match &left {
            Some(left) if left.is_empty() => drop(writeln!(text, "Nothing of the plan {plan} is left.")),
            Some(left) => drop(writeln!(text, "Still there:\n  {}", left.join("\n  "))),
            None => {}
        }
        text
    })?;
    Ok(if left.is_some_and(|left| !left.is_empty()) {
        ExitCode::Disproven
    } else {
        ExitCode::Success
    })
}
