//! The API: which path and verb does what.

mod discovery;
mod escalation;
mod not_simulated;
mod objects;
mod patch;
mod path;
mod policy_validation;
mod protobuf;
mod rbac;
mod refusal;
mod removal;
mod reviews;
mod subresources;
mod table;
mod validation;
pub(super) mod watch;
mod writes;

pub(super) use path::{Path, Query};
pub(super) use rbac::user_of;
pub(super) use refusal::Refusal;
pub(super) use removal::{finish_foreground, forget, is_held, remove_object, waits_for_owned};

use super::controllers;
use super::server::{ReplyBody, full};
use super::state::Inner;
use super::store::Key;
use crate::error::Error;
use crate::vocabulary::Kind;
use bytes::Bytes;
use futures::FutureExt;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};

/// An answer.
pub(super) type Reply = Response<ReplyBody>;

/// A request with its body read.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Query,
    pub(super) body: Bytes,
    accept: String,
    content_type: String,
    user_agent: String,
    user: Option<String>,
}

impl Call {
    pub(super) fn new(parts: &Parts, body: Bytes) -> Self {
        let header = |name: header::HeaderName| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            body,
            accept: header(header::ACCEPT),
            content_type: header(header::CONTENT_TYPE),
            user_agent: header(header::USER_AGENT),
            user: parts
                .headers
                .get("impersonate-user")
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        }
    }

    /// Who asks.
    pub(super) fn user_name(&self) -> &str {
        self.user.as_deref().unwrap_or("sandbox-admin")
    }

    fn dry_run(&self) -> bool {
        self.query.get("dryRun").is_some()
    }

    /// The field manager: as asked for, else the first word of the user agent, as the API server does it.
    fn manager(&self) -> String {
        self.query.get("fieldManager").map_or_else(
            || {
                let name = self.user_agent.split('/').next().unwrap_or_default();
                if name.is_empty() { "unknown" } else { name }.to_owned()
            },
            str::to_owned,
        )
    }

    fn json(&self) -> Result<Value, Refusal> {
        if self.content_type.starts_with(protobuf::MEDIA_TYPE) {
            return protobuf::read(&self.body).ok_or_else(|| {
                Refusal::not_simulated(
                    "an object in Kubernetes' protobuf, which `kubectl create` sends: use `kubectl apply -f`; it",
                )
            });
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::bad_request(format!("error decoding the body: {error}")))
    }

    /// Only metadata is asked for.
    fn wants_metadata(&self) -> bool {
        self.accept.contains("as=PartialObjectMetadata")
    }

    /// A table is asked for, as `kubectl get` does.
    fn wants_table(&self) -> bool {
        self.accept.contains("as=Table")
    }

    /// Objects as a table, each with as much of it as the caller wants.
    fn table(&self, kind: &Kind, metadata: &Value, objects: &[&Value], now: jiff::Timestamp) -> Value {
        let sent = |object: &Value| match self.query.get("includeObject") {
            Some("None") => Value::Null,
            Some("Object") => self.present(kind, object),
            _ => partial(object),
        };
        let rows: Vec<(&Value, Value)> = objects.iter().map(|object| (*object, sent(object))).collect();
        table::table(kind, metadata, &rows, now)
    }

    /// An object as this caller wants it: in the version asked for, or only its metadata.
    pub(super) fn present(&self, kind: &Kind, object: &Value) -> Value {
        let mut object = object.clone();
        if self.wants_metadata() {
            object = partial(&object);
        } else {
            object["apiVersion"] = kind.api_version().into();
            object["kind"] = kind.kind.as_str().into();
        }
        object
    }
}

/// An object's metadata alone.
fn partial(object: &Value) -> Value {
    serde_json::json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"],
    })
}

/// A JSON answer.
pub(super) fn json_reply(code: StatusCode, value: &Value) -> Reply {
    let mut reply = Response::new(full(value.to_string()));
    *reply.status_mut() = code;
    reply
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// Refuses what the settings deny to this user.
pub(super) fn authorize(
    inner: &Inner,
    call: &Call,
    verb: &str,
    kind: &Kind,
    subresource: Option<&str>,
    namespace: Option<&str>,
    name: &str,
) -> Result<(), Refusal> {
    let resource = subresource.map_or_else(
        || kind.plural.clone(),
        |subresource| format!("{}/{subresource}", kind.plural),
    );
    let asked = rbac::Asked {
        verb,
        group: &kind.group,
        resource: &resource,
        namespace,
        name,
    };
    if allowed(inner, call, asked) {
        return Ok(());
    }
    let place = namespace.map_or_else(
        || "at the cluster scope".to_owned(),
        |namespace| format!("in the namespace \"{namespace}\""),
    );
    let user = call.user_name();
    let group = &kind.group;
    Err(Refusal::forbidden(
        kind,
        name,
        &format!("User \"{user}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {place}"),
    ))
}

/// Whether the caller may do it: the settings deny it to nobody, and a ServiceAccount has a Role for it.
fn allowed(inner: &Inner, call: &Call, asked: rbac::Asked<'_>) -> bool {
    let denied = inner.settings.denials.iter().any(|denial| {
        denial.covers(
            call.user.as_deref(),
            asked.verb,
            asked.group,
            asked.resource,
            asked.namespace,
        )
    });
    let by_role = || rbac::allows(&inner.lock(), call.user_name(), asked).unwrap_or(true);
    !denied && by_role()
}

/// A request from inside the sandbox.
pub(super) struct Internal {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) content_type: String,
    pub(super) body: String,
    pub(super) user: String,
}

/// Sends a request from inside, past faults and the request log; gives status code and body.
pub(super) fn ask(inner: &Inner, request: Internal) -> (u16, Value) {
    let call = Call {
        method: request.method,
        path: request.path,
        query: Query::parse(&request.query),
        body: Bytes::from(request.body),
        accept: String::new(),
        content_type: request.content_type,
        user_agent: "curl/8.18.0".into(),
        user: Some(request.user),
    };
    let reply = answer(inner, &call).unwrap_or_else(Refusal::into_reply);
    let code = reply.status().as_u16();
    // The body is whole already, so there is nothing to wait for.
    let body = reply.into_body().collect().now_or_never();
    let bytes = body.and_then(Result::ok).map(http_body_util::Collected::to_bytes);
    let value = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    (code, value.unwrap_or_default())
}

/// Answers every request that is not a stream.
pub(super) fn answer(inner: &Inner, call: &Call) -> Result<Reply, Refusal> {
    match Path::parse(&inner.settings, &call.path) {
        Path::Objects {
            kind,
            namespace,
            name,
            subresource,
        } => {
            if kind.group == path::REVIEWS {
                return reviews::answer(inner, call, &kind);
            }
            objects::answer(
                inner,
                call,
                &objects::Target {
                    kind,
                    namespace,
                    name,
                    subresource,
                },
            )
        }
        Path::UnknownResource => Err(Refusal::no_such_resource()),
        Path::Unknown => Err(Refusal::no_such_path()),
        other => discovery::answer(&inner.settings, &other),
    }
}

/// Applies an object on behalf of a test or of the seed.
pub(super) fn put_from_outside(inner: &Inner, object: &Value) -> crate::error::Result<()> {
    let kind = kind_of(inner, object)?;
    let call = Call {
        method: Method::PATCH,
        path: String::new(),
        query: Query::parse("fieldManager=sandbox&force=true"),
        body: Bytes::from(object.to_string()),
        accept: String::new(),
        content_type: "application/apply-patch+yaml".into(),
        user_agent: "sandbox".into(),
        user: None,
    };
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let target = objects::Target {
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
        kind,
        subresource: None,
    };
    writes::patch(inner, &call, &target).map_err(|refusal| {
        Error::usage("the sandbox refused the object").because(refusal.status().to_string())
    })?;
    Ok(())
}

/// Objects that have always been there.
pub(super) fn populate(inner: &Inner, objects: impl IntoIterator<Item = Value>) -> crate::error::Result<()> {
    let mut state = inner.lock();
    let time = controllers::time_text(inner.now());
    for mut object in objects {
        let kind = kind_of(inner, &object)?;
        object["metadata"]["uid"] = json!(state.next_uid());
        object["metadata"]["creationTimestamp"] = json!(time);
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let key = Key::new(&kind.group, &kind.plural, text("namespace"), text("name"));
        state.store.put(key, object);
    }
    state.store.compact();
    Ok(())
}

fn kind_of(inner: &Inner, object: &Value) -> crate::error::Result<Kind> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let group = text("apiVersion").rsplit_once('/').map_or("", |(group, _)| group);
    path::served_kinds(&inner.settings)
        .into_iter()
        .find(|kind| kind.group == group && kind.kind == text("kind"))
        .ok_or_else(|| {
            Error::usage("the sandbox does not serve this kind").because(format!(
                "apiVersion {:?}, kind {:?}",
                text("apiVersion"),
                text("kind")
            ))
        })
}
