//! What is decided, and refused, before a lock changes anything.

use super::document::Lockdown;
use super::holes::{self, Policies};
use super::observe::observe;
use super::switch::Rehearsal;
use crate::cluster::{Answer, ApplyOptions, Cluster};
use crate::engine::facts::Facts;
use crate::engine::pods;
use crate::engine::probe::ProbeSource;
use crate::engine::sentinel;
use crate::engine::verify::stored_plan;
use crate::error::{Error, Result};
use crate::finding::{Finding, Severity};
use crate::istio::kinds;
use crate::plan::journal::Journal;
use crate::plan::lock::{
    self, ApiServer, LockRecord, LockSettings, Observed, Peer, ReachedBefore, Run, SwitchUndo,
};
use crate::plan::ownership::{Manifest, is_ours};
use crate::plan::{GatewayTarget, access_log, routing, source};
use crate::vocabulary::{HostName, Kind, Object, ObjectReference, PlanIdentity, names};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the user wants.
#[derive(Debug, Clone)]
pub struct LockdownSettings {
    /// Whose gateway stays reachable.
    pub plan: PlanIdentity,
    /// The namespace to lock.
    pub namespace: String,
    /// What the lock is to be like.
    pub lock: LockSettings,
    /// After how long the switch takes an unproven lock back.
    pub confirm_within: Duration,
    /// Hosts that must not be reachable, besides what is not declared.
    pub forbidden: Vec<HostName>,
    /// A container of the namespace that probes leave from.
    pub source: ProbeSource,
    /// Path of a CA bundle in the source's container.
    pub ca_certificate: Option<String>,
    /// After how many seconds curl gives up.
    pub max_time_seconds: u32,
    /// How long to wait for each pod.
    pub timeout: Duration,
}

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
    /// Whether a run that died left its unconfirmed lock: it is taken away first.
    pub(super) is_stale: bool,
    pub(super) undo: SwitchUndo,
    pub(super) api_server: ApiServer,
    pub(super) observed: Observed,
    /// Labels by which the lock selects the pods that we probe from.
    pub(super) probe_labels: BTreeMap<String, String>,
    log_provider: String,
}

/// What there is to do.
#[derive(Debug)]
pub enum Decision {
    /// It is locked so already.
    Unchanged(Box<Prepared>),
    /// A lock is to be made, or changed.
    Lock(Box<Prepared>),
}

/// Asks the cluster and decides; changes nothing.
///
/// # Errors
/// No plan, a plan without hosts, a missing permission, a selector that no pod fits, a lock that cannot be derived, a
/// switch whose pod the namespace would refuse: each named.
pub async fn prepare(cluster: &Cluster, settings: LockdownSettings) -> Result<Decision> {
    let journal = stored_plan(cluster, &settings.plan).await?;
    if journal.plan.hosts.is_empty() {
        return Err(Error::usage(format!(
            "the plan {} has no hosts, so a lock would only cut off",
            settings.plan
        ))
        .hint(format!(
            "add one: kubectl egress route HOST -n {}",
            settings.plan.namespace
        )));
    }
    refuse_hosts_without_gateway(&journal, &settings)?;
    let probe_labels = settings.lock.selector.satisfying_labels().ok_or_else(|| {
        Error::usage(format!(
            "no pod can fit the selector `{}`",
            settings.lock.selector
        ))
    })?;
    check_permissions(cluster, &settings.namespace).await?;
    let in_locked = PlanIdentity {
        namespace: settings.namespace.clone(),
        name: settings.plan.name.clone(),
    };
    let facts = Facts::gather(cluster, &in_locked).await?;
    let (observed, policies) = futures::future::try_join(
        observe(
            cluster,
            &settings.namespace,
            &with_used_ports(&journal),
            &settings.source,
            &facts,
        ),
        holes::read(cluster, &settings.namespace),
    )
    .await?;
    check_selector(&settings, &policies)?;
    let peers = lock::derive(&observed, &settings.lock)?;
    let api_server = ApiServer::from_objects(&observed.api_server)?;
    let spec = lock::policy_spec(&settings.lock, &peers);
    let run = Run {
        plan: settings.plan.clone(),
        namespace: settings.namespace.clone(),
        id: sentinel::nonce()[..10].to_owned(),
    };
    let current = current_lock(cluster, &journal, &settings.namespace).await?;
    let undo = match &current {
        Some((record, live)) => SwitchUndo::Restore {
            lock: record.name.clone(),
            uid: live.uid().to_owned(),
            spec: live.at("/spec").clone(),
        },
        None => SwitchUndo::Delete { lock: run.lock() },
    };
    let mut prepared = Prepared {
        is_stale: journal
            .lock_of(&settings.namespace)
            .is_some_and(|record| !record.confirmed),
        findings: Vec::new(),
        settings,
        journal,
        run,
        peers,
        spec,
        policies,
        undo,
        api_server,
        observed,
        probe_labels,
        log_provider: access_log::provider(&facts.mesh).unwrap_or_default().to_owned(),
    };
    prepared.findings = prepared.ways_out(&prepared.policies);
    let not_held = holes::not_held(&prepared.policies, &prepared.settings.lock.selector);
    prepared.findings.extend(not_held);
    if current.is_some_and(|(_, live)| *live.at("/spec") == prepared.spec) {
        return Ok(Decision::Unchanged(Box::new(prepared)));
    }
    prepared.check_switch_pod(cluster).await?;
    Ok(Decision::Lock(Box::new(prepared)))
}

/// Asks the server what it would do with the lock.
///
/// # Errors
/// What the server refuses.
pub async fn dry_run(cluster: &Cluster, prepared: &Prepared) -> Result<()> {
    let lock = prepared.lock_manifest();
    let options = ApplyOptions {
        dry_run: true,
        force: prepared.changes_a_lock(),
        ..ApplyOptions::new(&lock.reference, &lock.manager)
    };
    cluster.apply(&lock.object, &options).await.map(drop)
}

/// The confirmed lock of the namespace, if it is there as recorded or changed; one of a run that died does not count:
/// it has to be taken away first.
async fn current_lock(
    cluster: &Cluster,
    journal: &Journal,
    namespace: &str,
) -> Result<Option<(LockRecord, Object)>> {
    let Some(record) = journal.lock_of(namespace) else {
        return Ok(None);
    };
    if !record.confirmed {
        return Ok(None);
    }
    let live = cluster.get(&record.reference()).await?;
    Ok(live
        .filter(|live| live.uid() == record.uid)
        .map(|live| (record.clone(), live)))
}

fn check_selector(settings: &LockdownSettings, policies: &Policies) -> Result<()> {
    let selector = &settings.lock.selector;
    let fits = |pod: &&Object| selector.matches(pod.at("/metadata/labels"));
    if selector.requirements.is_empty() || policies.pods.iter().any(|pod| fits(&pod)) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "no pod of namespace {} fits the selector `{selector}`",
        settings.namespace
    ))
    .hint(format!(
        "kubectl get pods -n {} --show-labels",
        settings.namespace
    )))
}

/// A lock leaves the gateway as the only way out, so that what the plan leads past it would be cut off.
fn refuse_hosts_without_gateway(journal: &Journal, settings: &LockdownSettings) -> Result<()> {
    let past: Vec<String> = journal
        .plan
        .hosts
        .iter()
        .filter(|planned| !planned.how.through_gateway())
        .map(ToString::to_string)
        .collect();
    if past.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "a lock would cut off hosts that the plan {} leads past the gateway: {}",
        settings.plan,
        past.join(", ")
    ))
    .because("a lock lets out only DNS, istiod and the gateway's pods")
    .hint(format!(
        "lead them through the gateway: kubectl egress route HOST --mode passthrough -n {0} (or http, tls-origination); or take them out: kubectl egress route --remove HOST -n {0}",
        settings.plan.namespace
    )))
}

/// The gateway, without the port that no host of the plan uses.
fn with_used_ports(journal: &Journal) -> GatewayTarget {
    let gateway = journal.gateway.clone();
    GatewayTarget {
        http: gateway.http.filter(|_| routing::uses_http_port(&journal.plan)),
        ..gateway
    }
}

async fn check_permissions(cluster: &Cluster, namespace: &str) -> Result<()> {
    let needs: Vec<(Kind, &[&str])> = vec![
        (kinds::network_policy(), &["create", "patch", "delete", "list"]),
        (kinds::job(), &["create", "patch", "delete"]),
        (kinds::role(), &["create", "patch", "delete"]),
        (kinds::role_binding(), &["create", "patch", "delete"]),
        (kinds::service_account(), &["create", "patch", "delete"]),
        (kinds::config_map(), &["create", "patch", "delete"]),
        (kinds::pod(), &["create", "delete", "list"]),
    ];
    let rules = cluster.rules(namespace).await?;
    let mut missing = Vec::new();
    for (kind, verbs) in &needs {
        for verb in *verbs {
            let allowed = match rules.allows(verb, &kind.group, &kind.plural, None) {
                Answer::Yes => true,
                Answer::No => false,
                Answer::Unknown => {
                    cluster
                        .may(verb, &kind.group, &kind.plural, Some(namespace))
                        .await?
                }
            };
            if !allowed {
                missing.push(format!("{verb} {}", kind.plural));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::cluster(format!(
        "you may not {} in namespace {namespace}",
        missing.join(", nor ")
    ))
    .because("a lock needs a NetworkPolicy, and its dead-man's switch a Job with a Role of its own")
    .hint(format!(
        "ask the cluster's administrator; check with: kubectl auth can-i --list -n {namespace}"
    )))
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
    async fn check_switch_pod(&self, cluster: &Cluster) -> Result<()> {
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
