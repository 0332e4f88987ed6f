//! Server-side apply: we own the fields that we write, and nobody else's are taken without consent.

use super::Cluster;
use super::failure::{Cause, Failure, Subject};
use super::objects::{complete, writing};
use super::path;
use super::seen::Evidence;
use super::transport::Call;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::vocabulary::{Change, Object, ObjectReference};
use http::Method;

/// How an object is applied.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// Which object.
    pub reference: ObjectReference,
    /// Field manager; at most 128 bytes.
    pub manager: String,
    /// Take over fields that others own.
    pub force: bool,
    /// Only ask what would happen.
    pub dry_run: bool,
}

impl ApplyOptions {
    /// Applies for real, taking nothing from others.
    pub fn new(reference: &ObjectReference, manager: &str) -> Self {
        Self {
            reference: reference.clone(),
            manager: manager.to_owned(),
            force: false,
            dry_run: false,
        }
    }
}

/// An object after it was applied.
#[derive(Debug, Clone)]
pub struct Applied {
    /// As it is now (or would be).
    pub object: Object,
    /// What changed.
    pub change: Change,
}

/// How an apply ended.
#[derive(Debug, Clone)]
pub enum ApplyOutcome {
    /// It was applied.
    Applied(Applied),
    /// Nothing was changed: these fields belong to others and have other values.
    Conflict(Vec<ConflictingField>),
}

/// A field that somebody else owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictingField {
    /// Its path, for example `.spec.replicas`.
    pub field: String,
    /// The owner's field manager.
    pub manager: String,
}

impl Cluster {
    /// Applies an object; a conflict is an error of exit code 5 (consent) that names each field and its owner.
    ///
    /// # Errors
    /// If fields belong to others, or the server is unreachable or refuses.
    pub async fn apply(&self, object: &Object, options: &ApplyOptions) -> Result<Applied> {
        match self.try_apply(object, options).await? {
            ApplyOutcome::Applied(applied) => Ok(applied),
            ApplyOutcome::Conflict(fields) => Err(conflict(&options.reference, &fields)),
        }
    }

    /// Applies an object; a conflict is an outcome. Costs one request: whether it changed anything is judged from the
    /// answer and from what this client saw of the object before.
    ///
    /// # Errors
    /// If the server is unreachable or refuses for another reason than a conflict.
    pub async fn try_apply(&self, object: &Object, options: &ApplyOptions) -> Result<ApplyOutcome> {
        let reference = &options.reference;
        let mut query = writing(&options.manager, options.dry_run);
        query.push(("force", if options.force { "true" } else { "false" }));
        let served = self.served(reference).await;
        let path = path::with_query(path::object(&served), &query);
        let subject = Subject::object("patch", reference);
        let mut call = Call::json(Method::PATCH, path, &complete(&served, object), subject);
        // JSON is YAML, and this content type is understood by every server that knows server-side apply.
        call.content_type = "application/apply-patch+yaml";
        call.idempotent = true;
        // The server looks the Role up in a cache, to see whether it gives more than the caller has, and answers that
        // the RoleBinding was not found if a Role made a moment before is not there yet.
        call.refers_to_new = reference.kind == kinds::role_binding();
        let reply = match self.transport().plain(&call).await {
            Ok(reply) => reply,
            Err(failure) => {
                return match conflicting_fields(&failure) {
                    Some(fields) => Ok(ApplyOutcome::Conflict(fields)),
                    None => Err(self.transport().explain(failure, &call.subject)),
                };
            }
        };
        let object = self.read_object(reference, &call, &reply)?;
        let evidence = Evidence {
            status: reply.status,
            retried: reply.tries > 1,
            date: reply.date,
            manager: &options.manager,
        };
        let change = self.seen().judge(reference, &object, &evidence);
        if !options.dry_run {
            self.seen().remember(reference, &object);
        }
        Ok(ApplyOutcome::Applied(Applied { object, change }))
    }
}

/// The fields of a conflict, or `None` if the failure is another (409 is also the optimistic lock's).
fn conflicting_fields(failure: &Failure) -> Option<Vec<ConflictingField>> {
    let Failure::Refused(status, _) = failure else {
        return None;
    };
    if status.code != 409 {
        return None;
    }
    let fields: Vec<ConflictingField> = status
        .causes()
        .iter()
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| ConflictingField {
            field: cause.field.clone(),
            manager: owner(cause),
        })
        .collect();
    (!fields.is_empty()).then_some(fields)
}

/// `conflict with "kubectl" using v1` (with ` with subresource "x"` between, since Kubernetes 1.22).
fn owner(cause: &Cause) -> String {
    let quoted = cause
        .message
        .split_once('"')
        .and_then(|(_, rest)| rest.split_once('"'));
    match quoted {
        Some((name, _)) => name.to_owned(),
        None => cause.message.clone(),
    }
}

fn conflict(reference: &ObjectReference, fields: &[ConflictingField]) -> Error {
    let mut error = Error::consent(format!("{reference} has fields that belong to somebody else"));
    for ConflictingField { field, manager } in fields {
        error = error.because(format!("{field} belongs to `{manager}`"));
    }
    error.hint("let the owner change them, or take them over with --force-conflicts")
}

#[cfg(test)]
mod tests {
    use super::super::failure::Status;
    use super::*;

    #[test]
    fn an_optimistic_lock_failure_is_no_conflict_of_fields() {
        let lock = Status::read(
            409,
            br#"{"reason":"Conflict","message":"the object has been modified"}"#,
        );
        assert_eq!(conflicting_fields(&Failure::Refused(Box::new(lock), None)), None);
        let body = br#"{"reason":"Conflict","message":"Apply failed","details":{"causes":[
            {"reason":"FieldManagerConflict","field":".data.a","message":"conflict with \"kubectl\" using v1"}]}}"#;
        let fields = conflicting_fields(&Failure::Refused(Box::new(Status::read(409, body)), None)).unwrap();
        assert_eq!(
            (fields[0].field.as_str(), fields[0].manager.as_str()),
            (".data.a", "kubectl")
        );
    }
}
