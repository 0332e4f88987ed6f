//! `status`: every object of the plan, its health, what differs from the plan.

use super::connection::{connect, or_interrupted};
use crate::cli::{self, Connection};
use crate::engine::status::{self as engine, Health, StatusRow};
use crate::error::Result;
use crate::report::{Mark, Printer, Style, Tone};
use crate::vocabulary::{ExitCode, names};
use serde_json::json;
use std::fmt::Write as _;

/// Shows it once, or again whenever it changes.
pub(super) async fn status(
    connection: &Connection,
    settings: cli::Status,
    printer: &Printer,
) -> Result<ExitCode> {
    let connected = connect(connection, &settings.plan, printer).await?;
    let (cluster, plan) = (&connected.cluster, &connected.plan);
    let show = |rows: &[StatusRow]| {
        let document = json!({
            "apiVersion": names::API_VERSION, "kind": "Status", "plan": plan.name, "namespace": plan.namespace, "objects": rows,
        });
        printer.document(&document, |style| tree(&plan.to_string(), rows, style))
    };
    let rows = engine::read(cluster, plan).await?;
    show(&rows)?;
    if settings.watch {
        let watching = async {
            let mut last = rows.clone();
            let mut changes = engine::watch(cluster, plan).await?;
            while changes.recv().await.is_some() {
                let rows = engine::read(cluster, plan).await?;
                if rows != last {
                    show(&rows)?;
                    last = rows;
                }
                if printer.output_is_closed() {
                    break;
                }
            }
            Ok(())
        };
        or_interrupted(watching, plan).await?;
    }
    if rows.iter().all(|row| row.health == Health::Good) {
        printer.next(&format!("kubectl egress verify -n {}", plan.namespace));
        return Ok(ExitCode::Success);
    }
    printer.next(&format!("kubectl egress setup -n {}", plan.namespace));
    Ok(ExitCode::Disproven)
}

fn tree(plan: &str, rows: &[StatusRow], style: &Style) -> String {
    let mut text = format!("{}\n", style.paint(Tone::Strong, &format!("plan {plan}")));
    for row in rows {
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
    text
}
