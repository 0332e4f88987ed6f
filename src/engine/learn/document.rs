//! What `learn -o json` prints.

use super::flow::{Destination, Spoken, Way};
use super::open::Open;
use super::proposal::Proposal;
use super::roster::NotKnown;
use super::tally::{Flow, MOST_DESTINATIONS};
use super::{LearnSettings, Observation, Window};
use crate::engine::lockdown::simulation::Simulation;
use crate::error::Result;
use crate::plan::{self, Plan};
use crate::vocabulary::HostName;
use crate::vocabulary::names::API_VERSION;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// When, and to whom, it was listened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// For how many seconds the logs were followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched_seconds: Option<u64>,
    /// How many seconds the logs that were read go back, as far as the nodes still have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_seconds: Option<u64>,
    /// How many of the last lines of each log were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail_lines: Option<u32>,
    /// Whether it was ended before that.
    pub interrupted: bool,
    /// Sidecars that were heard.
    pub sidecars: usize,
    /// Lines of access logs that they wrote, incoming requests included.
    pub lines: u64,
}

impl Observed {
    pub(super) fn over(windows: &[Window]) -> Self {
        let mut observed = Self::default();
        for window in windows {
            match window {
                Window::For(time) => observed.watched_seconds = Some(time.as_secs()),
                Window::Since(time) => observed.since_seconds = Some(time.as_secs()),
                Window::Tail(lines) => observed.tail_lines = Some(*lines),
            }
        }
        observed
    }
}

/// One destination of one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DestinationSeen {
    /// The workload, for example `Deployment/shop`.
    pub workload: String,
    /// The name that was called; absent if only an address is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The address that was called, where there is no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The port that the application called.
    pub port: u16,
    /// What it spoke.
    pub protocol: Spoken,
    /// Which way it took.
    pub way: Way,
    /// The gateway that took it, or the Service by whose name it was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether the stored plan has it.
    pub planned: bool,
    /// Connections, of HTTP requests.
    pub count: u64,
    /// Those of them that never reached the other side.
    pub failed: u64,
    /// Bytes that the workload sent.
    pub bytes_out: u64,
    /// Bytes that came back.
    pub bytes_in: u64,
    /// When the last one began, by the sidecar's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
}

/// What a workload called beyond the destinations that are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MoreDestinations {
    /// The workload.
    pub workload: String,
    /// How many of its destinations are listed.
    pub listed: usize,
    /// Connections and requests to others.
    pub count: u64,
}

/// A destination that is not in the proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotProposed {
    /// `HOST:PORT` or `ADDRESS:PORT`.
    pub destination: String,
    /// What was spoken.
    pub protocol: Spoken,
    /// Who calls it.
    pub workloads: Vec<String>,
    /// How often.
    pub count: u64,
    /// Why not.
    pub why: String,
}

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Learned {
    /// Version of the document.
    pub api_version: String,
    /// Always `Learned`.
    pub kind: String,
    /// The plan that the proposal is for, `NAMESPACE/NAME`.
    pub plan: String,
    /// The namespace.
    pub namespace: String,
    /// When, and to whom, it was listened.
    pub observed: Observed,
    /// Where its workloads go.
    pub destinations: Vec<DestinationSeen>,
    /// Workloads with more destinations than are listed.
    pub more: Vec<MoreDestinations>,
    /// Connections that are open now, and so have no line yet.
    pub open: Vec<Open>,
    /// Of whom nothing, or not everything, is known.
    pub not_known: Vec<NotKnown>,
    /// What left and is not in the proposal.
    pub not_proposed: Vec<NotProposed>,
    /// Hosts that the proposal adds to the stored plan, as `HOST:PORT (MODE)`.
    pub adds: Vec<String>,
    /// The plan, as `setup -f` takes it; absent if there is no host for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Value>,
    /// The lock as it would be derived now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<Value>,
    /// What a lock now would break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Simulation>,
    /// Why it is not known what a lock would break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_unknown: Option<String>,
    #[serde(skip)]
    #[schemars(skip)]
    plan_proposed: Option<Plan>,
}

impl Learned {
    pub(super) fn new(
        settings: &LearnSettings,
        observation: &Observation,
        stored: Option<&Plan>,
        proposal: Proposal,
    ) -> Self {
        let mut learned = Self {
            api_version: API_VERSION.to_owned(),
            kind: "Learned".to_owned(),
            plan: settings.plan.to_string(),
            namespace: settings.namespace.clone(),
            observed: observation.observed.clone(),
            destinations: Vec::new(),
            more: Vec::new(),
            open: observation.open.clone(),
            not_known: observation.not_known.clone(),
            not_proposed: proposal.left_out,
            adds: proposal.added.iter().map(ToString::to_string).collect(),
            proposal: None,
            network_policy: None,
            shadow: None,
            lock_unknown: None,
            plan_proposed: proposal.plan,
        };
        learned.proposal = learned
            .plan_file()
            .ok()
            .flatten()
            .and_then(|text| serde_saphyr::from_str(&text).ok());
        for (workload, of_workload) in &observation.tally.workloads {
            let seen = of_workload
                .flows
                .iter()
                .map(|(to, flow)| seen(workload, to, flow, stored));
            learned.destinations.extend(seen);
            if of_workload.beyond > 0 {
                learned.more.push(MoreDestinations {
                    workload: workload.clone(),
                    listed: MOST_DESTINATIONS,
                    count: of_workload.beyond,
                });
            }
        }
        learned
    }

    /// The proposed plan as a file that `setup -f` takes; `None` if there is no host for one.
    ///
    /// # Errors
    /// If it cannot be written as YAML.
    pub fn plan_file(&self) -> Result<Option<String>> {
        self.plan_proposed.as_ref().map(plan::to_file).transpose()
    }

    /// The JSON Schema of the document.
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }

    /// Whether any sidecar told anything: without one, nothing is known.
    pub fn knows_anything(&self) -> bool {
        self.observed.sidecars > 0
    }

    /// The plan that would be locked: the proposal, as far as there is one.
    pub(super) fn plan_to_be(&self, stored: Option<&Plan>) -> Option<Plan> {
        self.plan_proposed.clone().or_else(|| stored.cloned())
    }
}

fn seen(workload: &str, to: &Destination, flow: &Flow, stored: Option<&Plan>) -> DestinationSeen {
    let is_planned = |plan: &Plan| {
        plan.hosts.iter().any(|planned| {
            let covers = |host: &HostName| planned.host == *host || planned.host.covers(host);
            planned.port() == to.port && to.host.as_ref().is_some_and(covers)
        })
    };
    DestinationSeen {
        workload: workload.to_owned(),
        host: to.host.as_ref().map(ToString::to_string),
        address: to.address.map(|address| address.to_string()),
        port: to.port,
        protocol: to.spoken,
        way: to.way,
        by: to.by.clone(),
        planned: stored.is_some_and(is_planned),
        count: flow.count,
        failed: flow.failed,
        bytes_out: flow.bytes_out,
        bytes_in: flow.bytes_in,
        last_seen: flow.last_seen.map(|time| time.to_string()),
    }
}
