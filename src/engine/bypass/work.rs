//! Makes all tries side by side, a few per pod in one exec, and judges each.

use super::pods::Made;
use super::targets::{self, Heard, Targets};
use super::tries::{self, Try, What};
use crate::cluster::Cluster;
use crate::engine::event::{Event, Events};
use crate::engine::lockdown::Standing;
use crate::engine::probe::{self, ProbeSource};
use crate::evidence::{
    AttemptFacts, AttemptResult, CurlResult, DestinationState, ProbeRequest, ProbeResult, Said, Shown,
    judge_at_gateway, judge_past_mesh, judge_probe, judge_program, judge_tunnel, open_by_design,
};
use crate::istio::kinds;
use crate::mesh::network_policy::NetworkPolicies;
use crate::plan::journal::BypassRecord;
use crate::vocabulary::{ATTEMPTS, Attempt, AttemptFrom, AttemptOutcome, Object, StoppedBy};
use futures::future::{join, join_all};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// Longer than a lookup's three questions of five seconds.
const PROGRAM_DEADLINE: Duration = Duration::from_secs(25);

/// What the run knows besides the tries.
pub(in crate::engine) struct Known<'run> {
    /// What is tried to be reached.
    pub(in crate::engine) targets: &'run Targets,
    /// The probes of `verify`.
    pub(in crate::engine) results: &'run [ProbeResult],
    /// Probes that were made for the matrix alone.
    pub(in crate::engine) extra: Heard,
    /// The lock.
    pub(in crate::engine) standing: &'run Standing,
    /// What was seen before it.
    pub(in crate::engine) record: Option<&'run BypassRecord>,
}

/// What the tries from one place came to.
struct Tried {
    from: AttemptFrom,
    source: ProbeSource,
    tries: Vec<Try>,
    curl: Vec<Vec<CurlResult>>,
    said: Vec<Option<Said>>,
}

/// The whole matrix, in the order of the list.
pub(in crate::engine) async fn attempt_all(
    cluster: &Cluster,
    bare: Result<&ProbeSource, Shown>,
    made: &Made,
    known: &Known<'_>,
    events: &Events,
) -> Vec<AttemptResult> {
    let started = Instant::now();
    events(Event::StepStarted {
        id: "bypass".to_owned(),
        title: "try to get out without the gateway".to_owned(),
    });
    let mut places: BTreeMap<AttemptFrom, Result<&ProbeSource, Shown>> = BTreeMap::new();
    places.insert(AttemptFrom::Unmeshed, bare);
    for (from, source) in made {
        places.insert(*from, source.as_ref().map_err(Clone::clone));
    }
    let mut making = Vec::new();
    for (from, source) in &places {
        if let Ok(source) = source {
            making.push(make(cluster, *from, source, tries::of(*from, known.targets)));
        }
    }
    // The same from a pod that no lock holds: what answers it is up.
    let controls = async {
        match places.get(&AttemptFrom::OtherNamespace) {
            Some(Ok(source)) => {
                let tries = tries::of(AttemptFrom::Unmeshed, known.targets);
                Some(make(cluster, AttemptFrom::Unmeshed, source, tries).await)
            }
            _ => None,
        }
    };
    let policies = policies(cluster, &places);
    let ((tried, controls), policies) = join(join(join_all(making), controls), policies).await;
    let judge = Judge {
        known,
        policies,
        up: controls.map(|controls| outs(&controls)).unwrap_or_default(),
        tried: &tried,
    };
    let rows = ATTEMPTS
        .iter()
        .filter(|attempt| attempt.from != AttemptFrom::Nowhere)
        .map(|attempt| judge.row(attempt, &places))
        .chain(open_by_design())
        .collect();
    events(Event::StepFinished {
        id: "bypass".to_owned(),
        detail: None,
        elapsed: started.elapsed(),
    });
    rows
}

async fn make(cluster: &Cluster, from: AttemptFrom, source: &ProbeSource, tries: Vec<Try>) -> Tried {
    let mut requests: Vec<ProbeRequest> = Vec::new();
    for one in &tries {
        for request in one.what.requests() {
            let id = u32::try_from(requests.len()).unwrap_or(u32::MAX);
            requests.push(ProbeRequest {
                id,
                ..request.clone()
            });
        }
    }
    let programs = tries.iter().map(|one| async move {
        match &one.what {
            What::Program(_, command) => Some(targets::run(cluster, source, command, PROGRAM_DEADLINE).await),
            _ => None,
        }
    });
    let (results, said) = join(probe::send(cluster, source, &requests), join_all(programs)).await;
    let mut results = results.into_iter();
    let curl = tries
        .iter()
        .map(|one| results.by_ref().take(one.what.requests().len()).collect())
        .collect();
    Tried {
        from,
        source: source.clone(),
        tries,
        curl,
        said,
    }
}

/// Attempts that got out, without any control.
fn outs(tried: &Tried) -> BTreeSet<&'static str> {
    let nothing = AttemptFacts {
        destination: DestinationState::Unknown,
        selected: None,
    };
    let got_out = |index: &usize| shown(tried, *index, nothing).outcome == AttemptOutcome::Out;
    (0..tried.tries.len())
        .filter(got_out)
        .map(|index| tried.tries[index].attempt.id)
        .collect()
}

/// What one try shows.
fn shown(tried: &Tried, index: usize, facts: AttemptFacts) -> Shown {
    let one = &tried.tries[index];
    let mut results = tried.curl[index].iter();
    let lost = CurlResult::Lost("it was not sent".to_owned());
    let mut next = || results.next().unwrap_or(&lost);
    match &one.what {
        What::Straight(_) => judge_past_mesh(tried.from, next(), facts),
        What::AtGateway(declared, _) => judge_at_gateway(*declared, next(), facts),
        What::Tunnel(_) => judge_tunnel(next(), facts),
        What::AtIngress(..) => at_ingress(next(), next(), facts),
        What::Program(program, _) => match &tried.said[index] {
            Some(said) => judge_program(*program, said, facts),
            None => Shown::not_tried("it was not started"),
        },
        What::Impossible(why) => Shown::not_tried(why.clone()),
    }
}

/// A closed port of a gateway that can be reached is no policy's work.
fn at_ingress(through: &CurlResult, health: &CurlResult, facts: AttemptFacts) -> Shown {
    let shown = judge_at_gateway(false, through, facts);
    let answers = matches!(health, CurlResult::Report(report) if report.http_code != 0);
    match shown.outcome {
        AttemptOutcome::Out => shown,
        _ if shown.stopped_by == Some(StoppedBy::Gateway) => shown,
        _ if answers => Shown::blocked(
            StoppedBy::Gateway,
            format!("{}; its health port answers", shown.why),
        ),
        _ => shown,
    }
}

/// Pod and address that an attempt started from.
type Source = (Option<String>, Option<String>);

struct Judge<'run> {
    known: &'run Known<'run>,
    policies: BTreeMap<String, NetworkPolicies>,
    up: BTreeSet<&'static str>,
    tried: &'run [Tried],
}

impl Judge<'_> {
    fn row(
        &self,
        attempt: &Attempt,
        places: &BTreeMap<AttemptFrom, Result<&ProbeSource, Shown>>,
    ) -> AttemptResult {
        let before = self.before(attempt);
        if let Some((shown, source)) = self.of_verify(attempt) {
            return shown.of(attempt, source, before);
        }
        let found = self.tried.iter().find_map(|tried| {
            let index = tried.tries.iter().position(|one| one.attempt.id == attempt.id)?;
            Some((tried, index))
        });
        if let Some((tried, index)) = found {
            let facts = AttemptFacts {
                destination: self.destination(&tried.tries[index]),
                selected: self.is_selected(tried),
            };
            let address = tried.source.addresses.first().cloned();
            let source = (Some(tried.source.pod.to_string()), address);
            return shown(tried, index, facts).of(attempt, source, before);
        }
        let why = match places.get(&attempt.from) {
            Some(Err(shown)) => shown.clone(),
            _ if attempt.from.needs_consent() => Shown::not_tried("only with --attempts all"),
            _ => Shown::not_tried("the source has no sidecar, so that such a pod would have none"),
        };
        why.of(attempt, (None, None), before)
    }

    /// Without a lock there is no time before it.
    fn before(&self, attempt: &Attempt) -> Option<AttemptOutcome> {
        self.known.standing.record.as_ref()?;
        self.known.record?.attempts.get(attempt.id).copied()
    }

    /// Attempts whose probes `verify` makes anyway.
    fn of_verify(&self, attempt: &Attempt) -> Option<(Shown, Source)> {
        let targets = self.known.targets;
        let probe = match attempt.id {
            "no-sidecar" => {
                let planned = targets.declared.as_ref()?;
                let host = targets::name_of(planned);
                self.probe(false, &host, planned.port())
            }
            "undeclared-host" => self.probe(true, targets.forbidden.as_str(), 443),
            "plain-http-80" => self.probe(true, targets.forbidden.as_str(), 80),
            id => match self.known.extra.get(id)? {
                Ok(probe) => Some(probe),
                Err(why) => return Some((Shown::not_tried(why.clone()), (None, None))),
            },
        };
        let Some(probe) = probe else {
            let why = if attempt.from == AttemptFrom::Meshed {
                "the source has no sidecar, or the lock does not hold it"
            } else {
                "there is no pod without sidecar, or no declared host that goes through the gateway"
            };
            return Some((Shown::not_tried(why), (None, None)));
        };
        let declared = attempt.id == "declared-sni-elsewhere";
        let curl = probe.curl.as_ref();
        let address = curl.and_then(|curl| Some(curl.local_address.as_ref()?.rsplit_once(':')?.0.to_owned()));
        Some((
            judge_probe(probe, declared),
            (Some(probe.source.clone()), address),
        ))
    }

    fn probe(&self, meshed: bool, host: &str, port: u16) -> Option<&ProbeResult> {
        let mut probes = self.known.results.iter();
        probes.find(|probe| probe.meshed == meshed && probe.host == host && probe.port == port)
    }

    /// Whether somebody would have answered: now, before the lock, or to a pod that no lock holds.
    fn destination(&self, one: &Try) -> DestinationState {
        let before = self
            .known
            .record
            .and_then(|record| record.attempts.get(one.attempt.id));
        let answered = |host: &str, port: u16| {
            let by_probe = self.known.results.iter().any(|probe| {
                let answers =
                    |curl: &crate::evidence::CurlSummary| curl.exit_code == 0 || curl.http_code != 0;
                probe.host == host && probe.port == port && probe.curl.as_ref().is_some_and(answers)
            });
            let reached = self.known.standing.reached_before();
            by_probe
                || reached
                    .iter()
                    .any(|known| known.host == host && known.port == port)
        };
        let by_control = one
            .control
            .as_ref()
            .is_some_and(|(host, port)| answered(host, *port));
        // A pod of Istio's that is ready answers whoever reaches it.
        let is_ready_pod = matches!(
            one.what,
            What::AtGateway(..) | What::AtIngress(..) | What::Tunnel(_)
        );
        let is_up = by_control || is_ready_pod || self.up.contains(one.attempt.id);
        match before {
            Some(AttemptOutcome::Out) => DestinationState::Up,
            _ if is_up => DestinationState::Up,
            Some(AttemptOutcome::Unreachable) => DestinationState::Down,
            _ => DestinationState::Unknown,
        }
    }

    fn is_selected(&self, tried: &Tried) -> Option<bool> {
        if tried.from == AttemptFrom::HostNetwork {
            return Some(false);
        }
        let pod = &tried.source.pod;
        let metadata = json!({"namespace": pod.namespace, "name": pod.name, "labels": tried.source.labels});
        let object = Object(json!({ "metadata": metadata }));
        let policies = self.policies.get(&pod.namespace)?;
        Some(!policies.egress_policies_of(&object).is_empty())
    }
}

async fn policies(
    cluster: &Cluster,
    places: &BTreeMap<AttemptFrom, Result<&ProbeSource, Shown>>,
) -> BTreeMap<String, NetworkPolicies> {
    let sources = places.values().filter_map(|place| place.as_ref().ok());
    let namespaces: BTreeSet<&String> = sources.map(|source| &source.pod.namespace).collect();
    let reading = namespaces.into_iter().map(|namespace| async move {
        let listed = cluster
            .list(&kinds::network_policy(), Some(namespace), None)
            .await
            .ok()?;
        // Only which pods they select matters here, for which the namespaces are not needed.
        Some((namespace.clone(), NetworkPolicies::new(&listed, &[])))
    });
    join_all(reading).await.into_iter().flatten().collect()
}
