//! Which PeerAuthentication holds for whom: what a proxy asks of those who connect to it.

use crate::cluster::Cluster;
use crate::error::Result;
use crate::istio::kinds;
use crate::istio::mesh_configuration;
use crate::plan::journal::Journal;
use crate::plan::source;
use crate::vocabulary::{Object, names};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What holds for some workloads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectivePeerAuthentication {
    /// For whom, for example `the gateway istio-system/istio-egressgateway`.
    pub of: String,
    /// `STRICT`, `PERMISSIVE` or `DISABLE`.
    pub mode: String,
    /// Where it comes from: `Istio's default`, or the object with its reach.
    pub from: String,
}

/// Reads what holds for the plan's source and for its gateway; none if the objects may not be read.
///
/// # Errors
/// If the cluster cannot be reached.
pub(super) async fn of_plan(
    cluster: &Cluster,
    journal: &Journal,
) -> Result<Vec<EffectivePeerAuthentication>> {
    let root = root_namespace(cluster).await;
    let Ok(all) = cluster.list(&kinds::peer_authentication(), None, None).await else {
        return Ok(Vec::new());
    };
    let namespace = &journal.plan.identity.namespace;
    let gateway = &journal.gateway;
    let of = |of: String, namespace: &str, labels: &Value| {
        let (mode, from) = effective(&all, namespace, labels, &root);
        EffectivePeerAuthentication { of, mode, from }
    };
    Ok(vec![
        of(
            format!("the source in {namespace}"),
            namespace,
            &json!(source::selector_labels()),
        ),
        of(
            format!("the gateway {gateway}"),
            &gateway.namespace,
            &json!(gateway.selector),
        ),
    ])
}

async fn root_namespace(cluster: &Cluster) -> String {
    let reference =
        crate::vocabulary::ObjectReference::namespaced(kinds::config_map(), names::ISTIO_NAMESPACE, "istio");
    let map = cluster.get(&reference).await.ok().flatten();
    let mesh: Value = map.and_then(|map| mesh_configuration(&map)).unwrap_or_default();
    mesh["rootNamespace"]
        .as_str()
        .unwrap_or(names::ISTIO_NAMESPACE)
        .to_owned()
}

/// Mode and origin: the workload's own, else the namespace's, else the mesh's (the root namespace's without selector),
/// else PERMISSIVE. Of several at one place the oldest counts; one without a mode leaves it to the next place.
/// (Istio, reference of PeerAuthentication; its modes for single ports are left out.)
fn effective(all: &[Object], namespace: &str, labels: &Value, root: &str) -> (String, String) {
    let selector = |object: &Object| object.at("/spec/selector/matchLabels").clone();
    let has_selector = |object: &Object| {
        selector(object)
            .as_object()
            .is_some_and(|pairs| !pairs.is_empty())
    };
    let selects =
        |object: &Object| has_selector(object) && Object(labels.clone()).labels_match("", &selector(object));
    // Reach, namespace, and whether it names workloads.
    let places = [
        ("for these workloads", namespace, true),
        ("for the namespace", namespace, false),
        ("for the mesh", root, false),
    ];
    for (reach, place, for_workloads) in places {
        let here = all.iter().filter(|object| {
            object.namespace() == Some(place)
                && if for_workloads {
                    selects(object)
                } else {
                    !has_selector(object)
                }
        });
        let oldest = here.min_by_key(|object| (object.text("/metadata/creationTimestamp"), object.name()));
        if let Some(object) = oldest {
            let mode = object.text("/spec/mtls/mode");
            if !matches!(mode, "" | "UNSET") {
                // In the root namespace, its own and the mesh's are the same.
                let reach = if object.namespace() == Some(root) && !has_selector(object) {
                    "for the mesh"
                } else {
                    reach
                };
                let reference = object.reference(&kinds::peer_authentication());
                return (mode.to_owned(), format!("{reference}, {reach}"));
            }
        }
    }
    ("PERMISSIVE".to_owned(), "Istio's default".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(namespace: &str, name: &str, labels: Option<&str>, mode: Option<&str>) -> Object {
        let mut spec = json!({});
        if let Some(app) = labels {
            spec["selector"] = json!({"matchLabels": {"app": app}});
        }
        if let Some(mode) = mode {
            spec["mtls"] = json!({"mode": mode});
        }
        Object(
            json!({"metadata": {"namespace": namespace, "name": name, "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec}),
        )
    }

    #[test]
    fn the_nearest_policy_with_a_mode_holds() {
        let labels = json!({"app": "curl"});
        let of = |all: &[Object]| effective(all, "demo", &labels, "istio-system");
        assert_eq!(of(&[]).1, "Istio's default");
        let mesh = policy("istio-system", "default", None, Some("STRICT"));
        let mut all = vec![
            mesh,
            policy("istio-system", "ingress", Some("curl"), Some("DISABLE")),
        ];
        assert_eq!(
            of(&all),
            (
                "STRICT".into(),
                "PeerAuthentication istio-system/default, for the mesh".into()
            )
        );
        // Without a mode of its own it takes what is above it.
        all.push(policy("demo", "default", None, None));
        assert_eq!(of(&all).0, "STRICT");
        all.push(policy("demo", "other", Some("other"), Some("DISABLE")));
        assert_eq!(of(&all).0, "STRICT");
        all[2] = policy("demo", "default", None, Some("PERMISSIVE"));
        assert_eq!(of(&all).1, "PeerAuthentication demo/default, for the namespace");
        all.push(policy("demo", "mine", Some("curl"), Some("DISABLE")));
        assert_eq!(of(&all).1, "PeerAuthentication demo/mine, for these workloads");
        assert_eq!(
            effective(&all, "istio-system", &json!({"istio": "x"}), "istio-system").1,
            "PeerAuthentication istio-system/default, for the mesh"
        );
    }
}
