//! The rehearsal: a canary puts the lock's rules on the switch's pod alone, and shows that they hold, let through what they
//! must, and let the switch take a lock back.

use super::Prepared;
use super::changes::Changes;
use super::switch::{self, Armed};
use crate::cluster::Cluster;
use crate::engine::event::{Event, Events};
use crate::engine::probe::{self, ProbeSource};
use crate::engine::sentinel;
use crate::error::Result;
use crate::evidence::{CurlReport, CurlResult, ProbeRequest, is_name_not_resolved};
use crate::finding::{Finding, catalogue};
use crate::plan::lock;
use crate::vocabulary::Scheme;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

/// A connection that is dropped shows no sooner.
const TRY_SECONDS: u32 = 3;
/// Port of every Istio gateway that tells its health: pods reach it unless a policy stops them, and no lock needs it.
const HEALTH_PORT: u16 = 15021;

/// What the canary must show before the lock itself is applied.
#[derive(Debug, Clone)]
pub(super) struct Rehearsal {
    /// A declared host, which must be out of reach.
    pub(super) host: (String, u16),
    /// Whether the host answered a pod without sidecar before.
    pub(super) host_answered: bool,
    /// The gateway's health port, which must be out of reach too, if it answered before.
    pub(super) health: Option<ProbeRequest>,
    /// An address of a gateway's pod with its target port, which must stay within reach.
    pub(super) gateway: ProbeRequest,
    /// The nameservers by TCP, which must stay within reach as far as they answered before: a resolver changes to it
    /// when an answer is too long (RFC 7766), and short names alone would not show that it cannot.
    pub(super) nameservers: Vec<ProbeRequest>,
}

impl Rehearsal {
    /// What to try, given one pod of the gateway and one declared host.
    pub(super) fn new(
        host: (String, u16),
        gateway_address: &str,
        gateway_port: u16,
        nameservers: &[IpAddr],
    ) -> Self {
        let name = sentinel::server_name();
        let gateway = request(2, Scheme::Https, &name, gateway_port, Some(gateway_address));
        Self {
            host,
            host_answered: false,
            health: Some(Self::health_request(gateway_address)),
            gateway,
            nameservers: (3..).zip(nameservers).map(nameserver).collect(),
        }
    }

    fn health_request(gateway_address: &str) -> ProbeRequest {
        request(
            1,
            Scheme::Http,
            &sentinel::server_name(),
            HEALTH_PORT,
            Some(gateway_address),
        )
    }

    /// Tries from a pod that no lock holds: only what answers there can be seen to be stopped.
    pub(super) async fn control(&mut self, cluster: &Cluster, bare: &ProbeSource) {
        let host = request(0, Scheme::of_port(self.host.1), &self.host.0, self.host.1, None);
        let others = self.health.clone().into_iter().chain(self.nameservers.clone());
        let requests: Vec<ProbeRequest> = [host].into_iter().chain(others).collect();
        let results = probe::send(cluster, bare, &requests).await;
        let of = |wanted: &ProbeRequest| {
            let mut pairs = requests.iter().zip(&results);
            pairs
                .find(|(request, _)| request.id == wanted.id)
                .map(|(_, result)| result)
        };
        self.host_answered = results.first().is_some_and(is_answered);
        let health = self.health.take();
        self.health = health.filter(|request| of(request).is_some_and(is_answered));
        self.nameservers
            .retain(|request| of(request).is_some_and(is_connected));
    }

    fn can_show_an_effect(&self) -> bool {
        self.host_answered || self.health.is_some()
    }

    fn requests(&self) -> Vec<ProbeRequest> {
        let mut host = request(0, Scheme::of_port(self.host.1), &self.host.0, self.host.1, None);
        host.max_time_seconds = TRY_SECONDS;
        [host, self.gateway.clone()]
            .into_iter()
            .chain(self.nameservers.clone())
            .chain(self.health.clone())
            .collect()
    }
}

/// Applies the canary, waits until it holds, lets the switch rehearse, and takes the canary away.
///
/// # Errors
/// If the canary shows no effect, stops what must stay open, or the switch cannot undo under it: each with its finding.
pub(super) async fn rehearse(
    cluster: &Cluster,
    prepared: &Prepared,
    armed: &Armed,
    rehearsal: &Rehearsal,
    changes: &Changes<'_>,
    events: &Events,
) -> Result<std::result::Result<(), Finding>> {
    // Where a lock is changed, that nothing answers is the effect of the one that is there.
    if !prepared.changes_a_lock() && !rehearsal.can_show_an_effect() {
        return Ok(Err(Finding::new(
            &catalogue::LOCK_WITHOUT_EFFECT,
            format!(
                "neither {} nor the gateway's health port answers a pod without sidecar, so that no effect of a lock could be seen",
                rehearsal.host.0
            ),
        )));
    }
    let canary = lock::canary(&prepared.run, &prepared.peers);
    changes.apply("canary", std::slice::from_ref(&canary)).await?;
    let effect_within = prepared.settings.effect_within;
    let holds = canary_holds(cluster, armed, rehearsal, effect_within, events).await;
    if let Err(finding) = holds {
        return Ok(Err(finding));
    }
    let rehearsed = switch::attempt(cluster, &armed.source, &["sh", "/switch/switch.sh", "rehearse"]).await?;
    if let Err(failure) = rehearsed {
        return Ok(Err(Finding::new(
            &catalogue::SWITCH_CANNOT_UNDO,
            format!("under the lock's rules the switch could not take a lock back: {failure}"),
        )));
    }
    changes.remove("canary", &canary.reference).await?;
    Ok(Ok(()))
}

/// Tries until everything is as it must be, or the deadline: an engine may take seconds.
async fn canary_holds(
    cluster: &Cluster,
    armed: &Armed,
    rehearsal: &Rehearsal,
    effect_within: Duration,
    events: &Events,
) -> std::result::Result<(), Finding> {
    let started = Instant::now();
    let requests = rehearsal.requests();
    loop {
        let results = probe::send(cluster, &armed.source, &requests).await;
        let Some(fault) = fault(&results, rehearsal) else {
            return Ok(());
        };
        if started.elapsed() > effect_within {
            return Err(fault);
        }
        // Each try lasts as long as its connections take, so this does not spin.
        events(Event::StepWaiting {
            id: "canary".to_owned(),
            on: fault.message,
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What is not as the lock means it, the first of: a name resolves, the gateway is within reach, nothing else is.
fn fault(results: &[CurlResult], rehearsal: &Rehearsal) -> Option<Finding> {
    let host = &rehearsal.host.0;
    let Some(CurlResult::Report(direct)) = results.first() else {
        return Some(Finding::new(
            &catalogue::SWITCH_CANNOT_UNDO,
            "the switch's pod does not answer",
        ));
    };
    if is_name_not_resolved(direct) {
        return Some(Finding::new(
            &catalogue::LOCK_BREAKS_DNS,
            format!("{host} does not resolve under the lock's rules: {}", direct.error),
        ));
    }
    if results.get(1).is_none_or(|result| !is_connected(result)) {
        return Some(Finding::new(
            &catalogue::LOCK_BREAKS_GATEWAY,
            "the gateway's pods are out of reach under the lock's rules",
        ));
    }
    let mut by_tcp = rehearsal.nameservers.iter().zip(results.iter().skip(2));
    if let Some((request, _)) = by_tcp.find(|(_, result)| !is_connected(result)) {
        return Some(Finding::new(
            &catalogue::LOCK_BREAKS_DNS,
            format!(
                "the nameserver {} takes no TCP connection under the lock's rules, so that long answers do not come",
                request.host
            ),
        ));
    }
    let health_open = results
        .get(2 + rehearsal.nameservers.len())
        .is_some_and(is_answered);
    if is_connected(&results[0]) || health_open {
        let what = if health_open {
            "the gateway's health port"
        } else {
            host.as_str()
        };
        return Some(Finding::new(
            &catalogue::LOCK_WITHOUT_EFFECT,
            format!(
                "{what} answers a pod that a NetworkPolicy locks: no policy engine of this cluster enforces it"
            ),
        ));
    }
    None
}

fn is_answered(result: &CurlResult) -> bool {
    matches!(result, CurlResult::Report(report) if report.http_code != 0)
}

/// Somebody accepted the connection, whatever came of it.
fn is_connected(result: &CurlResult) -> bool {
    matches!(result, CurlResult::Report(report) if !is_refused_below(report))
}

/// Dropped or refused on the way (truth.md 2), or the name was not known.
fn is_refused_below(report: &CurlReport) -> bool {
    is_name_not_resolved(report) || (matches!(report.exit_code, 7 | 28) && report.local_address.is_none())
}

/// Whatever a nameserver makes of a web request: that it took the connection is enough.
fn nameserver((id, address): (u32, &IpAddr)) -> ProbeRequest {
    let host = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    request(id, Scheme::Http, &host, lock::DNS_PORT, None)
}

fn request(id: u32, scheme: Scheme, host: &str, port: u16, address: Option<&str>) -> ProbeRequest {
    let address = address.map(|address| {
        if address.contains(':') {
            format!("[{address}]")
        } else {
            address.to_owned()
        }
    });
    ProbeRequest {
        id,
        nonce: sentinel::nonce(),
        scheme,
        host: host.to_owned(),
        port,
        path: "/".to_owned(),
        method: "GET".to_owned(),
        max_time_seconds: TRY_SECONDS,
        ca_certificate: None,
        show_headers: false,
        show_body: false,
        resolve: address.map(|address| format!("{host}:{port}:{address}")),
        host_header: None,
        connect_to: None,
        proxy: None,
    }
}
