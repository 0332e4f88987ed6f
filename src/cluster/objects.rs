//! Reading and writing single objects and lists.

use super::Cluster;
use super::failure::{Failure, Subject};
use super::path;
use super::transport::{Call, Reply};
use crate::error::{Error, Result};
use crate::vocabulary::{Kind, Object, ObjectReference, names::MANAGER};
use http::Method;
use serde_json::{Value, json};

/// Objects per page of a list, as kubectl asks for.
const PAGE: &str = "500";

/// How an object is deleted.
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// Delete only the object of this uid; also makes the request safe to repeat.
    pub uid: Option<String>,
    /// Delete it only as it was when it was read: what somebody wrote since has a say in whether it may go.
    pub resource_version: Option<String>,
    /// Seconds that its containers get to end; `None` leaves it to the object.
    pub grace_period_seconds: Option<u32>,
    /// Only ask whether it would be allowed.
    pub dry_run: bool,
    /// Delete dependents first, and the object itself only after them.
    pub propagation_foreground: bool,
}

/// What a deletion did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Gone,
    /// It is marked and will go when its finalizers or containers have ended.
    Deleting,
    /// There was none.
    NotThere,
    /// There is one of that name with another uid; it was left alone.
    OtherUid,
    /// Somebody wrote to it after it was read; it was left alone.
    OtherVersion,
}

impl Cluster {
    /// Reads an object; `None` if there is none (or its kind is not served).
    ///
    /// # Errors
    /// If the server is unreachable or refuses.
    pub async fn get(&self, object: &ObjectReference) -> Result<Option<Object>> {
        match self.get_or_failure(object).await {
            Ok(found) => found,
            Err(failure) => Err(self.transport().explain(failure, &Subject::object("get", object))),
        }
    }

    /// What was read, or that it is not what was asked for; else why there was no answer to read.
    async fn get_or_failure(
        &self,
        object: &ObjectReference,
    ) -> std::result::Result<Result<Option<Object>>, Failure> {
        let path = path::object(&self.served(object).await);
        let call = Call::get(path, Subject::object("get", object));
        match self.transport().plain(&call).await {
            Ok(reply) => Ok(self.keep(object, &call, &reply).map(Some)),
            Err(failure) if failure.is_absent(&object.kind) => {
                self.seen().forget(object);
                Ok(Ok(None))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Like [`Self::get`], and `None` where it is forbidden: for what a decision is surer with, and possible without.
    ///
    /// # Errors
    /// If the server is unreachable, or refuses for another reason.
    pub async fn get_as_permitted(&self, object: &ObjectReference) -> Result<Option<Object>> {
        match self.get_or_failure(object).await {
            Err(failure) if failure.code() == Some(403) => Ok(None),
            Err(failure) => Err(self.transport().explain(failure, &Subject::object("get", object))),
            Ok(found) => found,
        }
    }

    /// Lists the objects of a kind, page by page, in one namespace or in all. Empty if the kind is not served.
    /// Each object carries its `kind` and `apiVersion`, which the server leaves out in lists.
    ///
    /// # Errors
    /// If the server is unreachable or refuses.
    pub async fn list(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        label_selector: Option<&str>,
    ) -> Result<Vec<Object>> {
        let listed = self.list_if_served(kind, namespace, label_selector).await?;
        Ok(listed.unwrap_or_default())
    }

    /// Like [`Self::list`], and `None` if the kind is not served.
    ///
    /// # Errors
    /// If the server is unreachable or refuses; also where the kind is not served, for users who may not list it.
    pub async fn list_if_served(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        label_selector: Option<&str>,
    ) -> Result<Option<Vec<Object>>> {
        let listed = self.list_versioned(kind, namespace, label_selector).await;
        match listed {
            Ok((objects, _)) => Ok(Some(objects)),
            Err(failure) if failure.is_unknown_kind(kind) => Ok(None),
            Err(failure) => {
                let subject = Subject::collection("list", kind, namespace);
                Err(self.transport().explain(failure, &subject))
            }
        }
    }

    /// Like [`Self::list`]; a refusal for want of permission is an answer (the inner error), not a failure.
    ///
    /// # Errors
    /// If the server is unreachable, or refuses for another reason.
    pub async fn list_if_permitted(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        label_selector: Option<&str>,
    ) -> Result<std::result::Result<Vec<Object>, Error>> {
        let explain = |failure: Failure| {
            let subject = Subject::collection("list", kind, namespace);
            self.transport().explain(failure, &subject)
        };
        match self.list_versioned(kind, namespace, label_selector).await {
            Ok((objects, _)) => Ok(Ok(objects)),
            Err(failure) if failure.is_unknown_kind(kind) => Ok(Ok(Vec::new())),
            Err(failure) if failure.code() == Some(403) => Ok(Err(explain(failure))),
            Err(failure) => Err(explain(failure)),
        }
    }

    /// Like [`Self::list`], and empty where it is forbidden: for what a decision is surer with, and possible without.
    ///
    /// # Errors
    /// If the server is unreachable, or refuses for another reason.
    pub async fn list_as_permitted(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        label_selector: Option<&str>,
    ) -> Result<Vec<Object>> {
        let listed = self.list_if_permitted(kind, namespace, label_selector).await?;
        Ok(listed.unwrap_or_default())
    }

    /// A list with the version that a watch can go on from.
    pub(super) async fn list_versioned(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        label_selector: Option<&str>,
    ) -> std::result::Result<(Vec<Object>, String), Failure> {
        let served = self.served_kind(kind).await;
        let mut objects = Vec::new();
        let mut more = String::new();
        let mut restarted = false;
        loop {
            let mut query = vec![("limit", PAGE)];
            query.extend(label_selector.map(|selector| ("labelSelector", selector)));
            if !more.is_empty() {
                query.push(("continue", &more));
            }
            let path = path::with_query(path::collection(&served, namespace), &query);
            let call = Call::get(path, Subject::collection("list", kind, namespace));
            let page: Value = match self.transport().plain(&call).await {
                Ok(reply) => reply.json()?,
                // The list took longer than the server remembers its beginning (5 minutes): begin again, once.
                Err(failure) if failure.code() == Some(410) && !restarted => {
                    restarted = true;
                    objects.clear();
                    more.clear();
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let page = Object(page);
            // Taken for an empty list, it would say that nothing is there.
            if !page.text("/kind").ends_with("List") {
                return Err(not_asked_for());
            }
            for item in page.items("/items") {
                let mut object = Object(item.clone());
                object.0["kind"] = kind.kind.clone().into();
                object.0["apiVersion"] = kind.api_version().into();
                self.seen().remember(&object.reference(kind), &object);
                objects.push(object);
            }
            page.text("/metadata/continue").clone_into(&mut more);
            if more.is_empty() {
                return Ok((objects, page.text("/metadata/resourceVersion").to_owned()));
            }
        }
    }

    /// Creates an object; fails if there is one already.
    ///
    /// # Errors
    /// If the server is unreachable or refuses; exit code 5 (consent) if there is one already.
    pub async fn create(
        &self,
        reference: &ObjectReference,
        object: &Object,
        dry_run: bool,
    ) -> Result<Object> {
        let served = self.served(reference).await;
        let collection = path::collection(&served.kind, reference.namespace.as_deref());
        let path = path::with_query(collection, &writing(MANAGER, dry_run));
        let body = complete(&served, object);
        let call = Call::json(Method::POST, path, &body, Subject::object("create", reference));
        self.write(reference, &call, dry_run).await
    }

    /// Replaces an object. With a `resourceVersion` inside it fails if somebody else wrote meanwhile.
    ///
    /// # Errors
    /// If the server is unreachable or refuses; exit code 5 (consent) if somebody else was faster.
    pub async fn replace(&self, reference: &ObjectReference, object: &Object) -> Result<Object> {
        let served = self.served(reference).await;
        let path = path::with_query(path::object(&served), &writing(MANAGER, false));
        let body = complete(&served, object);
        let call = Call::json(Method::PUT, path, &body, Subject::object("update", reference));
        self.write(reference, &call, false).await
    }

    /// Changes fields by JSON merge patch (RFC 7396): `null` removes one.
    ///
    /// # Errors
    /// If the server is unreachable or refuses.
    pub async fn merge_patch(
        &self,
        reference: &ObjectReference,
        fields: &Value,
        manager: &str,
        dry_run: bool,
    ) -> Result<Object> {
        let path = path::with_query(
            path::object(&self.served(reference).await),
            &writing(manager, dry_run),
        );
        let mut call = Call::json(Method::PATCH, path, fields, Subject::object("patch", reference));
        call.content_type = "application/merge-patch+json";
        self.write(reference, &call, dry_run).await
    }

    /// Changes fields by JSON patch (RFC 6902). A `test` operation that fails lets nothing happen.
    ///
    /// # Errors
    /// If the server is unreachable or refuses, or a `test` fails.
    pub async fn json_patch(
        &self,
        reference: &ObjectReference,
        operations: &Value,
        manager: &str,
    ) -> Result<Object> {
        let path = path::with_query(
            path::object(&self.served(reference).await),
            &writing(manager, false),
        );
        let mut call = Call::json(
            Method::PATCH,
            path,
            operations,
            Subject::object("patch", reference),
        );
        call.content_type = "application/json-patch+json";
        self.write(reference, &call, false).await
    }

    /// Changes a subresource, such as `ephemeralcontainers`, by strategic merge patch: entries of a list are added to it.
    ///
    /// # Errors
    /// If the server is unreachable or refuses.
    pub async fn patch_subresource(
        &self,
        reference: &ObjectReference,
        subresource: &str,
        fields: &Value,
    ) -> Result<Object> {
        let path = format!("{}/{subresource}", path::object(reference));
        let path = path::with_query(path, &writing(MANAGER, false));
        let mut subject = Subject::object("patch", reference);
        subject.attempt = format!("cannot patch {subresource} of {reference}");
        subject.resource = format!("{}/{subresource}", subject.resource);
        let mut call = Call::json(Method::PATCH, path, fields, subject);
        call.content_type = "application/strategic-merge-patch+json";
        self.write(reference, &call, false).await
    }

    /// Deletes an object. That there is none is no error.
    ///
    /// # Errors
    /// If the server is unreachable or refuses.
    pub async fn delete(&self, reference: &ObjectReference, options: &DeleteOptions) -> Result<Deleted> {
        let mut body = json!({
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": if options.propagation_foreground { "Foreground" } else { "Background" },
        });
        if let Some(uid) = &options.uid {
            body["preconditions"]["uid"] = uid.as_str().into();
        }
        if let Some(version) = &options.resource_version {
            body["preconditions"]["resourceVersion"] = version.as_str().into();
        }
        if let Some(seconds) = options.grace_period_seconds {
            body["gracePeriodSeconds"] = seconds.into();
        }
        if options.dry_run {
            body["dryRun"] = json!(["All"]);
        }
        let subject = Subject::object("delete", reference);
        let path = path::object(&self.served(reference).await);
        let mut call = Call::json(Method::DELETE, path, &body, subject);
        call.idempotent = options.uid.is_some();
        let deleted = match self.transport().plain(&call).await {
            Ok(reply) => {
                deleted(&reply).map_err(|failure| self.transport().explain(failure, &call.subject))?
            }
            Err(failure) if failure.is_absent(&reference.kind) => Deleted::NotThere,
            Err(failure) => match failed_precondition(&failure) {
                Some(differs) => differs,
                None => return Err(self.transport().explain(failure, &call.subject)),
            },
        };
        if !options.dry_run {
            self.seen().forget(reference);
        }
        Ok(deleted)
    }

    async fn write(&self, reference: &ObjectReference, call: &Call, dry_run: bool) -> Result<Object> {
        match self.transport().plain(call).await {
            Ok(reply) if dry_run => self.read_object(reference, call, &reply),
            Ok(reply) => self.keep(reference, call, &reply),
            Err(Failure::Refused(status, _)) if status.reason == "AlreadyExists" => {
                Err(Error::consent(format!("{reference} exists already"))
                    .because(status.message)
                    .hint("give another name, or look at what is there with `kubectl get -o yaml`"))
            }
            Err(failure) => Err(self.transport().explain(failure, &call.subject)),
        }
    }

    /// Reads the object of a reply, which must be the one that was meant: what stands between us and the API server
    /// may answer with anything, and would be taken for a change that never happened.
    pub(super) fn read_object(
        &self,
        reference: &ObjectReference,
        call: &Call,
        reply: &Reply,
    ) -> Result<Object> {
        let object = self.read(call, reply)?;
        if object.text("/kind") == reference.kind.kind && object.text("/metadata/name") == reference.name {
            return Ok(object);
        }
        Err(self.transport().explain(not_asked_for(), &call.subject))
    }

    /// Reads the JSON of a reply.
    pub(super) fn read(&self, call: &Call, reply: &Reply) -> Result<Object> {
        reply
            .json()
            .map(Object)
            .map_err(|failure| self.transport().explain(failure, &call.subject))
    }

    /// Reads the object of a reply and remembers it.
    fn keep(&self, reference: &ObjectReference, call: &Call, reply: &Reply) -> Result<Object> {
        let object = self.read_object(reference, call, reply)?;
        self.seen().remember(reference, &object);
        Ok(object)
    }
}

/// The query of a write.
pub(super) fn writing(manager: &str, dry_run: bool) -> Vec<(&str, &str)> {
    let mut query = vec![("fieldManager", manager)];
    if dry_run {
        query.push(("dryRun", "All"));
    }
    query
}

/// The object with kind, version, name and namespace of its reference, and without what only the server writes.
pub(super) fn complete(reference: &ObjectReference, object: &Object) -> Value {
    let mut value = object.0.clone();
    value["apiVersion"] = reference.kind.api_version().into();
    value["kind"] = reference.kind.kind.clone().into();
    value["metadata"]["name"] = reference.name.clone().into();
    if let Some(namespace) = &reference.namespace {
        value["metadata"]["namespace"] = namespace.clone().into();
    }
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    value
}

/// Which precondition of a deletion did not hold. The server words it in two ways: before it goes to its store ("the UID
/// in the precondition"), and there ("UID in precondition").
fn failed_precondition(failure: &Failure) -> Option<Deleted> {
    let Failure::Refused(status, _) = failure else {
        return None;
    };
    let said = |what: &str| {
        let told = [
            format!("{what} in the precondition"),
            format!("{what} in precondition"),
        ];
        status.code == 409 && told.iter().any(|told| status.message.contains(told))
    };
    if said("UID") {
        Some(Deleted::OtherUid)
    } else if said("ResourceVersion") {
        Some(Deleted::OtherVersion)
    } else {
        None
    }
}

/// The server answers with the object while it is still there, and with a `Status` when it is not.
fn deleted(reply: &Reply) -> std::result::Result<Deleted, Failure> {
    let body: Object = reply.json::<Value>()?.into();
    if body.text("/kind").is_empty() {
        return Err(not_asked_for());
    }
    let still_there = body.text("/kind") != "Status" && !body.uid().is_empty();
    let marked = !body.text("/metadata/deletionTimestamp").is_empty();
    if reply.status == 202 || (still_there && marked) {
        Ok(Deleted::Deleting)
    } else {
        Ok(Deleted::Gone)
    }
}

pub(super) fn not_asked_for() -> Failure {
    Failure::Garbled("the server's answer is something else than what was asked for".to_owned())
}
