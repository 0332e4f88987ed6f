//! Follows one request through the mesh.

use super::cluster::{self, Target, TargetState, Viewer};
use super::enforcement::Network;
use super::gateway::{self, Entrance};
use super::prediction::{Dropped, PredictedHop, Prediction, Proxy, Request, Upstream};
use super::sidecar::{self, Way};
use super::world::World;
use crate::finding::{Finding, catalogue};
use crate::istio::Destination;
use crate::istio::access_log::{ALLOW_ANY_ROUTE, BLACK_HOLE_CLUSTER, BLOCK_ALL_ROUTE, PASSTHROUGH_CLUSTER};
use crate::vocabulary::{BlockedBy, Outcome, PodName, Scheme};

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
        Traveller { world, request }.by_cluster(&destination, "", Some("default"))
    })
}

/// Predicts what becomes of a connection that a pod without sidecar makes to a gateway's pod, at the request's port.
pub fn predict_at_gateway(world: &World, request: &Request, pod: &PodName) -> Prediction {
    // As if a sidecar had sent it there; its hop is none.
    let to = Upstream::Pod {
        pod: pod.clone(),
        address: String::new(),
        port: request.port,
    };
    let arriving = PredictedHop::new(Proxy::Sidecar, "-", "-").to(to);
    let way = Traveller { world, request }.at_gateway(arriving, pod, request.port);
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

struct Traveller<'world> {
    world: &'world World,
    request: &'world Request,
}

impl Traveller<'_> {
    fn target(&self) -> String {
        format!("{}:{}", self.request.host, self.request.port)
    }

    fn leave(&self) -> Prediction {
        let Request {
            source,
            scheme,
            host,
            port,
            ..
        } = self.request;
        let way = match scheme {
            Scheme::Https => sidecar::tls(self.world, &source.namespace, host, *port),
            Scheme::Http => sidecar::http(self.world, &source.namespace, host, *port),
        };
        match way {
            Way::Unknown => self.unknown_host(),
            Way::Service(service) => {
                let destination = Destination {
                    host: service.host.clone(),
                    ..Destination::default()
                };
                self.by_cluster(&destination, &service.identity.namespace, Some("default"))
            }
            Way::Routed {
                owner,
                destination,
                weighted,
            } => {
                let mut prediction = self.by_cluster(destination, &owner.identity.namespace, None);
                prediction.not_modelled.extend(owner.not_modelled.iter().cloned());
                if weighted {
                    prediction
                        .not_modelled
                        .push("not modelled: weighted destinations".into());
                }
                prediction
            }
            Way::NotModelled(why) => {
                let mut prediction = Prediction::new(Outcome::Inconclusive);
                prediction.not_modelled.push(why);
                prediction
            }
        }
    }

    /// No route: out directly, or refused under REGISTRY_ONLY (truth.md 1).
    fn unknown_host(&self) -> Prediction {
        let scheme = self.request.scheme;
        if !self.world.registry_only {
            let mut hop = PredictedHop::new(Proxy::Sidecar, "virtualOutbound", PASSTHROUGH_CLUSTER)
                .to(self.host_upstream());
            if scheme == Scheme::Http {
                hop = hop.route(ALLOW_ANY_ROUTE);
            }
            return self.bypassed(hop);
        }
        let hop = if scheme == Scheme::Http {
            PredictedHop::new(Proxy::Sidecar, "virtualOutbound", "-")
                .route(BLOCK_ALL_ROUTE)
                .answers(scheme, 502, "direct_response")
        } else {
            PredictedHop::new(Proxy::Sidecar, "virtualOutbound", BLACK_HOLE_CLUSTER).flags("UH")
        };
        let mut prediction = Prediction::new(Outcome::Blocked);
        prediction.blocked_by = Some(BlockedBy::RegistryOnly);
        let message = format!("the sidecar refuses {}: REGISTRY_ONLY", self.target());
        prediction
            .findings
            .push(Finding::new(&catalogue::REGISTRY_ONLY, message));
        prediction.hops.push(hop);
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

    /// The sidecar has a route: does it have the cluster, and where does that lead?
    fn by_cluster(&self, destination: &Destination, owner: &str, route: Option<&str>) -> Prediction {
        let Request {
            source,
            scheme,
            host,
            port,
            ..
        } = self.request;
        let viewer = Viewer {
            namespace: &source.namespace,
            gateway: false,
        };
        let target = cluster::resolve(self.world, viewer, destination, owner, *port, host);
        let Target {
            name,
            state,
            not_modelled,
        } = target;
        let listener = format!("0.0.0.0_{port}");
        let mut hop = PredictedHop::new(Proxy::Sidecar, listener, &name);
        if let Some(route) = route.filter(|_| *scheme == Scheme::Http) {
            hop = hop.route(route);
        }
        let mut prediction = match state {
            TargetState::Missing => {
                hop = hop.flags("NC").answers(*scheme, 503, "cluster_not_found");
                "-".clone_into(&mut hop.cluster);
                let message = format!(
                    "the sidecar has no cluster {name} for its route to {}",
                    self.target()
                );
                unreachable(Finding::new(&catalogue::CLUSTER_MISSING, message), [hop])
            }
            TargetState::Empty => {
                hop = hop.flags("UH").answers(*scheme, 503, "no_healthy_upstream");
                let message = format!("{name} has no ready endpoint");
                unreachable(Finding::new(&catalogue::GATEWAY_UNREACHABLE, message), [hop])
            }
            TargetState::Leads(upstream @ Upstream::Host { .. }) => self.bypassed(hop.to(upstream)),
            TargetState::Leads(Upstream::Pod { pod, address, port }) => {
                let to = Upstream::Pod {
                    pod: pod.clone(),
                    address,
                    port,
                };
                self.at_gateway(hop.to(to), &pod, port)
            }
            TargetState::Leads(Upstream::None) => Prediction::new(Outcome::Inconclusive),
        };
        prediction.not_modelled.extend(not_modelled);
        prediction
    }

    /// The request arrives at a pod behind the Service.
    fn at_gateway(&self, mut first: PredictedHop, pod: &PodName, port: u16) -> Prediction {
        let Request { scheme, host, .. } = self.request;
        let Some(record) = self.world.pod(pod).filter(|record| record.gateway) else {
            let mut prediction = Prediction::new(Outcome::Inconclusive);
            prediction.hops.push(first);
            prediction
                .not_modelled
                .push(format!("not modelled: {pod} is no gateway"));
            return prediction;
        };
        let gateway = Proxy::Gateway(pod.clone());
        let listener = format!("0.0.0.0_{port}");
        let mut prediction = match gateway::enter(self.world, record, port, *scheme, host) {
            Entrance::NoListener => {
                // Measured: truth.md 3, variant a, on a gateway where it is the only server of the port.
                first =
                    first
                        .flags("UF,URX")
                        .answers(*scheme, 503, "delayed_connect_error:_Connection_refused");
                first.details = Some("delayed_connect_error:_Connection_refused".into());
                let message = format!("no Gateway listens on port {port} of {pod}");
                unreachable(Finding::new(&catalogue::GATEWAY_UNREACHABLE, message), [first])
            }
            Entrance::NoRoute => {
                let details = match scheme {
                    Scheme::Https => "filter_chain_not_found",
                    Scheme::Http => "route_not_found",
                };
                let second = PredictedHop::new(gateway, listener, "-")
                    .flags("NR")
                    .answers(*scheme, 404, details);
                let mut blocked = Prediction::new(Outcome::Blocked);
                blocked.blocked_by = Some(BlockedBy::Gateway);
                let message = format!("{pod} has no route for {}", self.target());
                blocked
                    .findings
                    .push(Finding::new(&catalogue::GATEWAY_REFUSED, message));
                blocked.hops = vec![self.reset(first), second];
                blocked
            }
            Entrance::Routed {
                owner,
                destination,
                port: server,
                weighted,
            } => {
                let namespace = &owner.identity.namespace;
                let hop = PredictedHop::new(gateway, listener, "-");
                let mut prediction = self.out_of_gateway(first, hop, destination, namespace, server);
                prediction.not_modelled.extend(owner.not_modelled.iter().cloned());
                if weighted {
                    prediction
                        .not_modelled
                        .push("not modelled: weighted destinations".into());
                }
                prediction
            }
            Entrance::NotModelled(why) => {
                let mut prediction = Prediction::new(Outcome::Inconclusive);
                prediction.hops.push(first);
                prediction.not_modelled.push(why);
                prediction
            }
        };
        let policies = self.world.unknown_policies(&pod.namespace, &record.labels, true);
        prediction.not_modelled.extend(policies);
        prediction
    }

    fn out_of_gateway(
        &self,
        first: PredictedHop,
        mut hop: PredictedHop,
        destination: &Destination,
        owner: &str,
        server: u16,
    ) -> Prediction {
        let Request { scheme, host, .. } = self.request;
        let Proxy::Gateway(pod) = hop.at.clone() else {
            return Prediction::new(Outcome::Inconclusive);
        };
        let viewer = Viewer {
            namespace: &pod.namespace,
            gateway: true,
        };
        let target = cluster::resolve(self.world, viewer, destination, owner, server, host);
        let name = target.name;
        let mut prediction = match target.state {
            TargetState::Missing => {
                hop = hop.flags("NC").answers(*scheme, 503, "cluster_not_found");
                let message = format!("{pod} has no cluster {name} for its route to {}", self.target());
                let finding = Finding::new(&catalogue::CLUSTER_MISSING, message);
                unreachable(finding, [self.reset(first), hop])
            }
            TargetState::Empty => {
                hop.cluster.clone_from(&name);
                hop = hop.flags("UH").answers(*scheme, 503, "no_healthy_upstream");
                let message = format!("{name} has no endpoint at {pod}");
                let finding = Finding::new(&catalogue::HOST_UNREACHABLE, message);
                unreachable(finding, [self.reset(first), hop])
            }
            TargetState::Leads(upstream) => {
                hop.cluster = name;
                let mut routed = Prediction::new(Outcome::Routed);
                routed.hops = vec![first, hop.to(upstream)];
                routed
            }
        };
        prediction.not_modelled.extend(target.not_modelled);
        prediction
    }

    /// The sidecar's line when the gateway closes the connection: `UR`, measured for TLS. Over HTTP the gateway
    /// answers, and the sidecar only passes it on.
    fn reset(&self, first: PredictedHop) -> PredictedHop {
        match self.request.scheme {
            Scheme::Https => first.flags("UR"),
            Scheme::Http => first,
        }
    }
}

fn unreachable(finding: Finding, hops: impl IntoIterator<Item = PredictedHop>) -> Prediction {
    let mut prediction = Prediction::new(Outcome::Unreachable);
    prediction.findings.push(finding);
    prediction.hops.extend(hops);
    prediction
}
