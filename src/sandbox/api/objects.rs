//! Verbs on objects: which request does what, get, and list.

use super::{Call, Refusal, Reply, authorize, json_reply, removal, subresources, writes};
use crate::sandbox::selector::Selector;
use crate::sandbox::state::Inner;
use crate::sandbox::store::Key;
use crate::vocabulary::Kind;
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// What a request is about.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Target {
    pub(in crate::sandbox) kind: Kind,
    pub(in crate::sandbox) namespace: Option<String>,
    pub(in crate::sandbox) name: Option<String>,
    pub(in crate::sandbox) subresource: Option<String>,
}

impl Target {
    /// The name, or empty.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// Where the object of that name is.
    pub(super) fn key(&self, name: &str) -> Key {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        Key::new(&self.kind.group, &self.kind.plural, namespace, name)
    }
}

pub(super) fn answer(inner: &Inner, call: &Call, target: &Target) -> Result<Reply, Refusal> {
    let one = target.name.is_some();
    let verb = match (&call.method, one) {
        (&Method::GET, true) => "get",
        (&Method::GET, false) => "list",
        (&Method::POST, _) => "create",
        (&Method::PUT, true) => "update",
        (&Method::PATCH, true) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) => "deletecollection",
        _ => return Err(Refusal::method_not_allowed()),
    };
    // The namespace of a Namespace is the Namespace itself.
    let place = if target.kind.plural == "namespaces" {
        target.name.clone()
    } else {
        target.namespace.clone()
    };
    authorize(
        inner,
        call,
        verb,
        &target.kind,
        target.subresource.as_deref(),
        place.as_deref(),
        target.name(),
    )?;
    if target.subresource.is_some() {
        return subresources::answer(inner, call, target);
    }
    match verb {
        "get" => get(inner, call, target),
        "list" => list(inner, call, target),
        "create" => writes::create(inner, call, target),
        "update" => writes::replace(inner, call, target),
        "patch" => writes::patch(inner, call, target),
        "delete" => removal::delete(inner, call, target),
        _ => removal::delete_collection(inner, call, target),
    }
}

fn get(inner: &Inner, call: &Call, target: &Target) -> Result<Reply, Refusal> {
    let state = inner.lock();
    let object = state
        .store
        .get(&target.key(target.name()))
        .ok_or_else(|| Refusal::not_found(&target.kind, target.name()))?;
    let body = if call.wants_table() {
        let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
        call.table(&target.kind, &metadata, &[object], inner.now())
    } else {
        call.present(&target.kind, object)
    };
    Ok(json_reply(StatusCode::OK, &body))
}

/// The selector of a list or watch request.
pub(super) fn selector(call: &Call) -> Result<Selector, Refusal> {
    Selector::parse(call.query.get("labelSelector"), call.query.get("fieldSelector"))
        .map_err(Refusal::bad_request)
}

fn list(inner: &Inner, call: &Call, target: &Target) -> Result<Reply, Refusal> {
    let selector = selector(call)?;
    let limit = call
        .query
        .get("limit")
        .and_then(|limit| limit.parse().ok())
        .filter(|limit| *limit > 0)
        .unwrap_or(usize::MAX);
    // A continue token is the namespace and name that come next, and the revision of the first page.
    let token = call.query.get("continue").filter(|token| !token.is_empty());
    let after = match token.map(|token| token.split('\n').collect::<Vec<_>>()) {
        None => None,
        Some(parts) if parts.len() == 3 => {
            let asked = parts[0].parse().unwrap_or(0);
            let forgotten = inner.lock().store.forgotten();
            if asked < forgotten {
                return Err(Refusal::expired(asked, forgotten));
            }
            Some((parts[1].to_owned(), parts[2].to_owned()))
        }
        Some(_) => return Err(Refusal::bad_request("continue key is not valid")),
    };
    let state = inner.lock();
    let revision = state.store.revision();
    let mut matching = state
        .store
        .list(
            &target.kind.group,
            &target.kind.plural,
            target.namespace.as_deref(),
        )
        .filter(|(key, object)| {
            after
                .as_ref()
                .is_none_or(|(namespace, name)| (&key.namespace, &key.name) >= (namespace, name))
                && selector.matches(object)
        });
    let objects: Vec<&Value> = matching.by_ref().take(limit).map(|(_, object)| object).collect();
    let next = matching
        .next()
        .map(|(key, _)| format!("{revision}\n{}\n{}", key.namespace, key.name));
    let (kind, version) = if call.wants_metadata() {
        (
            "PartialObjectMetadataList".to_owned(),
            "meta.k8s.io/v1".to_owned(),
        )
    } else {
        (format!("{}List", target.kind.kind), target.kind.api_version())
    };
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if let Some(next) = next {
        metadata["continue"] = json!(next);
        metadata["remainingItemCount"] = json!(matching.count() + 1);
    }
    if call.wants_table() {
        let table = call.table(&target.kind, &metadata, &objects, inner.now());
        return Ok(json_reply(StatusCode::OK, &table));
    }
    let items: Vec<Value> = objects
        .iter()
        .map(|object| call.present(&target.kind, object))
        .collect();
    let body = json!({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items});
    Ok(json_reply(StatusCode::OK, &body))
}
