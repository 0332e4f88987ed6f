//! Listens around one round of probes: opens the followers, shows that each delivers, sends the probes.

use super::access_logs::AccessLogs;
use super::event::{Event, Events};
use super::probe::{self, ProbeSource};
use super::probe_plan::Planned;
use super::round::Round;
use super::sentinel;
use super::witness::Witness;
use crate::cluster::Cluster;
use crate::evidence::{CurlResult, LogState, ProbeRequest, ProbeResult};
use crate::istio::kinds;
use crate::plan::lock::ReachedBefore;
use crate::plan::{GatewayTarget, Plan};
use crate::vocabulary::{ObjectReference, Scheme};
use std::time::Duration;
use tokio::time::Instant;

/// After this long without its line another connection is made: the access log may just have been switched on.
const SIDECAR_SENTINEL_PAUSE: Duration = Duration::from_millis(1500);

/// Followers of the gateway's logs and of one source's sidecar, for one round.
pub(super) struct Listener<'run> {
    cluster: &'run Cluster,
    gateway: &'run GatewayTarget,
    meshed: &'run ProbeSource,
    witness: Witness,
    events: &'run Events,
}

impl<'run> Listener<'run> {
    /// Opens the followers. Which logs are on is read first.
    pub(super) async fn start(
        cluster: &'run Cluster,
        (plan, gateway): (&Plan, &'run GatewayTarget),
        meshed: &'run ProbeSource,
        events: &'run Events,
    ) -> Self {
        let logs = AccessLogs::read(cluster, &[&gateway.namespace, &meshed.pod.namespace]).await;
        let http = plan
            .hosts
            .iter()
            .any(|planned| planned.how.scheme() == Scheme::Http);
        Self {
            cluster,
            gateway,
            meshed,
            witness: Witness::start(
                cluster,
                gateway,
                sentinel::door(plan, gateway),
                meshed,
                (logs, http),
            ),
            events,
        }
    }

    /// Waits until each follower is known to deliver, or known not to.
    pub(super) async fn ready(&self) {
        let started = Instant::now();
        (self.events)(Event::StepStarted {
            id: "listen".to_owned(),
            title: "listen at the gateway and the sidecar".to_owned(),
        });
        tokio::join!(self.witness.ready(), self.sidecar_sentinel());
        (self.events)(Event::StepFinished {
            id: "listen".to_owned(),
            detail: Some(listening(&self.witness)),
            elapsed: started.elapsed(),
        });
    }

    /// Sends the probes and judges them by what the followers bring.
    pub(super) async fn round(
        &self,
        meshed_probes: Vec<Planned>,
        bare: Option<(&ProbeSource, Vec<Planned>)>,
        reached_before: &[ReachedBefore],
    ) -> Vec<(ProbeResult, CurlResult)> {
        let round = Round::new(
            self.cluster,
            &self.witness,
            self.gateway,
            self.meshed,
            reached_before,
            self.events,
        )
        .await;
        let (bare, bare_probes) = bare.map_or((None, Vec::new()), |(bare, probes)| (Some(bare), probes));
        round.run(self.meshed, meshed_probes, bare, bare_probes).await
    }

    /// Shows that the sidecar's follower delivers, by connections to the gateway's own Service with a server name that
    /// nobody serves: each leaves a line in the sidecar and goes nowhere.
    async fn sidecar_sentinel(&self) {
        if !self.meshed.meshed {
            return;
        }
        let deadline = Instant::now() + self.witness.sidecar_deadline(&self.meshed.pod);
        let address = self.address_of_gateway().await;
        let (mut delivers, mut locals) = (false, Vec::new());
        while let (Some(address), false) = (&address, delivers) {
            // That listener reads no server name, so the line is known by curl's own address.
            let requests = [self.sentinel_request(address)];
            let known = locals.len();
            if let Some(CurlResult::Report(report)) =
                probe::send(self.cluster, self.meshed, &requests).await.pop()
            {
                locals.extend(report.local_address);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let pause = left.min(SIDECAR_SENTINEL_PAUSE);
            let witness = &self.witness;
            delivers = witness.sidecar_delivers(&self.meshed.pod, &locals, pause).await;
            // Without an address of curl's there is no line to wait for, and the probes will not fare better.
            let hopeless = locals.len() == known || witness.sidecar_state(&self.meshed.pod).is_final();
            if hopeless || left <= pause {
                break;
            }
        }
        self.witness.decide_sidecar(&self.meshed.pod, delivers);
    }

    async fn address_of_gateway(&self) -> Option<String> {
        let GatewayTarget {
            namespace, service, ..
        } = self.gateway;
        let reference = ObjectReference::namespaced(kinds::service(), namespace, service);
        let service = self.cluster.get(&reference).await.ok()??;
        let address = service.text("/spec/clusterIP");
        (!address.is_empty() && address != "None").then(|| address.to_owned())
    }

    fn sentinel_request(&self, address: &str) -> ProbeRequest {
        let name = sentinel::server_name();
        let port = self.gateway.tls_port;
        ProbeRequest {
            id: 0,
            nonce: sentinel::nonce(),
            scheme: Scheme::Https,
            host: name.clone(),
            port,
            path: "/".to_owned(),
            method: "GET".to_owned(),
            max_time_seconds: 3,
            ca_certificate: None,
            show_headers: false,
            show_body: false,
            resolve: Some(format!("{name}:{port}:{address}")),
            host_header: None,
            connect_to: None,
            proxy: None,
        }
    }
}

fn listening(witness: &Witness) -> String {
    let facts = witness.gateway_facts();
    let delivering = facts
        .pods
        .iter()
        .filter(|pod| pod.log_state == LogState::Delivering)
        .count();
    format!("{delivering} of {} gateway pods deliver", facts.pods.len())
}
