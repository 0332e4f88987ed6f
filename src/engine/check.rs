//! Preflight and lint: what the rules over objects find, and what only a cluster can tell (Secrets, the access log,
//! the Kyma module).

use super::client_secret::{Holds, client_secret_findings};
use super::inventory::{Inventory, Scope, Unread, inventory};
use super::platform::Platform;
use crate::cluster::Cluster;
use crate::error::Result;
use crate::finding::{Finding, catalogue};
use crate::istio::kinds;
use crate::mesh::lint::{self, CredentialUse, GatewayUse, Remark, Subject, uses};
use crate::plan::access_log::{self, Workload};
use crate::vocabulary::{Object, names};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A finding with the places in files at which its objects begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placed {
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// `FILE:LINE` of its objects, where they come from files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
}

/// What `check` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// Version of this document's form.
    pub api_version: String,
    /// `Findings`.
    pub kind: String,
    /// What was found, errors first.
    pub findings: Vec<Placed>,
    /// What could not be looked at, one sentence each: rules that need it said nothing.
    pub unread: Vec<String>,
    /// How many objects were looked at.
    pub objects: usize,
    /// Codes that were left out because the user said so, with how often each was found.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub suppressed: BTreeMap<String, usize>,
}

impl Findings {
    /// The JSON Schema of the document.
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }

    fn new(findings: Vec<Placed>, objects: usize, unread: Vec<String>) -> Self {
        Self {
            api_version: names::API_VERSION.to_owned(),
            kind: "Findings".to_owned(),
            findings,
            unread,
            objects,
            suppressed: BTreeMap::new(),
        }
    }

    /// Leaves out findings by their codes, and counts them.
    #[must_use]
    pub fn without(mut self, codes: &[String]) -> Self {
        self.findings.retain(|placed| {
            let code = &placed.finding.code;
            let out = codes.contains(code);
            if out {
                *self.suppressed.entry(code.clone()).or_default() += 1;
            }
            !out
        });
        self
    }
}

/// `Kind namespace/name`, as findings name objects.
pub fn name_of(object: &Object) -> String {
    lint::name_of(object)
}

/// Looks at objects of files. `place` says where an object (`Kind namespace/name`) begins.
pub fn of_files(objects: &[Object], place: &BTreeMap<String, String>) -> Findings {
    let subject = Subject {
        objects,
        live: false,
        partial: BTreeSet::new(),
    };
    let placed = lint::lint(&subject).into_iter().map(|remark| {
        let places = remark
            .finding
            .objects
            .iter()
            .filter_map(|name| place.get(name).cloned());
        Placed {
            places: places.collect(),
            finding: remark.finding,
        }
    });
    Findings::new(placed.collect(), objects.len(), Vec::new())
}

/// Looks at a cluster: lists, and one request for each Secret that a route names.
///
/// # Errors
/// If the API server cannot be reached. What it refuses to show is told in the result.
pub async fn of_cluster(cluster: &Cluster, scope: &Scope) -> Result<Findings> {
    let (inventory, platform) = tokio::join!(inventory(cluster, scope), Platform::detect(cluster));
    let (inventory, platform) = (inventory?, platform?);
    let partial = inventory.unread.iter().map(|unread| unread.kind.kind.clone());
    let subject = Subject {
        objects: &inventory.objects,
        live: true,
        partial: partial.collect(),
    };
    let concerns = |namespaces: &BTreeSet<String>| match scope {
        Scope::All => true,
        Scope::Namespace(own) => namespaces.contains(own),
    };
    let remarks: Vec<Remark> = lint::lint(&subject)
        .into_iter()
        .filter(|remark| concerns(&remark.namespaces))
        .collect();
    let mut findings: Vec<Finding> = remarks.into_iter().map(|remark| remark.finding).collect();
    let (credentials, gateways) = uses(&subject);
    let now = cluster.server_time().unwrap_or_else(Timestamp::now);
    for used in &credentials {
        if concerns(&[used.user.clone(), used.namespace.clone()].into()) {
            findings.extend(of_secret(cluster, used, now).await?);
        }
    }
    if !subject.partial.contains("Telemetry") {
        let filtered = findings
            .iter()
            .any(|finding| finding.code == catalogue::ACCESS_LOG_FILTERED.code);
        let used = gateways
            .iter()
            .filter(|gateway| concerns(&gateway.users) && !filtered);
        findings.extend(used.filter_map(|gateway| log_off(&inventory, gateway)));
    }
    if let Some(kyma) = platform.kyma() {
        findings.extend(kyma.findings());
    }
    findings.sort_by(|left, right| {
        let key = |finding: &Finding| (finding.severity, finding.code.clone());
        key(left).cmp(&key(right))
    });
    let placed = findings.into_iter().map(|finding| Placed {
        finding,
        places: Vec::new(),
    });
    let unread = inventory.unread.iter().map(Unread::sentence).collect();
    Ok(Findings::new(placed.collect(), inventory.objects.len(), unread))
}

/// What is wrong with a Secret that a gateway makes TLS with.
async fn of_secret(cluster: &Cluster, used: &CredentialUse, now: Timestamp) -> Result<Vec<Finding>> {
    let holds = if used.client {
        Holds::Client
    } else {
        Holds::Authority
    };
    let names = [(used.name.as_str(), holds)];
    client_secret_findings(cluster, &used.namespace, &used.user, &names, now).await
}

/// A gateway that writes no access log.
fn log_off(inventory: &Inventory, gateway: &GatewayUse) -> Option<Finding> {
    let mesh = inventory.mesh();
    if mesh.is_null() {
        return None;
    }
    let root = mesh["rootNamespace"]
        .as_str()
        .unwrap_or(names::ISTIO_NAMESPACE)
        .to_owned();
    let telemetries: Vec<Object> = inventory.of_kind(&kinds::telemetry()).cloned().collect();
    let namespace = gateway.pod.namespace().unwrap_or_default();
    let workload = Workload {
        namespace,
        labels: gateway.pod.at("/metadata/labels"),
    };
    if !access_log::templates(&workload, &telemetries, &root, &mesh).is_empty() {
        return None;
    }
    let message = format!(
        "the egress gateway writes no access log (Pod {namespace}/{})",
        gateway.pod.name()
    );
    let finding = Finding::new(&catalogue::ACCESS_LOG_OFF, message);
    Some(finding.about(format!("Pod {namespace}/{}", gateway.pod.name())))
}
