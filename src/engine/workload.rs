//! A workload of the user's that probes leave from, as `--from` names it: its pods, and the labels that select them.

use super::pods;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::ownership;
use crate::vocabulary::{Kind, LabelSelector, Object, ObjectReference, PodName};
use std::collections::BTreeMap;

/// Labels that differ from pod to pod of one workload, or change with each rollout.
const PASSING_LABELS: &[&str] = &[
    "apps.kubernetes.io/pod-index",
    "controller-revision-hash",
    "pod-template-generation",
    "pod-template-hash",
    "statefulset.kubernetes.io/pod-name",
];

/// A workload with what selects its pods.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Which object.
    pub reference: ObjectReference,
    object: Object,
    selector: LabelSelector,
}

impl Workload {
    /// Finds the workload that `from` names: `deploy/NAME`, `sts/NAME`, `ds/NAME` or `pod/NAME`.
    ///
    /// # Errors
    /// If there is none.
    pub async fn find(cluster: &Cluster, namespace: &str, from: &str) -> Result<Self> {
        let (kind, name) = kind_and_name(from)?;
        let reference = ObjectReference::namespaced(kind.clone(), namespace, name);
        let object = cluster.get(&reference).await?.ok_or_else(|| {
            Error::usage(format!("{reference} does not exist"))
                .hint(format!("kubectl get {} -n {namespace}", kind.plural))
        })?;
        let selector = LabelSelector::from_object(object.at("/spec/selector"));
        Ok(Self {
            reference,
            object,
            selector,
        })
    }

    /// One of its pods that is ready; of `pod/NAME` that pod, as it is.
    ///
    /// # Errors
    /// If there is none.
    pub async fn ready_pod(&self, cluster: &Cluster) -> Result<Object> {
        let pods = self.pods(cluster).await?;
        let is_pod = self.reference.kind == kinds::pod();
        pods.into_iter()
            .find(|pod| is_pod || pods::is_ready(pod))
            .ok_or_else(|| {
                let namespace = self.reference.namespace.as_deref().unwrap_or_default();
                Error::usage(format!("{} has no ready pod", self.reference))
                    .hint(format!("kubectl get pods -n {namespace} -l '{}'", self.selector))
            })
    }

    /// Its ready pods that have a sidecar.
    ///
    /// # Errors
    /// If the cluster refuses to list.
    pub async fn meshed_pods(&self, cluster: &Cluster) -> Result<Vec<PodName>> {
        let pods = self.pods(cluster).await?.into_iter();
        Ok(pods
            .filter(|pod| pods::is_ready(pod) && pods::has_sidecar(pod))
            .map(|pod| pods::name(&pod))
            .collect())
    }

    /// Labels by which a Telemetry, which knows no expressions, selects its pods: those that the workload itself
    /// requires, or where it requires none, those of its pod that stay.
    pub fn lasting_labels(&self, pod: &Object) -> BTreeMap<String, String> {
        let required = labels_of(self.object.at("/spec/selector/matchLabels"));
        if !required.is_empty() {
            return required;
        }
        let mut labels = labels_of(pod.at("/metadata/labels"));
        labels.retain(|name, _| !PASSING_LABELS.contains(&name.as_str()));
        labels
    }

    /// The object as it was found.
    pub(super) fn object(&self) -> &Object {
        &self.object
    }

    /// Whether it is our own source, which has its Telemetry already.
    pub fn is_ours(&self) -> bool {
        ownership::is_ours(&self.object)
    }

    async fn pods(&self, cluster: &Cluster) -> Result<Vec<Object>> {
        if self.reference.kind == kinds::pod() {
            return Ok(vec![self.object.clone()]);
        }
        let namespace = self.reference.namespace.as_deref();
        cluster
            .list(&kinds::pod(), namespace, Some(&self.selector.to_string()))
            .await
    }
}

fn labels_of(labels: &serde_json::Value) -> BTreeMap<String, String> {
    let pairs = labels.as_object().into_iter().flatten();
    pairs
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn kind_and_name(from: &str) -> Result<(Kind, &str)> {
    let (kind, name) = from.split_once('/').unwrap_or(("pod", from));
    let kind = match kind {
        "deploy" | "deployment" | "deployments" => kinds::deployment(),
        "sts" | "statefulset" | "statefulsets" => kinds::stateful_set(),
        "ds" | "daemonset" | "daemonsets" => kinds::daemon_set(),
        "po" | "pod" | "pods" => kinds::pod(),
        other => {
            return Err(
                Error::usage(format!("`{other}` in `--from {from}` is no kind to probe from"))
                    .hint("give deploy/NAME, sts/NAME, ds/NAME or pod/NAME"),
            );
        }
    };
    Ok((kind, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workload(spec: &serde_json::Value) -> Workload {
        Workload {
            reference: ObjectReference::namespaced(kinds::deployment(), "demo", "shop"),
            selector: LabelSelector::from_object(&spec["selector"]),
            object: Object(json!({"spec": spec})),
        }
    }

    #[test]
    fn labels_of_one_rollout_or_one_pod_select_nothing() {
        let pod = Object(
            json!({"metadata": {"labels": {"app": "shop", "tier": "web", "pod-template-hash": "5d8"}}}),
        );
        let by_labels = workload(&json!({"selector": {"matchLabels": {"app": "shop"}}}));
        assert_eq!(json!(by_labels.lasting_labels(&pod)), json!({"app": "shop"}));
        let by_expression =
            workload(&json!({"selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}));
        assert_eq!(
            json!(by_expression.lasting_labels(&pod)),
            json!({"app": "shop", "tier": "web"})
        );
    }
}
