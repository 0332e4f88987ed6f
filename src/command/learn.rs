//! `learn`: listens, shows what leaves, and writes the proposal if a file is named.

use super::connection::connect;
use super::output_file::{Readers, can_be_written, is_taken, replace_all};
use crate::cli::{self, Connection};
use crate::engine::learn::{self as engine, LearnSettings, Learned, Window};
use crate::error::{Error, Result};
use crate::report::{Printer, interruption, view};
use crate::vocabulary::{ClusterCommand, ExitCode};
use std::path::PathBuf;

/// Listens and tells. Exit 3 if no sidecar told anything: then nothing is known.
pub(super) async fn learn(
    connection: &Connection,
    settings: cli::Learn,
    printer: &Printer,
) -> Result<ExitCode> {
    let files = settings.write.clone().map(Files::beside);
    if let Some(files) = &files {
        files.may_be_written(printer).await?;
    }
    let connected = connect(connection, &settings.plan, printer).await?;
    connected.preflight(ClusterCommand::Learn, &[], printer).await?;
    let wanted = LearnSettings {
        plan: connected.plan.clone(),
        namespace: connected.namespace.clone(),
        window: settings.since.map_or(Window::For(settings.watch), Window::Since),
        gateway: settings.plan.gateway.as_ref().map(ToString::to_string),
    };
    // Ends the window, not the program: what was heard is told.
    let interrupted = interruption();
    if settings.since.is_none() {
        printer.note("Ctrl-C ends the window early; what was heard until then is told");
    }
    let learned = engine::learn(&connected.cluster, &wanted, &printer.events(), interrupted).await?;
    printer.document(&learned, |style| view::learned(&learned, style))?;
    let written = match &files {
        Some(files) => files.write(&learned, printer)?,
        None => None,
    };
    printer.next(&view::next_after_learning(&learned, written.as_deref()));
    Ok(if learned.knows_anything() {
        ExitCode::Success
    } else {
        ExitCode::Inconclusive
    })
}

/// Where the proposal goes.
struct Files {
    plan: PathBuf,
    policy: PathBuf,
}

impl Files {
    fn beside(plan: PathBuf) -> Self {
        Self {
            policy: plan.with_extension("networkpolicy.yaml"),
            plan,
        }
    }

    /// Asks before the window, not after it, whether a file that is there may be replaced, and whether one can be there.
    async fn may_be_written(&self, printer: &Printer) -> Result<()> {
        for file in [&self.plan, &self.policy] {
            let question = format!("Replace the file {}?", file.display());
            if is_taken(file) && !printer.confirm(&question).await? {
                return Err(Error::consent("nothing was done, as you did not agree").because(question));
            }
            can_be_written(file)?;
        }
        Ok(())
    }

    /// Writes what there is, all or nothing; gives the plan's file if there is one.
    fn write(&self, learned: &Learned, printer: &Printer) -> Result<Option<String>> {
        let policy = learned.network_policy.as_ref().map(serde_saphyr::to_string);
        let policy = policy
            .transpose()
            .map_err(|error| Error::bug(error.to_string()))?;
        let plan = learned.plan_file()?;
        let texts = [(&self.policy, &policy), (&self.plan, &plan)];
        let files: Vec<(PathBuf, &[u8])> = texts
            .into_iter()
            .filter_map(|(path, text)| Some((path.clone(), text.as_ref()?.as_bytes())))
            .collect();
        replace_all(&files, Readers::Everybody)?;
        if policy.is_some() {
            printer.note(&format!(
                "wrote the lock to {}; `kubectl diff -f` shows it, `kubectl egress lockdown` makes and proves it",
                self.policy.display()
            ));
        }
        if plan.is_none() {
            printer.warning("there is no host to plan, so no plan was written");
            return Ok(None);
        }
        printer.note(&format!("wrote the plan to {}", self.plan.display()));
        Ok(Some(self.plan.display().to_string()))
    }
}
