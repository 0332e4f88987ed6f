//! Everything that a report shows: one verification, and what was read beside it.
//!
//! Who may not read something has a report all the same, which says what is missing and why.

use super::check::{self, Findings};
use super::inspect::{self, GatewayCertificates};
use super::inventory::Scope;
use super::status::{self, StatusRow};
use super::verify::stored_plan;
use super::{facts, manifests, pods};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::evidence::Verification;
use crate::istio::kinds;
use crate::plan::GatewayTarget;
use crate::vocabulary::{Object, ObjectReference, PlanIdentity, names};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// What `report -o json` prints, and what the page is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportDocument {
    /// Version of the document.
    pub api_version: String,
    /// Always `Report`.
    pub kind: String,
    /// The plan, `NAMESPACE/NAME`.
    pub plan: String,
    /// The namespace that was probed.
    pub namespace: String,
    /// The context of the kubeconfig by which the cluster was reached.
    pub context: String,
    /// Who is how old.
    pub versions: Versions,
    /// When, and how long.
    pub timing: Timing,
    /// What was proven.
    pub verification: Verification,
    /// What `check` finds in the namespace; `null` if it could not be asked.
    pub check: Option<Findings>,
    /// Where the gateway runs.
    pub gateway: GatewayPlace,
    /// Each object of the plan.
    pub objects: Vec<StatusRow>,
    /// What each pod of the gateway holds.
    pub certificates: Vec<GatewayCertificates>,
    /// The plan's manifests, as `render` prints them.
    pub manifests: Vec<Value>,
    /// What could not be read, one sentence each.
    pub not_read: Vec<String>,
}

/// Versions of what took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// This program.
    pub kubectl_egress: String,
    /// The API server.
    pub kubernetes: String,
    /// Istio's control plane.
    pub istio: String,
    /// Images that the gateway's proxies run.
    pub gateway_images: Vec<String>,
}

/// When it was looked, by the API server's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timing {
    /// When the verification began.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When everything was read.
    #[schemars(with = "String")]
    pub finished_at: Timestamp,
    /// Milliseconds that the verification took.
    pub verification_ms: u64,
    /// Milliseconds that the rest took.
    pub reading_ms: u64,
}

/// Where a gateway runs, which is where a firewall sees its traffic come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayPlace {
    /// Its Service, `NAMESPACE/NAME`.
    pub service: String,
    /// Its pods.
    pub pods: Vec<GatewayPodPlace>,
    /// The nodes of its pods.
    pub nodes: Vec<NodePlace>,
}

/// One pod of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayPodPlace {
    /// `NAMESPACE/NAME`.
    pub pod: String,
    /// Its node; empty before it has one.
    pub node: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Its own addresses, which are rarely seen outside of the cluster.
    pub addresses: Vec<String>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodePlace {
    /// Its name.
    pub node: String,
    /// Addresses inside its own network.
    pub internal_addresses: Vec<String>,
    /// Addresses outside of it, where the cluster knows any.
    pub external_addresses: Vec<String>,
}

impl ReportDocument {
    /// The JSON Schema of the document.
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }
}

/// When a verification began, by the API server's clock, and how long it took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub verification: Duration,
}

/// Reads everything that stands beside a verification: at most eight requests at a time, nothing is written.
///
/// # Errors
/// If there is no plan, or the API server cannot be reached.
pub async fn gather(
    cluster: &Cluster,
    plan: &PlanIdentity,
    verification: Verification,
    took: Took,
) -> Result<ReportDocument> {
    let begun = tokio::time::Instant::now();
    let journal = stored_plan(cluster, plan).await?;
    let now = cluster.server_time().unwrap_or_else(Timestamp::now);
    let scope = Scope::Namespace(verification.namespace.clone());
    let (check, rows, certificates, manifests, place, versions) = tokio::join!(
        check::of_cluster(cluster, &scope),
        status::of(cluster, &journal),
        inspect::of_gateway(cluster, &journal.gateway, now),
        manifests::of_journal(cluster, &journal),
        place(cluster, &journal.gateway),
        facts::versions(cluster),
    );
    let mut not_read = Vec::new();
    let mut told = |what: &str, error: &Error| not_read.push(format!("{what}: {error}"));
    let check = check.map_err(|error| told("what `check` finds", &error)).ok();
    let objects = rows.map_err(|error| told("the plan's objects", &error));
    let certificates = certificates.map_err(|error| told("the gateway's certificates", &error));
    let (gateway, images, unread) = place?;
    not_read.extend(unread);
    not_read.extend(check.iter().flat_map(|found| found.unread.clone()));
    let (kubernetes, istio) = versions?;
    Ok(ReportDocument {
        api_version: names::API_VERSION.to_owned(),
        kind: "Report".to_owned(),
        plan: plan.to_string(),
        namespace: verification.namespace.clone(),
        context: cluster.context().to_owned(),
        versions: Versions {
            kubectl_egress: env!("CARGO_PKG_VERSION").to_owned(),
            kubernetes,
            istio,
            gateway_images: images.into_iter().collect(),
        },
        timing: Timing {
            started_at: took.started_at,
            finished_at: cluster.server_time().unwrap_or_else(Timestamp::now),
            verification_ms: milliseconds(took.verification),
            reading_ms: milliseconds(begun.elapsed()),
        },
        verification,
        check,
        gateway,
        objects: objects.unwrap_or_default(),
        certificates: certificates.unwrap_or_default(),
        manifests,
        not_read,
    })
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The gateway's pods and their nodes, the proxies' images, and what could not be read of the nodes.
async fn place(
    cluster: &Cluster,
    gateway: &GatewayTarget,
) -> Result<(GatewayPlace, BTreeSet<String>, Vec<String>)> {
    let selector = gateway.label_selector();
    let found = cluster
        .list(&kinds::pod(), Some(&gateway.namespace), Some(&selector))
        .await?;
    let names: BTreeSet<&str> = found
        .iter()
        .map(|pod| pod.text("/spec/nodeName"))
        .filter(|node| !node.is_empty())
        .collect();
    let references = names
        .iter()
        .map(|name| ObjectReference::cluster(kinds::node(), *name));
    let read = futures::future::join_all(references.map(async |reference| cluster.get(&reference).await));
    let mut unread = Vec::new();
    let mut nodes = Vec::new();
    for (name, node) in names.iter().zip(read.await) {
        let on = found.iter().filter(|pod| pod.text("/spec/nodeName") == *name);
        let object = node.unwrap_or_else(|error| {
            unread.push(format!(
                "the addresses of node {name} outside of its network: {error}"
            ));
            None
        });
        nodes.push(node_place(name, object.as_ref(), on));
    }
    let images = found
        .iter()
        .flat_map(|pod| pod.items("/spec/containers"))
        .filter(|container| container["name"] == names::PROXY_CONTAINER)
        .filter_map(|container| container["image"].as_str().map(str::to_owned));
    let pods = found.iter().map(|pod| GatewayPodPlace {
        pod: pods::name(pod).to_string(),
        node: pod.text("/spec/nodeName").to_owned(),
        ready: pods::is_ready(pod),
        addresses: pods::addresses(pod),
    });
    let place = GatewayPlace {
        service: gateway.to_string(),
        pods: pods.collect(),
        nodes,
    };
    Ok((place, images.collect(), unread))
}

/// A pod knows its node's address without anybody having to be allowed to read nodes.
fn node_place<'a>(
    name: &str,
    node: Option<&Object>,
    pods_on_it: impl Iterator<Item = &'a Object>,
) -> NodePlace {
    let of_type = |wanted: &str| {
        let all = node.map_or(&[][..], |node| node.items("/status/addresses"));
        let fitting = all.iter().filter(|address| address["type"] == wanted);
        fitting
            .filter_map(|address| address["address"].as_str().map(str::to_owned))
            .collect::<BTreeSet<String>>()
    };
    let mut internal = of_type("InternalIP");
    for pod in pods_on_it {
        internal.extend(Some(pod.text("/status/hostIP").to_owned()).filter(|address| !address.is_empty()));
    }
    NodePlace {
        node: name.to_owned(),
        internal_addresses: internal.into_iter().collect(),
        external_addresses: of_type("ExternalIP").into_iter().collect(),
    }
}
