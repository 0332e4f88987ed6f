//! The source: our own curl Deployment, from which probes are sent. It satisfies the restricted Pod Security Standard.

use super::ownership::{Manifest, shared};
use crate::istio::kinds;
use crate::vocabulary::{PlanIdentity, names};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How the source's pod gets its sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Injection {
    /// The namespace's label does it.
    Namespace,
    /// A label of the pod does it: `sidecar.istio.io/inject=true`.
    Pod,
    /// A label of the pod names the revision: `istio.io/rev`.
    PodRevision(String),
    /// No sidecar: the un-meshed source.
    None,
}

/// What the user may set about the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSettings {
    /// Image with curl, a shell is not needed.
    pub image: String,
    /// How it is injected.
    pub injection: Injection,
    /// Secret mounted at /etc/curl/tls, if asked for.
    pub secret: Option<String>,
    /// Labels that the gateway's network policies ask of pods.
    pub client_labels: BTreeMap<String, String>,
}

impl Default for SourceSettings {
    fn default() -> Self {
        Self {
            image: names::SOURCE_IMAGE.to_owned(),
            injection: Injection::Namespace,
            secret: None,
            client_labels: BTreeMap::new(),
        }
    }
}

/// Labels that select the source's pods.
pub fn selector() -> Value {
    json!(selector_labels())
}

/// The same by name.
pub fn selector_labels() -> BTreeMap<String, String> {
    let labels = [("app", names::SOURCE), (names::ROLE_LABEL, "source")];
    labels
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The label selector as text: pods of the Deployment, not those that one run makes beside it.
pub fn label_selector() -> String {
    format!(
        "app={},{}=source,!{}",
        names::SOURCE,
        names::ROLE_LABEL,
        names::MANAGED_BY_LABEL
    )
}

/// ServiceAccount, Service and Deployment. Several plans of a namespace share them.
pub fn objects(plan: &PlanIdentity, settings: &SourceSettings) -> Vec<Manifest> {
    let namespace = &plan.namespace;
    let service = json!({
        "metadata": {"labels": {"app": names::SOURCE, "service": names::SOURCE}},
        "spec": {
            "selector": selector(),
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}],
        },
    });
    let deployment = json!({
        "metadata": {"labels": {"app": names::SOURCE}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": selector()},
            "template": {
                "metadata": {"labels": pod_labels(&selector(), settings)},
                "spec": pod_spec(settings, Some(names::SOURCE)),
            },
        },
    });
    vec![
        shared(
            plan,
            &kinds::service_account(),
            namespace,
            names::SOURCE,
            json!({}),
        ),
        shared(plan, &kinds::service(), namespace, names::SOURCE, service),
        shared(plan, &kinds::deployment(), namespace, names::SOURCE, deployment),
    ]
}

/// A pod that one run probes from. It ends by itself after ten minutes should nobody delete it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbePodSettings<'run> {
    /// Where.
    pub namespace: &'run str,
    /// Its name.
    pub name: &'run str,
    /// Image with curl.
    pub image: &'run str,
    /// Labels besides our own, for example those by which a lock selects its pods.
    pub labels: &'run BTreeMap<String, String>,
    /// Labels that the gateway's network policies ask of pods, so that none of them is taken for the lock's work.
    pub client_labels: &'run BTreeMap<String, String>,
    /// How it is injected. Without a sidecar, what it reaches, nothing in the mesh can stop.
    pub injection: Injection,
    /// What it does to get past its sidecar, or past NetworkPolicies.
    pub evasion: &'run Evasion,
}

/// What a pod asks for that a pod of an application need not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evasion {
    /// Annotations, for example those by which the sidecar leaves addresses out.
    pub annotations: BTreeMap<String, String>,
    /// The user that its container runs as; `None`: that of the image.
    pub user: Option<u32>,
    /// Whether it is on the host's network.
    pub host_network: bool,
}

/// The pod. With labels of somebody else's workload it never counts as ready, so that no Service sends it traffic.
pub fn probe_pod(plan: &PlanIdentity, settings: &ProbePodSettings<'_>) -> Manifest {
    let of_source = SourceSettings {
        image: settings.image.to_owned(),
        injection: settings.injection.clone(),
        secret: None,
        client_labels: settings.client_labels.clone(),
    };
    let mut spec = pod_spec(&of_source, None);
    spec["restartPolicy"] = json!("Never");
    spec["activeDeadlineSeconds"] = json!(600);
    if let Some(user) = settings.evasion.user {
        spec["securityContext"]["runAsUser"] = json!(user);
    }
    if settings.evasion.host_network {
        spec["hostNetwork"] = json!(true);
        // Else it would ask the node's resolver, which need not know more than the node.
        spec["dnsPolicy"] = json!("ClusterFirstWithHostNet");
    }
    if !settings.labels.is_empty() {
        spec["readinessGates"] = json!([{"conditionType": names::NEVER_READY_GATE}]);
    }
    // The access log of our source is on for these labels, and so for this pod's sidecar, unless others are asked for.
    let mut own = match settings.injection {
        Injection::None => json!({names::ROLE_LABEL: "unmeshed-source"}),
        _ => selector(),
    };
    for (name, value) in settings.labels {
        own[name] = json!(value);
    }
    let labels = pod_labels(&own, &of_source);
    let mut annotations = settings.evasion.annotations.clone();
    if settings.injection == Injection::None {
        annotations.insert("sidecar.istio.io/inject".to_owned(), "false".to_owned());
    }
    let mut metadata = json!({"labels": labels});
    if !annotations.is_empty() {
        metadata["annotations"] = json!(annotations);
    }
    let body = json!({"metadata": metadata, "spec": spec});
    super::ownership::owned(plan, &kinds::pod(), settings.namespace, settings.name, body)
}

fn pod_labels(base: &Value, settings: &SourceSettings) -> Value {
    let mut labels = base.clone();
    for (name, value) in &settings.client_labels {
        labels[name] = json!(value);
    }
    match &settings.injection {
        Injection::Namespace => {}
        Injection::Pod => labels["sidecar.istio.io/inject"] = json!("true"),
        Injection::PodRevision(revision) => labels["istio.io/rev"] = json!(revision),
        Injection::None => labels["sidecar.istio.io/inject"] = json!("false"),
    }
    labels
}

fn pod_spec(settings: &SourceSettings, service_account: Option<&str>) -> Value {
    let mut container = json!({
        "name": names::SOURCE,
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sleep", "infinity"],
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"cpu": "500m", "memory": "128Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        },
    });
    let mut spec = json!({
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": false,
        // curlimages/curl runs as user 100; its user is named, not numbered, so the number must stand here.
        "securityContext": {"runAsNonRoot": true, "runAsUser": 100, "seccompProfile": {"type": "RuntimeDefault"}},
    });
    if let Some(account) = service_account {
        spec["serviceAccountName"] = json!(account);
    }
    if let Some(secret) = &settings.secret {
        container["volumeMounts"] =
            json!([{"name": "curl-tls", "mountPath": "/etc/curl/tls", "readOnly": true}]);
        spec["volumes"] = json!([{"name": "curl-tls", "secret": {"secretName": secret, "optional": true}}]);
    }
    spec["containers"] = json!([container]);
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> PlanIdentity {
        PlanIdentity::new("demo", "default").unwrap()
    }

    #[test]
    fn satisfies_the_restricted_pod_security_standard() {
        // Kubernetes documentation, Pod Security Standards, profile "restricted".
        let deployment = &objects(&plan(), &SourceSettings::default())[2].object;
        let spec = deployment.at("/spec/template/spec");
        let container = &spec["containers"][0];
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(
            spec["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
        assert_eq!(
            container["securityContext"]["capabilities"]["drop"],
            json!(["ALL"])
        );
        assert_eq!(spec["terminationGracePeriodSeconds"], 0);
        assert!(
            spec.get("volumes").is_none(),
            "a secret is mounted only if asked for"
        );
    }

    #[test]
    fn the_secret_is_mounted_if_asked_for() {
        let settings = SourceSettings {
            secret: Some("curl-secret".to_owned()),
            ..SourceSettings::default()
        };
        let deployment = &objects(&plan(), &settings)[2].object;
        assert_eq!(
            deployment.text("/spec/template/spec/volumes/0/secret/secretName"),
            "curl-secret"
        );
    }

    #[test]
    fn the_unmeshed_pod_says_no_to_injection_and_ends_by_itself() {
        let pod = made(&BTreeMap::new(), &BTreeMap::new());
        assert_eq!(pod.label("sidecar.istio.io/inject"), Some("false"));
        assert_eq!(pod.at("/spec/activeDeadlineSeconds"), 600);
        assert!(pod.at("/spec/readinessGates").is_null());
    }

    #[test]
    fn a_pod_with_labels_of_somebody_elses_workload_never_serves() {
        let labels = BTreeMap::from([("app".to_owned(), "shop".to_owned())]);
        let pod = made(&labels, &BTreeMap::new());
        assert_eq!(pod.label("app"), Some("shop"));
        assert_eq!(
            pod.at("/spec/readinessGates")[0]["conditionType"],
            names::NEVER_READY_GATE
        );
    }

    /// A pod without sidecar.
    fn made(
        labels: &BTreeMap<String, String>,
        client_labels: &BTreeMap<String, String>,
    ) -> crate::vocabulary::Object {
        let settings = ProbePodSettings {
            namespace: "demo",
            name: "x",
            image: names::SOURCE_IMAGE,
            labels,
            client_labels,
            injection: Injection::None,
            evasion: &Evasion::default(),
        };
        probe_pod(&plan(), &settings).object
    }

    #[test]
    fn labels_that_the_gateway_asks_for_are_on_the_pods_and_not_in_the_selector() {
        let labels: BTreeMap<String, String> = [("to/gateway".to_owned(), "allowed".to_owned())].into();
        let settings = SourceSettings {
            client_labels: labels.clone(),
            ..SourceSettings::default()
        };
        let deployment = &objects(&plan(), &settings)[2].object;
        assert_eq!(
            deployment.text("/spec/template/metadata/labels/to~1gateway"),
            "allowed"
        );
        assert_eq!(deployment.at("/spec/selector/matchLabels"), &selector());
        let pod = made(&BTreeMap::new(), &labels);
        assert_eq!(pod.label("to/gateway"), Some("allowed"));
    }
}
