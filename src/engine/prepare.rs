//! From what the user wants and what the cluster is like to what a run will do; nothing is changed here.

use super::client_secret::{self, SecretChanges};
use super::facts::Facts;
use super::gateway_choice::{self, Choice};
use super::injection::{self, InjectionLabel};
use super::log_switch::{self, Witnessed};
use super::orphans;
pub use super::settings::{DryRun, Parts, SetupSettings};
use super::{adoption, completion, exemption, exports, holders, namespace, neighbours, permissions};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::plan::gateway_workload;
use crate::plan::istio_module::ModuleChange;
use crate::plan::journal::{Entry, Journal};
use crate::plan::ownership::Manifest;
use crate::plan::past_sidecar::RangesChange;
use crate::plan::secrets::SecretManifest;
use crate::plan::source::{self, Injection, SourceSettings};
use crate::plan::{GatewayTarget, Plan, PlannedHost, routing};
use crate::vocabulary::ObjectReference;
use jiff::Timestamp;

/// What a run will do.
#[derive(Debug)]
pub struct Prepared {
    /// What the user wants.
    pub settings: SetupSettings,
    /// What the cluster said.
    pub facts: Facts,
    /// The plan with the new hosts merged in.
    pub plan: Plan,
    /// Its gateway.
    pub gateway: GatewayTarget,
    /// What is changed at the Kyma module, so that it makes the gateway.
    pub module: Option<ModuleChange>,
    /// Whether the gateway was found, and not only planned.
    pub gateway_was_there: bool,
    /// The namespace's label to set, if any: JSON pointer, label, value, and the value before.
    pub injection_label: Option<InjectionLabel>,
    /// The workload of the user's that is probed from, if its access log counts.
    pub witnessed: Option<Witnessed>,
    /// What lets that workload reach addresses past its sidecar.
    pub exempted: Option<RangesChange>,
    /// Secrets, and what lets the gateway read them.
    pub secrets: SecretChanges,
    /// Objects of the gateway: its workload if it is made, its Telemetry.
    pub gateway_objects: Vec<Manifest>,
    /// Objects of the source and its Telemetry.
    pub source_objects: Vec<Manifest>,
    /// Routing objects in the safe order.
    pub routing_objects: Vec<Manifest>,
    /// Objects of an earlier run that this plan has no use for.
    pub obsolete: Vec<Entry>,
    /// Hosts that an earlier run had and this plan has not.
    pub removed_hosts: Vec<PlannedHost>,
    /// What needs the user's word, as questions.
    pub consents: Vec<String>,
    /// What the user should know.
    pub findings: Vec<Finding>,
    /// Permissions that are missing and only useful.
    pub remarks: Vec<String>,
    /// The journal as it is to be written before anything is changed.
    pub journal: Journal,
}

/// Asks the cluster and decides.
///
/// # Errors
/// Everything that can be refused before anything is changed: see [`Facts::gather`], [`Facts::gateway`],
/// hosts that belong to others, and the rules of [`Plan`].
pub async fn prepare(cluster: &Cluster, settings: SetupSettings) -> Result<Prepared> {
    let facts = Facts::gather(cluster, &settings.plan).await?;
    if facts.namespace.is_none() && !settings.create_namespace {
        return Err(
            Error::usage(format!("namespace {} does not exist", settings.plan.namespace)).hint(format!(
                "let it be made: --create-namespace, or make it: kubectl create namespace {}",
                settings.plan.namespace
            )),
        );
    }
    let plan = plan_of(&settings, facts.journal.as_ref())?;
    let choice = gateway_choice::choose(cluster, &facts, &plan, &settings).await?;
    let Choice {
        gateway,
        module,
        was_there,
        mut consents,
        mut findings,
        mut remarks,
    } = choice;
    let (mut plan, mut routing_objects) = (plan, Vec::new());
    if settings.parts.routing {
        routing::check_gateway(&plan, &gateway)?;
        holders::check(&plan, &gateway, &facts)?;
        let completed = completion::complete(cluster, &facts, plan).await?;
        plan = completed.plan;
        remarks.extend(completed.remarks);
        neighbours::check(&plan, &gateway, &facts)?;
        remarks.extend(neighbours::outbound_remark(&plan, &facts));
        routing_objects =
            completion::without_foreign_services(routing::objects(&plan, &gateway), &plan, &facts);
        exports::check(cluster, &plan).await?;
    }
    let injection = injection::choose(&settings.plan, settings.inject_pod_only, &facts, &mut Vec::new())?;
    let wants = permissions::Wants {
        parts: settings.parts,
        rehearsed: settings.dry_run == DryRun::Server,
        label: settings.parts.source && facts.namespace.is_some() && injection.1.is_some(),
        module: module.as_ref(),
        routing: &routing_objects,
        secrets: &settings.secrets,
    };
    remarks.extend(permissions::check(cluster, &settings.plan, &gateway, wants).await?);
    findings.extend(holders::remarks(&plan, &gateway, &facts));
    let mut secrets = client_secret::prepare(
        cluster,
        &plan,
        &gateway,
        &settings.secrets,
        settings.parts.routing,
        Timestamp::now(),
    )
    .await?;
    findings.append(&mut secrets.findings);
    remarks.append(&mut secrets.remarks);
    if !settings.secrets.is_empty() && !settings.parts.gateway {
        // It is not this run that would make it.
        consents.clear();
    }
    let witnessed = match &settings.from {
        Some(from) if settings.parts.source => {
            Witnessed::find(cluster, &settings.plan.namespace, from).await?
        }
        _ => None,
    };
    let exemption = exemption::choose(cluster, &settings, facts.journal.as_ref()).await?;
    let exempted = exemption.map(|exemption| {
        consents.extend(exemption.question);
        findings.push(exemption.finding);
        exemption.change
    });
    let (injection, injection_label) =
        injection::choose(&settings.plan, settings.inject_pod_only, &facts, &mut consents)?;
    let journal = facts.journal.clone().unwrap_or_else(|| {
        let mut journal = Journal::new(plan.clone(), gateway.clone(), settings.image.clone());
        journal.entries = orphans::among(&facts, &settings.plan);
        if !journal.entries.is_empty() {
            remarks.push(format!(
                "the journal of the plan {} is gone; what carries the plan's marks is written into a new one",
                settings.plan
            ));
        }
        journal
    });
    let mut prepared = Prepared {
        findings,
        journal,
        remarks,
        injection_label,
        witnessed,
        exempted,
        secrets,
        gateway_objects: Vec::new(),
        source_objects: Vec::new(),
        routing_objects,
        obsolete: Vec::new(),
        removed_hosts: Vec::new(),
        consents,
        plan,
        gateway,
        module,
        gateway_was_there: was_there,
        facts,
        settings,
    };
    prepared.fill(injection)?;
    let objects = prepared
        .gateway_objects
        .iter()
        .chain(&prepared.source_objects)
        .chain(&prepared.routing_objects);
    adoption::check(cluster, &prepared.facts, objects).await?;
    Ok(prepared)
}

fn plan_of(settings: &SetupSettings, journal: Option<&Journal>) -> Result<Plan> {
    let before = journal.map(|journal| &journal.plan);
    let said = settings.plan_settings.clone();
    let plan = match before {
        _ if settings.whole => Plan::new(settings.plan.clone(), said, settings.hosts.clone())?,
        Some(before) => before.merged(said, settings.hosts.clone())?,
        None if settings.parts.routing => Plan::new(settings.plan.clone(), said, settings.hosts.clone())?,
        None => Plan::without_hosts(settings.plan.clone(), said),
    };
    if settings.parts.routing && plan.hosts.is_empty() {
        return Err(crate::plan::PlanError::Empty.into());
    }
    Ok(plan)
}

impl Prepared {
    fn fill(&mut self, injection: Injection) -> Result<()> {
        let (plan, parts) = (self.plan.identity.clone(), self.settings.parts);
        if parts.gateway {
            if self.gateway.created {
                self.gateway_objects =
                    gateway_workload::objects(&plan, &self.gateway, &self.settings.gateway_settings);
            }
            let GatewayTarget {
                namespace,
                service,
                selector,
                ..
            } = &self.gateway;
            let name = format!("kubectl-egress-{service}");
            let telemetry = log_switch::for_labels(&plan, &self.facts, namespace, &name, selector)?;
            self.gateway_objects.extend(telemetry);
        }
        if parts.source {
            let settings = SourceSettings {
                image: self.settings.image.clone(),
                injection,
                secret: self.settings.secret.clone(),
                client_labels: self.facts.platform.client_labels(),
            };
            self.source_objects = source::objects(&plan, &settings);
            let (name, selector) = ("kubectl-egress-source", source::selector_labels());
            let telemetry = log_switch::for_labels(&plan, &self.facts, &plan.namespace, name, &selector)?;
            self.source_objects.extend(telemetry);
            if let Some(witnessed) = &self.witnessed {
                self.source_objects
                    .extend(witnessed.telemetry(&plan, &self.facts)?);
            }
        }
        self.find_obsolete();
        self.write_intentions();
        Ok(())
    }

    fn find_obsolete(&mut self) {
        if !self.settings.parts.routing {
            return;
        }
        let kept: Vec<ObjectReference> = self
            .routing_objects
            .iter()
            .map(|manifest| manifest.reference.clone())
            .collect();
        self.obsolete = self
            .journal
            .obsolete(&kept)
            .into_iter()
            .filter(|entry| routing::is_routing(&entry.reference().kind.kind))
            // Services of the source and of a gateway that we made are shared; those that stand for hosts are not.
            .filter(|entry| matches!(entry, Entry::Object { shared: false, .. }))
            .collect();
        self.removed_hosts = self
            .journal
            .plan
            .hosts
            .iter()
            .filter(|old| self.plan.hosts.iter().all(|new| new.host != old.host))
            .cloned()
            .collect();
        if !self.removed_hosts.is_empty() {
            let names: Vec<String> = self
                .removed_hosts
                .iter()
                .map(|planned| planned.host_port().to_string())
                .collect();
            self.consents.push(format!(
                "Remove {} from the plan {}?",
                names.join(", "),
                self.plan.identity
            ));
        }
    }

    fn write_intentions(&mut self) {
        // A run that failed between making the namespace and its journal left our labels on it.
        if let Some(namespace) = &self.facts.namespace
            && crate::plan::ownership::plan_of(namespace).as_ref() == Some(&self.plan.identity)
        {
            let (name, uid) = (namespace.name().to_owned(), namespace.uid().to_owned());
            self.journal.record(Entry::Namespace { name, uid });
        }
        self.journal.plan = self.plan.clone();
        self.journal.gateway = self.gateway.clone();
        self.journal.client_labels = self.facts.platform.client_labels();
        if self.settings.parts.source {
            self.journal.image = self.settings.image.clone();
        }
        if let Some(module) = &self.module {
            if module.owned {
                self.journal.record(module.entry.clone());
            } else {
                // Whoever took the field from us meanwhile is the one to give it back to.
                self.journal.record_anew(module.entry.clone());
            }
        }
        if let Some(label) = &self.injection_label
            && self.settings.parts.source
        {
            self.journal.record(label.entry(&self.plan.identity));
        }
        if let Some(exempted) = &self.exempted {
            self.journal.record(exempted.entry.clone());
        }
        for manifest in self
            .gateway_objects
            .iter()
            .chain(&self.secrets.readers)
            .chain(self.secrets.secrets.iter().map(SecretManifest::manifest))
            .chain(&self.source_objects)
            .chain(&self.routing_objects)
        {
            self.journal.record(Entry::intends(manifest));
        }
    }

    /// All objects that the run applies but its Secrets, in an order in which they can be applied one after the other.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        let module = self.module.iter().map(|module| &module.manifest);
        let exempted = self.exempted.iter().map(|change| &change.manifest);
        module
            .chain(exempted)
            .chain(&self.gateway_objects)
            .chain(&self.source_objects)
            .chain(&self.routing_objects)
    }

    /// The namespace, should it be made.
    pub fn namespace_manifest(&self) -> Manifest {
        namespace::manifest(&self.plan.identity)
    }

    /// The injection label as an object to apply.
    pub fn injection_manifest(&self) -> Option<Manifest> {
        let label = self.injection_label.as_ref()?;
        Some(label.manifest(&self.plan.identity))
    }
}
