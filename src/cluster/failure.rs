//! From what the transport or the API server says to an error that a user can act on. Never a raw `kube::Error`.

use super::Cluster;
use crate::error::Error;
use crate::vocabulary::ExitCode;
use http::StatusCode;
use serde_json::Value;
use std::error::Error as _;
use std::time::Duration;

/// The API server gave no answer in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", .0.as_secs())]
pub(super) struct NoAnswer(pub(super) Duration);

/// Whether the connection failed, so that nothing may have reached the server.
pub(super) fn is_connection(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Service(_) | kube::Error::HyperError(_))
        && !why(error).starts_with("no answer within")
}

/// The innermost causes in a line.
pub(super) fn why(error: &kube::Error) -> String {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        next = cause.source();
    }
    // The innermost says why; the outer ones repeat "client error (Connect)".
    texts.pop().unwrap_or_else(|| "the connection failed".to_owned())
}

/// What happened to a request that got no answer.
pub(super) fn of_transport(cluster: &Cluster, doing: &str, error: &kube::Error) -> Error {
    if let kube::Error::Api(status) = error {
        let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(status).unwrap_or_default();
        return of_answer(doing, code, &body);
    }
    let cause = why(error);
    let at = format!("{} (context {})", cluster.server(), cluster.context());
    if cause.starts_with("no answer within") {
        return Error::timed_out(format!("could not {doing}: {at} gave {cause}"))
            .hint("a slow server gets more time with --request-timeout");
    }
    Error::cluster(format!("could not {doing}: {at} cannot be reached"))
        .because(cause)
        .hint("check that the cluster is up and the context is right: kubectl config get-contexts; another one: --context NAME")
}

/// What an answer that is no success means.
pub(super) fn of_answer(doing: &str, status: StatusCode, body: &[u8]) -> Error {
    let answer: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let message = answer["message"].as_str().map_or_else(|| String::from_utf8_lossy(body).trim().to_owned(), str::to_owned);
    let reason = answer["reason"].as_str().unwrap_or_default();
    let what = format!("could not {doing}");
    match status {
        StatusCode::UNAUTHORIZED => Error::cluster(format!("{what}: the API server does not accept your credentials"))
            .because(message)
            .hint("log in again, as your cluster's provider describes it"),
        StatusCode::FORBIDDEN if message.contains("admission webhook") || message.contains("violates PodSecurity") || message.contains("exceeded quota") => {
            Error::cluster(format!("{what}: the cluster's admission refuses it")).because(message)
        }
        StatusCode::FORBIDDEN => Error::cluster(format!("{what}: you may not"))
            .because(message)
            .hint("ask the cluster's administrator for this permission; `kubectl auth can-i --list` shows what you have"),
        StatusCode::NOT_FOUND if answer["details"]["name"].is_null() && message.contains("could not find the requested resource") => {
            Error::cluster(format!("{what}: the cluster does not know this kind of object")).because(message)
        }
        StatusCode::CONFLICT if is_field_conflict(&answer) => of_conflict(&what, &answer),
        StatusCode::CONFLICT => Error::consent(format!("{what}: it was changed by somebody else at the same time")).because(message).hint("run the command again"),
        StatusCode::BAD_REQUEST if message.contains("admission webhook") => {
            Error::cluster(format!("{what}: an admission webhook refuses it")).because(message)
        }
        StatusCode::INTERNAL_SERVER_ERROR if message.contains("failed calling webhook") => {
            Error::cluster(format!("{what}: an admission webhook does not answer")).because(message).hint("if it is Istio's: kubectl get pods -n istio-system")
        }
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Error::cluster(format!("{what}: the API server answered {}", status.as_u16())).because(message).hint("try again a little later")
        }
        _ => {
            let cause = if reason.is_empty() || message.contains(reason) { message } else { format!("{reason}: {message}") };
            Error::cluster(format!("{what}: the API server refuses it ({})", status.as_u16())).because(cause)
        }
    }
}

/// A field that another manager owns.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ConflictingField {
    field: String,
    owner: String,
}

fn is_field_conflict(answer: &Value) -> bool {
    !conflicting_fields(answer).is_empty()
}

fn conflicting_fields(answer: &Value) -> Vec<ConflictingField> {
    let causes = answer["details"]["causes"].as_array().map_or(&[][..], Vec::as_slice);
    let conflicts = causes.iter().filter(|cause| cause["reason"] == "FieldManagerConflict");
    conflicts
        .map(|cause| {
            let message = cause["message"].as_str().unwrap_or_default();
            ConflictingField {
                field: cause["field"].as_str().unwrap_or_default().to_owned(),
                // `conflict with "MANAGER" using v1`
                owner: message.split('"').nth(1).unwrap_or(message).to_owned(),
            }
        })
        .collect()
}

fn of_conflict(what: &str, answer: &Value) -> Error {
    let mut error = Error::new(ExitCode::Consent, format!("{what}: another manager owns a field that has another value there"));
    for conflict in conflicting_fields(answer) {
        error = error.because(format!("{} belongs to {}", conflict.field, conflict.owner));
    }
    error.hint("to take these fields over: --force-conflicts")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_conflict_names_field_and_owner_and_is_no_lost_race() {
        let status = json!({"message": "Apply failed with 1 conflict", "reason": "Conflict", "details": {"causes": [
            {"reason": "FieldManagerConflict", "field": ".spec.replicas", "message": "conflict with \"kubectl\" using apps/v1"}]}});
        let error = of_answer("apply Deployment demo/curl", StatusCode::CONFLICT, status.to_string().as_bytes());
        assert_eq!(error.code(), ExitCode::Consent);
        assert_eq!(error.causes(), [".spec.replicas belongs to kubectl"]);
        let race = of_answer("x", StatusCode::CONFLICT, br#"{"message": "the object has been modified"}"#);
        assert!(race.hints()[0].contains("again"));
    }

    #[test]
    fn no_error_carries_a_debug_dump() {
        for status in [400_u16, 401, 403, 404, 409, 410, 422, 429, 500, 503] {
            let body = json!({"kind": "Status", "message": "because", "reason": "Because", "code": status});
            let error = of_answer("do it", StatusCode::from_u16(status).unwrap(), body.to_string().as_bytes()).to_string();
            assert!(error.contains("because") && !error.contains('{') && !error.contains("Status"), "{error}");
        }
    }
}
