//! What is served: versions, groups, resources, and as much of OpenAPI as kubectl asks for before it applies.

use super::path::{self, Path, REVIEWS};
use super::{Refusal, Reply, json_reply};
use crate::sandbox::settings::SandboxSettings;
use crate::vocabulary::Kind;
use http::StatusCode;
use serde_json::{Value, json};

pub(super) fn answer(settings: &SandboxSettings, path: &Path) -> Result<Reply, Refusal> {
    let body = match path {
        Path::Version => version(settings),
        Path::Health => return Ok(http::Response::new(crate::sandbox::server::full("ok"))),
        Path::CoreVersions => json!({"kind": "APIVersions", "versions": ["v1"]}),
        Path::Groups => json!({
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": groups(settings).iter().map(|group| api_group(settings, group)).collect::<Vec<_>>(),
        }),
        Path::Group(group) => {
            let mut body = api_group(settings, group);
            body["kind"] = json!("APIGroup");
            body["apiVersion"] = json!("v1");
            body
        }
        Path::Resources { group, version } => resources(settings, group, version),
        Path::OpenApi(rest) => open_api(settings, rest).ok_or_else(Refusal::no_such_path)?,
        _ => return Err(Refusal::no_such_path()),
    };
    Ok(json_reply(StatusCode::OK, &body))
}

fn version(settings: &SandboxSettings) -> Value {
    let text = &settings.kubernetes_version;
    let mut numbers = text.trim_start_matches('v').split('.');
    json!({
        "major": numbers.next().unwrap_or_default(), "minor": numbers.next().unwrap_or_default(),
        "gitVersion": text, "platform": "sandbox", "goVersion": "none",
        "gitCommit": "", "gitTreeState": "", "buildDate": "", "compiler": "",
    })
}

fn groups(settings: &SandboxSettings) -> Vec<String> {
    let mut groups: Vec<_> = path::served_kinds(settings)
        .into_iter()
        .map(|kind| kind.group)
        .filter(|group| !group.is_empty())
        .collect();
    groups.sort();
    groups.dedup();
    groups
}

fn api_group(settings: &SandboxSettings, group: &str) -> Value {
    let versions: Vec<_> = path::versions(settings, group)
        .iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

fn kinds_of(settings: &SandboxSettings, group: &str) -> Vec<Kind> {
    path::served_kinds(settings)
        .into_iter()
        .filter(|kind| kind.group == group)
        .collect()
}

fn resources(settings: &SandboxSettings, group: &str, version: &str) -> Value {
    let mut resources = Vec::new();
    for kind in kinds_of(settings, group) {
        let verbs: &[&str] = if kind.group == REVIEWS {
            &["create"]
        } else {
            &[
                "create",
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "update",
                "watch",
            ]
        };
        resources.push(json!({
            "name": kind.plural, "singularName": kind.kind.to_lowercase(), "namespaced": kind.namespaced,
            "kind": kind.kind, "verbs": verbs, "shortNames": short_names(&kind.plural),
            "categories": categories(&kind.plural),
        }));
        let further: &[&str] = match kind.plural.as_str() {
            "pods" => &["exec", "log", "portforward", "ephemeralcontainers", "status"],
            "deployments" | "replicasets" | "statefulsets" => &["status", "scale"],
            "jobs" => &["status"],
            _ => &[],
        };
        for subresource in further {
            resources.push(json!({
                "name": format!("{}/{subresource}", kind.plural), "singularName": "",
                "namespaced": kind.namespaced, "kind": kind.kind, "verbs": ["create", "get", "patch", "update"],
            }));
        }
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources})
}

/// `kubectl get all`.
fn categories(plural: &str) -> &'static [&'static str] {
    match plural {
        "pods" | "services" | "deployments" | "replicasets" | "statefulsets" | "jobs" => &["all"],
        _ => &[],
    }
}

fn short_names(plural: &str) -> &'static [&'static str] {
    match plural {
        "pods" => &["po"],
        "namespaces" => &["ns"],
        "services" => &["svc"],
        "configmaps" => &["cm"],
        "serviceaccounts" => &["sa"],
        "deployments" => &["deploy"],
        "replicasets" => &["rs"],
        "virtualservices" => &["vs"],
        "serviceentries" => &["se"],
        "destinationrules" => &["dr"],
        "gateways" => &["gw"],
        "networkpolicies" => &["netpol"],
        "endpoints" => &["ep"],
        "events" => &["ev"],
        "nodes" => &["no"],
        "resourcequotas" => &["quota"],
        "statefulsets" => &["sts"],
        "customresourcedefinitions" => &["crd", "crds"],
        _ => &[],
    }
}

/// kubectl looks here whether a patch takes `fieldValidation`; with schemas left out it validates nothing itself.
fn open_api(settings: &SandboxSettings, rest: &str) -> Option<Value> {
    let mut all = vec![(String::new(), "v1".to_owned(), "api/v1".to_owned())];
    for group in groups(settings) {
        for version in path::versions(settings, &group) {
            let place = format!("apis/{group}/{version}");
            all.push((group.clone(), version, place));
        }
    }
    if rest.is_empty() {
        let paths: serde_json::Map<_, _> = all
            .iter()
            .map(|(_, _, place)| {
                let address = json!({"serverRelativeURL": format!("/openapi/v3/{place}")});
                (place.clone(), address)
            })
            .collect();
        return Some(json!({"paths": paths}));
    }
    let (group, version, place) = all.into_iter().find(|(_, _, place)| place == rest)?;
    let mut paths = serde_json::Map::new();
    let mut schemas = serde_json::Map::new();
    for kind in kinds_of(settings, &group) {
        let middle = if kind.namespaced {
            "namespaces/{namespace}/"
        } else {
            ""
        };
        let parameters =
            json!([{"name": "fieldValidation", "in": "query"}, {"name": "dryRun", "in": "query"}]);
        // `kubectl explain` prints this.
        schemas.insert(
            format!("sandbox.{}", kind.kind),
            json!({
                "type": "object",
                "description": "sandbox: kubectl explain is not simulated; ask a real cluster",
                "x-kubernetes-group-version-kind": [{"group": group, "version": version, "kind": kind.kind}],
            }),
        );
        paths.insert(
            format!("/{place}/{middle}{}/{{name}}", kind.plural),
            json!({"patch": {
                "parameters": parameters,
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind.kind},
                "responses": {},
            }}),
        );
    }
    Some(
        json!({"openapi": "3.0.0", "info": {"title": "sandbox", "version": "1"}, "paths": paths, "components": {"schemas": schemas}}),
    )
}
