//! What was proven, first of all.

use super::state::{badge, class, of_claim, of_verdict, sign};
use super::words::words;
use crate::engine::report_document::ReportDocument;
use crate::report::view::verification;
use crate::vocabulary::{Claim, ClaimState, Verdict};
use maud::{Markup, html};

/// The verdict and both claims.
pub(super) fn section(document: &ReportDocument) -> Markup {
    let verification = &document.verification;
    let mark = of_verdict(verification.verdict);
    let (title, sentence) = match verification.verdict {
        Verdict::Proven => (
            "Proven",
            "Every claim that was asked for holds, by receipts of this run.",
        ),
        Verdict::Disproven => (
            "Disproven",
            "At least one claim that was asked for does not hold, by receipts of this run.",
        ),
        Verdict::Inconclusive => (
            "Not decided",
            "Nothing is disproven, and at least one claim is not shown either.",
        ),
    };
    let count = verification.probes.len();
    let probes = if count == 1 { "probe" } else { "probes" };
    html! {
        section class={ "verdict " (class(mark)) } id="verdict" aria-labelledby="verdict-title" {
            span.mark aria-hidden="true" { (sign(mark)) }
            h2 id="verdict-title" { "Verdict: " (title) }
            p { (sentence) " " (count) " " (probes) " from namespace " code { (document.namespace) } "." }
            ul.claims {
                (claim(Claim::Routed, verification.claims.routed))
                (claim(Claim::Enforced, verification.claims.enforced))
            }
        }
    }
}

fn claim(claim: Claim, state: ClaimState) -> Markup {
    let more = match (claim, state) {
        (Claim::Enforced, ClaimState::Proven) => {
            " But for what no lock closes: domain fronting, DNS tunnelling (`kubectl egress explain EGR-607`)."
        }
        (Claim::Enforced, ClaimState::NotRequired) => {
            " Nothing was locked, and nobody asked for it: `kubectl egress lockdown` closes the other ways."
        }
        _ => "",
    };
    html! {
        li {
            h3 { "Claim: " (claim) " " (badge(of_claim(state), &state.to_string())) }
            p { (capital(verification::meaning(claim))) "." (words(more)) }
        }
    }
}

/// As a sentence begins.
fn capital(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + rest.as_str()
}
