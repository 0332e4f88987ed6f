//! The page: head, landmarks, and the parts in the order in which they are asked for.

use super::state::badge;
use super::words::words;
use super::{certificates, evidence, findings, gateway, style, verdict};
use crate::engine::report_document::ReportDocument;
use crate::engine::status::Health;
use crate::error::{Error, Result};
use crate::report::escape;
use crate::report::style::Mark;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

/// Parts with their anchors, as the contents list them.
const PARTS: &[(&str, &str)] = &[
    ("verdict", "Verdict"),
    ("findings", "Findings"),
    ("gateway", "Gateway"),
    ("probes", "Probes"),
    ("bypass", "Ways round"),
    ("certificates", "Certificates"),
    ("objects", "Objects"),
    ("manifests", "Manifests"),
    ("run", "Versions and timing"),
];

/// The whole page. Control characters and those that turn text around are spelled out, as on a terminal.
///
/// # Errors
/// If a manifest cannot be written as YAML, which is a bug.
pub fn page(document: &ReportDocument) -> Result<String> {
    let sheet = style::sheet();
    let manifests = manifests(document)?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(style::policy(&sheet));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { "Egress of " (document.plan) ": " (document.verification.verdict) }
                // The one text that is not escaped: our own, and the policy above holds its digest.
                style { (PreEscaped(&sheet)) }
            }
            body {
                a.skip href="#verdict" { "Skip to the verdict" }
                (header(document))
                main id="main" {
                    (verdict::section(document))
                    (findings::section(document))
                    (gateway::section(document))
                    (evidence::probes(document))
                    (evidence::bypass(document))
                    (certificates::section(document))
                    (objects(document))
                    (manifests)
                    (run(document))
                }
                footer { p {
                    "A report shows what held while it was made. It proves nothing about what no lock closes: domain "
                    "fronting and data in DNS names (" code { "kubectl egress explain EGR-607" } ")."
                } }
            }
        }
    };
    Ok(escape::visible_lines(&page.into_string()).into_owned())
}

fn header(document: &ReportDocument) -> Markup {
    html! {
        header {
            p.brand { "kubectl egress report" }
            h1 { "Egress of plan " (document.plan) }
            dl.facts {
                div { dt { "Namespace" } dd { (document.namespace) } }
                div { dt { "Cluster" } dd { (document.context) } }
                div { dt { "Made" } dd { time datetime=(document.timing.finished_at) { (document.timing.finished_at.strftime("%Y-%m-%d %H:%M:%S UTC")) } } }
            }
            nav aria-label="Contents" { ul {
                @for (anchor, title) in PARTS { li { a href={ "#" (anchor) } { (title) } } }
            } }
        }
    }
}

fn objects(document: &ReportDocument) -> Markup {
    html! {
        section id="objects" aria-labelledby="objects-title" {
            h2 id="objects-title" { "Objects of the plan" }
            @if document.objects.is_empty() { p { "None was read." } } @else {
                table {
                    caption { "Each object, compared with what the plan wants" }
                    thead { tr { th scope="col" { "Object" } th scope="col" { "State" } th scope="col" { "Detail" } } }
                    tbody { @for row in &document.objects {
                        tr {
                            th scope="row" { (row.object) }
                            td data-label="State" { (health(row.health)) }
                            td data-label="Detail" { (words(&row.detail)) }
                        }
                    } }
                }
            }
        }
    }
}

fn health(health: Health) -> Markup {
    match health {
        Health::Good => badge(Mark::Good, "as planned"),
        Health::Drifted => badge(Mark::Warning, "differs"),
        Health::Missing => badge(Mark::Bad, "missing"),
        Health::Bad => badge(Mark::Bad, "does not work"),
    }
}

fn manifests(document: &ReportDocument) -> Result<Markup> {
    let mut texts = Vec::new();
    for manifest in &document.manifests {
        let text = serde_saphyr::to_string(manifest)
            .map_err(|error| Error::bug("cannot write a manifest as YAML").because(error.to_string()))?;
        texts.push((name(manifest), text));
    }
    Ok(html! {
        section id="manifests" aria-labelledby="manifests-title" {
            h2 id="manifests-title" { "Manifests" }
            p.quiet { "Exactly what the plan consists of, as " code { "kubectl egress render" } " prints it." }
            @for (name, text) in &texts {
                details { summary { (name) } pre tabindex="0" aria-label={ "Manifest of " (name) } { code { (text) } } }
            }
        }
    })
}

fn name(manifest: &Value) -> String {
    let text = |pointer: &str| {
        manifest
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    match text("/metadata/namespace") {
        "" => format!("{kind} {name}"),
        namespace => format!("{kind} {namespace}/{name}"),
    }
}

fn run(document: &ReportDocument) -> Markup {
    let (versions, timing) = (&document.versions, &document.timing);
    let row = |what: &str, value: &str| html! { tr { th scope="row" { (what) } td { (value) } } };
    html! {
        section id="run" aria-labelledby="run-title" {
            h2 id="run-title" { "Versions and timing" }
            table {
                caption { "Versions of what took part" }
                tbody {
                    (row("kubectl-egress", &versions.kubectl_egress))
                    (row("Kubernetes", &versions.kubernetes))
                    (row("Istio", &versions.istio))
                    (row("Proxies of the gateway", &versions.gateway_images.join(", ")))
                }
            }
            table {
                caption { "When, by the clock of the API server, and how long" }
                tbody {
                    (row("Verification began", &timing.started_at.to_string()))
                    (row("Everything was read", &timing.finished_at.to_string()))
                    (row("Verification took", &seconds(timing.verification_ms)))
                    (row("Reading the rest took", &seconds(timing.reading_ms)))
                }
            }
        }
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03} s", milliseconds / 1000, milliseconds % 1000)
}
