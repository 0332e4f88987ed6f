//! Everything that is known about one probe when it is judged.

use super::{AccessLogLine, CurlResult, ProbeRequest, UpstreamCluster};
use crate::vocabulary::{AddressRange, Encryption};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Where a probe started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFacts {
    /// `namespace/name` of the pod.
    pub pod: String,
    /// The container that curl runs in.
    pub container: String,
    /// Its IP addresses. Empty if unknown; then curl's own word for its address is taken.
    pub addresses: Vec<String>,
    /// Whether a sidecar carries its traffic.
    pub meshed: bool,
    /// What of its traffic the sidecar gets.
    pub interception: Interception,
    /// Whether its sidecar's log arrives.
    pub log_state: LogState,
    /// The command that switches that log on, if it is not the one for our own source.
    pub log_switch: Option<String>,
}

/// Which addresses a pod's traffic is redirected to its sidecar for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interception {
    /// Only for these; none: for all.
    pub only: Vec<AddressRange>,
    /// What says so.
    pub only_by: String,
    /// But not for these.
    pub except: Vec<AddressRange>,
    /// What says so.
    pub except_by: String,
}

impl Interception {
    /// What lets the pod reach an address past its sidecar; `None` if the sidecar gets it.
    pub fn passed_by(&self, address: IpAddr) -> Option<&str> {
        let holds = |ranges: &[AddressRange]| ranges.iter().any(|range| range.contains(address));
        if holds(&self.except) {
            Some(&self.except_by)
        } else if !self.only.is_empty() && !holds(&self.only) {
            Some(&self.only_by)
        } else {
            None
        }
    }
}

/// The egress gateway of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayFacts {
    /// Host of its Service, in full: `istio-egressgateway.istio-system.svc.cluster.local`.
    pub service_host: String,
    /// Its pods, those included that joined during the run.
    pub pods: Vec<GatewayPodFacts>,
}

/// One pod of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayPodFacts {
    /// `namespace/name` of the pod.
    pub pod: String,
    /// Its IP addresses.
    pub addresses: Vec<String>,
    /// Whether its log arrives.
    pub log_state: LogState,
}

impl LogState {
    /// Whether no line can come any more, so that nobody waits for one.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Off | Self::Lacking(_) | Self::Forbidden(_) | Self::Unreadable(_)
        )
    }
}

/// What is known about the follower of a proxy's log while the probe ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogState {
    /// Shown to deliver before the probe left.
    Delivering,
    /// Its sentinel did not arrive: the access log is off, or the follower is dead.
    Silent,
    /// No configuration that is known switches the access log on, and no sentinel arrived either.
    Off,
    /// Its format tells too little: what is not in it, as Envoy's command operators are called.
    Lacking(Vec<&'static str>),
    /// We may not read it; why.
    Forbidden(String),
    /// It cannot be read, and not for lack of permission; why. Nothing more comes.
    Unreadable(String),
    /// Lines may be missing between two that arrived; why.
    Interrupted(String),
    /// The pod joined after the probe left, so nobody listened.
    Absent,
}

/// What others saw of the same host and port in the same run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Control {
    /// Whether the host answered somebody in this run; `None` if nobody asked.
    pub host_up: Option<bool>,
}

/// What a probe is expected to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Expected {
    /// A declared host and port: through the gateway.
    Routed,
    /// A forbidden host, another port, or a pod without sidecar: must not get out.
    NotReachable,
    /// A control that shows the host to be up, whatever its way.
    Reachable,
    /// Nothing: somebody only looks where it goes.
    Nothing,
}

/// The way that the plan's objects make for a declared host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedWay {
    /// Cluster by which the last proxy sends the request to the host. Of a wildcard it names the wildcard.
    pub outside_cluster: UpstreamCluster,
    /// The host as the plan names it: a wildcard, or the host itself.
    pub planned_host: String,
    /// How the leg to the gateway is to be protected; `None`: the request leaves at the sidecar.
    pub mesh: Option<Encryption>,
    /// How the leg to the host is to be protected, by the application or by a proxy.
    pub outside: Encryption,
    /// `namespace/name` of the Secret that the originating proxy needs.
    pub secret: Option<String>,
    /// Whether the plan says of this host, at some port, that it wants a client certificate.
    pub client_certificate: bool,
}

impl PlannedWay {
    /// Whether it goes through the gateway.
    pub fn through_gateway(&self) -> bool {
        self.mesh.is_some()
    }
}

/// How proxies protect what they send, by cluster, as their live configuration says: by mutual TLS, by TLS, or not at
/// all (then the application's own TLS may). A cluster that is not there was not read.
pub type Transports = BTreeMap<String, Encryption>;

/// What the live configuration of the proxies on a probe's way says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveConfiguration {
    /// Of the source's sidecar.
    pub sidecar: Transports,
    /// Of the gateway's pods, by `namespace/name`.
    pub gateway: BTreeMap<String, Transports>,
}

/// Lines that all probes of a round share: each has all of them, so that a thousand probes must not hold a thousand
/// copies. Who changes them has a copy of their own from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines<Line>(Arc<Vec<Line>>);

impl<Line> Default for Lines<Line> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<Line> From<Vec<Line>> for Lines<Line> {
    fn from(lines: Vec<Line>) -> Self {
        Self(Arc::new(lines))
    }
}

impl<Line> std::ops::Deref for Lines<Line> {
    type Target = Vec<Line>;

    fn deref(&self) -> &Vec<Line> {
        &self.0
    }
}

impl<Line: Clone> std::ops::DerefMut for Lines<Line> {
    fn deref_mut(&mut self) -> &mut Vec<Line> {
        Arc::make_mut(&mut self.0)
    }
}

/// One probe with all its witnesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeEvidence {
    /// What was asked of curl.
    pub request: ProbeRequest,
    /// What it was to show.
    pub expected: Expected,
    /// The pod that it started from.
    pub source: SourceFacts,
    /// When curl was started, RFC 3339, by the API server's clock; `None` if that is not known.
    pub asked_at: Option<String>,
    /// What curl said.
    pub curl: CurlResult,
    /// Lines of the source's sidecar; other connections' lines among them do no harm.
    pub sidecar_lines: Lines<AccessLogLine>,
    /// Lines of all gateway pods, each with `namespace/name` of its pod; other clients' lines do no harm.
    pub gateway_lines: Lines<(String, AccessLogLine)>,
    /// The gateway.
    pub gateway: GatewayFacts,
    /// The control of the same host and port.
    pub control: Control,
    /// The way that the plan's objects make for it; `None` if no plan declares it.
    pub planned: Option<PlannedWay>,
    /// What the proxies' configuration said when the probe was sent.
    pub live: Arc<LiveConfiguration>,
    /// Whether any NetworkPolicy of type Egress selects the source; `None` if not read.
    pub network_policies: Option<bool>,
}
