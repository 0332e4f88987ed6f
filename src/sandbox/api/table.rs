//! Tables, as `kubectl get` asks for them: the API server chooses the columns and writes the cells.

use crate::vocabulary::Kind;
use jiff::Timestamp;
use serde_json::{Value, json};

/// A column: its heading, whether it is shown only with `-o wide`, and what an object has in it.
struct Column {
    name: &'static str,
    wide: bool,
    cell: fn(&Value) -> String,
}

const fn column(name: &'static str, cell: fn(&Value) -> String) -> Column {
    Column {
        name,
        wide: false,
        cell,
    }
}

const fn wide(name: &'static str, cell: fn(&Value) -> String) -> Column {
    Column {
        name,
        wide: true,
        cell,
    }
}

/// Objects as a `meta.k8s.io/v1` Table; `rows` are the objects, each with what is to be sent of it.
pub(super) fn table(kind: &Kind, metadata: &Value, rows: &[(&Value, Value)], now: Timestamp) -> Value {
    let columns = columns(&kind.plural);
    let mut definitions = vec![definition("Name", "name", 0)];
    definitions.extend(
        columns
            .iter()
            .map(|one| definition(one.name, "", u8::from(one.wide))),
    );
    // The age stands before the columns of `-o wide`, and is written by the server.
    let narrow = columns.iter().take_while(|one| !one.wide).count();
    definitions.insert(narrow + 1, definition("Age", "", 0));
    let rows: Vec<Value> = rows
        .iter()
        .map(|(object, sent)| {
            let mut cells = vec![object["metadata"]["name"].clone()];
            cells.extend(columns.iter().map(|one| json!((one.cell)(object))));
            cells.insert(
                narrow + 1,
                json!(age(&object["metadata"]["creationTimestamp"], now)),
            );
            json!({"cells": cells, "object": sent})
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn definition(name: &str, format: &str, priority: u8) -> Value {
    json!({"name": name, "type": "string", "format": format, "description": "", "priority": priority})
}

/// The columns beside name and age: those of the real API server, and of Istio's CRDs.
fn columns(plural: &str) -> Vec<Column> {
    match plural {
        "pods" => vec![
            column("Ready", pod_ready),
            column("Status", pod_status),
            column("Restarts", |_| "0".to_owned()),
            wide("IP", |pod| or_none(&pod["status"]["podIP"])),
            wide("Node", |pod| or_none(&pod["spec"]["nodeName"])),
        ],
        "deployments" | "statefulsets" => vec![
            column("Ready", |object| {
                let ready = number(&object["status"]["readyReplicas"]);
                format!("{ready}/{}", number(&object["spec"]["replicas"]))
            }),
            column("Up-to-date", |object| {
                number(&object["status"]["updatedReplicas"]).to_string()
            }),
            column("Available", |object| {
                number(&object["status"]["availableReplicas"]).to_string()
            }),
            wide("Images", images),
        ],
        "replicasets" => vec![
            column("Desired", |object| {
                number(&object["spec"]["replicas"]).to_string()
            }),
            column("Current", |object| {
                number(&object["status"]["replicas"]).to_string()
            }),
            column("Ready", |object| {
                number(&object["status"]["readyReplicas"]).to_string()
            }),
            wide("Images", images),
        ],
        "services" => vec![
            column("Type", |object| {
                object["spec"]["type"].as_str().unwrap_or("ClusterIP").to_owned()
            }),
            column("Cluster-IP", |object| or_none(&object["spec"]["clusterIP"])),
            column("External-IP", |_| "<none>".to_owned()),
            column("Port(s)", service_ports),
            wide("Selector", |object| pairs(&object["spec"]["selector"])),
        ],
        "namespaces" => vec![column("Status", |object| {
            let leaving = !object["metadata"]["deletionTimestamp"].is_null();
            if leaving { "Terminating" } else { "Active" }.to_owned()
        })],
        "nodes" => vec![column("Status", |_| "Ready".to_owned())],
        "configmaps" => vec![column("Data", |object| entries(&object["data"]))],
        "secrets" => vec![
            column("Type", |object| {
                object["type"].as_str().unwrap_or("Opaque").to_owned()
            }),
            column("Data", |object| entries(&object["data"])),
        ],
        "jobs" => vec![
            column("Status", job_status),
            column("Completions", |object| {
                format!("{}/1", number(&object["status"]["succeeded"]))
            }),
        ],
        "networkpolicies" => vec![column("Pod-Selector", |object| {
            pairs(&object["spec"]["podSelector"]["matchLabels"])
        })],
        "events" => vec![
            column("Type", |object| or_none(&object["type"])),
            column("Reason", |object| or_none(&object["reason"])),
            column("Message", |object| or_none(&object["message"])),
        ],
        "serviceentries" => vec![
            column("Hosts", |object| list(&object["spec"]["hosts"])),
            column("Location", |object| text(&object["spec"]["location"])),
            column("Resolution", |object| text(&object["spec"]["resolution"])),
        ],
        "virtualservices" => vec![
            column("Gateways", |object| list(&object["spec"]["gateways"])),
            column("Hosts", |object| list(&object["spec"]["hosts"])),
        ],
        "destinationrules" => vec![column("Host", |object| text(&object["spec"]["host"]))],
        "peerauthentications" => vec![column("Mode", |object| text(&object["spec"]["mtls"]["mode"]))],
        "authorizationpolicies" => vec![column("Action", |object| text(&object["spec"]["action"]))],
        "istios" => vec![column("State", |object| text(&object["status"]["state"]))],
        _ => Vec::new(),
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn or_none(value: &Value) -> String {
    value.as_str().unwrap_or("<none>").to_owned()
}

/// A list, as the columns of CRDs show it.
fn list(value: &Value) -> String {
    if value.is_null() {
        String::new()
    } else {
        value.to_string()
    }
}

fn entries(value: &Value) -> String {
    value.as_object().map_or(0, serde_json::Map::len).to_string()
}

fn pairs(value: &Value) -> String {
    let pairs = value.as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    if pairs.is_empty() {
        "<none>".to_owned()
    } else {
        pairs.join(",")
    }
}

fn images(object: &Value) -> String {
    let containers = object["spec"]["template"]["spec"]["containers"].as_array();
    let images = containers
        .into_iter()
        .flatten()
        .filter_map(|container| container["image"].as_str());
    images.collect::<Vec<_>>().join(",")
}

fn service_ports(object: &Value) -> String {
    let ports = object["spec"]["ports"].as_array().into_iter().flatten();
    let ports: Vec<String> = ports
        .map(|port| {
            format!(
                "{}/{}",
                number(&port["port"]),
                port["protocol"].as_str().unwrap_or("TCP")
            )
        })
        .collect();
    ports.join(",")
}

fn job_status(object: &Value) -> String {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let held = conditions.filter(|condition| condition["status"] == "True");
    let last = held
        .filter_map(|condition| condition["type"].as_str())
        .next_back();
    last.unwrap_or("Running").to_owned()
}

/// Statuses of the containers that stay: the application's, and native sidecars.
fn staying(pod: &Value) -> Vec<&Value> {
    let sidecars: Vec<&Value> = pod["spec"]["initContainers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|container| container["restartPolicy"] == "Always")
        .map(|container| &container["name"])
        .collect();
    let statuses = |name: &str| pod["status"][name].as_array().into_iter().flatten();
    statuses("containerStatuses")
        .chain(statuses("initContainerStatuses").filter(|status| sidecars.contains(&&status["name"])))
        .collect()
}

fn pod_ready(pod: &Value) -> String {
    let staying = staying(pod);
    let ready = staying.iter().filter(|status| status["ready"] == true).count();
    format!("{ready}/{}", staying.len())
}

fn pod_status(pod: &Value) -> String {
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating".to_owned();
    }
    let reason = staying(pod).into_iter().find_map(|status| {
        let state = &status["state"];
        let reason = state["waiting"]["reason"].as_str();
        reason.or_else(|| state["terminated"]["reason"].as_str())
    });
    reason.map_or_else(|| text(&pod["status"]["phase"]), str::to_owned)
}

/// How long ago, as kubectl writes it.
fn age(created: &Value, now: Timestamp) -> String {
    let Some(created) = created.as_str().and_then(|text| text.parse::<Timestamp>().ok()) else {
        return "<unknown>".to_owned();
    };
    let seconds = now.duration_since(created).as_secs().max(0);
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => format!("{minutes}m{}s", seconds % 60).replace("m0s", "m"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => format!("{hours}h{}m", minutes % 60).replace("h0m", "h"),
        28_800..172_800 => format!("{hours}h"),
        _ => format!("{}d", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_as_kubectl_writes_them() {
        let now: Timestamp = "2026-01-03T00:00:00Z".parse().unwrap();
        let since = |text: &str| age(&json!(text), now);
        assert_eq!(since("2026-01-02T23:58:01Z"), "119s");
        assert_eq!(since("2026-01-02T23:57:30Z"), "2m30s");
        assert_eq!(since("2026-01-02T23:55:00Z"), "5m");
        assert_eq!(since("2026-01-02T21:30:00Z"), "150m");
        assert_eq!(since("2026-01-02T20:00:00Z"), "4h");
        assert_eq!(since("2026-01-01T00:00:00Z"), "2d");
        assert_eq!(age(&Value::Null, now), "<unknown>");
    }
}
