//! What the gateway's pods hold, and until when.

use super::state::badge;
use crate::certificate::{Inspected, Trust};
use crate::engine::inspect::{GatewayCertificates, HeldCertificate};
use crate::engine::report_document::ReportDocument;
use crate::report::style::Mark;
use jiff::Timestamp;
use maud::{Markup, html};

/// With less than this left, somebody has to act: certificates from a Secret are not renewed by the mesh.
const SOON_DAYS: i64 = 14;

/// A row for each certificate of each pod.
pub(super) fn section(document: &ReportDocument) -> Markup {
    let now = document.timing.finished_at;
    html! {
        section id="certificates" aria-labelledby="certificates-title" {
            h2 id="certificates-title" { "Certificates of the gateway" }
            @if document.certificates.is_empty() {
                p { "None was read." }
            } @else {
                table {
                    caption { "What each gateway pod holds; days are counted from the time of this report" }
                    thead { tr {
                        th scope="col" { "Certificate" } th scope="col" { "Names" } th scope="col" { "Issuer" }
                        th scope="col" { "Valid until" } th scope="col" { "Trust" }
                    } }
                    tbody { @for pod in &document.certificates { @for held in &pod.certificates {
                        @for said in &held.chain { (row(pod, held, said, now)) }
                    } } }
                }
            }
        }
    }
}

fn row(pod: &GatewayCertificates, held: &HeldCertificate, said: &Inspected, now: Timestamp) -> Markup {
    let what = match held.name.as_str() {
        "default" => "mesh identity",
        "ROOTCA" => "CA of the mesh",
        other => other,
    };
    let mut names = said.dns_names.clone();
    names.extend(said.ip_addresses.iter().map(ToString::to_string));
    names.extend(said.uris.iter().cloned());
    html! {
        tr {
            th scope="row" { (what) p.quiet { (pod.pod) } }
            td data-label="Names" { (if names.is_empty() { said.subject.clone() } else { names.join(", ") }) }
            td data-label="Issuer" { (said.issuer) p.quiet { (said.key) } }
            td data-label="Valid until" { (said.not_after.strftime("%Y-%m-%d %H:%M UTC")) " " (left(held, said, now)) }
            td data-label="Trust" {
                @match &held.trust {
                    Some(Trust::Trusted) => (badge(Mark::Good, "trusted")),
                    Some(Trust::Refused(why)) => { (badge(Mark::Bad, "not trusted")) p { (why) } }
                    Some(Trust::NotAsked) | None => span.quiet { "not compared" },
                }
            }
        }
    }
}

fn left(held: &HeldCertificate, said: &Inspected, now: Timestamp) -> Markup {
    let hours = said.not_after.duration_since(now).as_hours();
    let days = hours / 24;
    let renewed_by_mesh = held.name == "default";
    let mark = if hours < 0 {
        Mark::Bad
    } else if days < SOON_DAYS && !renewed_by_mesh {
        Mark::Warning
    } else {
        Mark::Good
    };
    let text = match (hours, days) {
        (..0, _) => "expired".to_owned(),
        (_, ..2) => format!("{hours} hours left"),
        _ => format!("{days} days left"),
    };
    html! { (badge(mark, &text)) @if renewed_by_mesh { p.quiet { "the mesh renews it" } } }
}
