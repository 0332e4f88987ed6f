//! NetworkPolicies on a request's way: each leg is judged at both of its ends, with the addresses that its packets
//! really have.
//!
//! Shape of a drop: truth.md section 2. DNS and Services are judged after their address was replaced by a pod's.

use super::network_policy::{Decision, Endpoint, address_of};
use super::prediction::{Carries, Dropped, PredictedHop, Prediction, Proxy, Request, Upstream};
use super::records::PodRecord;
use super::world::World;
use crate::finding::{Finding, catalogue};
use crate::istio::access_log::PASSTHROUGH_CLUSTER;
use crate::vocabulary::{BlockedBy, Object, ObjectReference, Outcome, Protocol};
use serde_json::json;
use std::borrow::Cow;
use std::net::IpAddr;

/// The network below the mesh, for one request.
pub(super) struct Network<'world> {
    world: &'world World<'world>,
    request: &'world Request,
    source: Cow<'world, Object>,
}

/// How a leg fares.
enum Leg {
    Passes,
    /// Dropped, by policies that isolate this pod for one direction.
    Dropped(String),
    /// It depends on what is not known.
    Unknown(String),
}

/// Where a leg ends.
enum End<'world> {
    Pod(&'world PodRecord<'world>),
    Address(IpAddr),
    /// Outside, at an address that nobody told.
    Somewhere,
}

impl<'world> Network<'world> {
    pub(super) fn new(world: &'world World<'world>, request: &'world Request) -> Self {
        let source = &request.source;
        let name = crate::vocabulary::PodName::new(&source.namespace, &source.name);
        // A pod that is only thought of has its labels and nothing else.
        let object = world.pod(&name).map_or_else(
            || {
                let metadata =
                    json!({"namespace": source.namespace, "name": source.name, "labels": source.labels});
                Cow::Owned(Object(json!({"metadata": metadata})))
            },
            |pod| Cow::Borrowed(&*pod.object),
        );
        Self {
            world,
            request,
            source: object,
        }
    }

    /// The prediction if the source cannot even ask the cluster's DNS.
    pub(super) fn blocked_name_resolution(&self) -> Option<Prediction> {
        if !self.request.asks_dns {
            return None;
        }
        let why = dns_dropped(self.world, &self.source)?;
        let mut blocked = Prediction::new(Outcome::Blocked);
        blocked.dropped = Some(Dropped::NameResolution);
        self.explain(&mut blocked, &format!("DNS cannot be asked: {why}"));
        Some(blocked)
    }

    /// What becomes of the mesh's way.
    pub(super) fn enforce(&self, mut prediction: Prediction) -> Prediction {
        if !self.request.source.meshed {
            self.enforce_at_source(&mut prediction);
            return prediction;
        }
        self.enforce_hops(prediction)
    }

    /// The same where the first hop is the source's sidecar, or stands for it.
    pub(super) fn enforce_hops(&self, mut prediction: Prediction) -> Prediction {
        for index in 0..prediction.hops.len() {
            if !self.enforce_at_hop(&mut prediction, index) {
                break;
            }
        }
        prediction
    }

    fn enforce_at_source(&self, prediction: &mut Prediction) {
        match self.leg(&self.source, &self.host(), self.request.port, Protocol::Tcp) {
            Leg::Passes => {}
            Leg::Unknown(what) => prediction.not_modelled.push(what),
            Leg::Dropped(why) => {
                self.block(prediction, Dropped::AtSource, &why);
            }
        }
    }

    /// Judges the leg behind a hop's proxy; gives whether the next hop is reached.
    fn enforce_at_hop(&self, prediction: &mut Prediction, index: usize) -> bool {
        let hop = &prediction.hops[index];
        let from = match &hop.at {
            Proxy::Sidecar => &self.source,
            Proxy::Gateway(pod) => match self.world.pod(pod) {
                Some(pod) => &pod.object,
                None => return false,
            },
        };
        let (end, port) = match &hop.upstream {
            Upstream::None => return false,
            Upstream::Pod { pod, port, .. } => match self.world.pod(pod) {
                Some(pod) => (End::Pod(pod), *port),
                None => return false,
            },
            Upstream::Host { address, port } => {
                if self.gateway_cannot_resolve(from, hop, address) {
                    self.unresolved_at_gateway(prediction, index);
                    return false;
                }
                (self.upstream(hop, address), *port)
            }
        };
        match self.leg(from, &end, port, Protocol::Tcp) {
            Leg::Passes => true,
            Leg::Unknown(what) => {
                prediction.not_modelled.push(what);
                true
            }
            Leg::Dropped(why) => {
                Self::drop_behind(prediction, index);
                self.block(prediction, Dropped::AtHop(index), &why);
                false
            }
        }
    }

    fn gateway_cannot_resolve(&self, from: &Object, hop: &PredictedHop, address: &str) -> bool {
        matches!(hop.at, Proxy::Gateway(_))
            && address.parse::<IpAddr>().is_err()
            && !can_ask_dns(self.world, from)
    }

    /// The gateway's cluster has no endpoint if it never resolved the name; what it resolved before, it keeps.
    fn unresolved_at_gateway(&self, prediction: &mut Prediction, index: usize) {
        let hop = prediction.hops[index].clone();
        prediction.hops[index] = PredictedHop {
            upstream: Upstream::None,
            ..hop.flags("UH").answers(503, "no_healthy_upstream")
        };
        reset_before(prediction, index);
        prediction
            .not_modelled
            .push("not modelled: addresses that the gateway resolved before the policy".into());
        prediction.outcome = Outcome::Blocked;
        self.explain(prediction, "the gateway's DNS requests are dropped");
    }

    /// The flags of a leg whose packets are dropped: Envoy gives up after its connect timeout.
    fn drop_behind(prediction: &mut Prediction, index: usize) {
        let hop = prediction.hops[index].clone();
        prediction.hops[index] = match hop.carries {
            Carries::Stream => PredictedHop {
                details: None,
                ..hop.flags("UF,URX")
            },
            Carries::Http => PredictedHop {
                response_code: Some(503),
                details: Some("upstream_reset_before_response_started{connection_timeout}".into()),
                ..hop.flags("UF")
            },
        };
        reset_before(prediction, index);
    }

    fn block(&self, prediction: &mut Prediction, dropped: Dropped, why: &str) {
        prediction.outcome = Outcome::Blocked;
        prediction.dropped = Some(dropped);
        self.explain(prediction, why);
    }

    /// What else was found lies behind the drop, or is the bypass that it stops.
    fn explain(&self, prediction: &mut Prediction, why: &str) {
        prediction.blocked_by = Some(BlockedBy::NetworkPolicy);
        let message = format!("{}:{} is blocked: {why}", self.request.host, self.request.port);
        prediction.findings = vec![Finding::new(&catalogue::STOPPED_BY_NETWORK_POLICY, message)];
    }

    /// The host itself, as the source connects to it.
    fn host(&self) -> End<'world> {
        let address = self.request.address.or_else(|| self.request.host.parse().ok());
        match address {
            None => End::Somewhere,
            Some(address) => self.at(address),
        }
    }

    fn at(&self, address: IpAddr) -> End<'world> {
        self.world.pod_at(address).map_or(End::Address(address), End::Pod)
    }

    /// Where a proxy connects to for a host.
    fn upstream(&self, hop: &PredictedHop, address: &str) -> End<'world> {
        // Without a route the proxy goes on to where the application wanted to go.
        if hop.cluster == PASSTHROUGH_CLUSTER || address == self.request.host {
            return self.host();
        }
        address.parse().map_or(End::Somewhere, |address| self.at(address))
    }

    fn leg(&self, from: &Object, to: &End<'_>, port: u16, protocol: Protocol) -> Leg {
        let (address, pod) = match to {
            End::Pod(pod) => (address_of(&pod.object), Some(&*pod.object)),
            End::Address(address) => (*address, None),
            End::Somewhere => {
                let policies = self.world.network_policies();
                return match policies.egress_to_unknown_address(from, port, protocol) {
                    Ok(decision) => leg(from, "egress", &decision).unwrap_or(Leg::Passes),
                    Err(policies) => Leg::Unknown(format!(
                        "not modelled: the address of {}, by which {} decides",
                        self.request.host,
                        list(&policies)
                    )),
                };
            }
        };
        judge(self.world, from, address, pod, port, protocol)
    }
}

/// Cuts the way behind a hop, and marks the one before: the next proxy closes its connection.
fn reset_before(prediction: &mut Prediction, index: usize) {
    prediction.hops.truncate(index + 1);
    if index > 0 && prediction.hops[index].carries == Carries::Stream {
        prediction.hops[index - 1].flags = Some("UR".into());
    }
}

/// Whether a pod can ask the cluster's DNS; true where no DNS is known.
pub fn can_ask_dns(world: &World, pod: &Object) -> bool {
    dns_dropped(world, pod).is_none()
}

/// Why no DNS pod can be asked by a pod; `None` if one can, or if none is known.
fn dns_dropped(world: &World, from: &Object) -> Option<String> {
    let mut first = None;
    for (dns, port) in world.dns_pods() {
        let dns = &dns.object;
        match judge(world, from, address_of(dns), Some(dns), port, Protocol::Udp) {
            Leg::Dropped(why) => first = first.or(Some(why)),
            Leg::Passes | Leg::Unknown(_) => return None,
        }
    }
    first
}

/// A leg with both of its ends known.
fn judge(
    world: &World,
    from: &Object,
    address: IpAddr,
    pod: Option<&Object>,
    port: u16,
    protocol: Protocol,
) -> Leg {
    let policies = world.network_policies();
    let endpoint = |address, pod| Endpoint {
        address,
        port,
        protocol,
        pod,
    };
    let egress = policies.egress(from, &endpoint(address, pod));
    if let Some(dropped) = leg(from, "egress", &egress) {
        return dropped;
    }
    let Some(pod) = pod else { return Leg::Passes };
    let source = endpoint(address_of(from), Some(from));
    let ingress = policies.ingress(pod, &source, port, protocol);
    leg(pod, "ingress", &ingress).unwrap_or(Leg::Passes)
}

/// The drop that a decision is, if it is one.
fn leg(pod: &Object, direction: &str, decision: &Decision) -> Option<Leg> {
    match decision {
        Decision::Refused { isolated_by } => Some(Leg::Dropped(format!(
            "{} allows no such {direction} of pod {}/{}",
            list(isolated_by),
            pod.namespace().unwrap_or_default(),
            pod.name()
        ))),
        Decision::NotIsolated | Decision::Allowed { .. } => None,
    }
}

fn list(policies: &[ObjectReference]) -> String {
    policies
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
