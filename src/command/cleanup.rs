//! `cleanup`: undoes the plan's journal, and with `--verify` looks whether anything of ours is left.

use super::connection::{Connected, connect_to_plan, or_interrupted};
use super::setup::dry_run;
use super::two_clusters::connect_to_target;
use crate::cli::{self, Connection, TargetCluster};
use crate::engine::journal_store;
use crate::engine::undo::{self, UndoSettings};
use crate::error::Result;
use crate::report::Printer;
use crate::vocabulary::{ExitCode, names};
use serde_json::json;
use std::fmt::Write as _;

/// Undoes, then looks; where the plan works with another cluster, there as well.
pub(super) async fn cleanup(
    connection: &Connection,
    settings: cli::Cleanup,
    printer: &Printer,
) -> Result<ExitCode> {
    let connected = connect_to_plan(connection, &settings.plan, printer).await?;
    let plan = &connected.plan;
    let target = target_of(&connected, &settings).await?;
    let here = undo(&connected, &settings, printer).await?;
    let mut there = None;
    let mut unreached = None;
    if let Some(target) = &target {
        match connect_to_target(connection, target, &settings.plan, printer).await {
            Ok(connected) => {
                printer.note(&format!("the target cluster, context {}", context_of(target)));
                there = Some(undo(&connected, &settings, printer).await?);
            }
            Err(error) => unreached = Some(error),
        }
    }
    let dry_run = dry_run(settings.change).is_dry();
    let document = json!({
        "apiVersion": names::API_VERSION, "kind": "Cleanup",
        "plan": plan.name, "namespace": plan.namespace, "dryRun": dry_run,
        "kept": here.kept, "leftovers": here.leftovers,
        "target": there.as_ref().map(|there| json!({"kept": there.kept, "leftovers": there.leftovers})),
    });
    printer.document(&document, |_| {
        let mut text = here.text(&format!("the plan {plan}"));
        if let Some(there) = &there {
            text.push_str(&there.text(&format!("the plan {plan} in the target cluster")));
        }
        text
    })?;
    if let (Some(error), Some(target)) = (unreached, &target) {
        return Err(error
            .while_doing("what is in the target cluster stays")
            .hint(format!(
                "when it can be reached: kubectl egress cleanup --context {} -n {} --plan {}",
                context_of(target),
                plan.namespace,
                plan.name
            )));
    }
    let clean = |undone: &Undone| undone.leftovers.as_ref().is_none_or(Vec::is_empty);
    Ok(if clean(&here) && there.as_ref().is_none_or(clean) {
        ExitCode::Success
    } else {
        ExitCode::Disproven
    })
}

/// What undoing left in one cluster.
struct Undone {
    kept: Vec<String>,
    /// What was found afterwards, if it was looked for.
    leftovers: Option<Vec<String>>,
}

impl Undone {
    fn text(&self, what: &str) -> String {
        let mut text = String::new();
        for kept in &self.kept {
            let _ = writeln!(text, "kept: {kept}");
        }
        match &self.leftovers {
            Some(left) if left.is_empty() => drop(writeln!(text, "Nothing of {what} is left.")),
            Some(left) => drop(writeln!(text, "Still there of {what}:\n  {}", left.join("\n  "))),
            None => {}
        }
        text
    }
}

async fn undo(connected: &Connected, settings: &cli::Cleanup, printer: &Printer) -> Result<Undone> {
    let (cluster, plan) = (&connected.cluster, &connected.plan);
    let how = UndoSettings {
        dry_run: dry_run(settings.change),
        keep_namespace: settings.keep_namespace,
        timeout: settings.plan.timeout,
    };
    let kept = or_interrupted(undo::whole_plan(cluster, plan, how, &printer.events()), plan).await?;
    let leftovers = if settings.verify && !how.dry_run.is_dry() {
        Some(undo::leftovers(cluster, plan).await?)
    } else {
        None
    };
    Ok(Undone { kept, leftovers })
}

/// The other cluster: as the flags say, else as the journal does. A journal that cannot be read names none; undoing will
/// say why it cannot.
async fn target_of(connected: &Connected, settings: &cli::Cleanup) -> Result<Option<TargetCluster>> {
    if settings.target.target_context.is_some() {
        return Ok(Some(settings.target.clone()));
    }
    let journal = journal_store::read(&connected.cluster, &connected.plan).await?;
    Ok(journal
        .and_then(|journal| journal.target)
        .map(|record| TargetCluster {
            target_context: Some(record.context),
            target_kubeconfig: settings.target.target_kubeconfig.clone(),
        }))
}

fn context_of(target: &TargetCluster) -> &str {
    target.target_context.as_deref().unwrap_or_default()
}
