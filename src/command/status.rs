//! `status`: every object of the plan, its health, what differs from the plan.

use super::connection::{connect, or_interrupted};
use crate::cli::{self, Connection};
use crate::engine::status::{self as engine, Health, Standing, Status};
use crate::error::Result;
use crate::report::{Mark, Printer, Style, Tone};
use crate::vocabulary::{ClusterCommand, ExitCode};
use std::fmt::Write as _;

/// Shows it once, or again whenever it changes.
pub(super) async fn status(
    connection: &Connection,
    settings: cli::Status,
    printer: &Printer,
) -> Result<ExitCode> {
    let connected = connect(connection, &settings.plan, printer).await?;
    connected.preflight(ClusterCommand::Status, &[], printer).await?;
    let (cluster, plan) = (&connected.cluster, &connected.plan);
    let show = |standing: &Standing| {
        let document = Status::new(plan, standing.clone());
        printer.document(&document, |style| tree(&plan.to_string(), standing, style))
    };
    let standing = engine::read(cluster, plan).await?;
    show(&standing)?;
    if settings.watch {
        let watching = async {
            let mut last = standing.clone();
            let mut changes = engine::watch(cluster, plan).await?;
            while changes.recv().await.is_some() {
                let now = engine::read(cluster, plan).await?;
                // Counters move all the time, and no watch tells.
                if now.objects != last.objects || now.peer_authentication != last.peer_authentication {
                    show(&now)?;
                    last = now;
                }
                if printer.output_is_closed() {
                    break;
                }
            }
            Ok(())
        };
        or_interrupted(watching, plan).await?;
    }
    let mut rows = standing.objects.iter();
    if rows.all(|row| row.health == Health::Good) {
        printer.next(&format!("kubectl egress verify -n {}", plan.namespace));
        return Ok(ExitCode::Success);
    }
    printer.next(&format!("kubectl egress setup -n {}", plan.namespace));
    Ok(ExitCode::Disproven)
}

fn tree(plan: &str, standing: &Standing, style: &Style) -> String {
    let mut text = format!("{}\n", style.paint(Tone::Strong, &format!("plan {plan}")));
    for row in &standing.objects {
        let mark = match row.health {
            Health::Good => Mark::Good,
            Health::Drifted => Mark::Warning,
            Health::Missing | Health::Bad => Mark::Bad,
        };
        let _ = write!(
            text,
            "  {} {}",
            style.mark(mark),
            style.paint(Tone::Plain, &row.object)
        );
        if !row.detail.is_empty() {
            let _ = write!(text, "  {}", style.paint(Tone::Quiet, &row.detail));
        }
        text.push('\n');
    }
    for effective in &standing.peer_authentication {
        let line = format!(
            "mutual TLS of {}: {} (from {})",
            effective.of, effective.mode, effective.from
        );
        let _ = writeln!(text, "{}", style.wrap_item(&line, 2));
    }
    for counted in &standing.counters {
        let line = format!(
            "{} at {}: {} requests, {} connections, {} failed",
            counted.cluster, counted.pod, counted.requests, counted.connections, counted.connect_failures
        );
        let _ = writeln!(text, "{}", style.wrap_item(&line, 2));
    }
    text
}
