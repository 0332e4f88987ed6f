//! The matrix of `verify --bypass`.

use crate::evidence::AttemptResult;
use crate::report::style::{Mark, Style, Tone};
use crate::report::table::Table;
use crate::vocabulary::AttemptOutcome;
use std::fmt::Write;

/// The matrix, why an attempt decided nothing or was not made, and what no lock closes. With `-v` what was seen of each.
pub(super) fn bypass(rows: &[AttemptResult], style: &Style) -> String {
    let mut text = format!(
        "\n{}\n",
        style.color_only(Tone::Strong, "Attempts to get out without the gateway")
    );
    let (by_design, tried): (Vec<_>, Vec<_>) = rows
        .iter()
        .partition(|row| row.outcome == AttemptOutcome::OpenByDesign);
    text.push_str(&matrix(&tried, style));
    for row in &tried {
        if let Some(note) = note(row, style) {
            let _ = writeln!(
                text,
                "{}",
                style.wrap_item(&format!("{}: {note}", row.attempt), 2)
            );
        }
    }
    let _ = writeln!(
        text,
        "\n{}",
        style.color_only(Tone::Strong, "Open by design, under any lock")
    );
    for row in by_design {
        let line = format!("{}: {}. Closed by: {}", row.attempt, row.title, row.closed_by);
        let _ = writeln!(text, "{}", style.wrap_item(&line, 2));
    }
    text
}

fn matrix(rows: &[&AttemptResult], style: &Style) -> String {
    let with_before = rows.iter().any(|row| row.before.is_some());
    let mut table = if with_before {
        Table::new(["", "attempt", "before the lock", "now", "stopped by"])
    } else {
        Table::new(["", "attempt", "now", "stopped by"])
    };
    for row in rows {
        let (mark, tone) = look(row.outcome);
        let before = row.before.map(|before| before.to_string()).unwrap_or_default();
        let stopped_by = row.stopped_by.map(|by| by.to_string()).unwrap_or_default();
        let mut cells = vec![
            (tone, plain_mark(mark, style)),
            (Tone::Plain, row.attempt.clone()),
        ];
        if with_before {
            cells.push((Tone::Quiet, before));
        }
        cells.push((tone, row.outcome.to_string()));
        cells.push((Tone::Plain, stopped_by));
        table = table.row(cells);
    }
    table.render(style)
}

/// The mark without colour: the table colours its cells itself, and counts their characters.
fn plain_mark(mark: Mark, style: &Style) -> String {
    let plain = Style {
        color: false,
        ..*style
    };
    plain.mark(mark)
}

/// Mark and tone of an outcome.
pub(super) fn look(outcome: AttemptOutcome) -> (Mark, Tone) {
    match outcome {
        AttemptOutcome::Blocked => (Mark::Good, Tone::Good),
        AttemptOutcome::Out => (Mark::Warning, Tone::Bad),
        AttemptOutcome::ThroughGateway => (Mark::Good, Tone::Plain),
        AttemptOutcome::Unreachable | AttemptOutcome::Inconclusive => (Mark::Open, Tone::Warning),
        AttemptOutcome::NotTried | AttemptOutcome::OpenByDesign => (Mark::Skipped, Tone::Quiet),
    }
}

fn note(row: &AttemptResult, style: &Style) -> Option<String> {
    match row.outcome {
        AttemptOutcome::NotTried => Some(format!("not tried: {}", row.why)),
        AttemptOutcome::Inconclusive => Some(row.why.clone()),
        _ if style.verbosity > 0 => {
            let source = row.source.as_deref().unwrap_or("nowhere");
            Some(format!(
                "{}; from {source}: {}. Closed by: {}",
                row.title, row.why, row.closed_by
            ))
        }
        _ => None,
    }
}
