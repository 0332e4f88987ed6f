//! What the API server fills in where nothing was said.

use super::injection;
use crate::sandbox::state::{Inner, State};
use crate::vocabulary::Kind;
use serde_json::{Value, json};

/// Fills in defaults; at a pod's creation also what admission adds (injection).
pub(in crate::sandbox) fn fill_in(inner: &Inner, state: &mut State, kind: &Kind, object: &mut Value) {
    match kind.kind.as_str() {
        "Namespace" => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            set(&mut object["spec"], "finalizers", json!(["kubernetes"]));
            if object["status"]["phase"].is_null() {
                object["status"]["phase"] = json!("Active");
            }
        }
        "Deployment" => deployment(object),
        "Service" => service(state, object),
        "Pod" => pod(inner, state, object),
        "Job" => {
            super::jobs::fill_in(object);
            pod_specification(&mut object["spec"]["template"]["spec"]);
        }
        "NetworkPolicy" => network_policy(&mut object["spec"]),
        _ => {}
    }
}

fn set(parent: &mut Value, field: &str, value: Value) {
    if parent[field].is_null() {
        parent[field] = value;
    }
}

fn deployment(object: &mut Value) {
    let specification = &mut object["spec"];
    set(specification, "replicas", json!(1));
    set(specification, "progressDeadlineSeconds", json!(600));
    set(specification, "revisionHistoryLimit", json!(10));
    let strategy =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
    set(specification, "strategy", strategy);
    pod_specification(&mut specification["template"]["spec"]);
}

fn pod_specification(specification: &mut Value) {
    set(specification, "restartPolicy", json!("Always"));
    set(specification, "terminationGracePeriodSeconds", json!(30));
    set(specification, "dnsPolicy", json!("ClusterFirst"));
    set(specification, "schedulerName", json!("default-scheduler"));
    set(specification, "securityContext", json!({}));
    for container in entries(specification, "containers") {
        let image = container["image"].as_str().unwrap_or_default();
        let last = image.rsplit('/').next().unwrap_or_default();
        let latest = !last.contains(':') || last.ends_with(":latest");
        let policy = if latest { "Always" } else { "IfNotPresent" };
        set(container, "imagePullPolicy", json!(policy));
        set(container, "resources", json!({}));
        for port in entries(container, "ports") {
            set(port, "protocol", json!("TCP"));
        }
    }
}

/// The entries of a list. Reading it by index would write `null` where there is none.
fn entries<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    let entries = object.get_mut(list).and_then(Value::as_array_mut);
    entries.into_iter().flatten()
}

fn service(state: &mut State, object: &mut Value) {
    let specification = &mut object["spec"];
    set(specification, "type", json!("ClusterIP"));
    set(specification, "sessionAffinity", json!("None"));
    if specification["clusterIP"].is_null() {
        // An update that does not name the address keeps it.
        let metadata = &object["metadata"];
        let text = |name: &str| metadata[name].as_str().unwrap_or_default();
        let known = state
            .object("", "services", text("namespace"), text("name"))
            .map(|live| live["spec"]["clusterIP"].clone());
        let address = known.unwrap_or_else(|| json!(state.next_service_address()));
        object["spec"]["clusterIP"] = address;
    }
    let specification = &mut object["spec"];
    let addresses = json!([specification["clusterIP"]]);
    set(specification, "clusterIPs", addresses);
    for port in entries(specification, "ports") {
        set(port, "protocol", json!("TCP"));
        let number = port["port"].clone();
        set(port, "targetPort", number);
    }
    let balanced = object["spec"]["type"] == "LoadBalancer";
    let own = object["spec"]["clusterIP"].as_str().filter(|_| balanced);
    let balancer = own.map_or_else(
        || json!({}),
        |own| json!({"ingress": [{"ip": outside_address(own)}]}),
    );
    set(&mut object["status"], "loadBalancer", balancer);
}

/// The address of a Service's load balancer, among those of the outside world (RFC 5737) and no host's.
fn outside_address(own: &str) -> String {
    let last = own.rsplit('.').next().and_then(|last| last.parse().ok());
    format!("203.0.113.{}", 128 + last.unwrap_or(0_u32) % 120)
}

/// Rules: API reference of NetworkPolicy.
fn network_policy(specification: &mut Value) {
    let has_egress = specification["egress"]
        .as_array()
        .is_some_and(|rules| !rules.is_empty());
    if specification["policyTypes"].as_array().is_none_or(Vec::is_empty) {
        specification["policyTypes"] = if has_egress {
            json!(["Ingress", "Egress"])
        } else {
            json!(["Ingress"])
        };
    }
    for list in ["ingress", "egress"] {
        for rule in items(specification, list) {
            for port in items(rule, "ports") {
                set(port, "protocol", json!("TCP"));
            }
        }
    }
}

/// The items of a list that may be absent. (Indexing mutably would put a null there.)
fn items<'object>(parent: &'object mut Value, field: &str) -> impl Iterator<Item = &'object mut Value> {
    let list = parent.get_mut(field).and_then(Value::as_array_mut);
    list.into_iter().flatten()
}

fn pod(inner: &Inner, state: &mut State, object: &mut Value) {
    let metadata = &object["metadata"];
    let text = |name: &str| metadata[name].as_str().unwrap_or_default();
    let (namespace, name) = (text("namespace").to_owned(), text("name").to_owned());
    if state.object("", "pods", &namespace, &name).is_some() {
        return;
    }
    let specification = &mut object["spec"];
    pod_specification(specification);
    set(specification, "serviceAccountName", json!("default"));
    super::service_accounts::mount_token(state, &namespace, object);
    injection::inject(&inner.settings, state, &namespace, object);
    super::pods::admit(inner, state, object);
}
