//! The dead-man's switch at work: made, rehearsed under a canary, and in the end taken away.

use super::Prepared;
use super::changes::Changes;
use crate::cluster::{Cluster, DeleteOptions, ExecEnd};
use crate::engine::event::{Event, Events};
use crate::engine::pods;
use crate::engine::probe::{self, ProbeSource};
use crate::engine::sentinel;
use crate::error::{Error, Result};
use crate::evidence::{CurlReport, CurlResult, ProbeRequest, is_name_not_resolved};
use crate::finding::{Finding, catalogue};
use crate::istio::kinds;
use crate::plan::lock::{self, switch};
use crate::vocabulary::{ObjectReference, Scheme, names};
use jiff::{SignedDuration, Timestamp};
use std::time::{Duration, Instant};

/// How long a policy engine may take until a new policy holds. Engines that are slower exist, but nobody would wait.
const EFFECT_DEADLINE: Duration = Duration::from_secs(30);
/// A connection that is dropped shows no sooner.
const TRY_SECONDS: u32 = 3;
/// How far the node's clock, by which the switch acts, may be off the API server's.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(10);
const EXEC_DEADLINE: Duration = Duration::from_secs(15);
/// Port of every Istio gateway that tells its health: pods reach it unless a policy stops them, and no lock needs it.
const HEALTH_PORT: u16 = 15021;

/// A switch that will take the lock back at its deadline.
#[derive(Debug)]
pub(super) struct Armed {
    /// When, by the API server's clock.
    pub(super) deadline: Timestamp,
    /// Where it runs.
    pub(super) source: ProbeSource,
    job: ObjectReference,
    job_uid: String,
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
    changes.apply("switch", &foundation).await?;
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

async fn run(cluster: &Cluster, source: &ProbeSource, command: &[&str]) -> Result<String> {
    let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    let output = cluster
        .exec(&source.pod, Some(&source.container), &command, EXEC_DEADLINE)
        .await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.end {
        ExecEnd::Exited(0) => Ok(said),
        ExecEnd::Exited(code) => Err(Error::cluster(format!(
            "`{}` ended with exit {code}",
            command.join(" ")
        ))
        .because(format!("{said}{}", String::from_utf8_lossy(&output.stderr)))),
        ExecEnd::Lost(why) => Err(Error::cluster(format!("`{}` was cut", command.join(" "))).because(why)),
    }
}

/// What the canary must show before the lock itself is applied.
#[derive(Debug, Clone)]
pub(super) struct Rehearsal {
    /// A declared host, which must be out of reach.
    pub(super) host: (String, u16),
    /// Whether the host answered a pod without sidecar before.
    pub(super) host_answered: bool,
    /// The gateway's health port, which must be out of reach too, if it answered before.
    pub(super) health: Option<ProbeRequest>,
    /// An address of a gateway's pod with its target port, which must stay within reach.
    pub(super) gateway: ProbeRequest,
}

impl Rehearsal {
    /// What to try, given one pod of the gateway and one declared host.
    pub(super) fn new(host: (String, u16), gateway_address: &str, gateway_port: u16) -> Self {
        let name = sentinel::server_name();
        let gateway = request(2, Scheme::Https, &name, gateway_port, Some(gateway_address));
        Self {
            host,
            host_answered: false,
            health: Some(Self::health_request(gateway_address)),
            gateway,
        }
    }

    fn health_request(gateway_address: &str) -> ProbeRequest {
        request(
            1,
            Scheme::Http,
            &sentinel::server_name(),
            HEALTH_PORT,
            Some(gateway_address),
        )
    }

    /// Tries from a pod that no lock holds: only what answers there can be seen to be stopped.
    pub(super) async fn control(&mut self, cluster: &Cluster, bare: &ProbeSource) {
        let host = request(0, Scheme::of_port(self.host.1), &self.host.0, self.host.1, None);
        let requests: Vec<ProbeRequest> = [host].into_iter().chain(self.health.clone()).collect();
        let results = probe::send(cluster, bare, &requests).await;
        self.host_answered = results.first().is_some_and(is_answered);
        if !results.get(1).is_some_and(is_answered) {
            self.health = None;
        }
    }

    fn can_show_an_effect(&self) -> bool {
        self.host_answered || self.health.is_some()
    }

    fn requests(&self) -> Vec<ProbeRequest> {
        let mut host = request(0, Scheme::of_port(self.host.1), &self.host.0, self.host.1, None);
        host.max_time_seconds = TRY_SECONDS;
        [host, self.gateway.clone()]
            .into_iter()
            .chain(self.health.clone())
            .collect()
    }
}

/// Applies the canary, waits until it holds, lets the switch rehearse, and takes the canary away.
///
/// # Errors
/// If the canary shows no effect, stops what must stay open, or the switch cannot undo under it: each with its finding.
pub(super) async fn rehearse(
    cluster: &Cluster,
    prepared: &Prepared,
    armed: &Armed,
    rehearsal: &Rehearsal,
    changes: &Changes<'_>,
    events: &Events,
) -> Result<std::result::Result<(), Finding>> {
    // Where a lock is changed, that nothing answers is the effect of the one that is there.
    if !prepared.changes_a_lock() && !rehearsal.can_show_an_effect() {
        return Ok(Err(Finding::new(
            &catalogue::LOCK_WITHOUT_EFFECT,
            format!(
                "neither {} nor the gateway's health port answers a pod without sidecar, so that no effect of a lock could be seen",
                rehearsal.host.0
            ),
        )));
    }
    let canary = lock::canary(&prepared.run, &prepared.peers);
    changes.apply("canary", std::slice::from_ref(&canary)).await?;
    let holds = canary_holds(cluster, armed, rehearsal, events).await;
    if let Err(finding) = holds {
        return Ok(Err(finding));
    }
    let status = run(cluster, &armed.source, &["sh", "/switch/switch.sh", "rehearse"]).await;
    if let Err(error) = status {
        return Ok(Err(Finding::new(
            &catalogue::SWITCH_CANNOT_UNDO,
            format!("under the lock's rules the switch could not take a lock back: {error}"),
        )));
    }
    changes.remove("canary", &canary.reference).await?;
    Ok(Ok(()))
}

/// Tries until everything is as it must be, or the deadline: an engine may take seconds.
async fn canary_holds(
    cluster: &Cluster,
    armed: &Armed,
    rehearsal: &Rehearsal,
    events: &Events,
) -> std::result::Result<(), Finding> {
    let started = Instant::now();
    let requests = rehearsal.requests();
    loop {
        let results = probe::send(cluster, &armed.source, &requests).await;
        let Some(fault) = fault(&results, rehearsal) else {
            return Ok(());
        };
        if started.elapsed() > EFFECT_DEADLINE {
            return Err(fault);
        }
        // Each try lasts as long as its connections take, so this does not spin.
        events(Event::StepWaiting {
            id: "canary".to_owned(),
            on: fault.message,
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What is not as the lock means it, the first of: a name resolves, the gateway is within reach, nothing else is.
fn fault(results: &[CurlResult], rehearsal: &Rehearsal) -> Option<Finding> {
    let host = &rehearsal.host.0;
    let Some(CurlResult::Report(direct)) = results.first() else {
        return Some(Finding::new(
            &catalogue::SWITCH_CANNOT_UNDO,
            "the switch's pod does not answer",
        ));
    };
    if is_name_not_resolved(direct) {
        return Some(Finding::new(
            &catalogue::LOCK_BREAKS_DNS,
            format!("{host} does not resolve under the lock's rules: {}", direct.error),
        ));
    }
    if results.get(1).is_none_or(|result| !is_connected(result)) {
        return Some(Finding::new(
            &catalogue::LOCK_BREAKS_GATEWAY,
            "the gateway's pods are out of reach under the lock's rules",
        ));
    }
    let health_open = results.get(2).is_some_and(is_answered);
    if is_connected(&results[0]) || health_open {
        let what = if health_open {
            "the gateway's health port"
        } else {
            host.as_str()
        };
        return Some(Finding::new(
            &catalogue::LOCK_WITHOUT_EFFECT,
            format!(
                "{what} answers a pod that a NetworkPolicy locks: no policy engine of this cluster enforces it"
            ),
        ));
    }
    None
}

fn is_answered(result: &CurlResult) -> bool {
    matches!(result, CurlResult::Report(report) if report.http_code != 0)
}

/// Somebody accepted the connection, whatever came of it.
fn is_connected(result: &CurlResult) -> bool {
    matches!(result, CurlResult::Report(report) if !is_refused_below(report))
}

/// Dropped or refused on the way (truth.md 2), or the name was not known.
fn is_refused_below(report: &CurlReport) -> bool {
    is_name_not_resolved(report) || (matches!(report.exit_code, 7 | 28) && report.local_address.is_none())
}

fn request(id: u32, scheme: Scheme, host: &str, port: u16, address: Option<&str>) -> ProbeRequest {
    let address = address.map(|address| {
        if address.contains(':') {
            format!("[{address}]")
        } else {
            address.to_owned()
        }
    });
    ProbeRequest {
        id,
        nonce: sentinel::nonce(),
        scheme,
        host: host.to_owned(),
        port,
        path: "/".to_owned(),
        method: "GET".to_owned(),
        max_time_seconds: TRY_SECONDS,
        ca_certificate: None,
        show_headers: false,
        show_body: false,
        resolve: address.map(|address| format!("{host}:{port}:{address}")),
        connect_to: None,
        proxy: None,
    }
}

impl Armed {
    /// Seconds until the switch acts, by the API server's clock.
    pub(super) fn left(&self, cluster: &Cluster) -> i64 {
        cluster
            .server_time()
            .map_or(0, |now| self.deadline.duration_since(now).as_secs())
    }

    /// Takes the Job away and waits until it and its pod are gone: only then nothing can undo the lock any more.
    pub(super) async fn disarm(&self, cluster: &Cluster, deadline: Duration) -> Result<()> {
        let options = DeleteOptions {
            uid: Some(self.job_uid.clone()).filter(|uid| !uid.is_empty()),
            propagation_foreground: true,
            ..DeleteOptions::default()
        };
        cluster.delete(&self.job, &options).await?;
        cluster.wait_gone(&self.job, &self.job_uid, deadline).await
    }
}
