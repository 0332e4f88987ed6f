//! `explain HOST[:PORT]`: where a request would go, hop by hop, from live objects or from files.

use crate::cli::{Connection, Explain, ProbeTarget, SourceArgument};
use crate::command::connection::cluster as connect;
use crate::command::object_files;
use crate::engine::check::name_of;
use crate::engine::event::Event;
use crate::engine::inventory::{Scope, inventory};
use crate::engine::path::{Question, assumed_gateways, paths};
use crate::engine::probe::find_source;
use crate::error::{Error, Result};
use crate::mesh::SourcePod;
use crate::report::{Printer, view};
use crate::vocabulary::{ExitCode, Object, Outcome, Scheme};
use std::collections::BTreeMap;
use std::time::Instant;

/// Follows the request, or one by https and one by http where no port was named.
pub(super) async fn explain(
    connection: &Connection,
    settings: &Explain,
    target: &ProbeTarget,
    port_named: bool,
    printer: &Printer,
) -> Result<ExitCode> {
    let (objects, source, places, assumed) = if settings.files.is_empty() {
        in_cluster(connection, settings, printer).await?
    } else {
        in_files(connection, settings)?
    };
    let question = |scheme, port| Question { scheme, port };
    // Whoever routes one of both leaves the other open.
    let questions = if port_named {
        vec![question(target.scheme, target.port)]
    } else {
        vec![question(Scheme::Https, 443), question(Scheme::Http, 80)]
    };
    let begin = Instant::now();
    let host = target.host.to_string();
    let document = paths(&objects, &source, &host, &questions, &places, assumed);
    printer.events()(Event::WorkedOut(format!(
        "{} requests followed through {} objects ({} ms)",
        questions.len(),
        objects.len(),
        begin.elapsed().as_millis()
    )));
    printer.document(&document, |style| view::paths(&document, style))?;
    let namespace = &source.namespace;
    let routed = document.paths.iter().all(|path| path.outcome == Outcome::Routed);
    let has_route = document.paths.iter().flat_map(|path| &path.hops).any(|hop| {
        let mut deciding = hop.decided_by.iter();
        deciding.any(|decision| decision.object.starts_with("VirtualService "))
    });
    printer.next(&if routed {
        format!("kubectl egress verify {} -n {namespace}", target.host)
    } else if has_route {
        format!("kubectl egress check -n {namespace}")
    } else {
        format!("kubectl egress setup {} -n {namespace}", target.host)
    });
    Ok(ExitCode::Success)
}

type Found = (Vec<Object>, SourcePod, BTreeMap<String, String>, Vec<String>);

async fn in_cluster(connection: &Connection, settings: &Explain, printer: &Printer) -> Result<Found> {
    let cluster = connect(connection, printer).await?;
    let namespace = connection
        .namespace
        .clone()
        .unwrap_or_else(|| cluster.default_namespace().to_owned());
    let scope = Scope::Namespace(namespace.clone());
    let found = inventory(&cluster, &scope).await?;
    for unread in &found.unread {
        printer.warning(&unread.sentence());
    }
    let source = match &settings.from {
        Some(SourceArgument::Workload(workload)) => {
            let source = find_source(&cluster, &namespace, Some(&workload.to_string()), None).await?;
            let labels = found
                .objects
                .iter()
                .find(|object| object.text("/kind") == "Pod" && object.name() == source.pod.name)
                .and_then(|pod| pod.at("/metadata/labels").as_object().cloned())
                .unwrap_or_default();
            let labels = labels
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
            SourcePod {
                namespace: source.pod.namespace.clone(),
                name: source.pod.name.clone(),
                labels: labels.collect(),
                meshed: source.meshed,
            }
        }
        from => anybody(&namespace, from.as_ref()),
    };
    Ok((found.objects, source, BTreeMap::new(), Vec::new()))
}

fn in_files(connection: &Connection, settings: &Explain) -> Result<Found> {
    if let Some(SourceArgument::Workload(workload)) = &settings.from {
        return Err(Error::usage(format!("{workload} is not looked for in files"))
            .hint("--from meshed or --from bare; or leave -f out to look at the cluster"));
    }
    let namespace = connection.namespace.as_deref().unwrap_or("default");
    let read = object_files::read(&settings.files, namespace)?;
    if read.is_empty() {
        return Err(Error::usage("there are no objects in what -f names")
            .because("without any object every request goes out directly, which says nothing about a cluster")
            .hint("kubectl egress render HOST -o yaml writes the objects of a plan"));
    }
    let places = read
        .iter()
        .map(|found| (name_of(&found.object), format!("{}:{}", found.file, found.line)))
        .collect();
    let mut objects: Vec<Object> = read.into_iter().map(|found| found.object).collect();
    let (made, assumed) = assumed_gateways(&objects);
    objects.extend(made);
    Ok((
        objects,
        anybody(namespace, settings.from.as_ref()),
        places,
        assumed,
    ))
}

/// Some pod of the namespace.
fn anybody(namespace: &str, from: Option<&SourceArgument>) -> SourcePod {
    let meshed = from != Some(&SourceArgument::Bare);
    SourcePod {
        namespace: namespace.to_owned(),
        name: if meshed {
            "a pod with sidecar"
        } else {
            "a pod without sidecar"
        }
        .to_owned(),
        labels: BTreeMap::new(),
        meshed,
    }
}
