//! Which gateway a plan uses, and what has to be done so that it is there.

use super::facts::Facts;
use super::gateway_finder;
use super::prepare::SetupSettings;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::istio::kinds;
use crate::plan::istio_module::{self, ModuleChange};
use crate::plan::{GatewayTarget, Plan, gateway_workload};
use crate::vocabulary::ExitCode;

/// What was chosen.
#[derive(Debug)]
pub(super) struct Choice {
    /// The gateway.
    pub(super) gateway: GatewayTarget,
    /// What is changed at the Kyma module, if it makes the gateway.
    pub(super) module: Option<ModuleChange>,
    /// Whether the module's gateway runs already.
    pub(super) was_there: bool,
    /// Questions.
    pub(super) consents: Vec<String>,
    /// What the user should know.
    pub(super) findings: Vec<Finding>,
    /// The same, in a line.
    pub(super) remarks: Vec<String>,
}

impl Choice {
    fn of(gateway: GatewayTarget) -> Self {
        Self {
            gateway,
            module: None,
            was_there: false,
            consents: Vec::new(),
            findings: Vec::new(),
            remarks: Vec::new(),
        }
    }
}

/// Chooses: the gateway that is named, the one of the journal, the only one there is; else one is made, on Kyma by the
/// module.
///
/// # Errors
/// See [`Facts::gateway`]; on Kyma also if the module cannot make it.
pub(super) async fn choose(
    cluster: &Cluster,
    facts: &Facts,
    plan: &Plan,
    settings: &SetupSettings,
) -> Result<Choice> {
    let journal = facts.journal.as_ref();
    let stored = journal.map(|journal| &journal.gateway);
    let named = plan
        .settings
        .gateway
        .clone()
        .or_else(|| stored.map(ToString::to_string));
    let found = facts.gateway(cluster, named.as_deref()).await;
    if facts.platform.kyma().is_some() {
        return on_kyma(facts, plan, settings, named.as_deref(), found);
    }
    let found = match found {
        // A gateway of ours that was deleted meanwhile is made again.
        Err(error)
            if is_about_the_gateway(&error)
                && plan.settings.gateway.is_none()
                && stored.is_some_and(|stored| stored.created) =>
        {
            None
        }
        result => result?,
    };
    Ok(found.map_or_else(|| ours(facts), Choice::of))
}

/// Whether there is no such gateway, or it is none: the cluster was asked, and has answered.
fn is_about_the_gateway(error: &Error) -> bool {
    error.code() == ExitCode::Usage
}

fn ours(facts: &Facts) -> Choice {
    let mut choice = Choice::of(gateway_workload::target(facts.root_namespace()));
    // Said before somebody wonders why theirs is not taken.
    let others = facts
        .services
        .iter()
        .filter(|service| gateway_finder::named_like_egress(service));
    choice.remarks.extend(others.filter_map(|service| {
        let gateway = gateway_finder::made_from(service)?;
        Some(format!(
            "{} is of the Gateway {gateway} of the Kubernetes Gateway API, through which this version does not route: it is left as it is",
            service.reference(&kinds::service())
        ))
    }));
    choice.consents.push(format!(
        "There is no egress gateway. Create one, Deployment {}/{} with its Service and ServiceAccount?",
        facts.root_namespace(),
        gateway_workload::NAME
    ));
    choice
}

fn on_kyma(
    facts: &Facts,
    plan: &Plan,
    settings: &SetupSettings,
    named: Option<&str>,
    found: Result<Option<GatewayTarget>>,
) -> Result<Choice> {
    let modules = istio_module::gateway();
    let found = match found {
        // The module's gateway is made by the module, whatever is left of it.
        Err(error) if is_about_the_gateway(&error) && named == Some(modules.to_string().as_str()) => None,
        result => result?,
    };
    let was_there = found.is_some();
    let mut choice = Choice::of(found.unwrap_or(modules));
    choice.was_there = was_there;
    let Some(kyma) = facts.platform.kyma() else {
        return Ok(choice);
    };
    choice.findings = kyma.findings();
    // A gateway of the user's own is the user's affair.
    if !istio_module::is_modules(&choice.gateway) {
        return Ok(choice);
    }
    if !settings.parts.gateway {
        if !was_there {
            choice.remarks.push(format!(
                "the egress gateway {} is not switched on yet: kubectl egress enable-gateway -n {}",
                choice.gateway, plan.identity.namespace
            ));
        }
        return Ok(choice);
    }
    match kyma.change(&plan.identity, settings.create_istio_cr) {
        Ok(module) => {
            choice.consents.extend(question(&module));
            choice.module = Some(module);
        }
        Err(error) if was_there && kyma.unreadable.is_some() => choice.remarks.push(format!(
            "{error}; the egress gateway {} is used as it is, and goes if somebody else switches it off",
            choice.gateway
        )),
        Err(error) => return Err(error),
    }
    Ok(choice)
}

/// Switching on what somebody switched off is asked for.
fn question(module: &ModuleChange) -> Option<String> {
    let owners = module.replaces.as_ref()?;
    let names: Vec<&str> = owners.iter().map(|owner| owner.manager.as_str()).collect();
    let by = if names.is_empty() {
        String::new()
    } else {
        format!(", set by {}", names.join(" and "))
    };
    Some(format!(
        "{} has spec.components.egressGateway.enabled: false{by}. Replace it by true until cleanup?",
        module.manifest.reference
    ))
}

/// Checks that the gateway which the module made is the one that the routing was written for.
///
/// # Errors
/// If its Service is not there, or differs.
pub(super) async fn confirm(cluster: &Cluster, planned: &GatewayTarget) -> Result<()> {
    let reference = crate::vocabulary::ObjectReference::namespaced(
        kinds::service(),
        planned.namespace.clone(),
        planned.service.clone(),
    );
    let service = cluster.get(&reference).await?.ok_or_else(|| {
        Error::cluster(format!("the Istio module made no {reference}"))
            .hint(format!("kubectl get services -n {}", planned.namespace))
    })?;
    match super::gateway_finder::target(&service, &[]) {
        Some(made) if made != *planned => Err(Error::cluster(format!(
            "{reference} has other ports or labels than the Istio module was known to give it"
        ))
        .because("the routing was written for the known ones")
        .hint("run the same command again: it reads them from the Service")),
        _ => Ok(()),
    }
}
