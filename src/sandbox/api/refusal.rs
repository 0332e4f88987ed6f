//! Errors in the API server's own words, as `metav1.Status`.

use crate::vocabulary::Kind;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

/// A request that is refused.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sandbox) struct Refusal {
    code: u16,
    reason: &'static str,
    message: String,
    details: Value,
    retry_after: Option<u32>,
}

/// `deployments.apps`, or `pods` for the core group.
fn qualified(kind: &Kind) -> String {
    if kind.group.is_empty() {
        kind.plural.clone()
    } else {
        format!("{}.{}", kind.plural, kind.group)
    }
}

impl Refusal {
    pub(in crate::sandbox) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
            retry_after: None,
        }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = json!({"name": name, "kind": kind.plural});
        if !kind.group.is_empty() {
            self.details["group"] = json!(kind.group);
        }
        self
    }

    /// A status code that a test asked for.
    pub(in crate::sandbox) fn injected(code: u16, retry_after: Option<u32>) -> Self {
        let reason = match code {
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            409 => "Conflict",
            410 => "Expired",
            422 => "Invalid",
            429 => "TooManyRequests",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "InternalError",
        };
        let mut refusal = Self::new(code, reason, format!("injected fault: {reason}"));
        refusal.retry_after = retry_after;
        refusal
    }

    pub(in crate::sandbox) fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(
            404,
            "NotFound",
            format!("{} \"{name}\" not found", qualified(kind)),
        )
        .about(kind, name)
    }

    pub(in crate::sandbox) fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", qualified(kind));
        Self::new(409, "AlreadyExists", message).about(kind, name)
    }

    /// The optimistic lock failed, or a precondition.
    pub(in crate::sandbox) fn cannot_fulfil(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            qualified(kind)
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    pub(in crate::sandbox) fn modified(kind: &Kind, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::cannot_fulfil(kind, name, why)
    }

    /// One field is invalid.
    pub(in crate::sandbox) fn invalid(
        kind: &Kind,
        name: &str,
        field: &str,
        reason: &str,
        message: &str,
    ) -> Self {
        let title = if kind.group.is_empty() {
            kind.kind.clone()
        } else {
            format!("{}.{}", kind.kind, kind.group)
        };
        let text = format!("{title} \"{name}\" is invalid: {field}: {message}");
        let mut refusal = Self::new(422, "Invalid", text);
        refusal.details = json!({
            "name": name, "kind": kind.kind, "group": kind.group,
            "causes": [{"reason": reason, "message": message, "field": field}],
        });
        refusal
    }

    pub(in crate::sandbox) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(in crate::sandbox) fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message)
    }

    pub(in crate::sandbox) fn forbidden(kind: &Kind, name: &str, message: &str) -> Self {
        let subject = if name.is_empty() {
            qualified(kind)
        } else {
            format!("{} \"{name}\"", qualified(kind))
        };
        Self::new(403, "Forbidden", format!("{subject} is forbidden: {message}")).about(kind, name)
    }

    /// A real cluster has it and this one does not.
    pub(in crate::sandbox) fn not_simulated(what: &str) -> Self {
        Self::new(501, "NotImplemented", format!("sandbox: {what} is not simulated"))
    }

    pub(in crate::sandbox) fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(
            410,
            "Expired",
            format!("too old resource version: {asked} ({oldest})"),
        )
    }

    /// A conflict of server-side apply; `causes` as in `details.causes`.
    pub(in crate::sandbox) fn apply_conflict(message: String, causes: &Value) -> Self {
        let mut refusal = Self::new(409, "Conflict", message);
        refusal.details = json!({"causes": causes});
        refusal
    }

    /// No such path: the API server's bare text.
    pub(in crate::sandbox) fn no_such_path() -> Self {
        Self::new(404, "", "404 page not found\n")
    }

    /// The path's group is served, the resource is not.
    pub(in crate::sandbox) fn no_such_resource() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    pub(in crate::sandbox) fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    /// As `metav1.Status`.
    pub(in crate::sandbox) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }

    pub(in crate::sandbox) fn into_reply(self) -> super::Reply {
        let plain = self.reason.is_empty();
        let (content_type, body) = if plain {
            ("text/plain; charset=utf-8", self.message.clone().into_bytes())
        } else {
            ("application/json", self.status().to_string().into_bytes())
        };
        let mut reply = Response::new(crate::sandbox::server::full(body));
        *reply.status_mut() = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = reply.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        reply
    }
}
