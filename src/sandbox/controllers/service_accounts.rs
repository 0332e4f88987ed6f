//! The admission plugin of ServiceAccounts: the token that a pod's containers find mounted.

use crate::sandbox::state::State;
use serde_json::{Value, json};

/// Where it is mounted (Kubernetes' documentation, "Accessing the Kubernetes API from a Pod").
pub(in crate::sandbox) const TOKEN_FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Adds the token's volume, unless pod or account say that they want none; what the pod says wins.
pub(super) fn mount_token(state: &State, namespace: &str, pod: &mut Value) {
    let specification = &pod["spec"];
    let account = specification["serviceAccountName"].as_str().unwrap_or("default");
    let of_account = state
        .object("", "serviceaccounts", namespace, account)
        .and_then(|account| account["automountServiceAccountToken"].as_bool());
    let wanted = specification["automountServiceAccountToken"]
        .as_bool()
        .or(of_account);
    if wanted == Some(false) {
        return;
    }
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let name = format!("kube-api-access-{}", super::suffix(uid, 5));
    let mount = json!({"name": name, "mountPath": TOKEN_FOLDER, "readOnly": true});
    for list in ["containers", "initContainers"] {
        let containers = pod["spec"].get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let mounts = &mut container["volumeMounts"];
            let known = mounts.as_array().into_iter().flatten();
            if known.into_iter().all(|known| known["mountPath"] != TOKEN_FOLDER) {
                push(mounts, mount.clone());
            }
        }
    }
    let sources = json!([
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [
            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
        ]}},
    ]);
    push(
        &mut pod["spec"]["volumes"],
        json!({"name": name, "projected": {"defaultMode": 420, "sources": sources}}),
    );
}

fn push(list: &mut Value, item: Value) {
    match list.as_array_mut() {
        Some(list) => list.push(item),
        None => *list = json!([item]),
    }
}
