//! `diff`: what `setup` with the same arguments would change, by the server's own dry run.

use super::connection::{connect_to_plan, read_plan};
use super::document::{self, Document};
use super::hosts::{self, planned};
use super::setup;
use crate::cli::{self, ChangeFlags, Connection};
use crate::cluster::{ApplyOptions, Cluster};
use crate::engine::prepare::{Parts, Prepared, prepare};
use crate::error::{Error, Result};
use crate::plan::ownership::Manifest;
use crate::report::{Mark, Printer, view};
use crate::vocabulary::{ExitCode, Object, PlanIdentity};
use diffy::DiffOptions;
use futures::future::try_join_all;
use serde_json::Value;

/// Prints a unified diff per object. Exit 1 if there is any.
pub(super) async fn diff(
    connection: &Connection,
    settings: cli::Diff,
    printer: &Printer,
) -> Result<ExitCode> {
    let connected = connect_to_plan(connection, &settings.plan, printer).await?;
    let change = ChangeFlags {
        dry_run: cli::DryRun::Server,
        force_conflicts: false,
    };
    let mut wanted = setup::wanted(&connected.plan, Parts::ALL, &settings.plan, change);
    wanted.create_namespace = true;
    if let Some(file) = &settings.file {
        let plan = read_plan(file, connection, connected.cluster.default_namespace())?;
        setup::from_plan(&mut wanted, plan);
    } else {
        wanted.hosts = planned(&settings.hosts, &settings.mode);
        wanted.plan_settings = hosts::settings(&wanted.plan_settings, &settings.mode);
    }
    let prepared = prepare(&connected.cluster, wanted).await?;
    for remark in &prepared.remarks {
        printer.warning(remark);
    }
    let cluster = &connected.cluster;
    let shown = prepared
        .manifests()
        .map(|manifest| one(cluster, &prepared, manifest));
    let mut texts: Vec<String> = try_join_all(shown).await?.into_iter().flatten().collect();
    for entry in &prepared.obsolete {
        let reference = entry.reference();
        if let Some(live) = cluster.get(&reference).await? {
            texts.extend(unified(&reference.to_string(), Some(&live), None)?);
        }
    }
    let PlanIdentity { namespace, name } = &prepared.plan.identity;
    let document = Document::new(document::Diff {
        plan: name.clone(),
        namespace: namespace.clone(),
        differences: texts.clone(),
    });
    printer.document(&document, |style| {
        if texts.is_empty() {
            return format!(
                "{} no difference: the cluster is as the plan says\n",
                style.mark(Mark::Good)
            );
        }
        texts.iter().map(|text| view::diff(text, style)).collect()
    })?;
    if texts.is_empty() {
        printer.next(&format!("kubectl egress verify -n {namespace}"));
        return Ok(ExitCode::Success);
    }
    printer.next("the same command with setup in the place of diff");
    Ok(ExitCode::Disproven)
}

async fn one(cluster: &Cluster, prepared: &Prepared, manifest: &Manifest) -> Result<Option<String>> {
    let live = cluster.get(&manifest.reference).await?;
    let inside = manifest.reference.namespace.as_deref() == Some(&prepared.plan.identity.namespace);
    let after = if prepared.facts.namespace.is_none() && inside {
        manifest.object.clone()
    } else {
        let options = ApplyOptions {
            // A field that somebody else changed is a difference to show, not a reason to refuse to look.
            force: true,
            dry_run: true,
            ..ApplyOptions::new(&manifest.reference, &manifest.manager)
        };
        cluster.apply(&manifest.object, &options).await?.object
    };
    unified(&manifest.reference.to_string(), live.as_ref(), Some(&after))
}

fn unified(name: &str, before: Option<&Object>, after: Option<&Object>) -> Result<Option<String>> {
    let (before, after) = (text(before)?, text(after)?);
    if before == after {
        return Ok(None);
    }
    let diff = DiffOptions::new()
        .set_original_filename(format!("live: {name}"))
        .set_modified_filename(format!("plan: {name}"))
        .create_patch(&before, &after)
        .to_string();
    Ok(Some(diff))
}

/// The object without what the server writes by itself.
fn text(object: Option<&Object>) -> Result<String> {
    let Some(object) = object else {
        return Ok(String::new());
    };
    let mut value = object.0.clone();
    if let Some(metadata) = value["metadata"].as_object_mut() {
        for field in [
            "managedFields",
            "resourceVersion",
            "uid",
            "creationTimestamp",
            "generation",
            "selfLink",
        ] {
            metadata.remove(field);
        }
    }
    if let Value::Object(fields) = &mut value {
        fields.remove("status");
    }
    serde_saphyr::to_string(&value).map_err(|error| Error::bug(format!("cannot write YAML: {error}")))
}
