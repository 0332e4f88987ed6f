//! `verify`: proves the claims, prints every receipt, exits by the verdict.

use super::connection::{connect, or_interrupted};
use super::source;
use crate::cli::{self, Connection};
use crate::engine::bypass::BypassSettings;
use crate::engine::probe::ProbeSource;
use crate::engine::verify::{self as engine, VerifySettings};
use crate::error::Result;
use crate::report::{Printer, view};
use crate::vocabulary::{Claim, ExitCode, HostName, Verdict, names};

/// Probes and judges.
pub(super) async fn verify(
    connection: &Connection,
    settings: cli::Verify,
    printer: &Printer,
) -> Result<ExitCode> {
    let connected = connect(connection, &settings.plan, printer).await?;
    let forbidden = if settings.forbidden.is_empty() {
        default_forbidden()
    } else {
        settings.forbidden.clone()
    };
    let image = settings.image.as_deref().unwrap_or(names::SOURCE_IMAGE);
    let finding = source::find(&connected, &settings.probe, image, settings.plan.timeout, printer);
    let source = or_interrupted(finding, &connected.plan).await?;
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
        enforced_required: settings.require.contains(&Claim::Enforced),
        timeout: settings.plan.timeout,
        bypass,
    };
    let events = printer.events();
    let interrupted = async {
        // Without a handler the signal would end us at once, and the pods that were made would stay for minutes.
        let _ = tokio::signal::ctrl_c().await;
    };
    let verification = engine::verify_until(&connected.cluster, &wanted, &events, interrupted).await?;
    printer.document(&verification, |style| view::verification(&verification, style))?;
    printer.next(&view::next_after_verification(&verification));
    Ok(match verification.verdict {
        Verdict::Proven => ExitCode::Success,
        Verdict::Disproven => ExitCode::Disproven,
        Verdict::Inconclusive => ExitCode::Inconclusive,
    })
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
