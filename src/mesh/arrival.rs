//! What becomes of a connection that arrives at a gateway.

use super::authorization::{self, Answer, Question};
use super::cluster::{self, Target, TargetState};
use super::decision::{Decision, Matter};
use super::gateway::{self, Entrance, Passage};
use super::journey::{self, Ended, Step};
use super::payload::Payload;
use super::predict::Traveller;
use super::prediction::{Carries, PredictedHop, Proxy};
use super::records::PodRecord;
use super::viewer::Viewer;
use crate::finding::{Finding, catalogue};
use crate::vocabulary::{BlockedBy, Outcome, PodName};

/// What a gateway does that takes TLS of the application for TLS of the mesh.
const INTERCEPTS: &str =
    "ends the application's own TLS with a certificate of the mesh, which is not what it asked for:";

impl<'world> Traveller<'world> {
    /// It arrives at a pod.
    pub(super) fn at_gateway(&self, pod: &PodName, port: u16, payload: &Payload) -> Step {
        let Some(record) = self.world.pod(pod).filter(|record| record.is_gateway()) else {
            return journey::unknown(&format!("{pod} is no gateway"));
        };
        let at = Proxy::Gateway(pod.clone());
        let hop = PredictedHop::new(at, format!("0.0.0.0_{port}"), "-");
        let tls_arrived = matches!(payload, Payload::MeshTls { .. });
        let entrance = gateway::enter(self.world, record, port, payload);
        if let Some(stopped) = self.authorize(record, &hop, port, payload, &entrance) {
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
                let finding = Finding::new(&catalogue::GATEWAY_REFUSED, message);
                journey::blocked(BlockedBy::Gateway, finding, hop).ending(if tls_arrived {
                    Ended::TlsFailed
                } else {
                    Ended::Reset
                })
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
                let adds_tls = !matches!(payload, Payload::ApplicationTls { .. });
                journey::stopped(Outcome::Unreachable, finding, hop).ending(if adds_tls && !inside {
                    Ended::TlsFailed
                } else {
                    Ended::Served
                })
            }
            Entrance::NoRoute => {
                let hop = hop
                    .carrying(Carries::Http)
                    .flags("NR")
                    .answers(404, "route_not_found");
                let message = format!("{pod} has no route for {}", self.target());
                let finding = Finding::new(&catalogue::GATEWAY_REFUSED, message);
                journey::blocked(BlockedBy::Gateway, finding, hop)
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
            Entrance::NotModelled(what) => journey::unknown(&what),
        };
        let policies = self
            .world
            .unknown_policies(&pod.namespace, &record.labels(), true);
        step.prediction.not_modelled.extend(policies);
        step
    }

    fn through(&self, pod: &'world PodRecord<'world>, hop: PredictedHop, passage: Passage<'_>) -> Step {
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
            Answer::NotModelled(what) => Some(journey::unknown(&what)),
            Answer::Denied(_) if self.ends_before_policies(pod, entrance) => None,
            Answer::Denied(decision) => {
                let carries = if question.host.is_some() {
                    Carries::Http
                } else {
                    Carries::Stream
                };
                let message = format!("{} stops {} at {}", decision.object, self.target(), pod.name);
                let finding = Finding::new(&catalogue::STOPPED_BY_POLICY, message).about(&decision.object);
                let hop = hop.clone().carrying(carries).decided([decision]);
                let mut hop = hop
                    .answers(403, journey::ACCESS_DENIED)
                    .details(journey::ACCESS_DENIED);
                // The filter stands behind the choice of the route.
                if let Entrance::Routed(passage) = entrance {
                    hop.cluster = self.cluster_of(pod, passage);
                }
                let step = journey::blocked(BlockedBy::AuthorizationPolicy, finding, hop);
                // A stream is ended in order: the proxy before notices nothing.
                Some(step.ending(if carries == Carries::Http {
                    Ended::Answered
                } else {
                    Ended::Served
                }))
            }
        }
    }

    /// A stream's upstream is asked for as soon as it is accepted, and policies with its first bytes: if there is
    /// nowhere to connect to, no policy has a say.
    fn ends_before_policies(&self, pod: &PodRecord, entrance: &Entrance<'_>) -> bool {
        match entrance {
            Entrance::Routed(passage) if Carries::of(&passage.inner) == Carries::Stream => {
                !matches!(self.target_of(pod, passage).state, TargetState::Leads(_))
            }
            _ => false,
        }
    }

    /// Name of the cluster that a passage leads to.
    fn cluster_of(&self, pod: &PodRecord, passage: &Passage<'_>) -> String {
        self.target_of(pod, passage).name
    }

    fn target_of(&self, pod: &PodRecord, passage: &Passage<'_>) -> Target {
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
