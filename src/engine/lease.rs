//! One run at a time per plan: a Lease, renewed while the run lives, taken over when its holder is dead.
//!
//! Age is measured by the API server's clock, so that a client whose clock is wrong neither steals nor waits. A
//! holder whose process is known to be gone, which only its own machine can know, is not waited for.

use super::process::ProcessIdentity;
use crate::cluster::{Cluster, DeleteOptions};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::vocabulary::{ExitCode, Object, ObjectReference, PlanIdentity, names};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::time::Duration;

/// How long a Lease counts after its last renewal.
const LIFETIME: Duration = Duration::from_secs(15);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(5);

/// A held Lease. Release it; if that is forgotten it dies by itself 15 s after its last renewal.
#[derive(Debug)]
pub struct Lease {
    cluster: ClusterHandle,
    reference: ObjectReference,
    uid: String,
    renewal: tokio::task::JoinHandle<()>,
}

struct ClusterHandle(Cluster);

impl std::fmt::Debug for ClusterHandle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Cluster")
    }
}

impl Lease {
    /// Takes the Lease of a plan, or that of a holder that stopped renewing it.
    ///
    /// # Errors
    /// If another run holds it: exit 5, with its name and age.
    pub async fn acquire(cluster: &Cluster, plan: &PlanIdentity) -> Result<Self> {
        let name = format!("kubectl-egress-{}", plan.name);
        let reference = ObjectReference::namespaced(kinds::lease(), &plan.namespace, name);
        let holder = holder_name();
        for attempt in 0..=3 {
            // Mostly nobody holds it: it is looked for only when it cannot be made.
            let existing = match attempt {
                0 => None,
                _ => cluster.get(&reference).await?,
            };
            let now = server_now(cluster);
            let taken = match &existing {
                None => {
                    cluster
                        .create(&reference, &body(plan, &reference, &holder, now), false)
                        .await
                }
                Some(existing) => {
                    if let Some(error) = refusal(existing, now, plan) {
                        return Err(error);
                    }
                    let mut taken = body(plan, &reference, &holder, now);
                    taken.0["metadata"]["resourceVersion"] = json!(existing.resource_version());
                    cluster.replace(&reference, &taken).await
                }
            };
            match taken {
                Ok(object) => return Ok(Self::held(cluster, plan, reference, &object, holder)),
                // Somebody was faster: look again who it is.
                Err(error) if error.code() == ExitCode::Consent => {}
                // The answer may have been lost after the work was done: then the Lease is ours all the same.
                Err(error) => match cluster.get(&reference).await {
                    Ok(Some(object)) if object.text("/spec/holderIdentity") == holder => {
                        return Ok(Self::held(cluster, plan, reference, &object, holder));
                    }
                    _ => return Err(error),
                },
            }
        }
        Err(
            Error::consent(format!("another run on the plan {plan} keeps taking its turn"))
                .hint("wait until it is done"),
        )
    }

    fn held(
        cluster: &Cluster,
        plan: &PlanIdentity,
        reference: ObjectReference,
        object: &Object,
        holder: String,
    ) -> Self {
        let (renewing, place, plan) = (cluster.clone(), reference.clone(), plan.clone());
        let renewal = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEWAL).await;
                let renewed = body(&plan, &place, &holder, server_now(&renewing));
                // A failed renewal is tried again at the next turn; the Lease lives for three of them.
                let patch = json!({"spec": {"renewTime": renewed.at("/spec/renewTime")}});
                let _ = renewing.merge_patch(&place, &patch, names::MANAGER, false).await;
            }
        });
        Self {
            cluster: ClusterHandle(cluster.clone()),
            reference,
            uid: object.uid().to_owned(),
            renewal,
        }
    }

    /// Gives the Lease back by deleting it.
    ///
    /// # Errors
    /// If the cluster refuses; the Lease then dies by itself.
    pub async fn release(self) -> Result<()> {
        self.renewal.abort();
        let options = DeleteOptions {
            uid: Some(self.uid.clone()),
            ..DeleteOptions::default()
        };
        // A Lease that stays keeps the next run out for as long as it lives, so once more is worth it.
        match self.cluster.0.delete(&self.reference, &options).await {
            Ok(_) => Ok(()),
            Err(_) => self.cluster.0.delete(&self.reference, &options).await.map(drop),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Only stops the renewal: undo must never depend on Drop.
        self.renewal.abort();
    }
}

fn refusal(existing: &Object, now: Timestamp, plan: &PlanIdentity) -> Option<Error> {
    let renewed: Timestamp = existing.text("/spec/renewTime").parse().ok()?;
    let lifetime = existing.at("/spec/leaseDurationSeconds").as_i64().unwrap_or(15);
    let age = now.duration_since(renewed);
    if age > SignedDuration::from_secs(lifetime) || is_holder_gone(existing) {
        return None;
    }
    let since: Timestamp = existing.text("/spec/acquireTime").parse().unwrap_or(renewed);
    let running = now.duration_since(since).as_secs().max(0);
    Some(
        Error::consent(format!(
            "another run is working on the plan {plan}: {}, for {running} s, last heard of {} s ago",
            existing.text("/spec/holderIdentity"),
            age.as_secs().max(0)
        ))
        .hint(format!("wait until it is done; a run that was killed is taken over {lifetime} s after its last sign of life")),
    )
}

fn is_holder_gone(existing: &Object) -> bool {
    let process = existing.annotation(names::PROCESS_ANNOTATION);
    process
        .and_then(|process| process.parse::<ProcessIdentity>().ok())
        .is_some_and(|process| process.is_gone())
}

fn body(plan: &PlanIdentity, reference: &ObjectReference, holder: &str, now: Timestamp) -> Object {
    // MicroTime of the API: exactly six digits.
    let time = format!("{now:.6}");
    let process = ProcessIdentity::own().map(|process| process.to_string());
    Object(json!({
        "apiVersion": kinds::lease().api_version(), "kind": "Lease",
        "metadata": {
            "name": reference.name, "namespace": reference.namespace, "labels": crate::plan::ownership::plan_labels(plan),
            "annotations": process.map(|process| json!({names::PROCESS_ANNOTATION: process})),
        },
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": LIFETIME.as_secs(), "acquireTime": time, "renewTime": time},
    }))
}

fn server_now(cluster: &Cluster) -> Timestamp {
    cluster.server_time().unwrap_or_else(Timestamp::now)
}

fn holder_name() -> String {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = variable("USER").unwrap_or_else(|| "somebody".to_owned());
    // Shells know HOSTNAME and seldom export it.
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let machine = variable("HOSTNAME")
        .or_else(host)
        .map_or_else(|| "a machine".to_owned(), |machine| machine.trim().to_owned());
    let run = &super::sentinel::nonce()[..6];
    format!("{user}@{machine} (process {}, run {run})", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(renewed: &str) -> Object {
        Object(
            json!({"spec": {"holderIdentity": "anna@laptop (process 7)", "leaseDurationSeconds": 15,
            "acquireTime": "2026-11-21T03:00:00.000000Z", "renewTime": renewed}}),
        )
    }

    #[test]
    fn a_living_holder_is_named_with_its_age_and_a_dead_one_is_taken_over() {
        let plan = PlanIdentity::new("demo", "default").unwrap();
        let now: Timestamp = "2026-11-21T03:01:00Z".parse().unwrap();
        let error = refusal(&lease("2026-11-21T03:00:57.000000Z"), now, &plan).unwrap();
        assert!(
            error
                .message()
                .contains("anna@laptop (process 7), for 60 s, last heard of 3 s ago"),
            "{error}"
        );
        assert_eq!(error.code(), ExitCode::Consent);
        assert_eq!(refusal(&lease("2026-11-21T03:00:44.000000Z"), now, &plan), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_holder_whose_process_is_gone_from_this_machine_is_not_waited_for() {
        let plan = PlanIdentity::new("demo", "default").unwrap();
        let now: Timestamp = "2026-11-21T03:01:00Z".parse().unwrap();
        let reference = ObjectReference::namespaced(kinds::lease(), "demo", "x");
        let mut lease = body(&plan, &reference, "h", now);
        assert!(refusal(&lease, now, &plan).is_some(), "we are alive");
        let annotations = &mut lease.0["metadata"]["annotations"][names::PROCESS_ANNOTATION];
        let own = annotations.as_str().unwrap().to_owned();
        // Our number, and a start that was not ours: numbers are used again.
        let (rest, _) = own.rsplit_once(' ').unwrap();
        *annotations = json!(format!("{rest} 1"));
        assert_eq!(refusal(&lease, now, &plan), None);
        lease.0["metadata"]["annotations"][names::PROCESS_ANNOTATION] = json!(format!("elsewhere/{rest} 1"));
        assert!(refusal(&lease, now, &plan).is_some(), "another machine's");
    }

    #[test]
    fn the_time_has_six_digits() {
        let plan = PlanIdentity::new("demo", "default").unwrap();
        let reference = ObjectReference::namespaced(kinds::lease(), "demo", "x");
        let body = body(&plan, &reference, "h", "2026-11-21T03:01:00Z".parse().unwrap());
        assert_eq!(body.text("/spec/renewTime"), "2026-11-21T03:01:00.000000Z");
    }
}
