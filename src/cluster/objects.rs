//! Single objects and lists: read, apply, create, replace, patch, delete.

use super::transport::{Answered, Plain};
use super::{Cluster, failure};
use crate::error::{Error, Result};
use crate::vocabulary::{Change, Kind, Object, ObjectReference};
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// The API server's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVersion {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// As the server says it, for example `v1.34.4`.
    pub git_version: String,
}

/// How an object is applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplyOptions {
    /// Which object.
    pub reference: ObjectReference,
    /// As which field manager, at most 128 bytes.
    pub manager: String,
    /// Take over fields of other managers.
    pub force: bool,
    /// Only ask what would happen.
    pub dry_run: bool,
}

/// An applied object.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// As it is now.
    pub object: Object,
    /// What happened to it.
    pub change: Change,
}

/// How an object is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Only if it has this UID.
    pub uid: Option<String>,
    /// Instead of the object's own grace period.
    pub grace_period_seconds: Option<u32>,
    /// Only ask what would happen.
    pub dry_run: bool,
    /// It goes only when everything that belongs to it is gone.
    pub propagation_foreground: bool,
}

/// What deleting did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Gone,
    /// It is on its way out.
    Deleting,
    /// It was not there.
    NotThere,
    /// Another object of this name is there.
    OtherUid,
}

/// The path of a kind's collection, without query.
pub(super) fn collection_path(kind: &Kind, namespace: Option<&str>) -> String {
    let root = if kind.group.is_empty() { format!("/api/{}", kind.version) } else { format!("/apis/{}/{}", kind.group, kind.version) };
    match namespace {
        Some(namespace) if kind.namespaced => format!("{root}/namespaces/{}/{}", encode(namespace), kind.plural),
        _ => format!("{root}/{}", kind.plural),
    }
}

/// The path of an object, without query.
pub(super) fn object_path(reference: &ObjectReference) -> String {
    format!("{}/{}", collection_path(&reference.kind, reference.namespace.as_deref()), encode(&reference.name))
}

/// Percent-encodes everything but unreserved characters (RFC 3986 section 2.3).
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

impl Cluster {
    /// The server's version: one request.
    ///
    /// # Errors
    /// If it cannot be reached or refuses.
    pub async fn version(&self) -> Result<ServerVersion> {
        let answer = self.ask(Method::GET, "/version".to_owned(), "read the server's version").await?;
        let number = |field: &str| {
            let digits: String = answer[field].as_str().unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap_or(0)
        };
        Ok(ServerVersion { major: number("major"), minor: number("minor"), git_version: answer["gitVersion"].as_str().unwrap_or("unknown").to_owned() })
    }

    /// Versions of an API group, the preferred one first; none if the group is not served.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn served_versions(&self, group: &str) -> Result<Vec<String>> {
        let doing = format!("ask which versions of {group} there are");
        let answered = self.plain(&get(format!("/apis/{group}"), &doing)).await?;
        if answered.status == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let group = success(&answered, &doing)?;
        let preferred = group["preferredVersion"]["version"].as_str().map(str::to_owned);
        let all = group["versions"].as_array().into_iter().flatten().filter_map(|version| version["version"].as_str().map(str::to_owned));
        let mut versions: Vec<String> = preferred.iter().cloned().chain(all.filter(|version| Some(version) != preferred.as_ref())).collect();
        versions.dedup();
        Ok(versions)
    }

    /// Reads an object; `None` if it, or its kind, is not there.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn get(&self, reference: &ObjectReference) -> Result<Option<Object>> {
        let doing = format!("read {reference}");
        let answered = self.plain(&get(object_path(reference), &doing)).await?;
        if answered.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        success(&answered, &doing).map(|value| Some(Object(value)))
    }

    /// Lists a kind, in pages of 500; none if the kind is not served.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn list(&self, kind: &Kind, namespace: Option<&str>, label_selector: Option<&str>) -> Result<Vec<Object>> {
        self.list_at(kind, namespace, label_selector).await.map(|(objects, _)| objects)
    }

    /// As [`Self::list`], with the resource version to watch from.
    pub(super) async fn list_at(&self, kind: &Kind, namespace: Option<&str>, label_selector: Option<&str>) -> Result<(Vec<Object>, String)> {
        let doing = match namespace {
            Some(namespace) => format!("list {} in namespace {namespace}", kind.plural),
            None => format!("list {} in all namespaces", kind.plural),
        };
        let selector = label_selector.map(|selector| format!("&labelSelector={}", encode(selector))).unwrap_or_default();
        let (mut objects, mut token) = (Vec::new(), String::new());
        loop {
            let next = if token.is_empty() { String::new() } else { format!("&continue={}", encode(&token)) };
            let path = format!("{}?limit=500{selector}{next}", collection_path(kind, namespace));
            let answered = self.plain(&get(path, &doing)).await?;
            if answered.status == StatusCode::NOT_FOUND {
                return Ok((Vec::new(), String::new()));
            }
            let mut list = success(&answered, &doing)?;
            if let Some(Value::Array(items)) = list.get_mut("items").map(Value::take) {
                objects.extend(items.into_iter().map(Object));
            }
            list["metadata"]["continue"].as_str().unwrap_or_default().clone_into(&mut token);
            if token.is_empty() {
                return Ok((objects, list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()));
            }
        }
    }

    /// Server-side apply. The change is told without another request: 201 is created; otherwise our manager's entry
    /// in managedFields got a new time only if something changed.
    ///
    /// # Errors
    /// If the server refuses; a conflict names each field and its owner and ends in exit 5.
    pub async fn apply(&self, object: &Object, options: &ApplyOptions) -> Result<Applied> {
        let doing = format!("apply {}", options.reference);
        let force = if options.force { "&force=true" } else { "" };
        let dry_run = if options.dry_run { "&dryRun=All" } else { "" };
        let path = format!("{}?fieldManager={}&fieldValidation=Strict{force}{dry_run}", object_path(&options.reference), encode(&options.manager));
        let before = self.server_time();
        let answered = self
            .plain(&Plain {
                method: Method::PATCH,
                path,
                content_type: Some("application/apply-patch+yaml"),
                body: bytes_of(&object.0)?,
                repeatable: true,
                doing: &doing,
            })
            .await?;
        let created = answered.status == StatusCode::CREATED;
        let object = Object(success(&answered, &doing)?);
        let change = if created {
            Change::Created
        } else if changed_since(&object, &options.manager, before) {
            Change::Configured
        } else {
            Change::Unchanged
        };
        Ok(Applied { object, change })
    }

    /// Creates an object; one of the same name is a conflict (exit 5).
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn create(&self, reference: &ObjectReference, object: &Object, dry_run: bool) -> Result<Object> {
        let path = collection_path(&reference.kind, reference.namespace.as_deref());
        let dry_run = if dry_run { "&dryRun=All" } else { "" };
        let path = format!("{path}?fieldManager={}{dry_run}", crate::vocabulary::names::MANAGER);
        self.write(Method::POST, path, "application/json", &object.0, &format!("create {reference}")).await
    }

    /// Replaces an object. With a resource version in it, only if it is still that one.
    ///
    /// # Errors
    /// If the server refuses, or it was changed meanwhile (exit 5).
    pub async fn replace(&self, reference: &ObjectReference, object: &Object) -> Result<Object> {
        let path = format!("{}?fieldManager={}", object_path(reference), crate::vocabulary::names::MANAGER);
        self.write(Method::PUT, path, "application/json", &object.0, &format!("replace {reference}")).await
    }

    /// JSON merge patch (RFC 7396).
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn merge_patch(&self, reference: &ObjectReference, patch: &Value, manager: &str, dry_run: bool) -> Result<Object> {
        let dry_run = if dry_run { "&dryRun=All" } else { "" };
        let path = format!("{}?fieldManager={}{dry_run}", object_path(reference), encode(manager));
        self.write(Method::PATCH, path, "application/merge-patch+json", patch, &format!("change {reference}")).await
    }

    /// JSON patch (RFC 6902) of a subresource, such as `ephemeralcontainers`.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn patch_subresource(&self, reference: &ObjectReference, subresource: &str, patch: &Value) -> Result<Object> {
        let path = format!("{}/{subresource}?fieldManager={}", object_path(reference), crate::vocabulary::names::MANAGER);
        self.write(Method::PATCH, path, "application/strategic-merge-patch+json", patch, &format!("change {subresource} of {reference}")).await
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// If the server refuses. That it is not there is no error.
    pub async fn delete(&self, reference: &ObjectReference, options: &DeleteOptions) -> Result<Deleted> {
        let doing = format!("delete {reference}");
        let mut body = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "propagationPolicy": if options.propagation_foreground { "Foreground" } else { "Background" },
        });
        if let Some(uid) = &options.uid {
            body["preconditions"] = json!({"uid": uid});
        }
        if let Some(seconds) = options.grace_period_seconds {
            body["gracePeriodSeconds"] = json!(seconds);
        }
        if options.dry_run {
            body["dryRun"] = json!(["All"]);
        }
        let request = Plain {
            method: Method::DELETE,
            path: object_path(reference),
            content_type: Some("application/json"),
            body: bytes_of(&body)?,
            // With a UID, a second delete cannot hit another object.
            repeatable: options.uid.is_some(),
            doing: &doing,
        };
        let answered = self.plain(&request).await?;
        match answered.status {
            StatusCode::NOT_FOUND => return Ok(Deleted::NotThere),
            StatusCode::CONFLICT if options.uid.is_some() => return Ok(Deleted::OtherUid),
            _ => {}
        }
        let answer = success(&answered, &doing)?;
        Ok(if answer["metadata"]["deletionTimestamp"].is_null() { Deleted::Gone } else { Deleted::Deleting })
    }

    pub(super) async fn ask(&self, method: Method, path: String, doing: &str) -> Result<Value> {
        let answered = self.plain(&Plain { method, path, content_type: None, body: Vec::new(), repeatable: true, doing }).await?;
        success(&answered, doing)
    }

    pub(super) async fn write(&self, method: Method, path: String, content_type: &'static str, body: &Value, doing: &str) -> Result<Object> {
        let request = Plain { method, path, content_type: Some(content_type), body: bytes_of(body)?, repeatable: false, doing };
        let answered = self.plain(&request).await?;
        success(&answered, doing).map(Object)
    }
}

fn get(path: String, doing: &str) -> Plain<'_> {
    Plain { method: Method::GET, path, content_type: None, body: Vec::new(), repeatable: true, doing }
}

fn bytes_of(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::bug(format!("cannot write JSON: {error}")))
}

fn success(answered: &Answered, doing: &str) -> Result<Value> {
    if !answered.status.is_success() {
        return Err(failure::of_answer(doing, answered.status, &answered.body));
    }
    serde_json::from_slice(&answered.body).map_err(|error| Error::cluster(format!("could not {doing}: the answer is no JSON")).because(error.to_string()))
}

/// Whether the entry of `manager` is as new as this request. The server's clock is compared with itself; it has whole
/// seconds, so that a change in the second before can be taken for one of now: it says `configured` too often, never
/// too seldom.
fn changed_since(object: &Object, manager: &str, before: Option<jiff::Timestamp>) -> bool {
    let entries = object.items("/metadata/managedFields").iter().filter(|entry| entry["manager"] == manager && entry["operation"] == "Apply");
    let newest = entries.filter_map(|entry| entry["time"].as_str()?.parse::<jiff::Timestamp>().ok()).max();
    match (newest, before) {
        (Some(newest), Some(before)) => newest.as_second() >= before.as_second(),
        _ => true,
    }
}
