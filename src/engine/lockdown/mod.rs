//! `lockdown`: derives a lock, proves that it blocks, and confirms it; else everything is as before.
//!
//! | file | holds |
//! |---|---|
//! | `observe` | what the lock is derived from |
//! | `prepare` | what is decided before anything is changed |
//! | [`holes`] | other policies that open what the lock closes |
//! | `switch` | the dead-man's switch: armed, rehearsed, disarmed |
//! | `proof` | probes before and after |
//! | `connections` | connections from before |
//! | `changes` | what the run changes, recorded first |
//! | `release` | taking a lock away: `unlock` |
//! | [`standing`](standing()) | how a lock stands later: for `verify` and `status` |
//!
//! Whatever happens to this program, the switch takes the lock back at its deadline unless the proof was complete; only
//! then its Job is deleted, and the lock is read once more.

mod changes;
mod connections;
mod document;
pub mod holes;
mod observe;
mod prepare;
mod proof;
mod release;
mod standing;
mod switch;

pub use document::{Lockdown, LockdownEnd};
pub use prepare::{Decision, LockdownSettings, Prepared, dry_run, prepare};
pub use release::unlock;
pub use standing::{Standing, standing};

use super::event::{Event, Events};
use super::lease::Lease;
use super::pods;
use super::probe_pod::{ProbePod, make_probe_pod, remove_probe_pod};
use crate::cluster::{Cluster, DeleteOptions};
use crate::error::{Error, Result};
use crate::evidence::claims;
use crate::finding::{Finding, Severity, catalogue};
use crate::istio::kinds;
use crate::plan::journal::Entry;
use crate::plan::lock::{LockRecord, ReachedBefore};
use crate::plan::source;
use crate::vocabulary::{ClaimState, Object, ObjectReference, PodName, Verdict};
use changes::Changes;
use proof::Sources;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use switch::{Armed, Rehearsal};

/// Disarming takes a second or two; with less than this left the switch may act in the middle of it.
const DISARM_SECONDS: i64 = 15;
const DISARM_DEADLINE: Duration = Duration::from_secs(12);

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
    let lease = Lease::acquire(cluster, &prepared.run.plan).await?;
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

struct Work<'run> {
    cluster: &'run Cluster,
    prepared: &'run Prepared,
    events: &'run Events,
    changes: Changes<'run>,
}

impl Work<'_> {
    async fn with_pods(
        &self,
        bare_pod: &ProbePod,
        fresh_pod: &ProbePod,
        interrupted: impl Future<Output = ()> + Send,
    ) -> Result<Lockdown> {
        let mut document = self.prepared.document();
        let mut armed = None;
        if self.prepared.is_stale {
            release::take_away(
                self.cluster,
                &self.prepared.run.plan,
                &self.prepared.run.namespace,
                &self.changes,
            )
            .await?;
        }
        let proof = self.proof(&mut document, &mut armed, bare_pod, fresh_pod);
        let proven = tokio::select! {
            proven = proof => proven,
            () = interrupted => Err(Error::new(crate::vocabulary::ExitCode::Interrupted, "interrupted")),
        };
        match proven {
            Ok(true) => Ok(document),
            Ok(false) => {
                self.roll_back(armed.as_ref()).await?;
                Ok(document)
            }
            Err(error) => {
                self.roll_back(armed.as_ref())
                    .await
                    .map_err(|undone| undone.because(format!("it was taken back because: {error}")))?;
                Err(error.hint("everything is as it was before this command"))
            }
        }
    }

    /// `true`: the lock holds and is confirmed. `false`: the document says why not, and it has to be taken back.
    async fn proof(
        &self,
        document: &mut Lockdown,
        armed: &mut Option<Armed>,
        bare_pod: &ProbePod,
        fresh_pod: &ProbePod,
    ) -> Result<bool> {
        let (cluster, prepared, events) = (self.cluster, self.prepared, self.events);
        let settings = &prepared.settings;
        let bare = make_probe_pod(
            cluster,
            &prepared.journal,
            &prepared.run.namespace,
            bare_pod,
            settings.timeout,
            events,
        )
        .await?;
        let sources = Sources {
            meshed: settings.source.clone(),
            bare: bare.clone(),
        };
        let mut rehearsal = prepared.rehearsal();
        let ((before, reached), ()) =
            futures::future::try_join(proof::before(cluster, prepared, &sources, events), async {
                rehearsal.control(cluster, &bare).await;
                Ok(())
            })
            .await?;
        document.before = before;
        if !proof::is_routed(&document.before) {
            document.findings.push(
                Finding::new(
                    &catalogue::LOCK_BREAKS_HOST,
                    "not every declared host goes through the gateway already, so a lock would cut it off",
                )
                .fixed_by(format!("see why: kubectl egress verify {}", prepared.flags())),
            );
            return Ok(false);
        }
        let reached = prepared.with_older(reached);
        self.intend(&reached).await?;
        *armed = Some(self.arm().await?);
        let Some(switch) = armed.as_ref() else {
            return Err(Error::bug("the switch is armed and not there"));
        };
        if let Err(finding) = self.rehearse(switch, &rehearsal).await? {
            document.findings.push(finding);
            return Ok(false);
        }
        let ready_before = self.ready_pods().await?;
        let open = connections::open_before(
            cluster,
            &prepared.policies.pods,
            &prepared.journal.gateway.service_host(),
        )
        .await;
        document.findings.extend(open.findings);
        let uid = self.lock(&bare, &reached, switch).await?;
        document.end = LockdownEnd::RolledBack;
        self.changes
            .apply("lock", prepared.fresh_log().as_slice())
            .await?;
        let fresh = make_probe_pod(
            cluster,
            &prepared.journal,
            &prepared.run.namespace,
            fresh_pod,
            settings.timeout,
            events,
        )
        .await;
        let fresh = match fresh {
            Ok(fresh) => fresh,
            Err(error) => {
                document
                    .findings
                    .push(proof::why_no_start(cluster, prepared, &bare, &error).await);
                return Ok(false);
            }
        };
        let sources = Sources { meshed: fresh, bare };
        let results = proof::after(cluster, prepared, &sources, &reached, events).await;
        for result in &results {
            events(Event::Probed(Box::new(result.clone())));
        }
        let claims = claims(&results, true, &[]);
        document.claims.routed = claims.routed;
        document.claims.enforced = claims.enforced;
        document.verdict = claims.verdict;
        document.after = results;
        document.findings.extend(claims.findings);
        let sound = self.still_sound(document, &ready_before).await?;
        if document.verdict != Verdict::Proven || !sound {
            return Ok(false);
        }
        if let Err(error) = self.restart_source(&open.own).await {
            document.findings.push(Finding::new(
                &catalogue::LOCK_BREAKS_SIDECAR_START,
                format!("our own source does not come back under the lock: {error}"),
            ));
            return Ok(false);
        }
        self.confirm(document, switch, &uid, &reached).await
    }

    async fn intend(&self, reached: &[ReachedBefore]) -> Result<()> {
        let prepared = self.prepared;
        let mut manifests = prepared.scaffold();
        manifests.push(prepared.lock_manifest());
        let record = prepared.record(reached);
        self.changes
            .note(|journal| {
                for manifest in &manifests {
                    journal.record(Entry::intends(manifest));
                }
                // The record of a lock that is changed stays until the change is confirmed: the switch gives it back.
                if !prepared.changes_a_lock() {
                    journal.record_lock(record);
                }
            })
            .await
    }

    async fn arm(&self) -> Result<Armed> {
        let started = self.start(
            "switch",
            "dead-man's switch, which takes the lock back should this program die",
        );
        let armed = switch::arm(self.cluster, self.prepared, &self.changes, self.events).await?;
        self.finish(
            "switch",
            started,
            Some(format!("acts at {}", armed.deadline.strftime("%H:%M:%S UTC"))),
        );
        Ok(armed)
    }

    async fn rehearse(
        &self,
        armed: &Armed,
        rehearsal: &Rehearsal,
    ) -> Result<std::result::Result<(), Finding>> {
        let started = self.start(
            "canary",
            "the lock's rules on the switch's pod alone: does it still take a lock back?",
        );
        let result = switch::rehearse(
            self.cluster,
            self.prepared,
            armed,
            rehearsal,
            &self.changes,
            self.events,
        )
        .await?;
        match &result {
            Ok(()) => self.finish("canary", started, Some("it does".to_owned())),
            Err(finding) => (self.events)(Event::StepFailed {
                id: "canary".to_owned(),
                message: finding.message.clone(),
                elapsed: started.elapsed(),
            }),
        }
        Ok(result)
    }

    /// Applies the lock and waits until it holds; gives back its UID.
    async fn lock(
        &self,
        bare: &super::probe::ProbeSource,
        reached: &[ReachedBefore],
        armed: &Armed,
    ) -> Result<String> {
        let prepared = self.prepared;
        let title = format!(
            "lock {}; without a proof it goes by itself at {}",
            prepared.run.namespace,
            armed.deadline.strftime("%H:%M:%S UTC")
        );
        let started = self.start("lock", &title);
        let uid = self
            .changes
            .apply_lock("lock", &prepared.lock_manifest(), prepared.changes_a_lock())
            .await?;
        proof::wait_for_effect(self.cluster, prepared, bare, reached, self.events).await;
        self.finish("lock", started, None);
        Ok(uid)
    }

    /// Ends connections of our own source that were open before: its Deployment makes the pods anew.
    async fn restart_source(&self, own: &[PodName]) -> Result<()> {
        if own.is_empty() {
            return Ok(());
        }
        let started = self.start(
            "source",
            "restart our own source, which has connections from before",
        );
        let timeout = self.prepared.settings.timeout;
        let gone = own.iter().map(|pod| async move {
            let reference = ObjectReference::namespaced(kinds::pod(), &pod.namespace, &pod.name);
            let Some(live) = self.cluster.get(&reference).await? else {
                return Ok(());
            };
            self.cluster.delete(&reference, &DeleteOptions::default()).await?;
            self.cluster.wait_gone(&reference, live.uid(), timeout).await
        });
        futures::future::try_join_all(gone).await?;
        let progress = |on: &str| {
            (self.events)(Event::StepWaiting {
                id: "source".to_owned(),
                on: on.to_owned(),
            });
        };
        let (namespace, selector) = (&self.prepared.run.namespace, source::label_selector());
        pods::wait_ready(
            self.cluster,
            namespace,
            &selector,
            "a ready pod of our source",
            timeout,
            &progress,
        )
        .await?;
        self.finish("source", started, None);
        Ok(())
    }

    async fn ready_pods(&self) -> Result<BTreeSet<(String, String)>> {
        let pods = self
            .cluster
            .list(&kinds::pod(), Some(&self.prepared.run.namespace), None)
            .await?;
        Ok(pods
            .iter()
            .filter(|pod| pods::is_ready(pod))
            .map(identity)
            .collect())
    }

    /// Whether what ran before still runs, and no other policy opened a way out meanwhile.
    async fn still_sound(
        &self,
        document: &mut Lockdown,
        ready_before: &BTreeSet<(String, String)>,
    ) -> Result<bool> {
        let prepared = self.prepared;
        let policies = holes::read(self.cluster, &prepared.run.namespace).await?;
        let lost: Vec<&str> = policies
            .pods
            .iter()
            .filter(|pod| {
                ready_before.contains(&identity(pod))
                    && pod.at("/metadata/deletionTimestamp").is_null()
                    && !pods::is_ready(pod)
            })
            .map(Object::name)
            .collect();
        if !lost.is_empty() {
            document.findings.push(Finding::new(
                &catalogue::LOCK_BREAKS_WORKLOAD,
                format!("no longer ready under the lock: {}", lost.join(", ")),
            ));
        }
        document.findings.extend(prepared.ways_out(&policies));
        let holds = document
            .findings
            .iter()
            .all(|finding| finding.severity != Severity::Error);
        if !holds {
            document.claims.enforced = ClaimState::Disproven;
            document.verdict = Verdict::Disproven;
        }
        Ok(holds)
    }

    /// Disarms the switch and reads the lock again: only then it is confirmed.
    async fn confirm(
        &self,
        document: &mut Lockdown,
        armed: &Armed,
        uid: &str,
        reached: &[ReachedBefore],
    ) -> Result<bool> {
        let prepared = self.prepared;
        if armed.left(self.cluster) < DISARM_SECONDS {
            document.findings.push(
                Finding::new(
                    &catalogue::LOCK_ROLLED_BACK,
                    "the proof took longer than the dead-man's switch waits",
                )
                .fixed_by("give it more time: --confirm-within"),
            );
            document.verdict = Verdict::Inconclusive;
            return Ok(false);
        }
        let started = self.start("confirm", "disarm the switch, and read the lock again");
        armed.disarm(self.cluster, DISARM_DEADLINE).await?;
        let live = self.cluster.get(&prepared.lock_manifest().reference).await?;
        let same = live.is_some_and(|live| live.uid() == uid && *live.at("/spec") == prepared.spec);
        if !same {
            document.findings.push(Finding::new(
                &catalogue::LOCK_ROLLED_BACK,
                "the lock is not there any more as it was proven: somebody else, or the switch, was faster",
            ));
            document.verdict = Verdict::Inconclusive;
            return Ok(false);
        }
        self.remove_switch().await?;
        let record = LockRecord {
            uid: uid.to_owned(),
            confirmed: true,
            ..prepared.record(reached)
        };
        self.changes.note(|journal| journal.record_lock(record)).await?;
        self.finish("confirm", started, None);
        document.end = LockdownEnd::Locked;
        Ok(true)
    }

    /// Everything of the run but the lock.
    async fn remove_switch(&self) -> Result<()> {
        let manifests = self.prepared.scaffold();
        let references: Vec<ObjectReference> =
            manifests.into_iter().map(|manifest| manifest.reference).collect();
        let work = references
            .iter()
            .map(|reference| self.changes.remove("switch", reference));
        futures::future::try_join_all(work).await.map(drop)
    }

    /// Takes the lock back first, then the switch, then the record.
    async fn roll_back(&self, armed: Option<&Armed>) -> Result<()> {
        let prepared = self.prepared;
        let started = self.start("roll-back", "take everything back");
        let undone = async {
            let lock = prepared.lock_manifest().reference;
            self.changes.undo_lock("roll-back", &lock, &prepared.undo).await?;
            self.remove_switch().await?;
            self.changes
                .note(|journal| {
                    if !prepared.changes_a_lock() {
                        journal.forget_lock(&prepared.run.namespace);
                    }
                })
                .await
        };
        match undone.await {
            Ok(()) => {
                self.finish("roll-back", started, None);
                Ok(())
            }
            Err(error) => Err(match armed {
                Some(armed) => error.hint(format!(
                    "the switch in the cluster takes the lock back by itself at {}; what else is left: kubectl egress unlock {}",
                    armed.deadline.strftime("%H:%M:%S UTC"),
                    prepared.flags()
                )),
                None => error.hint(format!("what is left: kubectl egress unlock {}", prepared.flags())),
            }),
        }
    }

    fn start(&self, id: &str, title: &str) -> Instant {
        (self.events)(Event::StepStarted {
            id: id.to_owned(),
            title: title.to_owned(),
        });
        Instant::now()
    }

    fn finish(&self, id: &str, started: Instant, detail: Option<String>) {
        (self.events)(Event::StepFinished {
            id: id.to_owned(),
            detail,
            elapsed: started.elapsed(),
        });
    }
}

fn identity(pod: &Object) -> (String, String) {
    (pod.name().to_owned(), pod.uid().to_owned())
}
