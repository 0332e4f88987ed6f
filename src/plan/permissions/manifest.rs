//! Permissions as manifests: a ServiceAccount, a Role per namespace, a ClusterRole where it must be, and the bindings.

use super::{Permission, Scope};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const GROUP: &str = "rbac.authorization.k8s.io";

/// The objects, in an order in which they can be applied.
pub fn objects(scope: &Scope<'_>) -> Vec<Value> {
    let account = format!("kubectl-egress-{}", scope.command);
    // Unique in namespaces that several plans share, and in the cluster.
    let name = format!("{account}-{}", scope.namespace);
    let mut places: BTreeMap<Option<String>, Vec<Permission>> = BTreeMap::new();
    for permission in super::of(scope) {
        let place = permission.namespace.clone();
        places.entry(place).or_default().push(permission);
    }
    let mut objects = vec![json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": account, "namespace": scope.namespace},
    })];
    for (place, permissions) in places {
        let (role, metadata) = match &place {
            Some(namespace) => ("Role", json!({"name": name, "namespace": namespace})),
            None => ("ClusterRole", json!({"name": name})),
        };
        let api_version = format!("{GROUP}/v1");
        objects.push(json!({
            "apiVersion": api_version, "kind": role, "metadata": metadata, "rules": rules(&permissions),
        }));
        objects.push(json!({
            "apiVersion": api_version, "kind": format!("{role}Binding"), "metadata": metadata,
            "roleRef": {"apiGroup": GROUP, "kind": role, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": scope.namespace}],
        }));
    }
    objects
}

/// As few rules as say exactly this: verbs of a resource together, then resources with the same verbs.
fn rules(permissions: &[Permission]) -> Vec<Value> {
    type Resource<'of> = (&'of str, &'of str, Option<&'of str>);
    type Alike<'of> = (&'of str, Option<&'of str>, BTreeSet<&'of str>);
    let mut verbs: BTreeMap<Resource<'_>, BTreeSet<&str>> = BTreeMap::new();
    for one in permissions {
        let resource = (one.group.as_str(), one.resource.as_str(), one.name.as_deref());
        verbs.entry(resource).or_default().insert(&one.verb);
    }
    let mut resources: BTreeMap<Alike<'_>, Vec<&str>> = BTreeMap::new();
    for ((group, resource, name), verbs) in verbs {
        resources.entry((group, name, verbs)).or_default().push(resource);
    }
    let rule = |((group, name, verbs), resources)| {
        let mut rule = json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
        if let Some(name) = name {
            rule["resourceNames"] = json!([name]);
        }
        rule
    };
    resources.into_iter().map(rule).collect()
}
