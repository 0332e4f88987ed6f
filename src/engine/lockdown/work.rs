//! One run from the first probe to the proof; whatever is not proven is taken back.

use super::changes::Changes;
use super::document::{Lockdown, LockdownEnd};
use super::proof::{self, Sources};
use super::rehearsal::{self, Rehearsal};
use super::switch::{self, Armed};
use super::{Prepared, connections, holes, release};
use crate::cluster::{Cluster, DeleteOptions};
use crate::engine::event::{Event, Events};
use crate::engine::pods;
use crate::engine::probe::ProbeSource;
use crate::engine::probe_pod::{ProbePod, make_probe_pod};
use crate::error::{Error, Result};
use crate::evidence::claims;
use crate::finding::{Finding, Severity, catalogue};
use crate::istio::kinds;
use crate::plan::journal::Entry;
use crate::plan::lock::ReachedBefore;
use crate::plan::source;
use crate::vocabulary::{ClaimState, ExitCode, Object, ObjectReference, PodName, Verdict, names};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// What a run works with.
pub(super) struct Work<'run> {
    pub(super) cluster: &'run Cluster,
    pub(super) prepared: &'run Prepared,
    pub(super) events: &'run Events,
    pub(super) changes: Changes<'run>,
}

impl Work<'_> {
    /// Runs with these pods to probe from, which the caller takes away.
    pub(super) async fn with_pods(
        &self,
        bare_pod: &ProbePod,
        fresh_pod: &ProbePod,
        interrupted: impl Future<Output = ()> + Send,
    ) -> Result<Lockdown> {
        let mut document = self.prepared.document();
        let mut armed = None;
        if self.prepared.is_stale {
            self.take_away_stale().await?;
        }
        let proof = self.proof(&mut document, &mut armed, bare_pod, fresh_pod);
        let proven = tokio::select! {
            proven = proof => proven,
            () = interrupted => Err(Error::interrupted()),
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

    /// Takes away what a run that died left. A lock that it was changing gets back what was proven, and stays.
    async fn take_away_stale(&self) -> Result<()> {
        let (plan, namespace) = (&self.prepared.run.plan, &self.prepared.run.namespace);
        if !self.prepared.changes_a_lock() {
            return release::take_away(self.cluster, plan, namespace, &self.changes)
                .await
                .map(drop);
        }
        let lock = self.prepared.lock_manifest().reference;
        self.changes
            .undo_lock("stale", &lock, &self.prepared.undo)
            .await?;
        release::take_away_but(self.cluster, plan, namespace, &lock, &self.changes).await
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
            // What nobody could see is told by the probes themselves, and disproves nothing.
            if proof::goes_elsewhere(&document.before) {
                document.findings.push(
                    Finding::new(
                        &catalogue::LOCK_BREAKS_HOST,
                        "not every declared host goes through the gateway already, so a lock would cut it off",
                    )
                    .fixed_by(format!("see why: kubectl egress verify {}", prepared.flags())),
                );
            }
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
            // The API server's affair, or somebody else's who deleted it, which says nothing about the lock.
            Err(error) if error.code() != ExitCode::TimedOut => return Err(error),
            Err(error) => {
                if self.is_too_late(document, switch) {
                    return Ok(false);
                }
                // Only a pod that is there and not ready says something: else the API server did not answer in time.
                let made = cluster.get(&fresh_pod.reference(&prepared.run.namespace)).await?;
                if made.is_none_or(|pod| pods::are_containers_ready(&pod)) {
                    return Err(error);
                }
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
        if self.is_too_late(document, switch) {
            document.after = results;
            return Ok(false);
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
            if error.code() != ExitCode::TimedOut {
                // The API server's affair, which says nothing about the lock.
                return Err(error);
            }
            if self.is_too_late(document, switch) {
                return Ok(false);
            }
            if self.is_source_back().await? {
                // The API server did not answer in time; the pod started.
                return Err(error);
            }
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
        let result = rehearsal::rehearse(
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
    async fn lock(&self, bare: &ProbeSource, reached: &[ReachedBefore], armed: &Armed) -> Result<String> {
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

    /// Whether a pod of our source is ready now.
    async fn is_source_back(&self) -> Result<bool> {
        let (namespace, selector) = (&self.prepared.run.namespace, source::label_selector());
        let pods = self
            .cluster
            .list(&kinds::pod(), Some(namespace), Some(&selector))
            .await?;
        Ok(pods.iter().any(pods::is_ready))
    }

    async fn ready_pods(&self) -> Result<BTreeSet<(String, String)>> {
        let pods = self
            .cluster
            .list(&kinds::pod(), Some(&self.prepared.run.namespace), None)
            .await?;
        Ok(pods
            .iter()
            .filter(|pod| pods::is_ready(pod))
            // The switch's own pod ends when it has acted, which says nothing about workloads.
            .filter(|pod| pod.label(names::SWITCH_LABEL).is_none())
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

    /// Says that a step begins.
    pub(super) fn start(&self, id: &str, title: &str) -> Instant {
        (self.events)(Event::StepStarted {
            id: id.to_owned(),
            title: title.to_owned(),
        });
        Instant::now()
    }

    /// Says that it is done.
    pub(super) fn finish(&self, id: &str, started: Instant, detail: Option<String>) {
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
