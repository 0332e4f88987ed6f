//! `cleanup`: undoes the plan's journal, and with `--verify` looks whether anything of ours is left.

use super::connection::{Connected, connect_to_plan, or_interrupted};
use super::document::{self, Document, Left};
use super::setup::dry_run;
use super::two_clusters::connect_to_target;
use crate::cli::{self, Connection, TargetCluster};
use crate::engine::journal_store;
use crate::engine::remains::Remains;
use crate::engine::undo::{self, UndoSettings};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::report::{Mark, Printer, Style};
use crate::vocabulary::{Circumstance, ClusterCommand, ExitCode, ObjectReference, PlanIdentity, names};
use std::fmt::Write as _;

/// Undoes, then looks; where the plan works with another cluster, there as well.
pub(super) async fn cleanup(
    connection: &Connection,
    settings: cli::Cleanup,
    printer: &Printer,
) -> Result<ExitCode> {
    let connected = connect_to_plan(connection, &settings.plan, printer).await?;
    let leftovers: &[Circumstance] = if settings.verify {
        &[Circumstance::Leftovers]
    } else {
        &[]
    };
    connected
        .preflight(ClusterCommand::Cleanup, leftovers, printer)
        .await?;
    let plan = &connected.plan;
    let target = target_of(&connected, &settings).await?;
    let here = undo(&connected, &settings, printer).await?;
    let mut there = None;
    let mut unreached = None;
    if let Some(target) = &target {
        match connect_to_target(connection, &target.cluster, &settings.plan, printer).await {
            Ok(connected) => match target.confirm(&connected).await {
                Ok(()) => {
                    printer.note(&format!("the target cluster, context {}", target.context()));
                    there = Some(undo(&connected, &settings, printer).await?);
                }
                Err(error) => unreached = Some(error),
            },
            Err(error) => unreached = Some(error),
        }
    }
    let dry_run = dry_run(settings.change).is_dry();
    let document = Document::new(document::Cleanup {
        plan: plan.name.clone(),
        namespace: plan.namespace.clone(),
        dry_run,
        here: here.left(),
        target: there.as_ref().map(Undone::left),
    });
    printer.document(&document, |style| {
        let mut text = here.text(&format!("the plan {plan}"), dry_run, style);
        if let Some(there) = &there {
            text.push_str(&there.text(&format!("the plan {plan} in the target cluster"), dry_run, style));
        }
        text
    })?;
    if let (Some(error), Some(target)) = (unreached, &target) {
        return Err(error
            .while_doing("what is in the target cluster stays")
            .hint(format!(
                "when it can be reached: kubectl egress cleanup --context {} -n {} --plan {}",
                target.context(),
                plan.namespace,
                plan.name
            )));
    }
    if let Some(error) = here.remains.error(plan) {
        return Err(error);
    }
    if let Some(error) = there.as_ref().and_then(|there| there.remains.error(plan)) {
        return Err(error.while_doing("undoing the plan in the target cluster"));
    }
    let clean = |undone: &Undone| undone.leftovers.as_ref().is_none_or(Vec::is_empty);
    let all_clean = clean(&here) && there.as_ref().is_none_or(clean);
    printer.next(&next(plan, dry_run, here.leftovers.is_some(), all_clean));
    Ok(if all_clean {
        ExitCode::Success
    } else {
        ExitCode::Disproven
    })
}

fn next(plan: &PlanIdentity, dry_run: bool, looked: bool, clean: bool) -> String {
    let (namespace, name) = (&plan.namespace, &plan.name);
    let of_plan = if name == names::DEFAULT_PLAN {
        format!("-n {namespace}")
    } else {
        format!("-n {namespace} --plan {name}")
    };
    match (dry_run, looked, clean) {
        (true, _, _) => format!("kubectl egress cleanup {of_plan}"),
        (false, false, _) => format!("kubectl egress cleanup --verify {of_plan}"),
        (false, true, false) => format!("kubectl egress status {of_plan}"),
        (false, true, true) => format!("kubectl egress setup HOST {of_plan}"),
    }
}

/// What undoing left in one cluster.
struct Undone {
    remains: Remains,
    /// What was found afterwards, if it was looked for.
    leftovers: Option<Vec<String>>,
}

impl Undone {
    fn kept(&self) -> Vec<&String> {
        self.remains.kept.iter().chain(&self.remains.left).collect()
    }

    fn left(&self) -> Left {
        Left {
            kept: self.kept().into_iter().cloned().collect(),
            refused: self.remains.refused.clone(),
            stuck: self.remains.stuck.iter().map(ToString::to_string).collect(),
            leftovers: self.leftovers.clone(),
        }
    }

    fn text(&self, what: &str, dry_run: bool, style: &Style) -> String {
        let mut text = String::new();
        for kept in self.kept() {
            let _ = writeln!(text, "{}", style.wrap_item(&format!("kept: {kept}"), 0));
        }
        let (good, bad) = (style.mark(Mark::Good), style.mark(Mark::Bad));
        let clean = self.remains.refused.is_empty() && self.remains.stuck.is_empty();
        let said = match &self.leftovers {
            Some(left) if left.is_empty() => format!("{good} nothing of {what} is left\n"),
            Some(left) => format!("{bad} still there of {what}:\n  {}\n", left.join("\n  ")),
            None if dry_run => format!("{} dry run: nothing was changed\n", style.mark(Mark::Skipped)),
            None if clean => format!("{good} nothing is left to undo of {what}\n"),
            None => String::new(),
        };
        text + &said
    }
}

async fn undo(connected: &Connected, settings: &cli::Cleanup, printer: &Printer) -> Result<Undone> {
    let (cluster, plan) = (&connected.cluster, &connected.plan);
    let how = UndoSettings {
        dry_run: dry_run(settings.change),
        keep_namespace: settings.keep_namespace,
        timeout: settings.plan.timeout,
    };
    let events = printer.events();
    let undoing = async {
        if settings.verify && !how.dry_run.is_dry() {
            let (remains, left) = undo::whole_plan_and_look(cluster, plan, how, &events).await?;
            return Ok((remains, Some(left)));
        }
        let remains = undo::whole_plan(cluster, plan, how, &events).await?;
        Ok((remains, None))
    };
    let (remains, leftovers) = or_interrupted(undoing, plan).await?;
    Ok(Undone { remains, leftovers })
}

/// Who named the other cluster.
enum Named {
    /// A flag.
    Here,
    /// The journal, with the UID of the plan's namespace there if it knows that.
    InJournal(Option<String>),
}

/// The other cluster of a plan.
struct Target {
    cluster: TargetCluster,
    /// Who named it.
    named: Named,
}

impl Target {
    fn context(&self) -> &str {
        self.cluster.target_context.as_deref().unwrap_or_default()
    }

    /// A journal can be edited by anybody in the namespace, and a kubeconfig leads to many clusters: one that the
    /// journal names has to be the one in which this plan was set up.
    async fn confirm(&self, there: &Connected) -> Result<()> {
        let Named::InJournal(recorded) = &self.named else {
            return Ok(());
        };
        let namespace = ObjectReference::cluster(kinds::namespace(), &there.plan.namespace);
        let live = there.cluster.get(&namespace).await?;
        if live.is_some_and(|live| Some(live.uid()) == recorded.as_deref()) {
            return Ok(());
        }
        Err(Error::consent(format!(
            "the journal names the context {}, and nothing shows that the plan was set up there",
            self.context().escape_debug()
        ))
        .because(format!(
            "{namespace} there is not the one that the journal says, by its UID"
        ))
        .hint("if it is the right one, name it yourself: --target-context NAME"))
    }
}

/// The other cluster: as the flags say, else as the journal does. A journal that cannot be read names none; undoing will
/// say why it cannot.
async fn target_of(connected: &Connected, settings: &cli::Cleanup) -> Result<Option<Target>> {
    if settings.target.target_context.is_some() {
        return Ok(Some(Target {
            cluster: settings.target.clone(),
            named: Named::Here,
        }));
    }
    let salvaged = journal_store::salvage(&connected.cluster, &connected.plan).await?;
    Ok(salvaged
        .and_then(|salvaged| salvaged.journal.target)
        .map(|record| Target {
            cluster: TargetCluster {
                target_context: Some(record.context),
                target_kubeconfig: settings.target.target_kubeconfig.clone(),
            },
            named: Named::InJournal(record.namespace_uid),
        }))
}
