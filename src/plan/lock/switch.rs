//! The dead-man's switch: a Job that takes a lock back at its deadline, whatever has become of the client.
//!
//! It is made and rehearsed before the lock is applied. Its script, [`SCRIPT`], is fixed text in a ConfigMap; what
//! differs between runs comes by these environment variables:
//!
//! | variable | value |
//! |---|---|
//! | `SWITCH_UNDO` | `delete` or `restore` |
//! | `SWITCH_NAMESPACE` | the locked namespace |
//! | `SWITCH_LOCK` | name of the lock |
//! | `SWITCH_LOCK_UID` | UID of the lock that was changed; empty with `delete` |
//! | `SWITCH_CANARY` | name of the canary |
//! | `SWITCH_DEADLINE` | seconds since 1970 on the node's clock, after which it acts |
//! | `SWITCH_ENDPOINTS` | `ADDRESS:PORT` of the API servers themselves, for when the Service's address gives no answer; separated by spaces, IPv6 in brackets |
//! | `SWITCH_SPEC` | path of the file with the spec to restore, one line of JSON: `/switch/spec.json` |
//! | `SWITCH_CREDENTIALS` | the mounted ServiceAccount, with `token` and `ca.crt` |
//! | `SWITCH_TERMINATION_LOG` | `/dev/termination-log` |
//! | `KUBERNETES_SERVICE_HOST`, `KUBERNETES_SERVICE_PORT` | set by the kubelet |
//!
//! | command | requests | ends |
//! |---|---|---|
//! | `sh /switch/switch.sh wait` | at the deadline GET of the lock, then DELETE with `preconditions.uid`, or a JSON patch with `test` of `/metadata/uid` and `replace` of `/spec` | 0 once that succeeded, the lock is gone (404) or, with `restore`, has another UID; its log and termination message say which. 143 at SIGTERM, at once |
//! | `sh /switch/switch.sh rehearse` | the same to the canary, with `dryRun=All` | prints the HTTP status alone (`000`: no answer); 0 only if it is 200 |
//!
//! A restored spec belongs to the field manager `kubectl-egress`, operation `Update`: applying that lock again with
//! server-side apply is a conflict with ourselves, and needs `force`.

use super::policy::{labels, network_policy, spec};
use super::{ApiServer, Peer, Run};
use crate::istio::kinds;
use crate::plan::ownership::{Manifest, owned};
use crate::vocabulary::names;
use serde_json::{Value, json};

/// What the switch runs.
pub const SCRIPT: &str = include_str!("switch.sh");
/// The container's name.
pub const CONTAINER: &str = "switch";

const FOLDER: &str = "/switch";
const SCRIPT_FILE: &str = "switch.sh";
const SPEC_FILE: &str = "spec.json";
/// Where the kubelet mounts it (Kubernetes documentation, "Accessing the Kubernetes API from a Pod").
const CREDENTIALS: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Nobody but the user ends the Job: it is there until the lock is taken back or confirmed.
const BACKOFF_LIMIT: i32 = 1_000_000;

/// How the switch undoes a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwitchUndo {
    /// There was none before: it is deleted.
    Delete {
        /// Its name.
        lock: String,
    },
    /// There was one, and its spec was changed: it is put back.
    Restore {
        /// Its name.
        lock: String,
        /// Its UID; should it have another, it is left alone.
        uid: String,
        /// Its spec before.
        spec: Value,
    },
}

impl SwitchUndo {
    /// Name of the lock.
    pub fn lock(&self) -> &str {
        match self {
            Self::Delete { lock } | Self::Restore { lock, .. } => lock,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Delete { .. } => "delete",
            Self::Restore { .. } => "restore",
        }
    }

    fn uid(&self) -> &str {
        match self {
            Self::Delete { .. } => "",
            Self::Restore { uid, .. } => uid,
        }
    }

    /// What its ServiceAccount may do to lock and canary, and to nothing else.
    fn verbs(&self) -> [&'static str; 2] {
        match self {
            Self::Delete { .. } => ["get", "delete"],
            Self::Restore { .. } => ["get", "patch"],
        }
    }
}

/// Labels of the switch's pod: canary and guard select it by them.
pub fn pod_labels(run: &Run) -> Value {
    json!({names::SWITCH_LABEL: run.id})
}

/// Everything that the switch's Job needs: ServiceAccount, Role, RoleBinding, ConfigMap and the guard, a NetworkPolicy
/// that lets the switch's pod reach the API server and nothing else.
pub fn switch_foundation(run: &Run, undo: &SwitchUndo, api_server: &ApiServer) -> Vec<Manifest> {
    let name = run.switch();
    let object = |kind, mut body: Value| {
        body["metadata"] = json!({"labels": labels(run, "switch")});
        owned(&run.plan, &kind, &run.namespace, &name, body)
    };
    let mut data = json!({SCRIPT_FILE: SCRIPT});
    if let SwitchUndo::Restore { spec, .. } = undo {
        data[SPEC_FILE] = json!(spec.to_string());
    }
    let rules = json!([{
        "apiGroups": [kinds::network_policy().group],
        "resources": [kinds::network_policy().plural],
        "resourceNames": [undo.lock(), run.canary()],
        "verbs": undo.verbs(),
    }]);
    let role = kinds::role();
    let binding = json!({
        "roleRef": {"apiGroup": role.group, "kind": role.kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": run.namespace}],
    });
    let guard = spec(&json!({"matchLabels": pod_labels(run)}), &api_server.peers());
    vec![
        object(
            kinds::service_account(),
            json!({"automountServiceAccountToken": false}),
        ),
        object(role, json!({"rules": rules})),
        object(kinds::role_binding(), binding),
        object(kinds::config_map(), json!({"data": data})),
        network_policy(run, &name, "switch", &guard),
    ]
}

/// The lock's rules for the switch's pod alone: if that can still undo under them and the guard, it can under the lock.
pub fn canary(run: &Run, peers: &[Peer]) -> Manifest {
    let spec = spec(&json!({"matchLabels": pod_labels(run)}), peers);
    network_policy(run, &run.canary(), "canary", &spec)
}

/// The Job. It starts its pod again after every failure, also on another node, until it has done its work or is
/// deleted; after its deadline it acts at once.
pub fn switch_job(
    run: &Run,
    undo: &SwitchUndo,
    api_server: &ApiServer,
    image: &str,
    deadline_epoch_seconds: u64,
) -> Manifest {
    let mut labels_of_pod = pod_labels(run);
    labels_of_pod["sidecar.istio.io/inject"] = json!("false");
    let body = json!({
        "metadata": {"labels": labels(run, "switch")},
        "spec": {
            "backoffLimit": BACKOFF_LIMIT,
            "template": {
                "metadata": {"labels": labels_of_pod, "annotations": {"sidecar.istio.io/inject": "false"}},
                "spec": pod_spec(run, image, &environment(run, undo, api_server, deadline_epoch_seconds)),
            },
        },
    });
    owned(&run.plan, &kinds::job(), &run.namespace, &run.switch(), body)
}

fn environment(run: &Run, undo: &SwitchUndo, api_server: &ApiServer, deadline: u64) -> Value {
    let endpoints: Vec<_> = api_server.endpoints.iter().map(ToString::to_string).collect();
    let variables = [
        ("SWITCH_UNDO", undo.word().to_owned()),
        ("SWITCH_NAMESPACE", run.namespace.clone()),
        ("SWITCH_LOCK", undo.lock().to_owned()),
        ("SWITCH_LOCK_UID", undo.uid().to_owned()),
        ("SWITCH_CANARY", run.canary()),
        ("SWITCH_DEADLINE", deadline.to_string()),
        ("SWITCH_ENDPOINTS", endpoints.join(" ")),
        ("SWITCH_SPEC", format!("{FOLDER}/{SPEC_FILE}")),
        ("SWITCH_CREDENTIALS", CREDENTIALS.to_owned()),
        ("SWITCH_TERMINATION_LOG", "/dev/termination-log".to_owned()),
    ];
    variables
        .map(|(name, value)| json!({"name": name, "value": value}))
        .into_iter()
        .collect()
}

fn pod_spec(run: &Run, image: &str, environment: &Value) -> Value {
    let leaves_at_once =
        |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0});
    json!({
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": 2,
        "serviceAccountName": run.switch(),
        "automountServiceAccountToken": true,
        "enableServiceLinks": false,
        // Otherwise a pod stays five minutes on a node that is lost, and the deadline passes.
        "tolerations": [leaves_at_once("node.kubernetes.io/not-ready"), leaves_at_once("node.kubernetes.io/unreachable")],
        // The restricted Pod Security Standard; curlimages/curl runs as user 100, named and not numbered there.
        "securityContext": {"runAsNonRoot": true, "runAsUser": 100, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": CONTAINER,
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", format!("{FOLDER}/{SCRIPT_FILE}"), "wait"],
            "env": environment,
            "resources": {
                "requests": {"cpu": "10m", "memory": "32Mi"},
                "limits": {"cpu": "500m", "memory": "128Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": true,
            },
            "volumeMounts": [{"name": "switch", "mountPath": FOLDER, "readOnly": true}],
        }],
        "volumes": [{"name": "switch", "configMap": {"name": run.switch()}}],
    })
}
