//! `render`: the manifests of a plan, without ownership labels; needs no cluster if the gateway is named.

use super::connection::{connect_to_plan, plan_of, planned, read_plan, refuse_other_namespace};
use crate::cli::{self, Connection, GatewayArgument};
use crate::engine::facts::Facts;
use crate::engine::journal_store;
use crate::error::{Error, Result};
use crate::plan::ownership::Manifest;
use crate::plan::{GatewayTarget, Plan, routing};
use crate::report::Printer;
use crate::vocabulary::{ExitCode, Object, OutputFormat, names};
use serde_json::{Value, json};

/// Renders and prints YAML, or JSON with `-o json`.
pub(super) async fn render(
    connection: &Connection,
    settings: cli::Render,
    printer: &Printer,
) -> Result<ExitCode> {
    let (plan, gateway) = match &settings.plan.gateway {
        Some(gateway) if !settings.hosts.is_empty() || settings.file.is_some() => {
            (offline_plan(connection, &settings)?, customary(gateway))
        }
        _ => from_cluster(connection, &settings, printer).await?,
    };
    let objects: Vec<Value> = routing::objects(&plan, &gateway)
        .iter()
        .map(without_ownership)
        .collect();
    match printer.settings().output {
        OutputFormat::Json => printer.document(
            &json!({"apiVersion": "v1", "kind": "List", "items": objects}),
            |_| String::new(),
        )?,
        OutputFormat::Text | OutputFormat::Yaml => {
            for object in &objects {
                let text = serde_saphyr::to_string(object)
                    .map_err(|error| Error::bug(format!("cannot write YAML: {error}")))?;
                printer.data(&format!("---\n{text}"));
            }
        }
    }
    Ok(ExitCode::Success)
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
    Ok(Plan::new(identity, None, planned(&settings.hosts))?)
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
        created: false,
    }
}

async fn from_cluster(
    connection: &Connection,
    settings: &cli::Render,
    printer: &Printer,
) -> Result<(Plan, GatewayTarget)> {
    let connected = connect_to_plan(connection, &settings.plan, printer).await?;
    let journal = journal_store::read(&connected.cluster, &connected.plan).await?;
    if settings.hosts.is_empty() && settings.file.is_none() {
        let journal = journal.ok_or_else(|| {
            Error::usage(format!("there is no plan {}", connected.plan))
                .hint("name hosts: kubectl egress render HOST")
        })?;
        return Ok((journal.plan, journal.gateway));
    }
    let plan = match &settings.file {
        Some(file) => read_plan(file, connection, connected.cluster.default_namespace())?,
        None => Plan::new(connected.plan.clone(), None, planned(&settings.hosts))?,
    };
    let facts = Facts::gather(&connected.cluster, &connected.plan).await?;
    let named = settings
        .plan
        .gateway
        .as_ref()
        .map(ToString::to_string)
        .or_else(|| plan.gateway.clone());
    let gateway = facts
        .gateway(&connected.cluster, named.as_deref())
        .await?
        .ok_or_else(|| {
            Error::usage("there is no egress gateway to render for")
                .hint("make one: kubectl egress enable-gateway; or name one: --gateway NAMESPACE/NAME")
        })?;
    Ok((plan, gateway))
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
    }
    object
}
