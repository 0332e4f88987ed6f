//! `render`: the manifests of a plan, without ownership labels; needs no cluster if the gateway is named.

use super::connection::{connect_to_plan, plan_of, read_plan, refuse_other_namespace};
use super::hosts::{self, planned};
use crate::cli::{self, Connection, GatewayArgument};
use crate::cluster::Cluster;
use crate::engine::facts::Facts;
use crate::engine::journal_store;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::journal::Entry;
use crate::plan::ownership::Manifest;
use crate::plan::{GatewayPort, GatewayTarget, Plan, PlanSettings, istio_module, routing};
use crate::report::Printer;
use crate::vocabulary::{ExitCode, Object, OutputFormat, names};
use serde_json::{Value, json};

/// Renders and prints YAML, or JSON with `-o json`.
pub(super) async fn render(
    connection: &Connection,
    settings: cli::Render,
    printer: &Printer,
) -> Result<ExitCode> {
    let source = match &settings.plan.gateway {
        Some(gateway) if !settings.hosts.is_empty() || settings.file.is_some() => Source {
            plan: offline_plan(connection, &settings)?,
            gateway: customary(gateway),
            module: None,
            cluster: None,
        },
        _ => from_cluster(connection, &settings, printer).await?,
    };
    let routing = routing::objects(&source.plan, &source.gateway);
    let all = source.module.iter().chain(&routing);
    let mut objects: Vec<Value> = Vec::new();
    for manifest in all {
        let mut object = without_ownership(manifest);
        if let Some(cluster) = &source.cluster {
            let served = cluster.served_kind(&manifest.reference.kind).await;
            object["apiVersion"] = served.api_version().into();
        }
        objects.push(object);
    }
    match printer.settings().output {
        OutputFormat::Json => printer.document(
            &json!({"apiVersion": "v1", "kind": "List", "items": objects}),
            |_| String::new(),
        )?,
        OutputFormat::Text | OutputFormat::Yaml | OutputFormat::Junit => {
            for object in &objects {
                let text = serde_saphyr::to_string(object)
                    .map_err(|error| Error::bug(format!("cannot write YAML: {error}")))?;
                printer.data(&format!("---\n{text}"));
            }
        }
    }
    Ok(ExitCode::Success)
}

/// What is rendered.
struct Source {
    plan: Plan,
    gateway: GatewayTarget,
    /// The field by which Kyma's Istio module makes the gateway.
    module: Option<Manifest>,
    /// The cluster that was asked, which says in which version it takes objects.
    cluster: Option<Cluster>,
}

fn offline_plan(connection: &Connection, settings: &cli::Render) -> Result<Plan> {
    refuse_other_namespace(connection, &settings.plan.plan)?;
    let namespace = connection
        .namespace
        .clone()
        .unwrap_or_else(|| "default".to_owned());
    if let Some(file) = &settings.file {
        return read_plan(file, connection, &namespace);
    }
    let identity = plan_of(&namespace, &settings.plan.plan)?;
    Ok(Plan::new(
        identity,
        hosts::settings(&PlanSettings::default(), &settings.mode),
        planned(&settings.hosts, &settings.mode),
    )?)
}

/// A gateway that nobody asked about: Istio's customary selector and ports.
fn customary(gateway: &GatewayArgument) -> GatewayTarget {
    let label = gateway.name.strip_prefix("istio-").unwrap_or(&gateway.name);
    GatewayTarget {
        namespace: gateway.namespace.clone(),
        service: gateway.name.clone(),
        selector: [("istio".to_owned(), label.to_owned())].into(),
        tls_port: 443,
        tls_target_port: 8443,
        http: Some(GatewayPort::CUSTOMARY_HTTP),
        created: false,
    }
}

async fn from_cluster(connection: &Connection, settings: &cli::Render, printer: &Printer) -> Result<Source> {
    let connected = connect_to_plan(connection, &settings.plan, printer).await?;
    let journal = journal_store::read(&connected.cluster, &connected.plan).await?;
    if settings.hosts.is_empty() && settings.file.is_none() {
        let journal = journal.ok_or_else(|| {
            Error::usage(format!("there is no plan {}", connected.plan))
                .hint("name hosts: kubectl egress render HOST")
        })?;
        let references = journal.entries.iter().map(Entry::reference);
        let module = references
            .into_iter()
            .find(|reference| reference.kind == kinds::istio_module())
            .map(|reference| istio_module::field(reference, journal.plan.identity.shared_manager()));
        return Ok(Source {
            plan: journal.plan,
            gateway: journal.gateway,
            module,
            cluster: Some(connected.cluster),
        });
    }
    let plan = match &settings.file {
        Some(file) => read_plan(file, connection, connected.cluster.default_namespace())?,
        None => Plan::new(
            connected.plan.clone(),
            hosts::settings(&PlanSettings::default(), &settings.mode),
            planned(&settings.hosts, &settings.mode),
        )?,
    };
    let facts = Facts::gather(&connected.cluster, &connected.plan).await?;
    let named = settings
        .plan
        .gateway
        .as_ref()
        .map(ToString::to_string)
        .or_else(|| plan.settings.gateway.clone());
    let found = facts.gateway(&connected.cluster, named.as_deref()).await?;
    let kyma = facts.platform.kyma();
    let gateway = found
        .or_else(|| kyma.map(|_| istio_module::gateway()))
        .ok_or_else(|| {
            Error::usage("there is no egress gateway to render for")
                .hint("make one: kubectl egress enable-gateway; or name one: --gateway NAMESPACE/NAME")
        })?;
    let counted = kyma.and_then(|kyma| kyma.modules.counted.as_ref());
    let module = counted
        .filter(|_| istio_module::is_modules(&gateway))
        .map(|counted| istio_module::change(&plan.identity, counted).manifest);
    Ok(Source {
        plan,
        gateway,
        module,
        cluster: Some(connected.cluster),
    })
}

/// Ownership is for what `setup` applies; manifests in git belong to whoever applies them.
fn without_ownership(manifest: &Manifest) -> Value {
    let Object(mut object) = manifest.object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        let labels = metadata.get_mut("labels").and_then(Value::as_object_mut);
        let empty = labels.is_none_or(|labels| {
            for label in [
                names::MANAGED_BY_LABEL,
                names::PLAN_LABEL,
                names::PLAN_NAMESPACE_LABEL,
            ] {
                labels.remove(label);
            }
            labels.is_empty()
        });
        if empty {
            metadata.remove("labels");
        }
        // Notes for our own clean-up, which has no part in this.
        let notes = metadata.get_mut("annotations").and_then(Value::as_object_mut);
        let none = notes.is_none_or(|notes| {
            notes.retain(|name, _| !name.starts_with(names::BEFORE_ANNOTATION_PREFIX));
            notes.is_empty()
        });
        if none {
            metadata.remove("annotations");
        }
    }
    object
}
