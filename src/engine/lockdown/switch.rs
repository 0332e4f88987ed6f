//! The dead-man's switch at work: made, and in the end taken away.

use super::Prepared;
use super::changes::Changes;
use crate::cluster::{Cluster, DeleteOptions, ExecEnd};
use crate::engine::event::{Event, Events};
use crate::engine::pods;
use crate::engine::probe::ProbeSource;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::lock::{self, switch};
use crate::vocabulary::{ObjectReference, names};
use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How far the node's clock, by which the switch acts, may be off the API server's.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(10);
const EXEC_DEADLINE: Duration = Duration::from_secs(15);

/// A switch that will take the lock back at its deadline.
#[derive(Debug)]
pub(super) struct Armed {
    /// When, by the API server's clock.
    pub(super) deadline: Timestamp,
    /// Where it runs.
    pub(super) source: ProbeSource,
    job: ObjectReference,
    job_uid: String,
    /// Whether it was told to end: then nobody knows until it is gone.
    told_to_end: AtomicBool,
}

/// Makes the switch and waits until it runs.
pub(super) async fn arm(
    cluster: &Cluster,
    prepared: &Prepared,
    changes: &Changes<'_>,
    events: &Events,
) -> Result<Armed> {
    let run = &prepared.run;
    let foundation = lock::switch_foundation(run, &prepared.undo, &prepared.api_server);
    // Whoever is not the administrator may bind a Role only when it is there, and gives no more than they have.
    let (bindings, others): (Vec<_>, Vec<_>) = foundation
        .into_iter()
        .partition(|manifest| manifest.reference.kind == kinds::role_binding());
    changes.apply("switch", &others).await?;
    changes.apply("switch", &bindings).await?;
    let now = cluster
        .server_time()
        .ok_or_else(|| Error::cluster("the API server does not tell its time (header Date)"))?;
    let window =
        SignedDuration::try_from(prepared.settings.confirm_within).unwrap_or(SignedDuration::from_mins(3));
    let deadline = now + window;
    let seconds = u64::try_from(deadline.as_second()).unwrap_or_default();
    let job = lock::switch_job(
        run,
        &prepared.undo,
        &prepared.api_server,
        &prepared.journal.image,
        seconds,
    );
    let uids = changes.apply("switch", std::slice::from_ref(&job)).await?;
    let progress = |on: &str| {
        events(Event::StepWaiting {
            id: "switch".to_owned(),
            on: on.to_owned(),
        });
    };
    let selector = format!("{}={}", names::SWITCH_LABEL, run.id);
    let timeout = prepared.settings.timeout;
    let ready = pods::wait_ready(
        cluster,
        &run.namespace,
        &selector,
        "the switch's pod",
        timeout,
        &progress,
    )
    .await?;
    let pod = ready
        .first()
        .ok_or_else(|| Error::bug("a pod was ready and is not named"))?;
    let reference = ObjectReference::namespaced(kinds::pod(), &run.namespace, &pod.name);
    let object = cluster
        .get(&reference)
        .await?
        .ok_or_else(|| Error::cluster("the switch's pod is gone"))?;
    let source = ProbeSource::of_pod(&object, Some(switch::CONTAINER))?;
    check_clock(cluster, &source).await?;
    Ok(Armed {
        deadline,
        source,
        job: job.reference,
        job_uid: uids.into_iter().next().unwrap_or_default(),
        told_to_end: AtomicBool::new(false),
    })
}

/// The switch acts by its node's clock; one that is off would act too late, or at once.
async fn check_clock(cluster: &Cluster, source: &ProbeSource) -> Result<()> {
    let told = run(cluster, source, &["date", "+%s"]).await?;
    let node = told
        .trim()
        .parse()
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    let (Some(node), Some(server)) = (node, cluster.server_time()) else {
        return Err(Error::cluster("the clock of the switch's node cannot be read").because(told));
    };
    let off = server.duration_since(node).abs();
    if off > CLOCK_TOLERANCE {
        return Err(Error::cluster(format!(
            "the clock of the node on which the switch runs is {} s off the API server's",
            off.as_secs()
        ))
        .because("the switch acts by the node's clock, so its deadline would be wrong")
        .hint("synchronise the nodes' clocks"));
    }
    Ok(())
}

/// Runs a command in the switch's container; gives what it says, also if it fails as an error.
async fn run(cluster: &Cluster, source: &ProbeSource, command: &[&str]) -> Result<String> {
    attempt(cluster, source, command).await?.map_err(Error::cluster)
}

/// Runs a command in the switch's container; gives what it says, or how it failed.
///
/// # Errors
/// If it is not known how the command ended: the API server refused, or the connection was lost.
pub(super) async fn attempt(
    cluster: &Cluster,
    source: &ProbeSource,
    command: &[&str],
) -> Result<std::result::Result<String, String>> {
    let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    let output = cluster
        .exec(&source.pod, Some(&source.container), &command, EXEC_DEADLINE)
        .await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.end {
        ExecEnd::Exited(0) => Ok(Ok(said)),
        ExecEnd::Exited(code) => Ok(Err(format!(
            "`{}` ended with exit {code}: {}",
            command.join(" "),
            format!("{said}{}", String::from_utf8_lossy(&output.stderr)).trim()
        ))),
        ExecEnd::Lost(why) => Err(Error::cluster(format!("`{}` was cut", command.join(" "))).because(why)),
    }
}

impl Armed {
    /// Seconds until the switch acts, by the API server's clock.
    pub(super) fn left(&self, cluster: &Cluster) -> i64 {
        cluster
            .server_time()
            .map_or(0, |now| self.deadline.duration_since(now).as_secs())
    }

    /// Whether nothing may be there any more that takes the lock back.
    pub(super) fn may_be_disarmed(&self) -> bool {
        self.told_to_end.load(Ordering::Relaxed)
    }

    /// Takes the Job away and waits until it and its pod are gone: only then nothing can undo the lock any more.
    pub(super) async fn disarm(&self, cluster: &Cluster, deadline: Duration) -> Result<()> {
        let options = DeleteOptions {
            uid: Some(self.job_uid.clone()).filter(|uid| !uid.is_empty()),
            propagation_foreground: true,
            ..DeleteOptions::default()
        };
        self.told_to_end.store(true, Ordering::Relaxed);
        cluster.delete(&self.job, &options).await?;
        cluster.wait_gone(&self.job, &self.job_uid, deadline).await
    }
}
