//! A lock as it would be derived now, without a run of `lockdown`: for `learn`.

use super::super::holes::{self, Policies};
use super::super::observe::{Known, observe, read_resolv_conf};
use super::with_lock;
use crate::cluster::Cluster;
use crate::engine::learn::Scene;
use crate::engine::pods;
use crate::engine::probe::ProbeSource;
use crate::error::{Error, Result};
use crate::mesh::network_policy::NetworkPolicies;
use crate::plan::lock::{self, LockSettings};
use crate::plan::{GatewayTarget, Plan, routing};
use crate::vocabulary::{Object, names};
use serde_json::{Value, json};

/// Containers that are asked for `/etc/resolv.conf` before nobody is.
const ASKED: usize = 6;
/// Name of the policy as it is proposed; a lock of `lockdown` has one of its run.
const PROPOSED_NAME: &str = "kubectl-egress-lock";

/// What a lock is derived from when there is no run of `lockdown`.
#[derive(Debug)]
pub(in crate::engine) struct Wanted<'a> {
    /// The plan that would be in force.
    pub(in crate::engine) plan: Option<Plan>,
    /// Its gateway.
    pub(in crate::engine) gateway: GatewayTarget,
    /// What the user decides about the lock.
    pub(in crate::engine) lock: &'a LockSettings,
}

/// A lock as it would be derived now.
#[derive(Debug)]
pub(in crate::engine) struct LockNow {
    policies: Policies,
    object: Object,
}

impl LockNow {
    pub(in crate::engine) fn manifest(&self) -> Value {
        self.object.0.clone()
    }

    pub(in crate::engine) fn before(&self) -> NetworkPolicies {
        NetworkPolicies::new(&self.policies.policies, &self.policies.namespaces)
    }

    pub(in crate::engine) fn after(&self) -> NetworkPolicies {
        with_lock(&self.policies, Some(names::LOCK_LABEL), &self.object)
    }
}

/// Derives a lock for a namespace as it is; changes nothing.
///
/// # Errors
/// If the cluster refuses, or no lock can be derived.
pub(in crate::engine) async fn lock_now(
    cluster: &Cluster,
    scene: &Scene,
    wanted: &Wanted<'_>,
) -> Result<LockNow> {
    let uses_http = wanted.plan.as_ref().is_some_and(routing::uses_http_port);
    let gateway = GatewayTarget {
        http: wanted.gateway.http.filter(|_| uses_http),
        ..wanted.gateway.clone()
    };
    let known = Known {
        namespace: &scene.namespace,
        object: scene.facts.namespace.as_ref(),
        resolv_conf: any_resolv_conf(cluster, &scene.pods).await?,
        services: scene.facts.services.clone(),
        gateway: &gateway,
        root_namespace: scene.facts.root_namespace(),
    };
    let (observed, policies) =
        futures::future::try_join(observe(cluster, known), holes::read(cluster, &scene.namespace)).await?;
    let peers = lock::derive(&observed, wanted.lock)?;
    let object = Object(json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": PROPOSED_NAME, "namespace": scene.namespace},
        "spec": lock::policy_spec(wanted.lock, &peers),
    }));
    Ok(LockNow { policies, object })
}

/// `/etc/resolv.conf` of a pod of the namespace: all containers of a pod have the same.
async fn any_resolv_conf(cluster: &Cluster, all: &[Object]) -> Result<String> {
    let containers = |pod: &Object| {
        let of_application = ProbeSource::of_pod(pod, None).ok();
        let meshed = of_application.clone().filter(|source| source.meshed);
        let of_proxy = meshed.map(|source| ProbeSource {
            container: names::PROXY_CONTAINER.to_owned(),
            ..source
        });
        [of_application, of_proxy].into_iter().flatten()
    };
    let ready = all
        .iter()
        .filter(|pod| pods::is_ready(pod) && pod.text("/spec/dnsPolicy") != "None");
    let mut refused = None;
    for source in ready.flat_map(containers).take(ASKED) {
        match read_resolv_conf(cluster, &source).await {
            Ok(text) => return Ok(text),
            Err(error) => drop(refused.get_or_insert(error)),
        }
    }
    Err(refused.unwrap_or_else(|| {
        Error::usage("no pod of the namespace is ready, so it is not known which DNS they use")
    }))
}
