//! The dead-man's switch of a lock, played: the sandbox runs no scripts, so it does what the script's documentation
//! says (`plan::lock::switch`), through the same API, as the pod's ServiceAccount, and only if NetworkPolicies let
//! the pod reach the API server.

use super::programs::Program;
use super::{Timer, start};
use crate::sandbox::api::{Internal, ask, user_of};
use crate::sandbox::network::curl::Output;
use crate::sandbox::network::reach;
use crate::sandbox::state::Inner;
use crate::sandbox::store::Key;
use crate::sandbox::streams::files;
use serde_json::{Value, json};
use std::time::Duration;

/// The script asks again after a second.
const AGAIN: Duration = Duration::from_secs(1);

/// The container of a pod that runs the switch.
pub(super) fn container(pod: &Value) -> Option<&Value> {
    let mut containers = pod["spec"]["containers"].as_array()?.iter();
    containers.find(|container| Program::of(container) == Program::Switch)
}

/// When it acts, in seconds since 1970.
pub(super) fn deadline(container: &Value) -> Option<i64> {
    variable(container, "SWITCH_DEADLINE").parse().ok()
}

fn variable<'pod>(container: &'pod Value, name: &str) -> &'pod str {
    let variables = container["env"].as_array().into_iter().flatten();
    variables
        .into_iter()
        .find(|variable| variable["name"] == name)
        .and_then(|variable| variable["value"].as_str())
        .unwrap_or_default()
}

/// The switch in one container.
struct Switch<'pod> {
    inner: &'pod Inner,
    pod: &'pod Value,
    container: &'pod Value,
}

impl Switch<'_> {
    fn variable(&self, name: &str) -> &str {
        variable(self.container, name)
    }

    /// Sends a request as curl in the pod does; `None` if nobody answers.
    fn ask(
        &self,
        method: &http::Method,
        query: &str,
        name: &str,
        body: Option<(&str, Value)>,
    ) -> Option<(u16, Value)> {
        let reachable = {
            let state = self.inner.lock();
            reach::api_server(self.inner, &state, self.pod)
        };
        if !reachable {
            return None;
        }
        let namespace = self.pod["metadata"]["namespace"].as_str().unwrap_or_default();
        let account = self.pod["spec"]["serviceAccountName"]
            .as_str()
            .unwrap_or("default");
        let of = self.variable("SWITCH_NAMESPACE");
        let (content_type, body) = body.map_or(("", Value::Null), |(kind, body)| (kind, body));
        let request = Internal {
            method: method.clone(),
            path: format!("/apis/networking.k8s.io/v1/namespaces/{of}/networkpolicies/{name}"),
            query: query.to_owned(),
            content_type: content_type.to_owned(),
            body: if body.is_null() {
                String::new()
            } else {
                body.to_string()
            },
            user: user_of(namespace, account),
        };
        Some(ask(self.inner, request))
    }

    /// Asks once to undo a policy: the HTTP status in text, `000` for no answer, or `replaced`.
    fn undo(&self, name: &str, query: &str) -> String {
        let status = |answer: Option<(u16, Value)>| {
            answer.map_or_else(|| "000".to_owned(), |(status, _)| format!("{status:03}"))
        };
        let found = self.ask(&http::Method::GET, "", name, None);
        let Some((200, policy)) = found else {
            return status(found);
        };
        let uid = policy["metadata"]["uid"].clone();
        match self.variable("SWITCH_UNDO") {
            "delete" => {
                let mut options =
                    json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}});
                // The API server does not look at the query where there is a body.
                if !query.is_empty() {
                    options["dryRun"] = json!(["All"]);
                }
                let body = ("application/json", options);
                status(self.ask(&http::Method::DELETE, "", name, Some(body)))
            }
            "restore" => {
                if name == self.variable("SWITCH_LOCK") && uid != self.variable("SWITCH_LOCK_UID") {
                    return "replaced".to_owned();
                }
                let path = self.variable("SWITCH_SPEC");
                let spec = files::read(&self.inner.lock(), self.pod, self.container, path);
                let spec: Value = spec
                    .and_then(|text| serde_json::from_str(&text).ok())
                    .unwrap_or_default();
                let patch = json!([
                    {"op": "test", "path": "/metadata/uid", "value": uid},
                    {"op": "replace", "path": "/spec", "value": spec},
                ]);
                let query = format!("fieldManager=kubectl-egress&{query}");
                let body = ("application/json-patch+json", patch);
                status(self.ask(&http::Method::PATCH, &query, name, Some(body)))
            }
            // The script does nothing then, and its `status` is that of the question.
            _ => "200".to_owned(),
        }
    }
}

/// `sh switch.sh rehearse`: the same as at the deadline, to the canary, without doing it.
pub(in crate::sandbox) fn rehearse(inner: &Inner, pod: &Value, container: &Value) -> Output {
    let switch = Switch {
        inner,
        pod,
        container,
    };
    let status = switch.undo(switch.variable("SWITCH_CANARY"), "dryRun=All");
    Output {
        stdout: format!("{status}\n").into_bytes(),
        stderr: Vec::new(),
        exit: i32::from(status != "200"),
    }
}

/// The deadline is there: the lock is undone, or it is tried again.
pub(super) fn act(inner: &Inner, key: &Key, uid: &str) {
    let pod = inner.lock().store.get(key).cloned();
    let Some(pod) = pod.filter(|pod| pod["metadata"]["uid"] == uid && pod["status"]["phase"] == "Running")
    else {
        return;
    };
    // A pod on its way out was told to stop, and stopped.
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return;
    }
    let Some(container) = container(&pod) else { return };
    let switch = Switch {
        inner,
        pod: &pod,
        container,
    };
    let name = switch.variable("SWITCH_LOCK");
    let status = switch.undo(name, "");
    let lock = format!("NetworkPolicy {}/{name}", switch.variable("SWITCH_NAMESPACE"));
    let outcome = match (switch.variable("SWITCH_UNDO"), status.as_str()) {
        ("delete", "200") => format!("{lock} was deleted: no proof came before the deadline"),
        ("restore", "200") => format!("{lock} was put back as it was: no proof came before the deadline"),
        (_, "404") => format!("{lock} is gone: nothing to undo"),
        (_, "replaced") => format!("{lock} is another object than the one that was changed: left alone"),
        _ => {
            let line = format!("the API server answered {status} about {lock}; tried again each second");
            log(inner, key, container, &line);
            let again = Timer::switch(AGAIN, key.clone(), uid.to_owned());
            inner.lock().timers.push(again);
            return;
        }
    };
    log(inner, key, container, &outcome);
    start::finish(inner, &mut inner.lock(), key, 0, &outcome);
}

/// Writes a line, unless the last one says the same.
fn log(inner: &Inner, key: &Key, container: &Value, line: &str) {
    let name = container["name"].as_str().unwrap_or_default();
    let now = inner.now();
    let mut state = inner.lock();
    let log_key = (key.namespace.clone(), key.name.clone(), name.to_owned());
    let last = state.logs.get(&log_key).and_then(|lines| lines.last());
    if last.is_none_or(|last| last.text != line) {
        state.log(now, &key.namespace, &key.name, name, line);
    }
}
