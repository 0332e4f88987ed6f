//! `render`: the manifests of a plan, without ownership labels; needs no cluster if the gateway is named.

use super::connection::{connect_to_plan, plan_of, read_plan, refuse_other_namespace};
use super::hosts::{self, planned};
use crate::cli::{self, Connection, GatewayArgument};
use crate::cluster::Cluster;
use crate::engine::facts::Facts;
use crate::engine::{journal_store, manifests};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::ownership::Manifest;
use crate::plan::permissions::{self, Scope};
use crate::plan::{GatewayPort, GatewayTarget, Plan, PlanSettings, istio_module, routing, secrets};
use crate::report::Printer;
use crate::vocabulary::{Circumstance, ClusterCommand, ExitCode, Kind, OutputFormat};
use serde_json::{Value, json};

/// Renders and prints YAML, or JSON with `-o json`.
pub(super) async fn render(
    connection: &Connection,
    settings: cli::Render,
    printer: &Printer,
) -> Result<ExitCode> {
    if let Some(command) = settings.rbac {
        print(&rbac(connection, &settings, command)?, printer)?;
        return Ok(ExitCode::Success);
    }
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
    let objects = manifests::shown(source.cluster.as_ref(), all).await;
    print(&objects, printer)?;
    printer.next(&format!(
        "kubectl egress diff -n {}",
        source.plan.identity.namespace
    ));
    Ok(ExitCode::Success)
}

fn print(objects: &[Value], printer: &Printer) -> Result<()> {
    match printer.settings().output {
        OutputFormat::Json => printer.document(
            &json!({"apiVersion": "v1", "kind": "List", "items": objects}),
            |_| String::new(),
        )?,
        OutputFormat::Text | OutputFormat::Yaml | OutputFormat::Junit | OutputFormat::Html => {
            for object in objects {
                let text = serde_saphyr::to_string(object)
                    .map_err(|error| Error::bug(format!("cannot write YAML: {error}")))?;
                printer.data(&format!("---\n{text}"));
            }
        }
    }
    Ok(())
}

/// The Roles of a command. No cluster is asked: who lacks permissions could not answer.
fn rbac(connection: &Connection, settings: &cli::Render, command: ClusterCommand) -> Result<Vec<Value>> {
    let namespace = connection.namespace.as_deref().unwrap_or("default");
    let plan = plan_of(namespace, &settings.plan.plan)?;
    let gateway = settings.plan.gateway.as_ref();
    let gateway = gateway.map_or_else(istio_module::gateway, customary);
    let hosts = match &settings.file {
        Some(file) => Some(read_plan(file, connection, namespace)?),
        None if settings.hosts.is_empty() => None,
        None => Some(Plan::new(
            plan.clone(),
            hosts::settings(&PlanSettings::default(), &settings.mode),
            planned(&settings.hosts, &settings.mode),
        )?),
    };
    let mut routing: Vec<(Kind, String)> = match &hosts {
        Some(plan) => routing::objects(plan, &gateway)
            .into_iter()
            .map(|manifest| manifest.reference)
            .map(|reference| {
                (
                    reference.kind,
                    reference.namespace.unwrap_or_else(|| namespace.to_owned()),
                )
            })
            .collect(),
        None => customary_kinds(command)
            .into_iter()
            .map(|kind| (kind, plan.namespace.clone()))
            .collect(),
    };
    routing.sort();
    routing.dedup();
    // What the commands do unless they are told otherwise.
    let usual: &[Circumstance] = match command {
        ClusterCommand::Verify => &[Circumstance::Unmeshed],
        ClusterCommand::Setup | ClusterCommand::DeployCurl | ClusterCommand::DeployTarget => {
            &[Circumstance::Label]
        }
        _ => &[],
    };
    let secret = match command {
        ClusterCommand::DeployTarget => secrets::SERVER_CREDENTIAL,
        _ => secrets::CLIENT_CREDENTIAL,
    };
    Ok(permissions::objects(&Scope {
        command,
        plan: &plan,
        namespace,
        gateway: &gateway.namespace,
        routing,
        secrets: vec![secret.to_owned()],
        circumstances: [usual, settings.rbac_with.as_slice()].concat(),
    }))
}

/// The routing objects of a command, where nothing is said about hosts.
fn customary_kinds(command: ClusterCommand) -> Vec<Kind> {
    match command {
        ClusterCommand::DeployTarget => vec![kinds::gateway(), kinds::virtual_service()],
        _ => vec![
            kinds::gateway(),
            kinds::virtual_service(),
            kinds::destination_rule(),
            kinds::service_entry(),
        ],
    }
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
    connected.preflight(ClusterCommand::Render, &[], printer).await?;
    let journal = journal_store::read(&connected.cluster, &connected.plan).await?;
    if settings.hosts.is_empty() && settings.file.is_none() {
        let journal = journal.ok_or_else(|| {
            Error::usage(format!("there is no plan {}", connected.plan))
                .hint("name hosts: kubectl egress render HOST")
        })?;
        let module = manifests::module_of(&journal);
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
