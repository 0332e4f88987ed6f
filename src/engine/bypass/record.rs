//! Outcomes from before a lock, kept in the plan's journal.

use crate::cluster::Cluster;
use crate::engine::event::{Event, Events};
use crate::engine::journal_store;
use crate::engine::lease::Lease;
use crate::error::Result;
use crate::evidence::AttemptResult;
use crate::plan::journal::BypassRecord;
use crate::vocabulary::{AttemptOutcome, PlanIdentity};

/// Notes them. Who may not write the journal has his matrix all the same, and is told what is lost.
pub(in crate::engine) async fn note(
    cluster: &Cluster,
    plan: &PlanIdentity,
    namespace: &str,
    rows: &[AttemptResult],
    events: &Events,
) {
    if let Err(error) = write(cluster, plan, namespace, rows).await {
        events(Event::Warning(format!(
            "these outcomes could not be noted, so that a later lock has nothing to be compared with: {error}"
        )));
    }
}

async fn write(
    cluster: &Cluster,
    plan: &PlanIdentity,
    namespace: &str,
    rows: &[AttemptResult],
) -> Result<()> {
    let lease = Lease::acquire(cluster, plan).await?;
    let written = async {
        let Some(mut journal) = journal_store::read(cluster, plan).await? else {
            return Ok(());
        };
        let at = cluster.server_time().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let shown = |row: &&AttemptResult| {
            !matches!(
                row.outcome,
                AttemptOutcome::OpenByDesign | AttemptOutcome::NotTried
            )
        };
        journal.record_bypass(BypassRecord {
            namespace: namespace.to_owned(),
            at: at.to_string(),
            attempts: rows
                .iter()
                .filter(shown)
                .map(|row| (row.attempt.clone(), row.outcome))
                .collect(),
        });
        journal_store::write(cluster, &mut journal).await
    }
    .await;
    let released = lease.release().await;
    written.and(released)
}
