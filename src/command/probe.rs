//! `probe`: single requests, each judged; redirects are probes of their own.

use super::connection::{Connected, connect, or_interrupted};
use super::document::{Document, ProbeAnswer, Probes};
use super::source;
use crate::cli::{self, Connection};
use crate::engine::probe::ProbeSource;
use crate::engine::probe_pod::{ProbePod, make_probe_pod, remove_probe_pod};
use crate::engine::verify::{self, Planned, probe_from};
use crate::engine::{Event, sentinel};
use crate::error::Result;
use crate::evidence::{CurlReport, CurlResult, Expected, ProbeRequest, ProbeResult};
use crate::finding::Severity;
use crate::plan::journal::Journal;
use crate::report::{Printer, view};
use crate::vocabulary::{Circumstance, ClusterCommand, ExitCode, Outcome, Scheme, names};
use std::collections::BTreeMap;

/// Redirects that are followed, as curl's own default is 50 and browsers' is 20; a loop shows long before.
const MOST_REDIRECTS: usize = 10;

/// Probes and prints.
pub(super) async fn probe(
    connection: &Connection,
    settings: cli::Probe,
    printer: &Printer,
) -> Result<ExitCode> {
    let connected = connect(connection, &settings.plan, printer).await?;
    let unmeshed: &[Circumstance] = if settings.unmeshed {
        &[Circumstance::Unmeshed]
    } else {
        &[]
    };
    connected
        .preflight(ClusterCommand::Probe, unmeshed, printer)
        .await?;
    let plan = connected.plan.clone();
    let results = or_interrupted(run(&connected, &settings, printer), &plan).await?;
    let judged: Vec<&ProbeResult> = results.iter().map(|(result, _)| result).collect();
    let document = Document::new(Probes {
        namespace: connected.namespace.clone(),
        plan: plan.seen_from(&connected.namespace),
        probes: judged.iter().map(|result| (*result).clone()).collect(),
        answers: results.iter().map(|(_, curl)| answer(curl)).collect(),
    });
    printer.document(&document, |style| {
        let mut text = String::new();
        for (result, curl) in &results {
            text.push_str(&view::probe(result, style));
            if let CurlResult::Report(report) = curl {
                for shown in [&report.headers, &report.body].into_iter().flatten() {
                    text.push_str(&crate::report::escape::visible_lines(shown));
                    if !shown.ends_with('\n') {
                        text.push('\n');
                    }
                }
            }
        }
        let findings = judged.iter().flat_map(|result| &result.findings);
        text.push_str(&view::what_to_do(findings, style));
        text
    })?;
    printer.next(&next(&judged, &connected.namespace));
    Ok(exit_code(&judged, settings.expect))
}

/// The worst finding explained, else the whole plan proven.
fn next(judged: &[&ProbeResult], namespace: &str) -> String {
    let findings = judged.iter().flat_map(|result| &result.findings);
    match findings.min_by_key(|finding| finding.severity) {
        Some(finding) if finding.severity != Severity::Info => {
            format!("kubectl egress explain {}", finding.code)
        }
        _ => format!("kubectl egress verify -n {namespace}"),
    }
}

async fn run(
    connected: &Connected,
    settings: &cli::Probe,
    printer: &Printer,
) -> Result<Vec<(ProbeResult, CurlResult)>> {
    let events = printer.events();
    let journal = verify::stored_plan(&connected.cluster, &connected.plan).await?;
    if !settings.unmeshed {
        let source = source::find(
            connected,
            &settings.probe,
            names::SOURCE_IMAGE,
            settings.plan.timeout,
            printer,
        )
        .await?;
        return Ok(follow(connected, &journal, &source, settings, printer).await);
    }
    let (cluster, namespace) = (&connected.cluster, &connected.namespace);
    let pod = ProbePod::unmeshed(BTreeMap::new());
    let made = make_probe_pod(cluster, &journal, namespace, &pod, settings.plan.timeout, &events).await;
    let results = match made {
        Ok(source) => Ok(follow(connected, &journal, &source, settings, printer).await),
        Err(error) => Err(error),
    };
    remove_probe_pod(cluster, namespace, &pod, &events).await;
    results
}

async fn follow(
    connected: &Connected,
    journal: &Journal,
    source: &ProbeSource,
    settings: &cli::Probe,
    printer: &Printer,
) -> Vec<(ProbeResult, CurlResult)> {
    let events = printer.events();
    let mut results = Vec::new();
    let mut next: Vec<ProbeRequest> = Vec::new();
    for target in &settings.targets {
        let path = target
            .path
            .clone()
            .or_else(|| settings.path.clone())
            .unwrap_or_else(|| "/".to_owned());
        next.push(request(
            next.len(),
            settings,
            target.scheme,
            target.host.to_string(),
            target.port,
            path,
        ));
    }
    for _round in 0..=MOST_REDIRECTS {
        let planned = next
            .drain(..)
            .map(|request| expecting(journal, request, settings.unmeshed))
            .collect();
        let round = probe_from(&connected.cluster, journal, source, planned, &events).await;
        if settings.follow {
            for (_, curl) in &round {
                if let CurlResult::Report(report) = curl
                    && let Some((scheme, host, port, path)) = redirect(report)
                {
                    next.push(request(next.len(), settings, scheme, host, port, path));
                }
            }
        }
        results.extend(round);
        if next.is_empty() {
            return results;
        }
    }
    events(Event::Warning(format!(
        "more than {MOST_REDIRECTS} redirects; the rest was not followed"
    )));
    results
}

fn request(
    id: usize,
    settings: &cli::Probe,
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
) -> ProbeRequest {
    ProbeRequest {
        id: u32::try_from(id).unwrap_or(u32::MAX),
        nonce: sentinel::nonce(),
        scheme,
        host,
        port,
        path,
        method: settings.method.to_owned(),
        max_time_seconds: settings.probe.max_time,
        ca_certificate: settings.probe.ca_certificate.clone(),
        // A redirect's target is in the headers.
        show_headers: settings.show_headers || settings.follow,
        show_body: settings.show_body,
        resolve: None,
        host_header: None,
        connect_to: None,
        proxy: None,
    }
}

/// A host of the plan is to go its planned way, but not from the pod that was made to have no sidecar; anything else is
/// only looked at.
fn expecting(journal: &Journal, request: ProbeRequest, unmeshed: bool) -> Planned {
    let declared = verify::declared(&journal.plan, &request.host, request.port).filter(|_| !unmeshed);
    let request = match declared {
        Some(planned) => verify::as_applications_call(request, planned),
        None => request,
    };
    Planned {
        expected: if declared.is_some() {
            Expected::Routed
        } else {
            Expected::Nothing
        },
        way: declared.map(|planned| verify::planned_way(&journal.plan, &journal.gateway, planned)),
        request,
    }
}

fn redirect(report: &CurlReport) -> Option<(Scheme, String, u16, String)> {
    if !(300..400).contains(&report.http_code) {
        return None;
    }
    let headers = report.headers.as_deref()?;
    let location = headers.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location")
            .then(|| value.trim().to_owned())
    })?;
    let (scheme, rest) = match location.split_once("://")? {
        ("http", rest) => (Scheme::Http, rest),
        ("https", rest) => (Scheme::Https, rest),
        _ => return None,
    };
    let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
    let default = if scheme == Scheme::Http { 80 } else { 443 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, default),
    };
    Some((
        scheme,
        host.to_ascii_lowercase(),
        port,
        if path.is_empty() {
            "/".to_owned()
        } else {
            path.to_owned()
        },
    ))
}

fn answer(curl: &CurlResult) -> ProbeAnswer {
    match curl {
        CurlResult::Report(report) => ProbeAnswer::Report {
            http_code: report.http_code,
            headers: report.headers.clone(),
            body: report.body.clone(),
        },
        CurlResult::Lost(why) | CurlResult::NoCurl(why) => ProbeAnswer::Lost { error: why.clone() },
    }
}

/// As `verify` judges: 1 if what was to be is shown not to be so, 3 if nothing was shown. A host that does not answer
/// shows nothing about the way, neither for nor against.
fn exit_code(results: &[&ProbeResult], expect: Option<Outcome>) -> ExitCode {
    let code = |result: &&ProbeResult| match (expect, result.outcome) {
        (Some(expected), outcome) if expected == outcome => ExitCode::Success,
        (_, Outcome::Inconclusive) | (None, Outcome::Unreachable) => ExitCode::Inconclusive,
        (Some(_), _) => ExitCode::Disproven,
        (None, Outcome::Bypassed | Outcome::Blocked) if result.expected == Expected::Routed => {
            ExitCode::Disproven
        }
        (None, _) => ExitCode::Success,
    };
    let codes: Vec<ExitCode> = results.iter().map(code).collect();
    let worst = [ExitCode::Disproven, ExitCode::Inconclusive]
        .into_iter()
        .find(|code| codes.contains(code));
    worst.unwrap_or(ExitCode::Success)
}
