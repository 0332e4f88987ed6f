//! What is asked for before anybody listens: the namespace's pods, their workloads, and what is inside the cluster.

use super::inside::{Inside, is_over};
use super::owner::{self, JobOwners};
use crate::cluster::Cluster;
use crate::engine::access_logs::AccessLogs;
use crate::engine::facts::Facts;
use crate::engine::{gateway_finder, pods};
use crate::error::Result;
use crate::evidence::LogFormats;
use crate::istio::kinds;
use crate::plan::ownership;
use crate::vocabulary::{HostName, Object, PlanIdentity};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

/// Annotations by which traffic goes past the sidecar (Istio's resource annotations).
const PAST_THE_SIDECAR: &[&str] = &[
    "traffic.sidecar.istio.io/excludeOutboundPorts",
    "traffic.sidecar.istio.io/excludeOutboundIPRanges",
    "traffic.sidecar.istio.io/includeOutboundIPRanges",
];

/// What is known beforehand.
#[derive(Debug)]
pub(in crate::engine) struct Scene {
    pub(in crate::engine) namespace: String,
    pub(in crate::engine) facts: Facts,
    pub(in crate::engine) inside: Inside,
    pub(super) jobs: JobOwners,
    pub(super) logs: AccessLogs,
    /// Pods of the namespace.
    pub(in crate::engine) pods: Vec<Object>,
}

impl Scene {
    /// Asks for it.
    ///
    /// # Errors
    /// If the cluster refuses, or has no Istio.
    pub(in crate::engine) async fn gather(
        cluster: &Cluster,
        plan: &PlanIdentity,
        namespace: &str,
    ) -> Result<Self> {
        let (pod, job) = (kinds::pod(), kinds::job());
        let identity = PlanIdentity {
            namespace: namespace.to_owned(),
            ..plan.clone()
        };
        let watched = [namespace];
        let (facts, own, everywhere, jobs, logs) = futures::join!(
            Facts::gather(cluster, &identity),
            cluster.list(&pod, Some(namespace), None),
            // Without the permission what is inside the cluster is told by Services and names alone.
            cluster.list(&pod, None, None),
            // Without it a Job stands for its CronJob.
            cluster.list(&job, Some(namespace), None),
            AccessLogs::read(cluster, &watched),
        );
        let (facts, own) = (facts?, own?);
        let all = everywhere.unwrap_or_else(|_| own.clone());
        Ok(Self {
            namespace: namespace.to_owned(),
            inside: Inside::new(all, facts.services.clone()),
            jobs: owner::job_owners(&jobs.unwrap_or_default()),
            logs,
            facts,
            pods: own,
        })
    }

    pub(super) fn workload(&self, pod: &Object) -> String {
        owner::workload(pod, &self.jobs)
    }

    /// Why nothing can be told of a pod, whatever its logs say; `None` if its sidecar may tell.
    pub(super) fn without_witness(pod: &Object) -> Option<&'static str> {
        if gateway_finder::is_gateway_pod(pod) {
            return Some("it is a gateway, whose own log tells: kubectl egress logs");
        }
        if !pods::has_sidecar(pod) {
            return Some("it has no sidecar");
        }
        None
    }

    /// Annotations of a pod that lead part of its traffic past the sidecar.
    pub(super) fn past_the_sidecar(pod: &Object) -> Option<String> {
        let set: Vec<String> = PAST_THE_SIDECAR
            .iter()
            .filter_map(|name| Some((name, pod.annotation(name)?)))
            .filter(|(name, value)| !(name.ends_with("includeOutboundIPRanges") && *value == "*"))
            .filter(|(name, value)| name.contains("include") || !value.is_empty())
            .map(|(name, value)| format!("{name}: \"{value}\""))
            .collect();
        (!set.is_empty()).then(|| format!("part of its traffic goes past the sidecar by {}", set.join(", ")))
    }

    /// How the log of a pod is laid out; none at all if nothing that is known switches it on.
    pub(super) fn formats(&self, pod: &Object) -> LogFormats {
        self.logs.formats(&self.namespace, pod.at("/metadata/labels"))
    }

    /// When a plan last declared a host: what went past the gateway until then says nothing of what it does now.
    pub(in crate::engine) fn routed_since(&self, host: &HostName) -> Option<Timestamp> {
        let declares = |entry: &&Object| {
            let hosts = entry.items("/spec/hosts").iter().filter_map(Value::as_str);
            let mut parsed = hosts.filter_map(|name| name.parse::<HostName>().ok());
            ownership::is_ours(entry) && parsed.any(|name| name == *host || name.covers(host))
        };
        let times = self
            .facts
            .service_entries
            .iter()
            .filter(declares)
            .flat_map(|entry| {
                let fields = entry.items("/metadata/managedFields").iter();
                fields.filter(|field| field["manager"].as_str().is_some_and(ownership::is_our_manager))
            });
        times
            .filter_map(|field| field["time"].as_str()?.parse().ok())
            .max()
    }

    /// One pod for each set of labels that the workload's pods have: policies select by labels.
    pub(in crate::engine) fn representatives(&self, workload: &str) -> Vec<&Object> {
        const MOST: usize = 8;
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let of_workload = self
            .pods
            .iter()
            .filter(|pod| !is_over(pod) && self.workload(pod) == workload);
        let labels = |pod: &&Object| {
            let labels: &Value = pod.at("/metadata/labels");
            seen.insert(labels.to_string())
        };
        of_workload.filter(labels).take(MOST).collect()
    }
}
