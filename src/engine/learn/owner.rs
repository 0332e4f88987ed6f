//! The workload that a pod belongs to: its name stays when pods come and go. Pure.

use crate::vocabulary::Object;
use std::collections::BTreeMap;

/// Label by which a Deployment's ReplicaSets, and their pods, are told apart.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// Who made each Job, by the Job's name.
pub(super) type JobOwners = BTreeMap<String, String>;

/// Reads who made the Jobs.
pub(super) fn job_owners(jobs: &[Object]) -> JobOwners {
    let owned = |job: &Object| {
        Some((
            job.name().to_owned(),
            controller(job).map(|(kind, name)| named(kind, name))?,
        ))
    };
    jobs.iter().filter_map(owned).collect()
}

/// `Deployment/shop`, `StatefulSet/cart`, `CronJob/report`; a pod that nobody controls is its own workload.
pub(super) fn workload(pod: &Object, jobs: &JobOwners) -> String {
    let Some((kind, name)) = controller(pod) else {
        return named("Pod", pod.name());
    };
    match kind {
        // A Deployment's ReplicaSet is named after it and the hash of its template (Kubernetes' documentation of Deployments).
        "ReplicaSet" => pod
            .label(TEMPLATE_HASH)
            .and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'))
            .map_or_else(|| named(kind, name), |deployment| named("Deployment", deployment)),
        "Job" => jobs.get(name).cloned().unwrap_or_else(|| named(kind, name)),
        // A static pod.
        "Node" => named("Pod", pod.name()),
        _ => named(kind, name),
    }
}

fn named(kind: &str, name: &str) -> String {
    format!("{kind}/{name}")
}

fn controller(object: &Object) -> Option<(&str, &str)> {
    let owners = object.items("/metadata/ownerReferences");
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    Some((owner["kind"].as_str()?, owner["name"].as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn owned(kind: &str, owner: &str, labels: &serde_json::Value) -> Object {
        Object(
            json!({"metadata": {"name": "pod-x", "namespace": "demo", "labels": labels,
            "ownerReferences": [{"kind": "Other", "name": "no"}, {"kind": kind, "name": owner, "controller": true}]}}),
        )
    }

    #[test]
    fn pods_are_told_by_what_outlives_them() {
        let jobs = [Object(
            json!({"metadata": {"name": "report-29", "ownerReferences":
            [{"kind": "CronJob", "name": "report", "controller": true}]}}),
        )];
        let jobs = job_owners(&jobs);
        let of = |pod: &Object| workload(pod, &jobs);
        assert_eq!(
            of(&owned(
                "ReplicaSet",
                "my-shop-5d8f",
                &json!({"pod-template-hash": "5d8f"})
            )),
            "Deployment/my-shop"
        );
        assert_eq!(
            of(&owned("ReplicaSet", "own-5d8f", &json!({}))),
            "ReplicaSet/own-5d8f"
        );
        assert_eq!(
            of(&owned("ReplicaSet", "f", &json!({"pod-template-hash": "f"}))),
            "ReplicaSet/f"
        );
        assert_eq!(of(&owned("StatefulSet", "cart", &json!({}))), "StatefulSet/cart");
        assert_eq!(of(&owned("Job", "report-29", &json!({}))), "CronJob/report");
        assert_eq!(of(&owned("Job", "once", &json!({}))), "Job/once");
        assert_eq!(of(&Object(json!({"metadata": {"name": "alone"}}))), "Pod/alone");
    }
}
