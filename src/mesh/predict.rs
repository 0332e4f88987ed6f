//! Follows one request through the mesh.

use super::authorization::{self, Answer, Question};
use super::cluster::{self, Target, TargetState};
use super::decision::{Decision, Matter};
use super::enforcement::Network;
use super::gateway::{self, Entrance, Passage};
use super::journey::{self, Ended, Step};
use super::payload::Payload;
use super::prediction::{Carries, Dropped, PredictedHop, Prediction, Proxy, Request, Upstream};
use super::records::PodRecord;
use super::sidecar::{self, Route, Way};
use super::viewer::Viewer;
use super::world::World;
use crate::finding::{Finding, catalogue};
use crate::istio::access_log::{ALLOW_ANY_ROUTE, BLACK_HOLE_CLUSTER, BLOCK_ALL_ROUTE, PASSTHROUGH_CLUSTER};
use crate::istio::{Destination, PortSelector};
use crate::vocabulary::{BlockedBy, Outcome, PodName};

/// Predicts the way of a request, as far as the model knows.
pub fn predict(world: &World, request: &Request) -> Prediction {
    below_the_mesh(world, request, || {
        if request.source.meshed {
            Traveller { world, request }.leave()
        } else {
            without_sidecar(request)
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
    let step = traveller.at_gateway(pod, request.port, traveller.payload());
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
    let mut prediction = match network.blocked_name_resolution() {
        Some(blocked) => blocked,
        None => network.enforce(way()),
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

/// What a gateway does that takes TLS of the application for TLS of the mesh.
const INTERCEPTS: &str =
    "ends the application's own TLS with a certificate of the mesh, which is not what it asked for:";

struct Traveller<'world> {
    world: &'world World,
    request: &'world Request,
}

impl<'world> Traveller<'world> {
    fn target(&self) -> String {
        format!("{}:{}", self.request.host, self.request.port)
    }

    fn payload(&self) -> Payload {
        Payload::of_application(self.request.scheme, &self.request.host)
    }

    fn viewer(&self) -> Viewer<'world> {
        let source = &self.request.source;
        Viewer::sidecar(self.world, &source.namespace, &source.labels)
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
        let way = sidecar::way(self.world, &viewer, &payload, *port, self.request.address);
        let known = sidecar::known_by(self.world, &viewer, host, *port);
        let scope = viewer.scope();
        let scoped = scope.map(|scope| Decision::new(Matter::Scope, scope.identity.title("Sidecar")));
        let hop = self.first_hop(carries).decided(scoped.into_iter().chain(known));
        let mut prediction = match way {
            Way::Unknown { http } => self.unknown_host(&viewer, http),
            Way::NotHttp => {
                let hop = hop
                    .carrying(Carries::Http)
                    .flags("DPE")
                    .answers(400, "http1.codec_error");
                let message = format!("port {port} is an HTTP port to the sidecar, and TLS arrives on it");
                let finding = Finding::new(&catalogue::PORT_OF_ANOTHER_PROTOCOL, message);
                journey::stopped(Outcome::Unreachable, finding, hop).prediction
            }
            Way::NoRoute(owner) => {
                let title = owner.identity.title("VirtualService");
                let hop = hop
                    .decided([Decision::new(Matter::Route, &title)])
                    .flags("NR")
                    .answers(404, "route_not_found");
                let message = format!("{title} is for {host} in the mesh and has no route for port {port}");
                let finding = Finding::new(&catalogue::NO_ROUTE_AT_SIDECAR, message).about(title);
                journey::stopped(Outcome::Unreachable, finding, hop).prediction
            }
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
            Way::NotModelled(why) => {
                let mut prediction = Prediction::new(Outcome::Inconclusive);
                prediction.not_modelled.push(why);
                prediction
            }
        };
        if let Some(scope) = scope {
            prediction.not_modelled.extend(scope.not_modelled.iter().cloned());
        }
        prediction
    }

    /// As a VirtualService says.
    fn by_route(
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
    fn unknown_host(&self, viewer: &Viewer<'_>, http: bool) -> Prediction {
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
            return self.bypassed(hop);
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
        let mut prediction = journey::stopped(Outcome::Blocked, finding, hop).prediction;
        prediction.blocked_by = Some(BlockedBy::RegistryOnly);
        prediction
    }

    fn host_upstream(&self) -> Upstream {
        Upstream::Host {
            address: self.request.host.clone(),
            port: self.request.port,
        }
    }

    fn bypassed(&self, hop: PredictedHop) -> Prediction {
        let mut prediction = Prediction::new(Outcome::Bypassed);
        let message = format!(
            "the sidecar sends {} out directly, by {}",
            self.target(),
            hop.cluster
        );
        prediction
            .findings
            .push(Finding::new(&catalogue::BYPASSED_AT_SIDECAR, message));
        prediction.hops.push(hop);
        prediction
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
                    Proxy::Gateway(_) => &catalogue::HOST_UNREACHABLE,
                };
                let hop = hop.flags("UH").answers(503, "no_healthy_upstream");
                let finding = Finding::new(article, format!("{name} has no endpoint at {who}"));
                journey::stopped(Outcome::Unreachable, finding, hop)
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
                    Upstream::Pod { pod, port, .. } => self.at_gateway(pod, *port, payload),
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
            let message = format!(
                "the sidecar sends {} out directly, by {}",
                self.target(),
                hop.cluster
            );
            step.prediction
                .findings
                .push(Finding::new(&catalogue::BYPASSED_AT_SIDECAR, message));
        }
        step
    }

    /// It arrives at a pod.
    fn at_gateway(&self, pod: &PodName, port: u16, payload: Payload) -> Step {
        let Some(record) = self.world.pod(pod).filter(|record| record.gateway) else {
            return journey::unknown(&format!("{pod} is no gateway"));
        };
        let at = Proxy::Gateway(pod.clone());
        let hop = PredictedHop::new(at, format!("0.0.0.0_{port}"), "-");
        let tls_arrived = matches!(payload, Payload::MeshTls { .. });
        let entrance = gateway::enter(self.world, record, port, &payload);
        if let Some(stopped) = self.authorize(record, &hop, port, &payload, &entrance) {
            return stopped;
        }
        let mut step = match entrance {
            Entrance::NoListener => {
                let message = format!("no Gateway listens on port {port} of {pod}");
                let finding = Finding::new(&catalogue::GATEWAY_UNREACHABLE, message);
                journey::unreachable(finding).ending(Ended::Refused)
            }
            Entrance::NoChain => {
                let hop = hop.flags("NR").details("filter_chain_not_found");
                let message = format!(
                    "{pod} has nothing on port {port} for {}: {}",
                    self.target(),
                    payload.describe()
                );
                let mut step = journey::stopped(
                    Outcome::Blocked,
                    Finding::new(&catalogue::GATEWAY_REFUSED, message),
                    hop,
                );
                step.prediction.blocked_by = Some(BlockedBy::Gateway);
                step.ended = if tls_arrived {
                    Ended::TlsFailed
                } else {
                    Ended::Reset
                };
                step
            }
            Entrance::NotHttp { inside } => {
                let hop = hop
                    .carrying(Carries::Http)
                    .flags("DPE")
                    .answers(400, "http1.codec_error");
                let message = format!(
                    "{pod} expects HTTP on port {port} and gets {}",
                    payload.describe()
                );
                let finding = Finding::new(&catalogue::MESH_LEG_MISMATCH, message);
                let mut step = journey::stopped(Outcome::Unreachable, finding, hop);
                let adds_tls = !matches!(payload, Payload::ApplicationTls { .. });
                step.ended = if adds_tls && !inside {
                    Ended::TlsFailed
                } else {
                    Ended::Served
                };
                step
            }
            Entrance::NoRoute => {
                let hop = hop
                    .carrying(Carries::Http)
                    .flags("NR")
                    .answers(404, "route_not_found");
                let message = format!("{pod} has no route for {}", self.target());
                let mut step = journey::stopped(
                    Outcome::Blocked,
                    Finding::new(&catalogue::GATEWAY_REFUSED, message),
                    hop,
                );
                step.prediction.blocked_by = Some(BlockedBy::Gateway);
                step
            }
            Entrance::Intercepted => {
                let message = format!("{pod} {INTERCEPTS} {}", self.request.source.name);
                journey::unreachable(Finding::new(&catalogue::MESH_LEG_MISMATCH, message))
            }
            Entrance::Unauthenticated(passage) => {
                let message = format!(
                    "{pod} asks for a certificate of the mesh and gets {}",
                    payload.describe()
                );
                let finding = Finding::new(&catalogue::MESH_LEG_MISMATCH, message);
                // TLS 1.3: the client has finished its handshake before it is refused, so neither side's line shows it.
                match passage {
                    Some(passage) => {
                        let cluster = self.cluster_of(record, &passage);
                        let hop = PredictedHop { cluster, ..hop };
                        journey::stopped(Outcome::Unreachable, finding, hop).ending(Ended::Served)
                    }
                    None => journey::unreachable(finding).ending(Ended::Reset),
                }
            }
            Entrance::Routed(passage) => self.through(record, hop, passage),
            Entrance::NotModelled(why) => journey::unknown(why.trim_start_matches("not modelled: ")),
        };
        let policies = self.world.unknown_policies(&pod.namespace, &record.labels, true);
        step.prediction.not_modelled.extend(policies);
        step
    }

    fn through(&self, pod: &'world PodRecord, hop: PredictedHop, passage: Passage<'_>) -> Step {
        let listener = Decision::new(Matter::Listener, passage.gateway.identity.title("Gateway"));
        let hop = hop.carrying(Carries::of(&passage.inner)).decided([listener]);
        let viewer = Viewer::gateway(pod);
        let mut step = self.by_route(hop, viewer, &passage.route, passage.port, passage.inner);
        if passage.intercepted {
            let message = format!("{} {INTERCEPTS} {}", pod.name, self.request.source.name);
            step.prediction.outcome = Outcome::Unreachable;
            step.prediction
                .findings
                .push(Finding::new(&catalogue::MESH_LEG_MISMATCH, message));
        }
        step
    }

    /// Asks the AuthorizationPolicies of a gateway, where a filter chain took the connection.
    fn authorize(
        &self,
        pod: &PodRecord,
        hop: &PredictedHop,
        port: u16,
        payload: &Payload,
        entrance: &Entrance<'_>,
    ) -> Option<Step> {
        let inner = match entrance {
            Entrance::Routed(passage) => &passage.inner,
            Entrance::NoRoute => payload,
            _ => return None,
        };
        let account = self.account();
        let caller = match payload {
            Payload::MeshTls { .. } => Some((self.request.source.namespace.as_str(), account.as_str())),
            _ => None,
        };
        let question = Question {
            caller,
            host: match inner {
                Payload::Http { host } => Some(host),
                Payload::MeshTls { inner, .. } => inner.host(),
                _ => None,
            },
            server_name: payload.server_name(),
            port,
        };
        match authorization::ask(self.world, pod, &question) {
            Answer::Passes => None,
            Answer::NotModelled(why) => Some(journey::unknown(why.trim_start_matches("not modelled: "))),
            Answer::Denied(decision) => {
                let carries = if question.host.is_some() {
                    Carries::Http
                } else {
                    Carries::Stream
                };
                let message = format!("{} stops {} at {}", decision.object, self.target(), pod.name);
                let finding = Finding::new(&catalogue::STOPPED_BY_POLICY, message).about(&decision.object);
                let hop = hop.clone().carrying(carries).decided([decision]);
                let hop = hop
                    .answers(403, journey::ACCESS_DENIED)
                    .details(journey::ACCESS_DENIED);
                let mut step = journey::stopped(Outcome::Blocked, finding, hop);
                step.prediction.blocked_by = Some(BlockedBy::AuthorizationPolicy);
                // A stream is ended in order: the proxy before notices nothing.
                step.ended = if carries == Carries::Http {
                    Ended::Answered
                } else {
                    Ended::Served
                };
                Some(step)
            }
        }
    }

    /// Name of the cluster that a passage leads to.
    fn cluster_of(&self, pod: &PodRecord, passage: &Passage<'_>) -> String {
        let owner = &passage.route.owner.identity.namespace;
        let viewer = Viewer::gateway(pod);
        let host = &self.request.host;
        cluster::resolve(
            self.world,
            viewer,
            passage.route.destination,
            owner,
            passage.port,
            host,
        )
        .name
    }

    fn account(&self) -> String {
        let source = &self.request.source;
        let name = PodName::new(&source.namespace, &source.name);
        let account = self
            .world
            .pod(&name)
            .map(|pod| pod.object.text("/spec/serviceAccountName").to_owned());
        account
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "default".to_owned())
    }
}
