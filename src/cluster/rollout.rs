//! Waits for a Deployment's rollout and says why it is not done: image, quota, admission, scheduling, sidecar.

use super::Cluster;
use super::objects::encode;
use super::watch::{Seen, Watch};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::vocabulary::{Object, ObjectReference, names};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

impl Cluster {
    /// Waits until the Deployment's current generation is observed, updated, available, and its pods are ready, with
    /// sidecar if one is expected. Returns those pods.
    ///
    /// # Errors
    /// If that is not so within `deadline` (exit 6), or a reason that does not pass by itself stands against it.
    pub async fn wait_rollout(
        &self,
        reference: &ObjectReference,
        deadline: Duration,
        expect_sidecar: bool,
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Vec<Object>> {
        let mut missing = String::new();
        let waiting = self.rollout(reference, expect_sidecar, progress, &mut missing);
        match tokio::time::timeout(deadline, waiting).await {
            Ok(result) => result,
            Err(_) => Err(Error::timed_out(format!("waited {} s for {reference}", deadline.as_secs()))
                .because(format!("still missing: {missing}"))
                .hint(format!("kubectl describe deployment {} -n {}; more time: --timeout 10m", reference.name, reference.namespace.as_deref().unwrap_or_default()))),
        }
    }

    async fn rollout(
        &self,
        reference: &ObjectReference,
        expect_sidecar: bool,
        progress: &(dyn Fn(&str) + Send + Sync),
        missing: &mut String,
    ) -> Result<Vec<Object>> {
        let namespace = reference.namespace.as_deref();
        let named = format!("fieldSelector={}", encode(&format!("metadata.name={}", reference.name)));
        let mut deployments = Watch::new(self, &reference.kind, namespace, named);
        let mut state = State { expect_sidecar, ..State::default() };
        // The Deployment says which labels its pods have.
        while state.deployment.is_none() {
            if let Seen::Present(object) = deployments.next().await? {
                state.deployment = Some(object);
            }
        }
        let selector = state.selector();
        let query = format!("labelSelector={}", encode(&selector));
        let mut pods = Watch::new(self, &kinds::pod(), namespace, query.clone());
        let mut sets = Watch::new(self, &kinds::replica_set(), namespace, query);
        let (mut pods_known, mut sets_known) = (false, false);
        loop {
            tokio::select! {
                seen = deployments.next() => match seen? {
                    Seen::Present(object) => state.deployment = Some(object),
                    Seen::Gone(_) => return Err(Error::cluster(format!("{reference} was deleted while it was waited for"))),
                    Seen::Synced => {}
                },
                seen = pods.next() => pods_known |= keep(&mut state.pods, seen?),
                seen = sets.next() => sets_known |= keep(&mut state.sets, seen?),
            }
            if !(pods_known && sets_known) {
                continue;
            }
            match state.judge() {
                Judged::Done(pods) => return Ok(pods),
                Judged::Never(why, hint) => {
                    return Err(Error::cluster(format!("{reference} does not get ready")).because(why).hint(hint));
                }
                Judged::NotYet(why) if why != *missing => {
                    progress(&why);
                    *missing = why;
                }
                Judged::NotYet(_) => {}
            }
        }
    }
}

/// Takes a change; says whether the first list is complete.
fn keep(known: &mut BTreeMap<String, Object>, seen: Seen) -> bool {
    match seen {
        Seen::Present(object) => drop(known.insert(object.uid().to_owned(), object)),
        Seen::Gone(object) => drop(known.remove(object.uid())),
        Seen::Synced => return true,
    }
    false
}

#[derive(Default)]
struct State {
    deployment: Option<Object>,
    pods: BTreeMap<String, Object>,
    sets: BTreeMap<String, Object>,
    expect_sidecar: bool,
}

enum Judged {
    Done(Vec<Object>),
    NotYet(String),
    Never(String, String),
}

const REVISION: &str = "deployment.kubernetes.io/revision";

impl State {
    fn selector(&self) -> String {
        let labels = self.deployment.as_ref().and_then(|object| object.at("/spec/selector/matchLabels").as_object().cloned());
        let labels = labels.unwrap_or_default();
        labels.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect::<Vec<_>>().join(",")
    }

    fn judge(&self) -> Judged {
        let Some(deployment) = &self.deployment else { return Judged::NotYet("the Deployment".to_owned()) };
        let number = |pointer: &str| deployment.at(pointer).as_u64().unwrap_or(0);
        if number("/status/observedGeneration") < number("/metadata/generation") {
            return Judged::NotYet("the controller to notice the change".to_owned());
        }
        let wanted = deployment.at("/spec/replicas").as_u64().unwrap_or(1);
        let own = self.current_pods(deployment);
        if let Some(judged) = self.trouble(deployment, &own) {
            return judged;
        }
        let ready: Vec<Object> = own.iter().filter(|pod| condition(pod, "Ready").is_some_and(|ready| ready["status"] == "True")).map(|pod| (*pod).clone()).collect();
        let settled = number("/status/updatedReplicas") == wanted
            && number("/status/availableReplicas") == wanted
            && number("/status/replicas") == wanted;
        if settled && ready.len() as u64 == wanted {
            return Judged::Done(ready);
        }
        Judged::NotYet(own.iter().find_map(|pod| waiting_reason(pod)).unwrap_or_else(|| format!("{} of {wanted} pods are ready", ready.len())))
    }

    /// Pods of the newest ReplicaSet that are not on their way out.
    fn current_pods(&self, deployment: &Object) -> Vec<&Object> {
        let revision = deployment.annotation(REVISION);
        let set = self.sets.values().find(|set| set.annotation(REVISION) == revision && owned_by(set, deployment.uid()));
        let Some(set) = set else { return Vec::new() };
        self.pods.values().filter(|pod| owned_by(pod, set.uid()) && pod.at("/metadata/deletionTimestamp").is_null()).collect()
    }

    fn trouble(&self, deployment: &Object, own: &[&Object]) -> Option<Judged> {
        for set in self.sets.values().filter(|set| owned_by(set, deployment.uid())) {
            if let Some(failure) = condition(set, "ReplicaFailure").filter(|failure| failure["status"] == "True") {
                let message = failure["message"].as_str().unwrap_or_default();
                // Only while it has no pods: a failure of an old try stays for a while.
                if own.is_empty() {
                    return Some(of_failed_create(message));
                }
            }
        }
        for pod in own {
            if self.expect_sidecar && !has_proxy(pod) {
                return Some(Judged::Never(
                    format!("pod {} was started without a sidecar", pod.name()),
                    "check that istiod's injection webhook is there (kubectl get mutatingwebhookconfigurations) and that no label or annotation sidecar.istio.io/inject=false stands against it; then delete the pod".to_owned(),
                ));
            }
            if let Some(judged) = container_trouble(pod) {
                return Some(judged);
            }
        }
        let progressing = condition(deployment, "Progressing")?;
        (progressing["reason"] == "ProgressDeadlineExceeded").then(|| {
            Judged::Never(progressing["message"].as_str().unwrap_or("it makes no progress").to_owned(), "kubectl describe shows its events".to_owned())
        })
    }
}

fn of_failed_create(message: &str) -> Judged {
    let message = message.to_owned();
    if message.contains("exceeded quota") {
        return Judged::Never(message, "raise the namespace's ResourceQuota, or free some of it".to_owned());
    }
    if message.contains("violates PodSecurity") {
        return Judged::Never(message, "the injected sidecar or gateway breaks the namespace's Pod Security Standard: use native sidecars with Istio CNI, or a less strict level".to_owned());
    }
    if message.contains("failed calling webhook") {
        // Passes when the webhook's pods are up again.
        return Judged::NotYet(format!("an admission webhook to answer ({message})"));
    }
    if message.contains("admission webhook") {
        return Judged::Never(message, "the webhook named there decides; ask who runs it".to_owned());
    }
    Judged::NotYet(format!("its pods to be created ({message})"))
}

fn container_trouble(pod: &Object) -> Option<Judged> {
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
    for status in statuses.iter().flat_map(|pointer| pod.items(pointer)) {
        let waiting = &status["state"]["waiting"];
        let name = status["name"].as_str().unwrap_or_default();
        let message = waiting["message"].as_str().unwrap_or_default();
        match waiting["reason"].as_str() {
            Some(reason @ ("ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull")) => {
                return Some(Judged::Never(
                    format!("the image of container {name} in pod {} cannot be had ({reason}): {message}", pod.name()),
                    "check the image's name and the registry's credentials; another image: --image".to_owned(),
                ));
            }
            Some(reason @ ("CreateContainerConfigError" | "CreateContainerError" | "CrashLoopBackOff")) => {
                return Some(Judged::Never(
                    format!("container {name} in pod {} does not start ({reason}): {message}", pod.name()),
                    format!("kubectl logs {} -c {name} -n {}", pod.name(), pod.namespace().unwrap_or_default()),
                ));
            }
            _ => {}
        }
    }
    None
}

fn waiting_reason(pod: &Object) -> Option<String> {
    if let Some(scheduled) = condition(pod, "PodScheduled").filter(|scheduled| scheduled["status"] == "False") {
        return Some(format!("a node for pod {}: {}", pod.name(), scheduled["message"].as_str().unwrap_or("none fits")));
    }
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
    for status in statuses.iter().flat_map(|pointer| pod.items(pointer)) {
        let name = status["name"].as_str().unwrap_or_default();
        if let Some(reason) = status["state"]["waiting"]["reason"].as_str() {
            return Some(format!("container {name} of pod {} to start ({reason})", pod.name()));
        }
        if status["ready"] == Value::Bool(false) && !status["state"]["running"].is_null() {
            return Some(format!("container {name} of pod {} to be ready", pod.name()));
        }
    }
    condition(pod, "Ready").filter(|ready| ready["status"] != "True").map(|_| format!("pod {} to be ready", pod.name()))
}

fn condition<'object>(object: &'object Object, kind: &str) -> Option<&'object Value> {
    object.items("/status/conditions").iter().find(|condition| condition["type"] == kind)
}

fn owned_by(object: &Object, uid: &str) -> bool {
    object.items("/metadata/ownerReferences").iter().any(|owner| owner["uid"] == uid)
}

fn has_proxy(pod: &Object) -> bool {
    ["/spec/containers", "/spec/initContainers"]
        .iter()
        .any(|pointer| pod.items(pointer).iter().any(|container| container["name"] == names::PROXY_CONTAINER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn state(pod: Value, observed: u64) -> State {
        let deployment = json!({"metadata": {"uid": "d", "generation": 2, "annotations": {REVISION: "2"}}, "spec": {"replicas": 1},
            "status": {"observedGeneration": observed, "updatedReplicas": 1, "availableReplicas": 1, "replicas": 1}});
        let set = json!({"metadata": {"uid": "s", "annotations": {REVISION: "2"}, "ownerReferences": [{"uid": "d"}]}});
        let mut state = State { deployment: Some(Object(deployment)), expect_sidecar: true, ..State::default() };
        state.sets.insert("s".to_owned(), Object(set));
        state.pods.insert("p".to_owned(), Object(pod));
        state
    }

    fn pod(containers: Value, statuses: Value, ready: &str) -> Value {
        json!({"metadata": {"uid": "p", "name": "curl-1", "ownerReferences": [{"uid": "s"}]}, "spec": {"initContainers": containers},
            "status": {"containerStatuses": statuses, "conditions": [{"type": "Ready", "status": ready}]}})
    }

    #[test]
    fn the_previous_rollout_does_not_count() {
        let ready = pod(json!([{"name": "istio-proxy"}]), json!([]), "True");
        assert!(matches!(state(ready.clone(), 1).judge(), Judged::NotYet(_)));
        assert!(matches!(state(ready, 2).judge(), Judged::Done(_)));
    }

    #[test]
    fn a_missing_sidecar_and_a_missing_image_end_the_wait() {
        let bare = pod(json!([]), json!([]), "True");
        assert!(matches!(state(bare, 2).judge(), Judged::Never(why, _) if why.contains("without a sidecar")));
        let pulling = pod(json!([{"name": "istio-proxy"}]), json!([{"name": "curl", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]), "False");
        assert!(matches!(state(pulling, 2).judge(), Judged::Never(why, _) if why.contains("curl")));
    }

    #[test]
    fn quota_and_policy_are_named() {
        assert!(matches!(of_failed_create("pods \"x\" is forbidden: exceeded quota: small"), Judged::Never(_, hint) if hint.contains("ResourceQuota")));
        assert!(matches!(of_failed_create("violates PodSecurity \"restricted:latest\""), Judged::Never(_, hint) if hint.contains("Pod Security")));
    }
}
