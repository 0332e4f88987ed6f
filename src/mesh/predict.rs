//! Follows one request through the mesh.

use super::ambient;
use super::cluster::{self, Target, TargetState};
use super::decision::{Decision, Matter};
use super::dns_proxy::{self, Answer};
use super::enforcement::Network;
use super::journey::{self, Ended, Step};
use super::payload::Payload;
use super::prediction::{Carries, Dropped, PredictedHop, Prediction, Proxy, Request, Upstream};
use super::records::is_ipv6;
use super::sidecar::{self, Route, Way};
use super::viewer::Viewer;
use super::world::World;
use crate::finding::{Finding, catalogue};
use crate::istio::access_log::{ALLOW_ANY_ROUTE, BLACK_HOLE_CLUSTER, BLOCK_ALL_ROUTE, PASSTHROUGH_CLUSTER};
use crate::istio::{Destination, PortSelector};
use crate::vocabulary::{BlockedBy, Outcome, PodName};
use std::net::IpAddr;

/// Predicts the way of a request, as far as the model knows.
pub fn predict(world: &World, request: &Request) -> Prediction {
    below_the_mesh(world, request, || {
        match ambient::of_source(world, &request.source) {
            Some(ambient) => journey::unknown(&ambient).prediction,
            None if request.source.meshed => Traveller { world, request }.leave(),
            None => without_sidecar(request),
        }
    })
}

/// Predicts the way of a request that a pod with sidecar sends to a Kubernetes Service by its cluster address,
/// whatever host the request names: that listener reads no server name.
pub fn predict_to_service(world: &World, request: &Request, service_host: &str) -> Prediction {
    let destination = Destination {
        host: service_host.to_owned(),
        ..Destination::default()
    };
    below_the_mesh(world, request, || {
        let traveller = Traveller { world, request };
        let payload = traveller.payload();
        let carries = Carries::of(&payload);
        let hop = traveller.first_hop(carries).route_of_http("default");
        let viewer = traveller.viewer();
        let target = cluster::resolve(world, viewer, &destination, "", request.port, &request.host);
        traveller.forward(hop, target, payload).prediction
    })
}

/// Predicts what becomes of a connection that a pod without sidecar makes to a gateway's pod, at the request's port.
pub fn predict_at_gateway(world: &World, request: &Request, pod: &PodName) -> Prediction {
    let traveller = Traveller { world, request };
    // As if a sidecar had sent it there; its hop is none.
    let to = Upstream::Pod {
        pod: pod.clone(),
        address: String::new(),
        port: request.port,
    };
    let arriving = PredictedHop::new(Proxy::Sidecar, "-", "-").to(to);
    let step = traveller.at_gateway(pod, request.port, &traveller.payload());
    let way = step.after(arriving).prediction;
    let mut prediction = Network::new(world, request).enforce_hops(way);
    prediction.hops.remove(0);
    prediction.dropped = match prediction.dropped {
        Some(Dropped::AtHop(0)) => Some(Dropped::AtSource),
        Some(Dropped::AtHop(index)) => Some(Dropped::AtHop(index - 1)),
        other => other,
    };
    prediction
}

/// The mesh's way, with what stops it below the mesh, before and on the way.
fn below_the_mesh(world: &World, request: &Request, way: impl FnOnce() -> Prediction) -> Prediction {
    let network = Network::new(world, request);
    // A sidecar that knows the answer asks nobody.
    let answered = || {
        let viewer = Viewer::of_source(world, &request.source);
        request.source.meshed && dns_proxy::answer(world, &viewer, &request.host).is_some()
    };
    let mut prediction = match network.blocked_name_resolution() {
        Some(blocked) if !answered() => blocked,
        _ => network.enforce(way()),
    };
    let source = &request.source;
    let unknown = world.unknown_policies(&source.namespace, &source.labels, source.meshed);
    for policy in unknown {
        // One of the whole mesh or cluster was met at the gateway already.
        if !prediction.not_modelled.contains(&policy) {
            prediction.not_modelled.push(policy);
        }
    }
    prediction
}

/// The mesh does not touch a pod without sidecar (truth.md 1).
fn without_sidecar(request: &Request) -> Prediction {
    let mut direct = Prediction::new(Outcome::Bypassed);
    let message = format!(
        "{}/{} has no sidecar and reaches {} directly",
        request.source.namespace, request.source.name, request.host
    );
    direct
        .findings
        .push(Finding::new(&catalogue::BYPASSED_WITHOUT_SIDECAR, message));
    direct
}

/// Details of a connection that did not come about.
const NO_CONNECTION: &str = "upstream_reset_before_response_started{remote_connection_failure}";

/// The address that an application connects to.
struct Resolved {
    /// `None` if it is not known.
    connected: Option<IpAddr>,
    /// The ServiceEntry that the sidecar's own DNS took it from: no host has it.
    virtually_of: Option<String>,
}

/// A request on its way.
pub(super) struct Traveller<'world> {
    pub(super) world: &'world World<'world>,
    pub(super) request: &'world Request,
}

impl<'world> Traveller<'world> {
    pub(super) fn target(&self) -> String {
        format!("{}:{}", self.request.host, self.request.port)
    }

    fn payload(&self) -> Payload {
        match &self.request.tunnel {
            Some(authority) => Payload::Connect {
                authority: authority.clone(),
            },
            None => Payload::of_application(self.request.scheme, &self.request.host),
        }
    }

    fn viewer(&self) -> Viewer<'world> {
        Viewer::of_source(self.world, &self.request.source)
    }

    fn first_hop(&self, carries: Carries) -> PredictedHop {
        let listener = format!("0.0.0.0_{}", self.request.port);
        PredictedHop::new(Proxy::Sidecar, listener, "-").carrying(carries)
    }

    fn leave(&self) -> Prediction {
        let Request { host, port, .. } = self.request;
        let viewer = self.viewer();
        let payload = self.payload();
        let carries = Carries::of(&payload);
        let address = match self.resolved(&viewer) {
            Ok(address) => address,
            Err(what) => return journey::unknown(&what).prediction,
        };
        if address.connected.is_some_and(|address| address.is_ipv6()) {
            return self.to_ipv6(&viewer);
        }
        let way = sidecar::way(self.world, &viewer, &payload, *port, address.connected);
        let known = sidecar::known_by(self.world, &viewer, host, *port);
        let scope = viewer.scope();
        let scoped = scope.map(|scope| Decision::new(Matter::Scope, scope.identity.title("Sidecar")));
        let hop = self.first_hop(carries).decided(scoped.into_iter().chain(known));
        let mut prediction = match way {
            Way::Unknown { http } => self.unknown_host(&viewer, http, address.virtually_of.as_deref()),
            Way::NoTunnel => self.tunnel_refused(hop),
            Way::Service(service) => {
                let destination = Destination {
                    host: service.host.clone(),
                    port: Some(PortSelector { number: *port }),
                    ..Destination::default()
                };
                let namespace = &service.identity.namespace;
                let target = cluster::resolve(self.world, viewer, &destination, namespace, *port, host);
                self.forward(hop.route_of_http("default"), target, payload)
                    .prediction
            }
            Way::Routed(route) => self.by_route(hop, viewer, &route, *port, payload).prediction,
            Way::NotModelled(what) => journey::unknown(&what).prediction,
        };
        if let Some(scope) = scope {
            prediction.not_modelled.extend(scope.not_modelled.iter().cloned());
        }
        prediction.not_modelled.extend(self.of_both_families(&viewer));
        prediction
    }

    /// As a VirtualService says.
    pub(super) fn by_route(
        &self,
        hop: PredictedHop,
        viewer: Viewer<'_>,
        route: &Route<'_>,
        port: u16,
        payload: Payload,
    ) -> Step {
        let payload = match (route.rewrite.filter(|host| !host.is_empty()), payload) {
            (Some(host), Payload::Http { .. }) => Payload::Http {
                host: host.to_owned(),
            },
            (_, payload) => payload,
        };
        let owner = &route.owner.identity;
        let hop = hop.decided([Decision::new(Matter::Route, route.title())]);
        let asked = payload.host().unwrap_or(&self.request.host).to_owned();
        let target = cluster::resolve(
            self.world,
            viewer,
            route.destination,
            &owner.namespace,
            port,
            &asked,
        );
        let mut step = self.forward(hop, target, payload);
        let notes = &mut step.prediction.not_modelled;
        notes.extend(route.owner.not_modelled.iter().cloned());
        if route.weighted {
            notes.push("not modelled: weighted destinations".into());
        }
        step
    }

    /// No route: out directly, or refused under REGISTRY_ONLY (truth.md 1).
    fn unknown_host(&self, viewer: &Viewer<'_>, http: bool, virtually_of: Option<&str>) -> Prediction {
        let carries = if http { Carries::Http } else { Carries::Stream };
        let decided_by = viewer
            .scope()
            .filter(|scope| scope.registry_only.is_some())
            .map_or_else(
                || "the mesh configuration".to_owned(),
                |scope| scope.identity.title("Sidecar"),
            );
        let decision = Decision::new(Matter::OutboundPolicy, decided_by);
        let hop = |cluster: &str| {
            PredictedHop::new(Proxy::Sidecar, "virtualOutbound", cluster)
                .carrying(carries)
                .decided([decision.clone()])
        };
        if !viewer.registry_only(self.world) {
            let hop = hop(PASSTHROUGH_CLUSTER)
                .to(self.host_upstream())
                .route_of_http(ALLOW_ANY_ROUTE);
            return match virtually_of {
                Some(entry) => self.nobody_there(hop, entry),
                None => self.bypassed(hop),
            };
        }
        let hop = if http {
            hop("-")
                .route_of_http(BLOCK_ALL_ROUTE)
                .answers(502, "direct_response")
        } else {
            hop(BLACK_HOLE_CLUSTER).flags("UH")
        };
        let message = format!("the sidecar refuses {}: REGISTRY_ONLY", self.target());
        let finding = Finding::new(&catalogue::REGISTRY_ONLY, message);
        journey::blocked(BlockedBy::RegistryOnly, finding, hop).prediction
    }

    /// Towards an address that is only a name for a ServiceEntry's host, at a port that this does not declare.
    fn nobody_there(&self, hop: PredictedHop, entry: &str) -> Prediction {
        let message = format!(
            "the sidecar answers DNS itself and gives {} an address of {entry}, which has no port {}: nobody is there",
            self.request.host, self.request.port
        );
        let finding = Finding::new(&catalogue::HOST_UNREACHABLE, message).about(entry);
        let hop = match hop.carries {
            Carries::Http => hop.flags("UF").answers(503, NO_CONNECTION),
            Carries::Stream => hop.flags("UF,URX"),
        };
        let hop = PredictedHop {
            upstream: Upstream::None,
            ..hop
        };
        journey::stopped(Outcome::Unreachable, finding, hop).prediction
    }

    /// A listener that takes a forward proxy's port for HTTP answers CONNECT itself (seen on the lab).
    fn tunnel_refused(&self, hop: PredictedHop) -> Prediction {
        let hop = hop
            .carrying(Carries::Http)
            .flags("NR")
            .answers(404, "route_not_found");
        let message = format!(
            "the sidecar takes {} for HTTP, and has no route for CONNECT: declare that port as TCP, with all addresses of the proxy",
            self.target()
        );
        let finding = Finding::new(&catalogue::NO_ROUTE, message);
        journey::stopped(Outcome::Unreachable, finding, hop).prediction
    }

    /// Without an address of IPv6 of its own a pod does not even try.
    fn to_ipv6(&self, viewer: &Viewer<'_>) -> Prediction {
        let Request { host, source, .. } = self.request;
        if !viewer.has_only_ipv4() {
            return journey::unknown(&format!("IPv6, by which {host} is reached")).prediction;
        }
        let message = format!(
            "{host} has an address of IPv6, and {}/{} has none",
            source.namespace, source.name
        );
        journey::unreachable(Finding::new(&catalogue::HOST_UNREACHABLE, message)).prediction
    }

    /// Virtual addresses of IPv6 that matter to a pod which has one of its own, or may have.
    fn of_both_families(&self, viewer: &Viewer<'_>) -> Option<String> {
        let mut entries = self.world.services_of(&self.request.host);
        let entry = entries.find(|service| {
            let mut addresses = service.addresses(false).iter();
            viewer.sees_service(self.world, service) && addresses.any(|text| is_ipv6(text))
        })?;
        (!viewer.has_only_ipv4()).then(|| format!("not modelled: addresses of IPv6 of {}", entry.title()))
    }

    /// The address that the application connects to.
    fn resolved(&self, viewer: &Viewer<'_>) -> Result<Resolved, String> {
        let asked = self
            .request
            .asks_dns
            .then(|| dns_proxy::answer(self.world, viewer, &self.request.host));
        match asked.flatten() {
            Some(Answer::NotModelled(what)) => Err(what),
            Some(Answer::Given(address, entry)) => Ok(Resolved {
                connected: Some(address),
                virtually_of: Some(entry),
            }),
            None => Ok(Resolved {
                connected: self.request.address,
                virtually_of: None,
            }),
        }
    }

    fn host_upstream(&self) -> Upstream {
        Upstream::Host {
            address: self.request.host.clone(),
            port: self.request.port,
        }
    }

    fn bypassed(&self, hop: PredictedHop) -> Prediction {
        let mut prediction = Prediction::new(Outcome::Bypassed);
        prediction.findings.push(self.leaves_directly(&hop));
        prediction.hops.push(hop);
        prediction
    }

    fn leaves_directly(&self, hop: &PredictedHop) -> Finding {
        let message = format!(
            "the sidecar sends {} out directly, by {}",
            self.target(),
            hop.cluster
        );
        Finding::new(&catalogue::BYPASSED_AT_SIDECAR, message)
    }

    /// A proxy has a route: does it have the cluster, and where does that lead?
    fn forward(&self, hop: PredictedHop, target: Target, payload: Payload) -> Step {
        let Target {
            name,
            state,
            tls,
            missing_secret,
            decided_by,
            not_modelled,
        } = target;
        let who = hop.at.to_string();
        let mut hop = hop.decided(decided_by);
        hop.tls = tls.clone();
        let mut step = match state {
            TargetState::Missing(why) => {
                let hop = hop.flags("NC").answers(503, "cluster_not_found");
                let message = format!(
                    "{who} has no cluster {name} for its route to {}: {why}",
                    self.target()
                );
                let finding = Finding::new(&catalogue::CLUSTER_MISSING, message);
                journey::stopped(Outcome::Unreachable, finding, hop)
            }
            TargetState::Empty => {
                name.clone_into(&mut hop.cluster);
                let article = match hop.at {
                    Proxy::Sidecar => &catalogue::GATEWAY_UNREACHABLE,
                    Proxy::Gateway(_) => &catalogue::NO_ENDPOINT,
                };
                let hop = hop.flags("UH").answers(503, "no_healthy_upstream");
                let finding = Finding::new(article, format!("{name} has no endpoint at {who}"));
                journey::stopped(Outcome::Unreachable, finding, hop)
            }
            TargetState::OtherFamily(upstream) => {
                name.clone_into(&mut hop.cluster);
                let hop = hop.flags("UF,URX").answers(503, NO_CONNECTION).to(upstream);
                let message = format!("{name} has an endpoint of IPv6, and {who} has no such address");
                let finding = Finding::new(&catalogue::HOST_UNREACHABLE, message);
                let carries = hop.carries;
                let step = journey::stopped(Outcome::Unreachable, finding, hop);
                match carries {
                    Carries::Stream => step.ending(Ended::ResetInside),
                    Carries::Http => step,
                }
            }
            TargetState::Leads(upstream) => {
                name.clone_into(&mut hop.cluster);
                if let Some(secret) = missing_secret {
                    let message = format!(
                        "{who} does not get the Secret {secret} for its TLS to {}",
                        self.target()
                    );
                    let finding = Finding::new(&catalogue::SECRET_NOT_SUPPLIED, message);
                    let hop = hop.to(upstream);
                    return journey::unreachable(finding).after(journey::tls_failed(hop));
                }
                let payload = journey::wrap(payload, tls);
                let step = match &upstream {
                    Upstream::Pod { pod, port, .. } => self.at_gateway(pod, *port, &payload),
                    Upstream::Host { port, .. } => self.at_host(&hop, &payload, *port),
                    Upstream::None => journey::unknown("a destination that leads nowhere"),
                };
                step.after(hop.to(upstream))
            }
        };
        step.prediction.not_modelled.extend(not_modelled);
        step
    }

    /// It arrives at the host. What speaks there is taken from the port: TLS on 443 and 8443, plain HTTP elsewhere.
    fn at_host(&self, hop: &PredictedHop, payload: &Payload, port: u16) -> Step {
        let outcome = match hop.at {
            Proxy::Sidecar => Outcome::Bypassed,
            Proxy::Gateway(_) => Outcome::Routed,
        };
        if let Some((article, ended)) = journey::misfit(payload, port) {
            let message = format!(
                "what arrives at {}, port {port}, is {}",
                self.request.host,
                payload.describe()
            );
            return journey::unreachable(Finding::new(article, message)).ending(ended);
        }
        let mut step = Step::served(outcome);
        if outcome == Outcome::Bypassed {
            step.prediction.findings.push(self.leaves_directly(hop));
        }
        step
    }
}
