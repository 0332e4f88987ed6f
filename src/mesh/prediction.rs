//! The question and the answer.

use super::decision::Decision;
use super::payload::Payload;
use crate::finding::Finding;
use crate::vocabulary::{BlockedBy, Outcome, PodName, Scheme};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// Where a request comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourcePod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it has a sidecar.
    pub meshed: bool,
}

/// A request of a pod to the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub source: SourcePod,
    /// How.
    pub scheme: Scheme,
    /// Host: the SNI or the Host header.
    pub host: String,
    /// Port, 1 to 65535.
    pub port: u16,
    /// Address of the host, if it is known: NetworkPolicies may decide by it.
    pub address: Option<IpAddr>,
    /// Whether the source asks DNS for the host first, rather than being given an address.
    pub asks_dns: bool,
    /// `host:port` that the source asks the host for by CONNECT: the host is a forward proxy then.
    pub tunnel: Option<String>,
}

/// A proxy on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// The source's sidecar.
    Sidecar,
    /// A pod of a gateway.
    Gateway(PodName),
}

/// Where a proxy sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// Nowhere.
    None,
    /// To the host itself, at this name or address and port.
    Host {
        /// Name or address.
        address: String,
        /// Port, 1 to 65535.
        port: u16,
    },
    /// To a pod.
    Pod {
        /// The pod.
        pod: PodName,
        /// Its address.
        address: String,
        /// Target port, 1 to 65535.
        port: u16,
    },
}

/// What a proxy takes a connection for, as its access log shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// Requests: the line has method, path and status.
    Http,
    /// Bytes.
    Stream,
}

/// TLS that a proxy adds towards its upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegTls {
    /// None: what it got goes on as it is.
    None,
    /// Mutual TLS of the mesh, asking for this server name.
    Mesh {
        /// The server name.
        server_name: String,
    },
    /// TLS towards a server outside.
    Originated {
        /// The server name that is asked for; `None`: the request's Host, if there is one.
        server_name: Option<String>,
        /// With a client certificate.
        mutual: bool,
    },
}

/// What one proxy does with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredictedHop {
    /// Which proxy.
    pub at: Proxy,
    /// Its listener, for example `0.0.0.0_443` or `virtualOutbound`.
    pub listener: String,
    /// What it takes the connection for.
    pub carries: Carries,
    /// TLS that it adds.
    pub tls: LegTls,
    /// The objects that decide what it does, in the order in which they are asked.
    pub decided_by: Vec<Decision>,
    /// Route name as in the access log.
    pub route: Option<String>,
    /// Cluster as in the access log; `-` if it has none.
    pub cluster: String,
    /// Where it sends the request.
    pub upstream: Upstream,
    /// Response flags as in the access log; `None` if all goes well.
    pub flags: Option<String>,
    /// What the proxy answers itself, over HTTP.
    pub response_code: Option<u16>,
    /// Response code details as in the access log.
    pub details: Option<String>,
}

/// Where a NetworkPolicy drops the packets of a request: nobody answers there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// Between the source and the cluster's DNS.
    NameResolution,
    /// Behind the source, which has no sidecar.
    AtSource,
    /// Behind the proxy of the hop with this index.
    AtHop(usize),
}

/// The way of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// What each proxy does, in order. Empty for a pod without sidecar.
    pub hops: Vec<PredictedHop>,
    /// What becomes of it, if the host answers.
    pub outcome: Outcome,
    /// Who stops it.
    pub blocked_by: Option<BlockedBy>,
    /// Where packets are dropped, if a NetworkPolicy does it.
    pub dropped: Option<Dropped>,
    /// Faults of the configuration that this request meets.
    pub findings: Vec<Finding>,
    /// What is there but not known to the model, as `not modelled: …`. If it is not empty, the rest is a guess.
    pub not_modelled: Vec<String>,
}

impl Prediction {
    pub(super) fn new(outcome: Outcome) -> Self {
        Self {
            hops: Vec::new(),
            outcome,
            blocked_by: None,
            dropped: None,
            findings: Vec::new(),
            not_modelled: Vec::new(),
        }
    }
}

impl Carries {
    pub(super) fn of(payload: &Payload) -> Self {
        match payload {
            Payload::Http { .. } => Self::Http,
            _ => Self::Stream,
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sidecar => formatter.write_str("the sidecar"),
            Self::Gateway(pod) => write!(formatter, "{pod}"),
        }
    }
}

impl PredictedHop {
    pub(super) fn new(at: Proxy, listener: impl Into<String>, cluster: impl Into<String>) -> Self {
        Self {
            at,
            listener: listener.into(),
            carries: Carries::Stream,
            tls: LegTls::None,
            decided_by: Vec::new(),
            route: None,
            cluster: cluster.into(),
            upstream: Upstream::None,
            flags: None,
            response_code: None,
            details: None,
        }
    }

    pub(super) fn to(mut self, upstream: Upstream) -> Self {
        self.upstream = upstream;
        self
    }

    pub(super) fn flags(mut self, flags: &str) -> Self {
        self.flags = Some(flags.to_owned());
        self
    }

    pub(super) fn carrying(mut self, carries: Carries) -> Self {
        self.carries = carries;
        self
    }

    pub(super) fn decided(mut self, decisions: impl IntoIterator<Item = Decision>) -> Self {
        self.decided_by.extend(decisions);
        self
    }

    /// What it answers itself over HTTP; a stream it only closes.
    pub(super) fn answers(mut self, code: u16, details: &str) -> Self {
        if self.carries == Carries::Http {
            self.response_code = Some(code);
            self.details = Some(details.to_owned());
        }
        self
    }

    pub(super) fn details(mut self, details: &str) -> Self {
        self.details = Some(details.to_owned());
        self
    }

    /// The route's name, which a stream has not.
    pub(super) fn route_of_http(mut self, route: &str) -> Self {
        self.route = (self.carries == Carries::Http).then(|| route.to_owned());
        self
    }
}
