//! From destinations to a plan: the stored one, and every host that left past the gateway and that a plan can lead.

use super::flow::{Destination, Spoken, Way};
use super::tally::Flow;
use super::{LearnSettings, NotProposed, Observation};
use crate::plan::{Plan, PlannedHost};
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

/// Refuses a plan whose hosts somebody else leads already.
pub(super) type Held<'a> = &'a dyn Fn(&Plan) -> Result<(), String>;

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
    held: Held<'_>,
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
            Ok(Some(host)) => add(&proposal, host, held, settings),
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
    held: Held<'_>,
    settings: &LearnSettings,
) -> Result<(Plan, PlannedHost), String> {
    let (identity, of_plan, mut hosts) = match &proposal.plan {
        Some(plan) => (plan.identity.clone(), plan.settings.clone(), plan.hosts.clone()),
        None => (settings.plan.clone(), settings.plan_settings(), Vec::new()),
    };
    let alone = Plan::new(identity.clone(), of_plan.clone(), vec![host.clone()])
        .map_err(|error| error.to_string())?;
    held(&alone)?;
    hosts.push(host.clone());
    let plan = Plan::new(identity, of_plan, hosts).map_err(|error| error.to_string())?;
    Ok((plan, host))
}

#[cfg(test)]
mod tests {
    use super::super::{Observed, Tally, Window};
    use super::*;
    use crate::plan::{from_file, to_file};
    use crate::vocabulary::PlanIdentity;
    use std::time::Duration;

    fn to(host: &str, port: u16, spoken: Spoken, way: Way) -> Destination {
        Destination {
            host: host.parse().ok(),
            address: host.parse().ok(),
            port,
            spoken,
            way,
            by: None,
        }
    }

    fn seen(workload: &str, flows: &[(Destination, u64, u64)]) -> Observation {
        let mut tally = Tally::default();
        let of_workload = tally.workloads.entry(workload.to_owned()).or_default();
        for (to, count, failed) in flows {
            let flow = Flow {
                count: *count,
                failed: *failed,
                ..Flow::default()
            };
            of_workload.flows.insert(to.clone(), flow);
        }
        Observation {
            observed: Observed::default(),
            tally,
            open: Vec::new(),
            not_known: Vec::new(),
            own: BTreeSet::new(),
        }
    }

    fn settings(namespace: &str) -> LearnSettings {
        LearnSettings {
            plan: PlanIdentity::new("demo", "default").unwrap(),
            namespace: namespace.to_owned(),
            window: Window::For(Duration::from_secs(1)),
            gateway: Some("istio-system/gw".to_owned()),
        }
    }

    fn why<'a>(proposal: &'a Proposal, destination: &str) -> &'a str {
        let left_out = proposal
            .left_out
            .iter()
            .find(|left_out| left_out.destination == destination);
        left_out.map_or("", |left_out| &left_out.why)
    }

    #[test]
    fn what_left_by_name_is_planned_and_the_rest_has_a_reason() {
        let observation = seen(
            "Deployment/shop",
            &[
                (to("a.wild.test", 443, Spoken::Tls, Way::Direct), 5, 0),
                (to("b.wild.test", 443, Spoken::Tls, Way::Direct), 5, 4),
                (to("plain.example", 80, Spoken::Http, Way::Direct), 1, 0),
                (to("two.example", 443, Spoken::Tls, Way::Direct), 2, 0),
                (to("two.example", 8443, Spoken::Tls, Way::Direct), 9, 0),
                (to("held.example", 443, Spoken::Tls, Way::Direct), 1, 0),
                (to("down.example", 443, Spoken::Tls, Way::Direct), 3, 3),
                (to("refused.example", 443, Spoken::Tls, Way::Refused), 1, 1),
                (to("mail.example", 25, Spoken::Tcp, Way::Direct), 1, 0),
                (to("203.0.113.9", 443, Spoken::Tcp, Way::Direct), 1, 0),
                (to("known.example", 443, Spoken::Tls, Way::Gateway), 7, 0),
                (
                    to("web.demo.svc.cluster.local", 80, Spoken::Http, Way::InCluster),
                    7,
                    0,
                ),
            ],
        );
        let stored = Plan::new(
            settings("demo").plan,
            settings("demo").plan_settings(),
            vec![PlannedHost::passthrough("known.example".parse().unwrap(), 443)],
        )
        .unwrap();
        let held = |plan: &Plan| match plan.hosts[0].host.as_str() {
            "held.example" => Err("somebody has it".to_owned()),
            _ => Ok(()),
        };
        let proposal = propose(&observation, Some(&stored), &held, &settings("demo"));
        let plan = proposal.plan.as_ref().unwrap();
        let hosts: Vec<String> = plan.hosts.iter().map(ToString::to_string).collect();
        // No wildcard is made of several names under one domain; of two ports the busier one.
        assert_eq!(
            hosts,
            [
                "a.wild.test:443 (passthrough)",
                "b.wild.test:443 (passthrough)",
                "known.example:443 (passthrough)",
                "plain.example:80 (http)",
                "two.example:8443 (passthrough)",
            ]
        );
        for (destination, says) in [
            ("two.example:443", "one port of each kind"),
            ("held.example:443", "somebody has it"),
            ("down.example:443", "every attempt failed"),
            ("refused.example:443", "REGISTRY_ONLY"),
            ("mail.example:25", "neither TLS"),
            ("203.0.113.9:443", "only its address is known"),
        ] {
            assert!(
                why(&proposal, destination).contains(says),
                "{destination}: {:#?}",
                proposal.left_out
            );
        }
        assert_eq!((proposal.added.len(), proposal.left_out.len()), (4, 6));
        assert_eq!(
            from_file("plan.yaml", &to_file(plan).unwrap(), None, "x").unwrap(),
            *plan
        );
    }

    #[test]
    fn a_plan_of_another_namespace_is_shown_to_the_one_that_was_watched() {
        let observation = seen(
            "Deployment/shop",
            &[(to("a.example", 443, Spoken::Tls, Way::Direct), 1, 0)],
        );
        let plan = propose(&observation, None, &|_| Ok(()), &settings("shop"))
            .plan
            .unwrap();
        assert_eq!(
            (
                plan.identity.namespace.as_str(),
                plan.settings.export_to.as_slice()
            ),
            ("demo", &["shop".to_owned()][..])
        );
        assert!(
            propose(
                &seen("Deployment/shop", &[]),
                None,
                &|_| Ok(()),
                &settings("shop")
            )
            .plan
            .is_none()
        );
    }

    #[test]
    fn what_only_our_own_source_calls_is_a_probe() {
        let mut observation = seen(
            "Deployment/curl",
            &[(to("www.google.com", 443, Spoken::Tls, Way::Direct), 1, 0)],
        );
        observation.own.insert("Deployment/curl".to_owned());
        let proposal = propose(&observation, None, &|_| Ok(()), &settings("demo"));
        assert!(proposal.plan.is_none() && why(&proposal, "www.google.com:443").contains("our own source"));
    }
}
