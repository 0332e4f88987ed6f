//! One case: objects, and requests.

use kubectl_egress::mesh::{Request, SourcePod};
use kubectl_egress::vocabulary::Scheme;
use serde_json::Value;
use std::net::IpAddr;

/// Where a case stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Namespace of the source and of the case's objects.
    pub(super) namespace: String,
    /// Namespace that neither source nor gateway is in.
    pub(super) elsewhere: String,
    /// The gateway's.
    pub(super) gateway_namespace: String,
    /// Its Service.
    pub(super) gateway_service: String,
    /// Value of its label `istio`.
    pub(super) gateway_label: String,
}

impl Place {
    /// Full name of the gateway's Service.
    pub(super) fn gateway_host(&self) -> String {
        format!(
            "{}.{}.svc.cluster.local",
            self.gateway_service, self.gateway_namespace
        )
    }
}

/// Where a case has a whole domain, the first label of the host that is asked for.
pub(super) const BELOW: &str = "one.";

/// A request of a case's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) scheme: Scheme,
    pub(super) host: String,
    pub(super) port: u16,
    /// From the pod without sidecar.
    pub(super) bare: bool,
    /// Through a tunnel of a forward proxy, by CONNECT: its host and port.
    pub(super) by: Option<(&'static str, u16)>,
}

impl Ask {
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://{}:{}/{path}", self.scheme, self.host, self.port)
    }

    /// The request in words.
    pub(super) fn title(&self) -> String {
        match self.by {
            Some((proxy, port)) => format!("{} by {proxy}:{port}", self.url("")),
            None => self.url(""),
        }
    }

    /// The request as the model is asked about it.
    pub(super) fn request(&self, source: SourcePod, addresses: &dyn Fn(&str) -> Option<IpAddr>) -> Request {
        let (scheme, host, port) = match self.by {
            Some((proxy, port)) => (Scheme::Http, proxy, port),
            None => (self.scheme, self.host.as_str(), self.port),
        };
        Request {
            source,
            scheme,
            host: host.to_owned(),
            port,
            address: addresses(host),
            asks_dns: true,
            tunnel: self.by.map(|_| format!("{}:{}", self.host, self.port)),
        }
    }
}

/// A case.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// Unique, and says what it is about.
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) host: String,
    pub(super) objects: Vec<Value>,
    pub(super) asks: Vec<Ask>,
}

impl Case {
    /// The object of a kind; the first if there are more.
    pub(super) fn object(&mut self, kind: &str) -> Option<&mut Value> {
        self.objects.iter_mut().find(|object| object["kind"] == kind)
    }
}
