//! `deploy-target`: the other end of two-cluster mTLS, deployed and proven by requests from this machine.

use super::connection::{connect_to_plan, or_interrupted};
use super::document::{Document, Target};
use super::setup::dry_run;
use crate::cli::{Connection, DeployTarget, PlanFlags};
use crate::cluster::Cluster;
use crate::engine::Event;
use crate::engine::deploy_target::direct::ClientIdentity;
use crate::engine::deploy_target::proof::{TargetProof, prove};
use crate::engine::deploy_target::{self as engine, TargetSettings};
use crate::engine::manifests;
use crate::error::{Error, Result};
use crate::plan::secrets::Credential;
use crate::plan::target_workload;
use crate::report::{Printer, view};
use crate::vocabulary::{ExitCode, OutputFormat, PlanIdentity};
use serde_json::json;
use std::path::Path;

/// Deploys, then asks.
pub(super) async fn deploy_target(
    connection: &Connection,
    settings: DeployTarget,
    printer: &Printer,
) -> Result<ExitCode> {
    let (credential, client) = read_folder(&settings)?;
    let flags = PlanFlags {
        plan: settings.plan.clone(),
        gateway: None,
        timeout: settings.timeout,
    };
    let connected = connect_to_plan(connection, &flags, printer).await?;
    let wanted = TargetSettings {
        plan: connected.plan.clone(),
        host: settings.host.clone(),
        ingress: settings.ingress_gateway.as_ref().map(ToString::to_string),
        image: settings
            .image
            .unwrap_or_else(|| target_workload::IMAGE.to_owned()),
        credential,
        create_namespace: settings.create_namespace,
        dry_run: dry_run(settings.change),
        force_conflicts: settings.change.force_conflicts,
        timeout: settings.timeout,
    };
    let plan = connected.plan.clone();
    let work = deploy(&connected.cluster, wanted, &client, printer);
    let Some(proof) = or_interrupted(work, &plan).await? else {
        return Ok(ExitCode::Success);
    };
    let document = Document::new(Target {
        plan: plan.name.clone(),
        namespace: plan.namespace.clone(),
        proof: proof.clone(),
    });
    printer.document(&document, |style| view::target(&proof, style))?;
    if !proof.is_proven() {
        return Ok(ExitCode::Disproven);
    }
    printer.next(&next(
        &settings.host,
        &settings.certs,
        &settings.client_name,
        &plan,
    ));
    Ok(ExitCode::Success)
}

/// Prepares, asks the user, runs, proves. `None`: it was a dry run.
pub(super) async fn deploy(
    cluster: &Cluster,
    wanted: TargetSettings,
    client: &ClientIdentity,
    printer: &Printer,
) -> Result<Option<TargetProof>> {
    let events = printer.events();
    let prepared = engine::prepare(cluster, wanted).await?;
    for remark in &prepared.remarks {
        events(Event::Warning(remark.clone()));
    }
    if prepared.settings.dry_run.is_dry() {
        if printer.settings().output != OutputFormat::Text {
            let items = manifests::as_applied(cluster, &prepared.shown()).await;
            let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
            printer.document(&list, |_| String::new())?;
        }
        engine::dry_run(cluster, &prepared, &events).await?;
        printer.note("dry run: nothing was changed");
        printer.next("the same command without --dry-run");
        return Ok(None);
    }
    for question in &prepared.consents {
        if !printer.confirm(question).await? {
            return Err(Error::consent("nothing was changed, as you did not agree").because(question.clone()));
        }
    }
    let prepared = engine::run(cluster, prepared, &events).await?;
    prove(cluster, &prepared, client, &events).await.map(Some)
}

fn read_folder(settings: &DeployTarget) -> Result<(Credential, ClientIdentity)> {
    let read = |name: &str| read(&settings.certs.join(name), &settings.host.to_string());
    let (host, client) = (settings.host.as_str(), &settings.client_name);
    let credential = Credential {
        certificate: read(&format!("{host}.crt"))?,
        key: read(&format!("{host}.key"))?.into(),
        authority: Some(read("root.crt")?),
    };
    let client = ClientIdentity {
        certificate: read(&format!("{client}.crt"))?,
        key: read(&format!("{client}.key"))?.into(),
    };
    Ok((credential, client))
}

fn read(path: &Path, host: &str) -> Result<String> {
    let folder = path.parent().unwrap_or(path).display();
    std::fs::read_to_string(path).map_err(|error| {
        Error::usage(format!("{} cannot be read", path.display()))
            .because(error.to_string())
            .hint(format!(
                "make the files: kubectl egress certs {host} --out {folder}"
            ))
    })
}

fn next(host: &crate::vocabulary::HostName, folder: &Path, client: &str, plan: &PlanIdentity) -> String {
    let folder = folder.display();
    format!(
        "in the other cluster: kubectl egress setup {host}:80 --mode mtls-origination --client-cert {folder}/{client}.crt --client-key {folder}/{client}.key --server-ca {folder}/root.crt -n {}",
        plan.namespace
    )
}
