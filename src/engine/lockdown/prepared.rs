//! What was decided before a lock changes anything: all that a run needs to know.

use super::document::Lockdown;
use super::holes::{self, Policies};
use super::prepare::LockdownSettings;
use super::rehearsal::Rehearsal;
use super::simulation::Simulation;
use crate::cluster::Cluster;
use crate::engine::{pods, sentinel};
use crate::error::{Error, Result};
use crate::finding::{Finding, Severity};
use crate::istio::kinds;
use crate::plan::journal::Journal;
use crate::plan::lock::{self, ApiServer, LockRecord, Observed, Peer, ReachedBefore, Run, SwitchUndo};
use crate::plan::ownership::{Manifest, is_ours};
use crate::plan::source;
use crate::vocabulary::{Object, ObjectReference, names};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Everything that a run needs to know.
#[derive(Debug)]
pub struct Prepared {
    /// What the user wants.
    pub settings: LockdownSettings,
    /// The plan's journal.
    pub journal: Journal,
    /// This run.
    pub run: Run,
    /// What the lock lets through.
    pub peers: Vec<Peer>,
    /// The lock's spec.
    pub spec: Value,
    /// The namespace's policies and pods now.
    pub policies: Policies,
    /// What is wrong or worth knowing before anything is changed.
    pub findings: Vec<Finding>,
    /// What it would break, if somebody asked ([`simulation::before_lock`](super::simulation::before_lock)).
    pub simulation: Option<Simulation>,
    /// Whether a run that died left its unconfirmed lock: it is taken away first.
    pub(super) is_stale: bool,
    pub(super) undo: SwitchUndo,
    pub(super) api_server: ApiServer,
    pub(super) observed: Observed,
    /// Labels by which the lock selects the pods that we probe from.
    pub(super) probe_labels: BTreeMap<String, String>,
    pub(super) log_provider: String,
}

impl Prepared {
    /// `-n NAMESPACE --plan PLAN`, as far as they are needed to name this lock.
    pub fn flags(&self) -> String {
        let (plan, namespace) = (&self.settings.plan, &self.settings.namespace);
        if plan.namespace == *namespace {
            format!("-n {namespace} --plan {}", plan.name)
        } else {
            format!("-n {namespace} --plan {plan}")
        }
    }

    /// Whether a lock that is there is changed.
    pub fn changes_a_lock(&self) -> bool {
        matches!(self.undo, SwitchUndo::Restore { .. })
    }

    /// Whether something stands against a lock already.
    pub fn is_refused(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    /// The lock as it will be applied. A changed one keeps its name.
    pub fn lock_manifest(&self) -> Manifest {
        let mut manifest = lock::lock(&self.run, &self.settings.lock, &self.peers);
        if let SwitchUndo::Restore { lock, .. } = &self.undo {
            lock.clone_into(&mut manifest.reference.name);
            manifest.object.0["metadata"]["name"] = json!(lock);
        }
        manifest
    }

    /// The document of a run that has not begun.
    pub fn document(&self) -> Lockdown {
        let allows = self.peers.iter().map(Peer::explain).collect();
        let mut document = Lockdown::new(
            self.settings.plan.to_string(),
            self.settings.namespace.clone(),
            self.undo.lock().to_owned(),
            allows,
        );
        document.findings.clone_from(&self.findings);
        document.simulation.clone_from(&self.simulation);
        let namespace = &self.settings.namespace;
        let simulated = self.simulation.as_ref();
        let finding = simulated.and_then(|simulation| simulation.finding(namespace));
        document.findings.extend(finding);
        document
    }

    /// Labels of the pod with sidecar that starts under the lock.
    pub(super) fn fresh_labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.probe_labels.clone();
        labels.insert(names::LOCK_LABEL.to_owned(), self.run.id.clone());
        labels
    }

    /// Everything that the run makes besides the lock, and takes away in the end.
    pub(super) fn scaffold(&self) -> Vec<Manifest> {
        let mut manifests = lock::switch_foundation(&self.run, &self.undo, &self.api_server);
        manifests.push(lock::canary(&self.run, &self.peers));
        manifests.push(self.job(0));
        manifests.extend(self.fresh_log());
        manifests
    }

    /// The access log of that pod, if the lock's selector keeps it from being logged like our source.
    pub(super) fn fresh_log(&self) -> Option<Manifest> {
        let source = source::selector();
        let takes_ours = self
            .probe_labels
            .iter()
            .any(|(name, value)| source.get(name).is_some_and(|own| own.as_str() != Some(value)));
        (takes_ours && !self.log_provider.is_empty()).then(|| lock::probe_log(&self.run, &self.log_provider))
    }

    /// The switch's Job with its deadline, in seconds since 1970.
    pub(super) fn job(&self, deadline: u64) -> Manifest {
        lock::switch_job(
            &self.run,
            &self.undo,
            &self.api_server,
            &self.journal.image,
            deadline,
        )
    }

    pub(super) fn record(&self, reached: &[ReachedBefore]) -> LockRecord {
        LockRecord {
            namespace: self.settings.namespace.clone(),
            name: self.undo.lock().to_owned(),
            uid: match &self.undo {
                SwitchUndo::Restore { uid, .. } => uid.clone(),
                SwitchUndo::Delete { .. } => String::new(),
            },
            settings: self.settings.lock.clone(),
            spec: self.spec.clone(),
            resolv_conf: self.observed.resolv_conf.clone(),
            reached_before: reached.to_vec(),
            confirmed: false,
        }
    }

    /// What answered before this run, and before the lock that it changes: the same run's word counts for more.
    pub(super) fn with_older(&self, mut reached: Vec<ReachedBefore>) -> Vec<ReachedBefore> {
        let of_lock = self
            .journal
            .lock_of(&self.settings.namespace)
            .filter(|_| self.changes_a_lock());
        for older in of_lock.into_iter().flat_map(|record| &record.reached_before) {
            if !reached
                .iter()
                .any(|new| new.host == older.host && new.port == older.port)
            {
                reached.push(older.clone());
            }
        }
        reached
    }

    /// What the canary has to show: with the first declared host, and the first pod of the gateway.
    pub(super) fn rehearsal(&self) -> Rehearsal {
        let gateway = &self.journal.gateway;
        let address = self
            .observed
            .pods
            .iter()
            .filter(|pod| pod.namespace() == Some(&gateway.namespace) && pods::is_ready(pod))
            .filter(|pod| pod.labels_match("/metadata/labels", &json!(gateway.selector)))
            .find_map(|pod| pods::addresses(pod).into_iter().next())
            .unwrap_or_default();
        let first = &self.journal.plan.hosts[0];
        // Where nothing comes by TLS, nobody listens at the port for it.
        let door = sentinel::door(&self.journal.plan, gateway);
        Rehearsal::new(
            (first.host.to_string(), first.port()),
            &address,
            door.map_or(gateway.tls_target_port, |door| door.port),
            &lock::nameservers(&self.observed.resolv_conf),
        )
    }

    /// What other policies open, by what the lock is derived from.
    pub(super) fn ways_out(&self, policies: &Policies) -> Vec<Finding> {
        let proxies: Vec<Object> = self
            .observed
            .pods
            .iter()
            .filter(|pod| {
                [
                    Some(self.observed.root_namespace.as_str()),
                    Some(self.journal.gateway.namespace.as_str()),
                ]
                .contains(&pod.namespace())
            })
            .cloned()
            .collect();
        let allowed = holes::allowed_by(&self.spec, &self.observed.pods);
        // The guard lets the switch reach the API server and goes with the switch.
        let mut own: Vec<ObjectReference> = policies
            .policies
            .iter()
            .filter(|policy| is_ours(policy) && policy.label(names::LOCK_LABEL) == Some(&self.run.id))
            .map(|policy| policy.reference(&kinds::network_policy()))
            .collect();
        own.push(self.lock_manifest().reference);
        holes::ways_out(policies, &own, &allowed, &proxies)
    }

    /// Asks the server, without making anything, whether the switch's pod would be admitted: Pod Security, quota.
    pub(super) async fn check_switch_pod(&self, cluster: &Cluster) -> Result<()> {
        let job = self.job(0);
        let name = format!("{}-trial", job.reference.name);
        let mut spec = job.object.at("/spec/template/spec").clone();
        // Its own account is not there yet.
        if let Some(fields) = spec.as_object_mut() {
            fields.remove("serviceAccountName");
        }
        let pod = Object(json!({
            "metadata": {
                "labels": job.object.at("/spec/template/metadata/labels"),
                "annotations": job.object.at("/spec/template/metadata/annotations"),
            },
            "spec": spec,
        }));
        let reference = ObjectReference::namespaced(kinds::pod(), &self.settings.namespace, name);
        cluster
            .create(&reference, &pod, true)
            .await
            .map(drop)
            .map_err(|error| {
                Error::cluster(format!(
                    "namespace {} does not admit the pod of the dead-man's switch, so nothing was locked",
                    self.settings.namespace
                ))
                .because(error.to_string())
                .hint("make room in the quota, or admit pods of the restricted Pod Security Standard")
            })
    }
}
