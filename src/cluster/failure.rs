//! Why a request failed, as code decides by it, before it becomes a text for the user.

use crate::error::Error;
use crate::vocabulary::{Kind, ObjectReference, PodName};
use serde::Deserialize;
use std::error::Error as StandardError;
use std::time::Duration;

/// What was attempted, for the words of an error.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// The verb as RBAC knows it: `get`, `list`, `watch`, `create`, `patch`, `update`, `delete`.
    pub(super) verb: &'static str,
    /// The resource as RBAC knows it: `virtualservices.networking.istio.io`, `pods/exec`.
    pub(super) resource: String,
    /// What could not be done: `cannot get Pod demo/curl`.
    pub(super) attempt: String,
    /// The namespace, if it has one.
    pub(super) namespace: Option<String>,
    /// The kind, if it is an API object.
    pub(super) kind: Option<Kind>,
}

impl Subject {
    /// One object.
    pub(super) fn object(verb: &'static str, reference: &ObjectReference) -> Self {
        Self {
            attempt: format!("cannot {verb} {reference}"),
            ..Self::collection(verb, &reference.kind, reference.namespace.as_deref())
        }
    }

    /// All objects of a kind.
    pub(super) fn collection(verb: &'static str, kind: &Kind, namespace: Option<&str>) -> Self {
        let resource = if kind.group.is_empty() {
            kind.plural.clone()
        } else {
            format!("{}.{}", kind.plural, kind.group)
        };
        Self {
            verb,
            attempt: match namespace {
                Some(namespace) => format!("cannot {verb} {} in namespace {namespace}", kind.plural),
                None => format!("cannot {verb} {}", kind.plural),
            },
            resource,
            namespace: namespace.map(str::to_owned),
            kind: Some(kind.clone()),
        }
    }

    /// A subresource of a pod, for example its log, and what is done with it: `read the log of`.
    pub(super) fn pod(verb: &'static str, resource: &str, doing: &str, pod: &PodName) -> Self {
        Self {
            verb,
            resource: resource.to_owned(),
            attempt: format!("cannot {doing} pod {pod}"),
            namespace: Some(pod.namespace.clone()),
            kind: None,
        }
    }

    /// A path that belongs to no object, for example `/version`.
    pub(super) fn path(path: &str) -> Self {
        Self {
            verb: "get",
            resource: path.to_owned(),
            attempt: format!("cannot get {path}"),
            namespace: None,
            kind: None,
        }
    }
}

/// `metav1.Status`, as far as it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    /// `Success` or `Failure`.
    #[serde(rename = "status")]
    pub(super) outcome: Option<String>,
    /// For people.
    pub(super) message: String,
    /// For programs, for example `NotFound`.
    pub(super) reason: String,
    /// HTTP status; zero where the server leaves it out.
    pub(super) code: u16,
    /// More of it.
    pub(super) details: Option<Details>,
}

/// `metav1.StatusDetails`, as far as it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Details {
    /// Name of the object that the status is about.
    pub(super) name: String,
    /// Resource that the status is about.
    pub(super) kind: String,
    /// One entry per field or cause.
    pub(super) causes: Option<Vec<Cause>>,
    /// When to come back, in seconds.
    pub(super) retry_after_seconds: u64,
}

/// `metav1.StatusCause`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Cause {
    /// For programs.
    pub(super) reason: String,
    /// For people.
    pub(super) message: String,
    /// Path of the field.
    pub(super) field: String,
}

impl Status {
    /// Reads the body of a failed answer. Proxies and load balancers answer with anything; then the text is kept.
    pub(super) fn read(code: u16, body: &[u8]) -> Self {
        let mut status = serde_json::from_slice::<Self>(body)
            .ok()
            .filter(|status| !status.message.is_empty() || !status.reason.is_empty())
            .unwrap_or_else(|| Self {
                message: excerpt(body),
                ..Self::default()
            });
        status.code = code;
        status
    }

    /// The causes.
    pub(super) fn causes(&self) -> &[Cause] {
        self.details
            .as_ref()
            .and_then(|details| details.causes.as_deref())
            .unwrap_or_default()
    }
}

/// At most 300 characters of a body, on one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(300).collect()
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The name has no address.
    Name,
    /// The certificate or the handshake.
    Tls,
    /// The proxy.
    Proxy,
    /// Refused, reset, cut, unreachable.
    Network,
}

/// Why a request has no usable answer.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The server answered with 4xx or 5xx. With what `Retry-After` said.
    Refused(Box<Status>, Option<Duration>),
    /// There is no connection, or it broke.
    Connection(Obstacle, String),
    /// Nothing came in this time.
    NoAnswer(Duration),
    /// The answer cannot be read.
    Garbled(String),
    /// There are no credentials to send it with.
    Credential(Error),
}

impl Failure {
    /// The status code, if the server refused.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Refused(status, _) => Some(status.code),
            _ => None,
        }
    }

    /// Whether no connection came about, or it broke: the server may be restarting.
    pub(super) fn is_of_network(&self) -> bool {
        matches!(self, Self::Connection(Obstacle::Network, _))
    }

    /// Whether the object itself is not there, in contrast to its kind or namespace.
    pub(super) fn is_absent_object(&self) -> bool {
        matches!(self, Self::Refused(status, _) if status.code == 404 && !names_no_object(status))
    }

    /// Whether the server does not know the kind. Of a kind that every server knows nobody can say that, and what did
    /// stands in the server's place: a proxy, or another server.
    pub(super) fn is_unknown_kind(&self, kind: &Kind) -> bool {
        matches!(self, Self::Refused(status, _) if status.code == 404 && names_no_object(status))
            && !kind.is_always_served()
    }

    /// Whether there is no such object, for whatever reason.
    pub(super) fn is_absent(&self, kind: &Kind) -> bool {
        self.is_absent_object() || self.is_unknown_kind(kind)
    }

    /// The admission webhook that the API server could not call. It asks before it does anything, so nothing was done.
    pub(super) fn uncalled_webhook(&self) -> Option<&str> {
        match self {
            Self::Refused(status, _) => uncalled_webhook(&status.message),
            _ => None,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Refused(status, _) => matches!(status.code, 429 | 500 | 502 | 503 | 504),
            Self::Connection(obstacle, _) => *obstacle != Obstacle::Tls,
            Self::NoAnswer(_) | Self::Garbled(_) => true,
            Self::Credential(_) => false,
        }
    }

    /// In a few words, for a notice.
    pub(super) fn brief(&self) -> String {
        match self {
            Self::Refused(status, _) if status.message.is_empty() => format!("HTTP {}", status.code),
            Self::Refused(status, _) => format!("HTTP {}: {}", status.code, status.message),
            Self::Connection(_, text) | Self::Garbled(text) => text.clone(),
            Self::NoAnswer(after) => format!("no answer within {} s", after.as_secs_f32()),
            Self::Credential(error) => error.message().to_owned(),
        }
    }
}

/// The admission webhook that could not be called, by what the API server says of it (with 500, where the webhook's failure
/// policy is `Fail`).
pub(super) fn uncalled_webhook(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("failed calling webhook \"")?;
    Some(rest.split_once('"')?.0)
}

/// A 404 for a path that is not served carries no object's name (or is the plain text `404 page not found`).
fn names_no_object(status: &Status) -> bool {
    status
        .details
        .as_ref()
        .is_none_or(|details| details.name.is_empty())
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let details = status.details.map(|details| Details {
                    name: details.name,
                    kind: details.kind,
                    retry_after_seconds: u64::from(details.retry_after_seconds),
                    causes: None,
                });
                let status = Status {
                    outcome: None,
                    message: status.message,
                    reason: status.reason,
                    code: status.code,
                    details,
                };
                Self::Refused(Box::new(status), None)
            }
            kube::Error::UpgradeConnection(error) => Self::Garbled(format!(
                "the server did not switch to the WebSocket protocol: {error}"
            )),
            other => from_chain(&other),
        }
    }
}

/// Finds out what lies at the bottom of a chain of errors.
fn from_chain(error: &(dyn StandardError + 'static)) -> Failure {
    let mut obstacle = Obstacle::Network;
    let mut texts: Vec<String> = Vec::new();
    let mut current = Some(error);
    while let Some(error) = current {
        let text = error.to_string();
        if text.contains("dns error") {
            obstacle = Obstacle::Name;
        } else if text.contains("tunnel") || text.contains("proxy") || text.contains("SOCKS") {
            obstacle = Obstacle::Proxy;
        }
        if let Some(problem) = tls_problem(error) {
            return Failure::Connection(Obstacle::Tls, problem);
        }
        texts.push(text);
        current = error.source();
    }
    // The outer layers say only that something failed; the innermost says what.
    let innermost = texts.pop().unwrap_or_default();
    let text = match innermost.as_str() {
        "deadline has elapsed" => "no connection in time".to_owned(),
        _ => innermost,
    };
    Failure::Connection(obstacle, text)
}

fn tls_problem(error: &(dyn StandardError + 'static)) -> Option<String> {
    // `io::Error::source` passes over the error that it wraps, and they wrap one another.
    let mut error = error;
    while let Some(inner) = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        error = inner;
    }
    let problem = error.downcast_ref::<rustls::Error>()?;
    Some(match problem {
        rustls::Error::InvalidCertificate(
            rustls::CertificateError::UnknownIssuer | rustls::CertificateError::BadSignature,
        ) => "the server's certificate is not valid: no certificate authority that is trusted has signed it"
            .to_owned(),
        rustls::Error::InvalidCertificate(why) => format!("the server's certificate is not valid: {why}"),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::istio::kinds;

    #[test]
    fn a_missing_kind_is_not_a_missing_object() {
        let kind = Failure::Refused(Box::new(Status::read(404, b"404 page not found\n")), None);
        let (theirs, istios) = (kinds::config_map(), kinds::gateway());
        assert!(kind.is_unknown_kind(&istios) && kind.is_absent(&istios) && !kind.is_absent_object());
        assert!(!kind.is_unknown_kind(&theirs) && !kind.is_absent(&theirs));
        let body = br#"{"kind":"Status","reason":"NotFound","message":"pods \"a\" not found","details":{"name":"a","kind":"pods"},"code":404}"#;
        let object = Failure::Refused(Box::new(Status::read(404, body)), None);
        assert!(object.is_absent_object() && object.is_absent(&theirs) && !object.is_unknown_kind(&istios));
    }

    #[test]
    fn null_causes_and_html_bodies_are_read() {
        let status = Status::read(500, br#"{"message":"x","details":{"causes":null}}"#);
        assert!(status.causes().is_empty());
        let status = Status::read(502, b"<html>\n  Bad   Gateway</html>");
        assert_eq!(
            (status.code, status.message.as_str()),
            (502, "<html> Bad Gateway</html>")
        );
    }
}
