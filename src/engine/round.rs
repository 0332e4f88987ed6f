//! One round of probes: sent side by side, their lines awaited, judged.

use super::probe::{self, ProbeSource};
use super::probe_plan::Planned;
use super::witness::Witness;
use super::{Event, Events, gateway_counters, transports};
use crate::cluster::Cluster;
use crate::evidence::{
    Control, CurlResult, GatewayFacts, Lines, LiveConfiguration, LogState, ProbeEvidence, ProbeRequest,
    ProbeResult, SourceFacts, judge, log_is_settled,
};
use crate::finding::catalogue;
use crate::istio::kinds;
use crate::mesh::network_policy::NetworkPolicies;
use crate::plan::GatewayTarget;
use crate::plan::lock::ReachedBefore;
use crate::vocabulary::Object;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long lines may come after the last probe: Envoy flushes once a second, and a line of a connection that Envoy
/// gave up on comes up to ten seconds after curl did (truth.md 2).
const LINE_DEADLINE: Duration = Duration::from_secs(12);

/// A probe, what curl said of it, and where it left from.
type Sent<'run> = (Planned, CurlResult, &'run ProbeSource);

/// What the probes of one round share.
pub(super) struct Round<'run> {
    cluster: &'run Cluster,
    witness: &'run Witness,
    gateway: &'run GatewayTarget,
    /// NetworkPolicies of the sources' namespace; `None` if they cannot be read.
    policies: Option<NetworkPolicies>,
    /// What answered before a lock: a control for what must be silent under it.
    reached_before: &'run [ReachedBefore],
    events: &'run Events,
}

impl<'run> Round<'run> {
    /// A round whose sources are in the namespace of `from`.
    pub(super) async fn new(
        cluster: &'run Cluster,
        witness: &'run Witness,
        gateway: &'run GatewayTarget,
        from: &ProbeSource,
        reached_before: &'run [ReachedBefore],
        events: &'run Events,
    ) -> Self {
        Self {
            cluster,
            witness,
            gateway,
            policies: policies(cluster, &from.pod.namespace).await,
            reached_before,
            events,
        }
    }

    /// Sends the probes of both sources side by side and judges them, each with what curl said.
    pub(super) async fn run(
        &self,
        meshed: &ProbeSource,
        meshed_probes: Vec<Planned>,
        bare: Option<&ProbeSource>,
        bare_probes: Vec<Planned>,
    ) -> Vec<(ProbeResult, CurlResult)> {
        let started = Instant::now();
        let number = meshed_probes.len() + bare_probes.len();
        (self.events)(Event::StepStarted {
            id: "probe".to_owned(),
            title: format!("send {number} {}", if number == 1 { "probe" } else { "probes" }),
        });
        // The source's sidecar is asked as well where its log cannot tell.
        let mut counting = self.witness.gateway_pods();
        if matches!(self.witness.sidecar_state(&meshed.pod), LogState::Lacking(_)) {
            counting.push(meshed.pod.clone());
        }
        let counted = if meshed_probes.is_empty() {
            gateway_counters::Counted::new()
        } else {
            gateway_counters::read(self.cluster, &counting).await
        };
        let send_bare = async {
            match bare {
                Some(from) => probe::send(self.cluster, from, &requests(&bare_probes)).await,
                None => Vec::new(),
            }
        };
        let meshed_requests = requests(&meshed_probes);
        let asked_at = server_time(self.cluster);
        let (meshed_results, bare_results, live) = tokio::join!(
            probe::send(self.cluster, meshed, &meshed_requests),
            send_bare,
            self.live(meshed, &meshed_probes)
        );
        let live = Arc::new(live);
        let mut sent: Vec<Sent<'_>> = meshed_probes
            .into_iter()
            .zip(meshed_results)
            .map(|(planned, curl)| (planned, curl, meshed))
            .collect();
        if let Some(bare) = bare {
            sent.extend(
                bare_probes
                    .into_iter()
                    .zip(bare_results)
                    .map(|(planned, curl)| (planned, curl, bare)),
            );
        }
        (self.events)(Event::StepWaiting {
            id: "probe".to_owned(),
            on: "the proxies' lines about them".to_owned(),
        });
        let evidence = self.settle(&sent, &live, asked_at.as_deref()).await;
        (self.events)(Event::StepFinished {
            id: "probe".to_owned(),
            detail: None,
            elapsed: started.elapsed(),
        });
        let mut results: Vec<(ProbeResult, CurlResult)> = evidence
            .into_iter()
            .map(|evidence| (judge(&evidence), evidence.curl))
            .collect();
        if !counted.is_empty() {
            let after = gateway_counters::read(self.cluster, &counting).await;
            let read_at = server_time(self.cluster);
            let compared = results.iter_mut().map(|(result, _)| result);
            let lines = self.witness.gateway_lines();
            gateway_counters::compare(compared, &lines, &counted, &after, read_at.as_deref());
            let rose = gateway_counters::rose(&counted, &after);
            for finding in results.iter_mut().flat_map(|(result, _)| &mut result.findings) {
                if finding.code == catalogue::LOG_FORMAT_LACKS.code {
                    finding.message = format!("{}; {rose}", finding.message);
                }
            }
        }
        results
    }

    /// Waits until each probe has the lines that decide it, or no more can be expected.
    async fn settle(
        &self,
        sent: &[Sent<'_>],
        live: &Arc<LiveConfiguration>,
        asked_at: Option<&str>,
    ) -> Vec<ProbeEvidence> {
        let deadline = Instant::now() + LINE_DEADLINE;
        // Those without a line are few after a while, and only they are looked at again at every line that comes.
        let mut open: Vec<&Sent<'_>> = sent.iter().collect();
        loop {
            let changed = self.witness.changed();
            let facts = self.witness.gateway_facts();
            let evidence = self.evidence(sent, &open, live, asked_at, &facts);
            let mut settled = evidence.iter().map(log_is_settled);
            open.retain(|_| settled.next() == Some(false));
            if open.is_empty() {
                if evidence.len() == sent.len() {
                    return evidence;
                }
                // All of them once more: a line that came since may be about one that had its line.
                open = sent.iter().collect();
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let all: Vec<&Sent<'_>> = sent.iter().collect();
                let facts = self.witness.gateway_facts_in_the_end();
                return self.evidence(sent, &all, live, asked_at, &facts);
            }
            // Only wakes us: at the deadline the loop ends above.
            let _ = tokio::time::timeout(left, changed).await;
        }
    }

    /// Whether any NetworkPolicy with egress rules selects a source; `None` if that cannot be read.
    fn is_selected(&self, from: &ProbeSource) -> Option<bool> {
        let metadata = json!({"namespace": from.pod.namespace, "name": from.pod.name, "labels": from.labels});
        let pod = Object(json!({ "metadata": metadata }));
        self.policies
            .as_ref()
            .map(|policies| !policies.egress_policies_of(&pod).is_empty())
    }

    /// What the proxies on the way hold while the probes are under way.
    async fn live(&self, meshed: &ProbeSource, probes: &[Planned]) -> LiveConfiguration {
        let pods = self.witness.gateway_pods();
        let sidecar = meshed.meshed.then_some(&meshed.pod);
        transports::read(self.cluster, self.gateway, sidecar, &pods, probes).await
    }

    fn evidence(
        &self,
        sent: &[Sent<'_>],
        wanted: &[&Sent<'_>],
        live: &Arc<LiveConfiguration>,
        asked_at: Option<&str>,
        gateway: &GatewayFacts,
    ) -> Vec<ProbeEvidence> {
        let gateway_lines = Lines::from(self.witness.gateway_lines());
        let mut sidecar_lines = BTreeMap::new();
        for (.., from) in wanted {
            let lines = || Lines::from(self.witness.sidecar_lines(&from.pod));
            sidecar_lines.entry(&from.pod).or_insert_with(lines);
        }
        let mut answered: BTreeMap<(&str, u16), bool> = BTreeMap::new();
        for (planned, curl, _) in sent {
            if let CurlResult::Report(report) = curl {
                let known = answered.entry((&planned.request.host, planned.request.port));
                *known.or_default() |= report.exit_code == 0;
            }
        }
        let up = |request: &ProbeRequest| {
            let mut known = answered.get(&(request.host.as_str(), request.port)).copied();
            let before =
                |reached: &ReachedBefore| reached.host == request.host && reached.port == request.port;
            if known != Some(true) && self.reached_before.iter().any(before) {
                known = Some(true);
            }
            known
        };
        wanted
            .iter()
            .map(|(planned, curl, from)| ProbeEvidence {
                control: Control {
                    host_up: up(&planned.request),
                },
                request: planned.request.clone(),
                expected: planned.expected,
                source: SourceFacts {
                    pod: from.pod.to_string(),
                    container: from.container.clone(),
                    addresses: from.addresses.clone(),
                    meshed: from.meshed,
                    interception: from.interception.clone(),
                    log_state: if from.meshed {
                        self.witness.sidecar_state(&from.pod)
                    } else {
                        LogState::Absent
                    },
                    log_switch: from.log_switch.clone(),
                },
                asked_at: asked_at.map(str::to_owned),
                curl: curl.clone(),
                sidecar_lines: sidecar_lines[&from.pod].clone(),
                gateway_lines: gateway_lines.clone(),
                gateway: gateway.clone(),
                planned: planned.way.clone(),
                live: live.clone(),
                network_policies: self.is_selected(from),
            })
            .collect()
    }
}

/// RFC 3339, by the API server's clock.
fn server_time(cluster: &Cluster) -> Option<String> {
    cluster.server_time().map(|time| time.to_string())
}

fn requests(planned: &[Planned]) -> Vec<ProbeRequest> {
    planned.iter().map(|planned| planned.request.clone()).collect()
}

async fn policies(cluster: &Cluster, namespace: &str) -> Option<NetworkPolicies> {
    let policies = cluster
        .list(&kinds::network_policy(), Some(namespace), None)
        .await
        .ok()?;
    // Only which pods they select matters here, for which the namespaces are not needed.
    Some(NetworkPolicies::new(&policies, &[]))
}
