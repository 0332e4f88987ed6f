//! Where a request would go and why, as the mesh model says from objects.

use crate::finding::Finding;
use crate::mesh::repair::{Repair, Trial};
use crate::mesh::{Carries, LegTls, PredictedHop, Prediction, Request, SourcePod, Upstream, predict};
use crate::vocabulary::{BlockedBy, Object, Outcome, Scheme, names};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The predicted ways of some requests.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Paths {
    /// Version of this document.
    pub api_version: String,
    /// `Paths`.
    pub kind: String,
    /// Who would ask, as `namespace/name`.
    pub source: String,
    /// Whether it has a sidecar.
    pub meshed: bool,
    /// What is not among the objects and was taken to be there.
    pub assumed: Vec<String>,
    /// One per request.
    pub paths: Vec<Path>,
}

/// The predicted way of one request. It takes the host itself to answer, and to speak TLS on 443 and 8443 only.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Path {
    /// The request.
    pub url: String,
    /// What becomes of it.
    pub outcome: Outcome,
    /// Who stops it.
    pub blocked_by: Option<BlockedBy>,
    /// What each proxy does, in order.
    pub hops: Vec<PathHop>,
    /// Where it goes wrong, and why.
    pub findings: Vec<Finding>,
    /// Changes, of one object each, after which the model carries it through the gateway; the likeliest first.
    pub repairs: Vec<PathRepair>,
    /// What the model does not know; if it is not empty, the rest is no more than likely.
    pub not_modelled: Vec<String>,
}

/// A change after which the request would go through the gateway.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PathRepair {
    /// The object, as `Kind namespace/name`.
    pub object: String,
    /// File and line that it is from.
    pub place: Option<String>,
    /// What is changed, in words.
    pub says: String,
    /// The change: a JSON patch (RFC 6902).
    pub patch: Vec<serde_json::Value>,
    /// The command that makes it in the cluster.
    pub command: String,
}

/// What one proxy does.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PathHop {
    /// The proxy: `the sidecar`, or a gateway's pod as `namespace/name`.
    pub at: String,
    /// Its listener.
    pub listener: String,
    /// Its cluster; `-` if it has none.
    pub cluster: String,
    /// Where it connects to.
    pub to: Option<String>,
    /// TLS that it adds, in words; `None` if it adds none.
    pub adds: Option<String>,
    /// What the access log would show: flags, or the proxy's own answer; `None` if all goes well.
    pub stopped: Option<String>,
    /// The objects that decide, in the order in which they are asked.
    pub decided_by: Vec<DecidedBy>,
}

/// An object that decides something.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecidedBy {
    /// What it decides, in words: `routed by`, `TLS by`, …
    pub what: String,
    /// The object, as `Kind namespace/name`.
    pub object: String,
    /// File and line that it is from.
    pub place: Option<String>,
}

/// A request that is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// How.
    pub scheme: Scheme,
    /// Port, 1 to 65535.
    pub port: u16,
}

/// Asks the model about requests to one host. `places` says where an object (`Kind namespace/name`) was written.
pub fn paths(
    objects: &[Object],
    source: &SourcePod,
    host: &str,
    questions: &[Question],
    places: &BTreeMap<String, String>,
    assumed: Vec<String>,
) -> Paths {
    let mut trial = Trial::of(objects, source, host);
    let mut path = |question: &Question| {
        let Question { scheme, port } = question;
        let request = Request {
            source: source.clone(),
            scheme: *scheme,
            host: host.to_owned(),
            port: *port,
            address: None,
            asks_dns: true,
            tunnel: None,
        };
        let prediction = predict(trial.world(), &request);
        let repairs = trial.repairs(&request, &prediction).into_iter();
        let repairs = repairs.map(|repair| path_repair(repair, places)).collect();
        Path {
            repairs,
            ..of_prediction(format!("{scheme}://{host}:{port}"), prediction, places)
        }
    };
    Paths {
        api_version: names::API_VERSION.to_owned(),
        kind: "Paths".to_owned(),
        source: format!("{}/{}", source.namespace, source.name),
        meshed: source.meshed,
        assumed,
        paths: questions.iter().map(&mut path).collect(),
    }
}

fn of_prediction(url: String, prediction: Prediction, places: &BTreeMap<String, String>) -> Path {
    Path {
        url,
        outcome: prediction.outcome,
        blocked_by: prediction.blocked_by,
        hops: prediction.hops.iter().map(|hop| path_hop(hop, places)).collect(),
        findings: prediction.findings,
        repairs: Vec::new(),
        not_modelled: prediction.not_modelled,
    }
}

fn path_repair(repair: Repair, places: &BTreeMap<String, String>) -> PathRepair {
    let group = repair.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let resource = format!("{}.{group}", repair.kind.to_lowercase());
    let patch = json!(repair.patch).to_string();
    let words = [
        &resource,
        &repair.name,
        "-n",
        &repair.namespace,
        "--type",
        "json",
        "-p",
        &patch,
    ];
    let words: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
    PathRepair {
        command: format!("kubectl patch {}", words.join(" ")),
        place: places.get(&repair.object).cloned(),
        object: repair.object,
        says: repair.says,
        patch: repair.patch,
    }
}

/// A word of a command as a POSIX shell takes it for one word, whatever is in it.
fn shell_word(word: &str) -> Cow<'_, str> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-._/".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', "'\\''")))
    }
}

fn path_hop(hop: &PredictedHop, places: &BTreeMap<String, String>) -> PathHop {
    let decided_by = hop.decided_by.iter().map(|decision| DecidedBy {
        what: decision.matter.to_string(),
        object: decision.object.clone(),
        place: places.get(&decision.object).cloned(),
    });
    PathHop {
        at: hop.at.to_string(),
        listener: hop.listener.clone(),
        cluster: hop.cluster.clone(),
        to: match &hop.upstream {
            Upstream::None => None,
            Upstream::Host { address, port } => Some(format!("{address}:{port}")),
            Upstream::Pod { pod, port, .. } => Some(format!("{pod}, port {port}")),
        },
        adds: match &hop.tls {
            LegTls::None => None,
            LegTls::Mesh { server_name } => Some(format!("mutual TLS of the mesh, asking for {server_name}")),
            LegTls::Originated { mutual: true, .. } => Some("TLS with a client certificate".to_owned()),
            LegTls::Originated { .. } => Some("TLS".to_owned()),
        },
        stopped: stopped(hop),
        decided_by: decided_by.collect(),
    }
}

fn stopped(hop: &PredictedHop) -> Option<String> {
    let code = hop.response_code.filter(|_| hop.carries == Carries::Http);
    let words: Vec<String> = [
        code.map(|code| code.to_string()),
        hop.flags.clone(),
        hop.details.clone(),
    ]
    .into_iter()
    .flatten()
    .collect();
    (hop.flags.is_some() || code.is_some() || hop.details.is_some()).then(|| words.join(" "))
}

/// Gateways that routes of files lead to and that are not in the files: a Service with the ports that the Gateways
/// name, and a ready pod with the labels that they select. Returns them with a sentence about each.
pub fn assumed_gateways(objects: &[Object]) -> (Vec<Object>, Vec<String>) {
    let of_kind = |kind: &'static str| objects.iter().filter(move |object| object.text("/kind") == kind);
    let mut ports: BTreeSet<u64> = [80, 443].into();
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for gateway in of_kind("Gateway") {
        let servers = gateway.items("/spec/servers").iter();
        ports.extend(servers.filter_map(|server| server["port"]["number"].as_u64()));
        let selector = gateway.at("/spec/selector").as_object().into_iter().flatten();
        labels.extend(selector.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))));
    }
    let mut made = Vec::new();
    let mut said = Vec::new();
    for (name, namespace) in destinations(objects) {
        let there = of_kind("Service")
            .any(|service| service.name() == name && service.namespace() == Some(namespace.as_str()));
        if there || labels.is_empty() {
            continue;
        }
        said.push(format!(
            "Service {namespace}/{name} with ports {} and a ready pod: they are in no file",
            ports.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
        ));
        let target = |port: u64| if port < 1024 { port + 8000 } else { port };
        let listed: Vec<_> = ports
            .iter()
            .map(|port| json!({"name": format!("tcp-{port}"), "port": port, "targetPort": target(*port)}))
            .collect();
        made.push(Object(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": labels, "ports": listed},
        })));
        made.push(Object(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("{name}-pod"), "namespace": namespace, "labels": labels},
            "spec": {"containers": [{"name": names::PROXY_CONTAINER}]},
            "status": {"podIP": "192.0.2.1", "conditions": [{"type": "Ready", "status": "True"}]},
        })));
    }
    (made, said)
}

/// Services of the cluster that routes lead to: name and namespace.
fn destinations(objects: &[Object]) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for owner in objects
        .iter()
        .filter(|object| object.text("/kind") == "VirtualService")
    {
        let routes = ["/spec/tls", "/spec/http", "/spec/tcp"]
            .into_iter()
            .flat_map(|part| owner.items(part))
            .flat_map(|route| route["route"].as_array().into_iter().flatten());
        for host in routes.filter_map(|route| route["destination"]["host"].as_str()) {
            let Some(name) = host.strip_suffix(".svc.cluster.local") else {
                continue;
            };
            if let Some((name, namespace)) = name.split_once('.') {
                found.insert((name.to_owned(), namespace.to_owned()));
            }
        }
    }
    found
}
