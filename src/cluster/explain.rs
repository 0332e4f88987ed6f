//! Failures in words: what was attempted, why it did not work, what to do.

use super::failure::{Failure, Obstacle, Status, Subject, uncalled_webhook};
use crate::error::Error;
use crate::vocabulary::ExitCode;

/// Where the request went, for the words of an error.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    /// `https://host:port`.
    pub(super) server: String,
    /// The context's name.
    pub(super) context: String,
    /// ` --context NAME`, or nothing if there is none.
    pub(super) flag: String,
}

/// Makes the error that a user reads.
pub(super) fn explain(failure: Failure, subject: &Subject, destination: &Destination) -> Error {
    let Destination {
        server,
        context,
        flag,
    } = destination;
    let attempt = subject.attempt.clone();
    match failure {
        Failure::Credential(error) => error,
        Failure::Refused(status, _) => refused(&status, &attempt, subject, destination),
        Failure::NoAnswer(after) => Error::timed_out(format!(
            "the API server {server} of context `{context}` did not answer within {} s",
            after.as_secs_f32()
        ))
        .because(attempt)
        .hint(format!(
            "check with `kubectl get --raw /readyz{flag}`; give it more time with --request-timeout"
        )),
        Failure::Garbled(text) => Error::cluster(attempt)
            .because(text)
            .hint(format!("check with `kubectl get --raw /readyz{flag}`")),
        Failure::Connection(obstacle, text) => {
            let error = Error::cluster(format!(
                "the API server {server} of context `{context}` cannot be reached"
            ))
            .because(text);
            match obstacle {
                Obstacle::Name => error.hint(
                    "the host's name does not resolve: check `server` in the kubeconfig, the VPN, and DNS",
                ),
                Obstacle::Tls => error.hint(
                    "check `certificate-authority` and `tls-server-name` in the kubeconfig, or give --certificate-authority or --tls-server-name",
                ),
                Obstacle::Proxy => {
                    error.hint("check HTTPS_PROXY and NO_PROXY, and `proxy-url` in the kubeconfig")
                }
                Obstacle::Network => error.hint(format!(
                    "check with `kubectl get --raw /readyz{flag}`; `kubectl config get-contexts` lists other clusters"
                )),
            }
        }
    }
}

fn refused(status: &Status, attempt: &str, subject: &Subject, destination: &Destination) -> Error {
    let message = status.message.as_str();
    if let Some(error) = by_webhook(message, attempt) {
        return error;
    }
    match status.code {
        401 => Error::cluster(format!(
            "the API server {} does not accept the credentials of context `{}`",
            destination.server, destination.context
        ))
        .because(with_default(message, "Unauthorized"))
        .hint(format!(
            "log in again, then check with `kubectl auth whoami{}`",
            destination.flag
        )),
        403 => forbidden(message, attempt, subject, destination),
        404 => absent(status, attempt, subject, destination),
        409 => Error::consent(attempt)
            .because(with_default(message, "somebody else changed it meanwhile"))
            .hint("run the command again; it reads the object afresh"),
        410 => Error::cluster(attempt)
            .because(with_default(
                message,
                "the server no longer has the version asked for",
            ))
            .hint("run the command again"),
        400 if subject.kind.is_none() => Error::cluster(attempt)
            .because(with_default(message, "bad request"))
            .hint("look at the pod and its containers: `kubectl describe pod`"),
        400 | 422 => invalid(status, attempt),
        // Server-side apply words a field of the wrong type as an internal error.
        500 if message.starts_with("failed to create typed patch object") => invalid(status, attempt),
        429 | 502..=504 => Error::cluster(attempt)
            .because(format!(
                "the API server is overloaded or not ready (HTTP {}): {}",
                status.code,
                with_default(message, "no reason given")
            ))
            .hint(format!(
                "run the command again; `kubectl get --raw /readyz?verbose{}` shows the server's state",
                destination.flag
            )),
        code => Error::cluster(attempt)
            .because(format!(
                "HTTP {code}: {}",
                with_default(message, "no reason given")
            ))
            .hint("see the API server's log, or run the command again"),
    }
}

fn with_default<'text>(message: &'text str, default: &'text str) -> &'text str {
    if message.is_empty() { default } else { message }
}

/// Refusals by admission webhooks arrive with whatever status the webhook chose, and its failures as 500.
fn by_webhook(message: &str, attempt: &str) -> Option<Error> {
    let refusing = message.split_once("admission webhook \"");
    if let Some((webhook, _)) = refusing.and_then(|(_, rest)| rest.split_once('"')) {
        let reason = message
            .split_once("denied the request: ")
            .map_or(message, |(_, reason)| reason);
        return Some(
            Error::cluster(attempt)
                .because(format!("the admission webhook `{webhook}` refuses it: {reason}"))
                .hint("change what it objects to, or ask whoever runs the webhook"),
        );
    }
    let webhook = uncalled_webhook(message)?;
    Some(
        Error::cluster(attempt)
            .because(format!("the admission webhook `{webhook}` does not work: {message}"))
            .hint("check the webhook's Service and pods; for Istio's: `kubectl get pods -n istio-system -l app=istiod`"),
    )
}

fn forbidden(message: &str, attempt: &str, subject: &Subject, destination: &Destination) -> Error {
    let error = Error::cluster(attempt).because(with_default(message, "forbidden"));
    if message.contains("violates PodSecurity") {
        return error.hint(
            "the namespace enforces a Pod Security Standard: see `kubectl get namespace -L pod-security.kubernetes.io/enforce`",
        );
    }
    if message.contains("exceeded quota") {
        return error.hint("raise the quota or free some of it: `kubectl describe quota`");
    }
    if message.contains("because it is being terminated") {
        return error.hint("wait until the namespace is gone: `kubectl get namespace --watch`");
    }
    // The server names the verb that is missing; for exec it depends on the server's version.
    let verb = message
        .split_once(" cannot ")
        .and_then(|(_, rest)| rest.split_once(" resource "))
        .map_or(subject.verb, |(verb, _)| verb);
    let namespace = subject
        .namespace
        .as_ref()
        .map_or(String::new(), |namespace| format!(" -n {namespace}"));
    error.hint(format!(
        "ask for the permission; check with `kubectl auth can-i {verb} {}{namespace}{}`",
        subject.resource, destination.flag
    ))
}

fn absent(status: &Status, attempt: &str, subject: &Subject, destination: &Destination) -> Error {
    let details = status.details.as_ref().filter(|details| !details.name.is_empty());
    match (details, &subject.kind) {
        (Some(details), _) if details.kind == "namespaces" => Error::cluster(attempt)
            .because(format!("the namespace `{}` does not exist", details.name))
            .hint(format!("create it: `kubectl create namespace {}`", details.name)),
        (None, Some(kind)) if kind.is_always_served() => Error::cluster(attempt)
            .because(format!(
                "{} answers like no Kubernetes API server: {}",
                destination.server,
                with_default(&status.message, "HTTP 404")
            ))
            .hint(format!(
                "another server, or a proxy on the way, may have answered: check `server` and `proxy-url` in the kubeconfig, and `kubectl get --raw /version{}`",
                destination.flag
            )),
        (None, Some(kind)) => Error::cluster(attempt)
            .because(format!(
                "the cluster does not serve {} in {} (no such resource definition)",
                subject.resource,
                kind.api_version()
            ))
            .hint("for Istio's kinds, install Istio; `kubectl api-resources` lists what is served"),
        _ => Error::cluster(attempt)
            .because(with_default(&status.message, "not found"))
            .hint("check the name and the namespace"),
    }
}

fn invalid(status: &Status, attempt: &str) -> Error {
    let mut error = Error::new(ExitCode::Cluster, attempt);
    let causes = status.causes();
    if causes.is_empty() {
        error = error.because(format!(
            "the API server finds it invalid: {}",
            with_default(&status.message, "no reason given")
        ));
    }
    for cause in causes {
        error = error.because(if cause.field.is_empty() {
            cause.message.clone()
        } else {
            format!("{}: {}", cause.field, cause.message)
        });
    }
    error.hint("`kubectl explain` describes the fields")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::istio::kinds;
    use crate::vocabulary::ObjectReference;
    use rstest::rstest;

    fn explained(code: u16, body: &str) -> Error {
        let subject = Subject::object(
            "patch",
            &ObjectReference::namespaced(kinds::virtual_service(), "demo", "route"),
        );
        let destination = Destination {
            server: "https://api:6443".into(),
            context: "prod".into(),
            flag: " --context prod".into(),
        };
        explain(
            Failure::Refused(Box::new(Status::read(code, body.as_bytes())), None),
            &subject,
            &destination,
        )
    }

    #[rstest]
    #[case(
        401,
        r#"{"message":"Unauthorized"}"#,
        "credentials of context `prod`",
        "whoami --context prod"
    )]
    #[case(
        403,
        r#"{"message":"User \"jane\" cannot patch resource"}"#,
        "User \"jane\"",
        "can-i patch virtualservices.networking.istio.io -n demo"
    )]
    #[case(
        403,
        r#"{"message":"pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\""}"#,
        "violates PodSecurity",
        "pod-security.kubernetes.io/enforce"
    )]
    #[case(
        403,
        r#"{"message":"exceeded quota: small, requested: pods=1"}"#,
        "exceeded quota",
        "describe quota"
    )]
    #[case(
        403,
        r#"{"message":"unable to create new content in namespace demo because it is being terminated"}"#,
        "being terminated",
        "wait until the namespace is gone"
    )]
    #[case(
        404,
        "404 page not found",
        "does not serve virtualservices.networking.istio.io in networking.istio.io/v1",
        "install Istio"
    )]
    #[case(
        404,
        r#"{"message":"namespaces \"demo\" not found","details":{"name":"demo","kind":"namespaces"}}"#,
        "the namespace `demo` does not exist",
        "create namespace demo"
    )]
    #[case(
        410,
        r#"{"message":"too old resource version"}"#,
        "too old resource version",
        "again"
    )]
    #[case(422, r#"{"message":"VirtualService is invalid","details":{"causes":[{"reason":"FieldValueInvalid","message":"must be a port","field":"spec.tls[0].port"}]}}"#,
        "spec.tls[0].port: must be a port", "explain")]
    #[case(
        400,
        r#"{"message":"admission webhook \"validation.istio.io\" denied the request: configuration is invalid: hosts"}"#,
        "the admission webhook `validation.istio.io` refuses it: configuration is invalid: hosts",
        "whoever runs the webhook"
    )]
    #[case(500, r#"{"message":"Internal error occurred: failed calling webhook \"namespace.sidecar-injector.istio.io\": no endpoints"}"#,
        "`namespace.sidecar-injector.istio.io` does not work", "app=istiod")]
    #[case(
        503,
        "upstream connect error",
        "overloaded or not ready (HTTP 503): upstream connect error",
        "readyz"
    )]
    fn statuses_become_sentences_with_a_next_step(
        #[case] code: u16,
        #[case] body: &str,
        #[case] says: &str,
        #[case] hint: &str,
    ) {
        let error = explained(code, body);
        assert_eq!(error.code(), ExitCode::Cluster);
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.hints().join(" ").contains(hint), "{:?}", error.hints());
    }

    #[test]
    fn a_path_that_every_api_server_has_is_not_missing_at_one() {
        let subject = Subject::object("get", &ObjectReference::namespaced(kinds::pod(), "demo", "curl"));
        let status = Status::read(404, b"404 page not found\n");
        let destination = Destination {
            server: "https://api:6443".into(),
            context: "prod".into(),
            flag: String::new(),
        };
        let error = explain(Failure::Refused(Box::new(status), None), &subject, &destination);
        assert_eq!(error.code(), ExitCode::Cluster);
        assert!(
            error
                .to_string()
                .contains("https://api:6443 answers like no Kubernetes"),
            "{error}"
        );
    }

    #[test]
    fn an_optimistic_lock_failure_asks_to_run_again() {
        let error = explained(409, r#"{"message":"the object has been modified"}"#);
        assert_eq!(error.code(), ExitCode::Consent);
        assert!(error.to_string().contains("has been modified"));
    }
}
