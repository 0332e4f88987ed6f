//! From destinations to a plan: the stored one, and every host that left past the gateway and that a plan can lead.

use super::flow::{Destination, Spoken, Way};
use super::tally::Flow;
use super::{LearnSettings, NotProposed, Observation};
use crate::engine::facts::Facts;
use crate::engine::holders;
use crate::plan::{GatewayTarget, Plan, PlannedHost};
use crate::vocabulary::{HostName, Mode};
use std::collections::{BTreeMap, BTreeSet};

/// A plan, and what is not in it.
#[derive(Debug, Default)]
pub(super) struct Proposal {
    /// The whole plan; `None` if there is no host for it.
    pub(super) plan: Option<Plan>,
    /// Hosts that it adds.
    pub(super) added: Vec<PlannedHost>,
    /// Destinations that left, or were to leave, and are not in it.
    pub(super) left_out: Vec<NotProposed>,
}

/// One place that workloads reach past the gateway.
struct Candidate<'a> {
    to: &'a Destination,
    workloads: BTreeSet<&'a str>,
    count: u64,
    failed: u64,
}

/// Makes it. Names are taken as they were called, one by one: no wildcard is made up.
pub(super) fn propose(
    observation: &Observation,
    stored: Option<&Plan>,
    facts: &Facts,
    gateway: Option<&GatewayTarget>,
    settings: &LearnSettings,
) -> Proposal {
    let mut proposal = Proposal {
        plan: stored.cloned(),
        ..Proposal::default()
    };
    for candidate in candidates(observation) {
        let added = match planned(&candidate, proposal.plan.as_ref()) {
            Ok(_)
                if candidate
                    .workloads
                    .iter()
                    .all(|workload| observation.own.contains(*workload)) =>
            {
                Err("only our own source called it, from which `verify` and `lockdown` probe".to_owned())
            }
            Ok(None) => continue,
            Ok(Some(host)) => add(&proposal, host, facts, gateway, settings),
            Err(why) => Err(why),
        };
        match added {
            Ok((plan, host)) => {
                proposal.plan = Some(plan);
                proposal.added.push(host);
            }
            Err(why) => proposal.left_out.push(NotProposed {
                destination: candidate.to.place(),
                protocol: candidate.to.spoken,
                workloads: candidate.workloads.iter().map(ToString::to_string).collect(),
                count: candidate.count,
                why,
            }),
        }
    }
    // A plan that leads this namespace's hosts must be seen by it.
    if let Some(plan) = proposal
        .plan
        .as_mut()
        .filter(|plan| plan.identity.namespace != settings.namespace)
        && !plan.settings.export_to.contains(&settings.namespace)
    {
        plan.settings.export_to.push(settings.namespace.clone());
        plan.settings.export_to.sort();
    }
    proposal
}

/// What left past the gateway, the most used first, so that of two ports of a host the busier one gets the place.
fn candidates(observation: &Observation) -> Vec<Candidate<'_>> {
    let mut by_place: BTreeMap<&Destination, Candidate<'_>> = BTreeMap::new();
    for (workload, of_workload) in &observation.tally.workloads {
        let leaving = of_workload
            .flows
            .iter()
            .filter(|(to, _)| matches!(to.way, Way::Direct | Way::Refused));
        for (to, Flow { count, failed, .. }) in leaving {
            let candidate = by_place.entry(to).or_insert_with(|| Candidate {
                to,
                workloads: BTreeSet::new(),
                count: 0,
                failed: 0,
            });
            candidate.workloads.insert(workload);
            candidate.count += count;
            candidate.failed += failed;
        }
    }
    let mut all: Vec<_> = by_place.into_values().collect();
    all.sort_by_key(|candidate| (std::cmp::Reverse(candidate.count), candidate.to));
    all
}

/// The host that would lead it; `None` if the plan has it already, and else why no plan can.
fn planned(candidate: &Candidate<'_>, plan: Option<&Plan>) -> Result<Option<PlannedHost>, String> {
    let to = candidate.to;
    let Some(host) = &to.host else {
        return Err("only its address is known: a gateway tells hosts apart by server name (SNI) or Host header; let the workload call it by name".to_owned());
    };
    if plan.is_some_and(|plan| has(plan, host, to.port)) {
        return Ok(None);
    }
    if to.way == Way::Refused {
        return Err(
            "the sidecar lets it out no more (REGISTRY_ONLY); to open it: `kubectl egress route`".to_owned(),
        );
    }
    if candidate.failed >= candidate.count {
        return Err("every attempt failed".to_owned());
    }
    if let Some(service) = &to.by {
        return Err(format!(
            "it is called by the name of Service {service} (ExternalName): add `service: {service}` to it in the plan yourself"
        ));
    }
    let mode = match to.spoken {
        Spoken::Tls => Mode::Passthrough,
        Spoken::Http => Mode::Http,
        Spoken::Tcp => {
            return Err(
                "it is neither TLS with a server name nor HTTP, by which a gateway tells hosts apart"
                    .to_owned(),
            );
        }
    };
    Ok(Some(PlannedHost::new(host.clone(), to.port, mode)))
}

fn has(plan: &Plan, host: &HostName, port: u16) -> bool {
    plan.hosts
        .iter()
        .any(|planned| planned.port() == port && (planned.host == *host || planned.host.covers(host)))
}

/// The plan with one host more.
fn add(
    proposal: &Proposal,
    host: PlannedHost,
    facts: &Facts,
    gateway: Option<&GatewayTarget>,
    settings: &LearnSettings,
) -> Result<(Plan, PlannedHost), String> {
    let (identity, of_plan, mut hosts) = match &proposal.plan {
        Some(plan) => (plan.identity.clone(), plan.settings.clone(), plan.hosts.clone()),
        None => (settings.plan.clone(), settings.plan_settings(), Vec::new()),
    };
    let alone = Plan::new(identity.clone(), of_plan.clone(), vec![host.clone()])
        .map_err(|error| error.to_string())?;
    if let Some(gateway) = gateway {
        holders::check(&alone, gateway, facts).map_err(|error| error.to_string())?;
    }
    hosts.push(host.clone());
    let plan = Plan::new(identity, of_plan, hosts).map_err(|error| error.to_string())?;
    Ok((plan, host))
}
