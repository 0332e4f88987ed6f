//! `lockdown`: shows what a lock would let through, asks, locks, proves, confirms; or everything is as before.

use super::connection::{Connected, connect, or_interrupted};
use super::source;
use crate::cli::{self, Connection};
use crate::engine::lockdown::{
    self as engine, Decision, Lockdown, LockdownEnd, LockdownSettings, Prepared, simulation,
};
use crate::engine::verify::stored_plan;
use crate::error::{Error, Result};
use crate::finding::{Severity, catalogue};
use crate::plan::lock::LockSettings;
use crate::report::{Printer, interruption, view};
use crate::vocabulary::{ClusterCommand, ExitCode, HostName, OutputFormat, Verdict, names};

/// Locks, or says why not.
pub(super) async fn lockdown(
    connection: &Connection,
    settings: cli::Lockdown,
    printer: &Printer,
) -> Result<ExitCode> {
    let connected = connect(connection, &settings.plan, printer).await?;
    connected
        .preflight(ClusterCommand::Lockdown, &[], printer)
        .await?;
    let deciding = async {
        let wanted = wanted(&connected, &settings, printer).await?;
        engine::prepare(&connected.cluster, wanted).await
    };
    let mut prepared = match or_interrupted(deciding, &connected.plan).await? {
        Decision::Unchanged(prepared) => {
            let mut document = prepared.document();
            document.end = LockdownEnd::Unchanged;
            return conclude(&document, printer);
        }
        Decision::Lock(prepared) => prepared,
    };
    let events = printer.events();
    let learning = simulation::before_lock(&connected.cluster, &prepared, settings.learn, &events);
    prepared.simulation = Some(or_interrupted(learning, &connected.plan).await?);
    if settings.change.dry_run != cli::DryRun::None {
        return show(&connected, &prepared, settings.change.dry_run, printer).await;
    }
    if prepared.is_refused() {
        return conclude(&prepared.document(), printer);
    }
    // Whoever has agreed already reads all of it in the document.
    if !(printer.settings().assume_yes && printer.settings().output == OutputFormat::Text) {
        for peer in &prepared.peers {
            printer.note(&format!("the lock lets through {}", peer.explain()));
        }
    }
    warn(&prepared, printer);
    let question = format!(
        "Lock {} of namespace {}, for at most {} s unless the proof succeeds?",
        which(&prepared.settings.lock),
        prepared.settings.namespace,
        prepared.settings.confirm_within.as_secs()
    );
    if !printer.confirm(&question).await? {
        return Err(Error::consent("nothing was changed, as you did not agree").because(question));
    }
    // Without a handler the signal would end us at once, and the switch would do the rest.
    let interrupted = interruption();
    let document = engine::run(&connected.cluster, &prepared, &events, interrupted).await?;
    conclude(&document, printer)
}

/// What the lock would break, before anybody agrees to it.
fn warn(prepared: &Prepared, printer: &Printer) {
    const SHOWN: usize = 20;
    let Some(simulation) = &prepared.simulation else {
        return;
    };
    for broken in simulation.would_break.iter().take(SHOWN) {
        printer.warning(&view::would_break(broken));
    }
    if simulation.would_break.len() > SHOWN {
        printer.warning(&format!(
            "the lock would break {} more; `kubectl egress learn` lists them all",
            simulation.would_break.len() - SHOWN
        ));
    }
    for unknown in &simulation.not_known {
        printer.note(&format!(
            "what a lock breaks of {} is not known: {}",
            unknown.workload, unknown.why
        ));
    }
    if simulation.would_break.is_empty() {
        printer.note(&view::nothing_would_break(simulation));
    }
}

async fn wanted(
    connected: &Connected,
    settings: &cli::Lockdown,
    printer: &Printer,
) -> Result<LockdownSettings> {
    let journal = stored_plan(&connected.cluster, &connected.plan).await?;
    let of_plan = journal.plan.settings.lockdown.clone().unwrap_or_default();
    let timeout = settings.plan.timeout;
    let source = source::find(connected, &settings.probe, &journal.image, timeout, printer).await?;
    let forbidden = if settings.forbidden.is_empty() {
        default_forbidden()
    } else {
        settings.forbidden.clone()
    };
    Ok(LockdownSettings {
        plan: connected.plan.clone(),
        namespace: connected.namespace.clone(),
        lock: LockSettings {
            in_cluster: settings.in_cluster.unwrap_or(of_plan.in_cluster),
            selector: settings.selector.clone().unwrap_or(of_plan.selector),
            api_server: settings.allow_api_server || of_plan.api_server,
        },
        confirm_within: settings.confirm_within,
        effect_within: crate::engine::lockdown::EFFECT_WITHIN,
        forbidden,
        source,
        ca_certificate: settings.probe.ca_certificate.clone(),
        max_time_seconds: settings.probe.max_time,
        timeout,
    })
}

fn default_forbidden() -> Vec<HostName> {
    names::DEFAULT_FORBIDDEN_HOST.parse().into_iter().collect()
}

fn which(lock: &LockSettings) -> String {
    if lock.selector.requirements.is_empty() {
        "all pods".to_owned()
    } else {
        format!("the pods {}", lock.selector)
    }
}

/// A dry run: what it lets through, or the manifest itself with `-o yaml|json`.
async fn show(
    connected: &Connected,
    prepared: &Prepared,
    dry_run: cli::DryRun,
    printer: &Printer,
) -> Result<ExitCode> {
    let manifest = prepared.lock_manifest();
    if dry_run == cli::DryRun::Server {
        engine::dry_run(&connected.cluster, prepared).await?;
    }
    if printer.settings().output == OutputFormat::Text {
        let (document, refused) = (prepared.document(), prepared.is_refused());
        printer.styled(&view::lockdown_preview(&document, refused, printer.style()));
    } else {
        // Standard output is the manifest.
        warn(prepared, printer);
        printer.document(&manifest.object.0, |_| String::new())?;
    }
    if prepared.is_refused() {
        printer.next(&view::next_after_lockdown(&prepared.document()));
        return Ok(ExitCode::Disproven);
    }
    printer.next(&format!("kubectl egress lockdown -n {}", connected.namespace));
    Ok(ExitCode::Success)
}

fn conclude(document: &Lockdown, printer: &Printer) -> Result<ExitCode> {
    printer.document(document, |style| view::lockdown(document, style))?;
    printer.next(&view::next_after_lockdown(document));
    // That the proof was not complete in time disproves nothing.
    let faulty = document.findings.iter().any(|finding| {
        finding.severity == Severity::Error && finding.code != catalogue::LOCK_ROLLED_BACK.code
    });
    Ok(match (document.end, document.verdict) {
        (LockdownEnd::Locked | LockdownEnd::Unchanged, _) => ExitCode::Success,
        (_, Verdict::Disproven) => ExitCode::Disproven,
        _ if faulty => ExitCode::Disproven,
        _ => ExitCode::Inconclusive,
    })
}
