//! Where probes leave from: our source, or a workload of the user's, with a container of ours in it if need be.

use super::connection::Connected;
use crate::cli::ProbeFlags;
use crate::engine::probe::{ProbeSource, find_source};
use crate::engine::{Event, ephemeral_container};
use crate::error::{Error, Result};
use crate::report::Printer;
use crate::vocabulary::{PlanIdentity, names};
use std::time::Duration;

/// What names a plan on the command line.
fn flags_of(plan: &PlanIdentity) -> String {
    if plan.name == names::DEFAULT_PLAN {
        format!("-n {}", plan.namespace)
    } else {
        format!("-n {} --plan {}", plan.namespace, plan.name)
    }
}

/// Finds the source that the flags name. A workload without curl gets an ephemeral container, with consent.
pub(super) async fn find(
    connected: &Connected,
    flags: &ProbeFlags,
    image: &str,
    timeout: Duration,
    printer: &Printer,
) -> Result<ProbeSource> {
    let cluster = &connected.cluster;
    let from = flags.from.first().map(ToString::to_string);
    let mut found = find_source(
        cluster,
        &connected.namespace,
        from.as_deref(),
        flags.container.as_deref(),
    )
    .await?;
    if let Some(from) = &from
        && connected.namespace == connected.plan.namespace
    {
        found.log_switch = Some(format!(
            "kubectl egress setup --from {from} {}",
            flags_of(&connected.plan)
        ));
    }
    if from.is_none() || ephemeral_container::has_curl(cluster, &found).await? {
        return Ok(found);
    }
    if let Some(source) = ephemeral_container::existing(cluster, &found).await? {
        return Ok(source);
    }
    let question = format!(
        "Container {} of pod {} has no curl. Add an ephemeral container with {image} to the pod? It stays until the pod is replaced.",
        found.container, found.pod
    );
    if !printer.confirm(&question).await? {
        return Err(Error::consent("nothing was probed, as you did not agree").because(question));
    }
    let events = printer.events();
    let progress = |on: &str| events(Event::Note(format!("waiting for {on}")));
    ephemeral_container::add(cluster, &found, image, timeout, &progress).await
}
