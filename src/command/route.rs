//! `route`: adds hosts to the plan, or takes hosts away, routing objects only.

use super::connection::{connect_to_plan, or_interrupted};
use super::hosts::{self, planned};
use super::setup;
use crate::cli::{self, Connection};
use crate::engine::journal_store;
use crate::engine::prepare::Parts;
use crate::error::{Error, Result};
use crate::plan::PlannedHost;
use crate::report::Printer;
use crate::vocabulary::{ExitCode, PlanIdentity};

/// Adds and removes in one run.
pub(super) async fn route(
    connection: &Connection,
    settings: cli::Route,
    printer: &Printer,
) -> Result<ExitCode> {
    let connected = connect_to_plan(connection, &settings.plan, printer).await?;
    let parts = Parts {
        gateway: false,
        source: false,
        routing: true,
    };
    let mut wanted = setup::wanted(&connected.plan, parts, &settings.plan, settings.change);
    wanted.hosts = planned(&settings.hosts, &settings.mode);
    wanted.plan_settings = hosts::settings(&wanted.plan_settings, &settings.mode);
    if !settings.remove.is_empty() {
        let journal = journal_store::read(&connected.cluster, &connected.plan).await?;
        let stored = journal.map(|journal| journal.plan);
        let said = stored
            .as_ref()
            .map(|plan| plan.settings.clone())
            .unwrap_or_default();
        wanted.plan_settings = said.merged(std::mem::take(&mut wanted.plan_settings));
        let before = stored.map(|plan| plan.hosts).unwrap_or_default();
        wanted.hosts = remaining(&connected.plan, before, &settings, wanted.hosts)?;
        wanted.whole = true;
    }
    if or_interrupted(setup::run(&connected, wanted, false, printer), &connected.plan).await? {
        printer.next(&format!("kubectl egress verify -n {}", connected.plan.namespace));
    }
    Ok(ExitCode::Success)
}

fn remaining(
    plan: &PlanIdentity,
    mut hosts: Vec<PlannedHost>,
    settings: &cli::Route,
    added: Vec<PlannedHost>,
) -> Result<Vec<PlannedHost>> {
    for removed in &settings.remove {
        let matches = |planned: &PlannedHost| {
            planned.host == removed.host && removed.port.is_none_or(|port| port == planned.port())
        };
        if !hosts.iter().any(matches) {
            return Err(
                Error::usage(format!("{removed} is not in the plan {plan}")).hint(format!(
                    "`kubectl egress status -n {}` lists its hosts",
                    plan.namespace
                )),
            );
        }
        hosts.retain(|planned| !matches(planned));
    }
    hosts.retain(|old| added.iter().all(|new| new.host != old.host));
    hosts.extend(added);
    if hosts.is_empty() {
        return Err(
            Error::usage(format!("that is the last host of the plan {plan}")).hint(format!(
                "take the whole plan away: kubectl egress cleanup -n {} --plan {}",
                plan.namespace, plan.name
            )),
        );
    }
    Ok(hosts)
}
