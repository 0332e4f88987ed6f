//! The text of `verify`.

use super::{bypass, findings, probes};
use crate::evidence::{Expected, ProbeResult, Verification};
use crate::finding::{Finding, Severity};
use crate::report::style::{Mark, Style, Tone};
use crate::vocabulary::names::DEFAULT_PLAN;
use crate::vocabulary::{Claim, ClaimState, Outcome, Verdict};
use std::fmt::Write;

/// With more probes than this, the way of those that went as expected is shown only with `-v`.
const FEW: usize = 20;

/// Probes with their hops and witnesses, what to do about findings, the claims, and the verdict last.
pub fn verification(verification: &Verification, style: &Style) -> String {
    let mut text = String::new();
    let all = style.verbosity > 0 || verification.probes.len() <= FEW;
    let mut short = 0;
    for result in &verification.probes {
        if all || probes::probe_mark(result) != Mark::Good {
            text.push_str(&probes::probe(result, style));
        } else {
            short += 1;
            let _ = writeln!(text, "{}", probes::probe_line(result, style));
        }
    }
    if short > 0 {
        let _ = writeln!(
            text,
            "    receipts of the {short} that went as expected: -v or -o json"
        );
    }
    if let Some(rows) = &verification.bypass {
        text.push_str(&bypass::bypass(rows, style));
        text.push('\n');
    }
    for finding in &verification.findings {
        text.push_str(&findings::headline(finding, 0, style));
    }
    text.push_str(&findings::what_to_do(all_findings(verification), style));
    let _ = writeln!(text, "\n{}", style.color_only(Tone::Strong, "Claims"));
    text.push_str(&claim(Claim::Routed, verification.claims.routed, style));
    let past = verification
        .probes
        .iter()
        .filter(|probe| is_past_gateway(probe))
        .count();
    if past > 0 {
        let hosts = if past == 1 { "host leaves" } else { "hosts leave" };
        let _ = writeln!(
            text,
            "    but for {past} that the plan leads past it: the {hosts} at the sidecar"
        );
    }
    text.push_str(&claim(Claim::Enforced, verification.claims.enforced, style));
    let _ = writeln!(text, "\n{}", verdict(verification, style));
    text
}

fn is_past_gateway(probe: &ProbeResult) -> bool {
    probe.expected == Expected::Routed && probe.outcome == Outcome::Direct
}

/// The command that a user wants next: the worst finding explained, else the lock, else the log of what goes through.
pub fn next_after_verification(verification: &Verification) -> String {
    let worst = all_findings(verification)
        .filter(|finding| finding.severity != Severity::Info)
        .min_by_key(|finding| finding.severity);
    match (verification.verdict, worst) {
        (Verdict::Disproven | Verdict::Inconclusive, Some(finding)) => {
            format!("kubectl egress explain {}", finding.code)
        }
        (Verdict::Disproven | Verdict::Inconclusive, None) => in_plan("kubectl egress status", verification),
        // What is not locked is open: that was seen, or nobody looked.
        (Verdict::Proven, _) if verification.claims.enforced != ClaimState::Proven => {
            in_plan("kubectl egress lockdown", verification)
        }
        (Verdict::Proven, _) => in_plan("kubectl egress logs --follow", verification),
    }
}

fn in_plan(command: &str, verification: &Verification) -> String {
    let mut text = format!("{command} -n {}", verification.namespace);
    if verification.plan != DEFAULT_PLAN {
        let _ = write!(text, " --plan {}", verification.plan);
    }
    text
}

fn all_findings(verification: &Verification) -> impl Iterator<Item = &Finding> {
    let of_probes = verification.probes.iter().flat_map(|result| &result.findings);
    of_probes.chain(&verification.findings)
}

/// What a claim claims.
pub(super) fn meaning(claim: Claim) -> &'static str {
    match claim {
        Claim::Routed => "every declared host and port goes through the gateway",
        Claim::Enforced => "nothing else gets out",
    }
}

/// One line about a claim.
pub(super) fn claim(claim: Claim, state: ClaimState, style: &Style) -> String {
    let meaning = meaning(claim);
    let (mark, tone) = match state {
        ClaimState::Proven => (Mark::Good, Tone::Good),
        ClaimState::Disproven => (Mark::Bad, Tone::Bad),
        ClaimState::Inconclusive => (Mark::Open, Tone::Warning),
        ClaimState::NotRequired => (Mark::Skipped, Tone::Quiet),
    };
    let proven = state == ClaimState::Proven;
    let state = style.color_only(tone, &format!("{state:<12}"));
    let mut text = format!("{} {claim:<8}  {state}  {meaning}\n", style.mark(mark));
    if (claim, proven) == (Claim::Enforced, true) {
        // Nobody is to read more into it.
        text.push_str("    but for what no lock closes: domain fronting, DNS tunnelling (explain EGR-607)\n");
    }
    text
}

fn verdict(verification: &Verification, style: &Style) -> String {
    let (mark, tone) = match verification.verdict {
        Verdict::Proven => (Mark::Good, Tone::Good),
        Verdict::Disproven => (Mark::Bad, Tone::Bad),
        Verdict::Inconclusive => (Mark::Open, Tone::Warning),
    };
    let count = verification.probes.len();
    // A plan of another namespace is named with it already.
    let plan = match verification.plan.split_once('/') {
        Some(_) => format!("{}, in namespace {}", verification.plan, verification.namespace),
        None => format!("{}/{}", verification.namespace, verification.plan),
    };
    format!(
        "{} {} (plan {}, {count} {})",
        style.mark(mark),
        style.color_only(tone, &format!("verdict: {}", verification.verdict)),
        style.paint(Tone::Plain, &plan),
        if count == 1 { "probe" } else { "probes" },
    )
}
