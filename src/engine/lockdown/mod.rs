//! `lockdown`: derives a lock, proves that it blocks, and confirms it; else everything is as before.
//!
//! | file | holds |
//! |---|---|
//! | `observe` | what the lock is derived from |
//! | `prepare` | what is asked, and refused, before anything is changed |
//! | `prepared` | what was decided: the lock's manifest, its record, its document |
//! | [`holes`] | other policies that open what the lock closes |
//! | `switch` | the dead-man's switch: armed, disarmed |
//! | `rehearsal` | the lock's rules on the switch's pod alone, before anybody else is locked |
//! | `work` | one run from the first probe to the proof |
//! | `ending` | its end: confirmed, or everything taken back |
//! | `proof` | probes before and after |
//! | `connections` | connections from before |
//! | `changes` | what the run changes, recorded first |
//! | `release` | taking a lock away: `unlock` |
//! | [`simulation`] | what a lock would break, before there is one |
//! | [`standing`](standing()) | how a lock stands later: for `verify` and `status` |
//! | `outdated` | whether it would still be derived as it was |
//!
//! Whatever happens to this program, the switch takes the lock back at its deadline unless the proof was complete; only
//! then its Job is deleted, and the lock is read once more.

mod changes;
mod connections;
mod document;
mod ending;
pub mod holes;
mod observe;
mod outdated;
mod prepare;
mod prepared;
mod proof;
mod rehearsal;
mod release;
pub mod simulation;
mod standing;
mod switch;
mod work;

pub use document::{Lockdown, LockdownEnd};
pub use prepare::{Decision, EFFECT_WITHIN, LockdownSettings, dry_run, prepare};
pub use prepared::Prepared;
pub use release::unlock;
pub use standing::{Standing, standing};

use super::event::Events;
use super::lease::Lease;
use super::probe_pod::{ProbePod, remove_probe_pod};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use changes::Changes;
use work::Work;

/// Does it. Ends with a document also when the lock was refused or rolled back; `interrupted` rolls back.
///
/// # Errors
/// If the cluster refuses before the lock was made, or taking it back failed: then the message says when the switch does.
pub async fn run(
    cluster: &Cluster,
    prepared: &Prepared,
    events: &Events,
    interrupted: impl Future<Output = ()> + Send,
) -> Result<Lockdown> {
    let mut interrupted = std::pin::pin!(interrupted);
    let lease = tokio::select! {
        lease = Lease::acquire(cluster, &prepared.run.plan) => lease?,
        () = &mut interrupted => return Err(Error::interrupted().hint("nothing was changed")),
    };
    let work = Work {
        cluster,
        prepared,
        events,
        changes: Changes::new(cluster, prepared.journal.clone(), events),
    };
    let bare_pod = ProbePod::unmeshed(prepared.probe_labels.clone());
    let fresh_pod = ProbePod::meshed(prepared.fresh_labels(), &prepared.settings.source);
    let result = work.with_pods(&bare_pod, &fresh_pod, interrupted).await;
    for pod in [&bare_pod, &fresh_pod] {
        remove_probe_pod(cluster, &prepared.run.namespace, pod, events).await;
    }
    let released = lease.release().await;
    let document = result?;
    released?;
    Ok(document)
}
