//! `verify`: proves the claims, prints every receipt, exits by the verdict.

use super::connection::{Connected, connect, or_interrupted};
use super::{report, source};
use crate::cli::{self, Connection};
use crate::engine::bypass::BypassSettings;
use crate::engine::probe::ProbeSource;
use crate::engine::report_document::{ReportDocument, Took, gather};
use crate::engine::verify::{self as engine, Enforced, VerifySettings};
use crate::error::Result;
use crate::evidence::Verification;
use crate::report::{Printer, interruption, view};
use crate::vocabulary::{
    Circumstance, Claim, ClusterCommand, ExitCode, HostName, OutputFormat, Verdict, names,
};
use jiff::Timestamp;
use tokio::time::Instant;

/// Probes and judges.
pub(super) async fn verify(
    connection: &Connection,
    settings: cli::Verify,
    printer: &Printer,
) -> Result<ExitCode> {
    match printer.settings().output {
        OutputFormat::Html => {
            let (document, code) = report_document(connection, settings, printer).await?;
            report::print(&document, printer)?;
            Ok(code)
        }
        form => {
            let (verification, _) = proven(connection, settings, printer).await?;
            if form == OutputFormat::Junit {
                printer.data(&view::verification_junit(&verification));
            } else {
                printer.document(&verification, |style| view::verification(&verification, style))?;
            }
            printer.next(&view::next_after_verification(&verification));
            Ok(exit_code(&verification))
        }
    }
}

/// The same, with all that a report shows besides.
pub(super) async fn report_document(
    connection: &Connection,
    settings: cli::Verify,
    printer: &Printer,
) -> Result<(ReportDocument, ExitCode)> {
    let begun = Instant::now();
    let (verification, connected) = proven(connection, settings, printer).await?;
    let verification_time = begun.elapsed();
    let now = connected.cluster.server_time().unwrap_or_else(Timestamp::now);
    let took = Took {
        started_at: now.checked_sub(verification_time).unwrap_or(now),
        verification: verification_time,
    };
    let code = exit_code(&verification);
    let gathering = gather(&connected.cluster, &connected.plan, verification, took);
    let document = or_interrupted(gathering, &connected.plan).await?;
    Ok((document, code))
}

fn exit_code(verification: &Verification) -> ExitCode {
    match verification.verdict {
        Verdict::Proven => ExitCode::Success,
        Verdict::Disproven => ExitCode::Disproven,
        Verdict::Inconclusive => ExitCode::Inconclusive,
    }
}

async fn proven(
    connection: &Connection,
    settings: cli::Verify,
    printer: &Printer,
) -> Result<(Verification, Connected)> {
    let connected = connect(connection, &settings.plan, printer).await?;
    let chosen = [
        (Circumstance::Unmeshed, !settings.skip_unmeshed),
        (Circumstance::Bypass, settings.bypass),
    ];
    let chosen: Vec<Circumstance> = chosen.into_iter().filter(|one| one.1).map(|one| one.0).collect();
    connected
        .preflight(ClusterCommand::Verify, &chosen, printer)
        .await?;
    let forbidden = if settings.forbidden.is_empty() {
        default_forbidden()
    } else {
        settings.forbidden.clone()
    };
    let image = settings.image.as_deref().unwrap_or(names::SOURCE_IMAGE);
    let finding = source::find(&connected, &settings.probe, image, settings.plan.timeout, printer);
    let source = match or_interrupted(finding, &connected.plan).await {
        // Where nothing was set up, a source alone is of no use.
        Err(missing) if missing.code() == ExitCode::Usage => {
            engine::stored_plan(&connected.cluster, &connected.plan).await?;
            return Err(missing);
        }
        found => found?,
    };
    let bypass = if settings.bypass {
        Some(BypassSettings {
            all: settings.attempts == "all",
            resolver: settings.outside_resolver,
            into_workload: into_workload(&settings, &source, printer).await,
            image: image.to_owned(),
        })
    } else {
        None
    };
    let wanted = VerifySettings {
        plan: connected.plan.clone(),
        namespace: connected.namespace.clone(),
        hosts: settings
            .hosts
            .iter()
            .map(|typed| (typed.host.clone(), typed.port))
            .collect(),
        forbidden,
        without_sidecar: !settings.skip_unmeshed,
        source,
        ca_certificate: settings.probe.ca_certificate.clone(),
        echo: settings.echo.clone(),
        max_time_seconds: settings.probe.max_time,
        enforced: if settings.require.contains(&Claim::Enforced) {
            Enforced::Required
        } else {
            Enforced::IfLocked
        },
        timeout: settings.plan.timeout,
        bypass,
    };
    let events = printer.events();
    // Without a handler the signal would end us at once, and the pods that were made would stay for minutes.
    let interrupted = interruption();
    let verification = engine::verify_until(&connected.cluster, &wanted, &events, interrupted).await?;
    Ok((verification, connected))
}

/// Whether the battery may put a container into the workload that `--from` names; `None` without one.
async fn into_workload(settings: &cli::Verify, source: &ProbeSource, printer: &Printer) -> Option<bool> {
    if settings.probe.from.is_empty() {
        return None;
    }
    let question = format!(
        "Put a container that runs as the proxy's user past the sidecar into pod {}, for this run? It stays listed there, as ended, until the pod is replaced.",
        source.pod
    );
    // Nobody there to ask: the other attempts are made all the same, and this one says why it was not.
    Some(printer.confirm(&question).await.unwrap_or(false))
}

fn default_forbidden() -> Vec<HostName> {
    names::DEFAULT_FORBIDDEN_HOST.parse().into_iter().collect()
}
