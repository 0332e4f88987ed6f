//! How things stand, as a badge: a mark, a colour and always a word.

use crate::finding::Severity;
use crate::report::style::Mark;
use crate::report::view::bypass;
use crate::vocabulary::{AttemptOutcome, ClaimState, Verdict};
use maud::{Markup, html};

/// Class of the style sheet for a mark.
pub(super) fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::Good => "good",
        Mark::Bad => "bad",
        Mark::Warning => "warn",
        Mark::Open | Mark::Running => "open",
        Mark::Skipped => "skipped",
    }
}

/// The sign that stands before the word; a screen reader reads the word alone.
pub(super) fn sign(mark: Mark) -> &'static str {
    match mark {
        Mark::Good => "✓",
        Mark::Bad => "✗",
        Mark::Warning => "!",
        Mark::Open | Mark::Running => "?",
        Mark::Skipped => "–",
    }
}

/// The badge.
pub(super) fn badge(mark: Mark, word: &str) -> Markup {
    html! { span class={ "badge " (class(mark)) } { span aria-hidden="true" { (sign(mark)) } (word) } }
}

pub(super) fn of_claim(state: ClaimState) -> Mark {
    match state {
        ClaimState::Proven => Mark::Good,
        ClaimState::Disproven => Mark::Bad,
        ClaimState::Inconclusive => Mark::Open,
        ClaimState::NotRequired => Mark::Skipped,
    }
}

pub(super) fn of_verdict(verdict: Verdict) -> Mark {
    match verdict {
        Verdict::Proven => Mark::Good,
        Verdict::Disproven => Mark::Bad,
        Verdict::Inconclusive => Mark::Open,
    }
}

pub(super) fn of_severity(severity: Severity) -> Mark {
    match severity {
        Severity::Error => Mark::Bad,
        Severity::Warning => Mark::Warning,
        Severity::Info => Mark::Open,
    }
}

pub(super) fn of_attempt(outcome: AttemptOutcome) -> Mark {
    match outcome {
        AttemptOutcome::Out => Mark::Bad,
        other => bypass::look(other).0,
    }
}
