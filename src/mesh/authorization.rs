//! AuthorizationPolicy at a gateway: who may pass it.
//!
//! Source: Istio's reference of AuthorizationPolicy. DENY comes before ALLOW; where an ALLOW policy selects a workload,
//! what none of its rules matches is denied. Over a connection that is not HTTP a rule with HTTP fields never allows.

use super::decision::{Decision, Matter};
use super::names::covers;
use super::records::{Identity, PodRecord, text_map};
use super::world::World;
use crate::vocabulary::Object;
use serde_json::Value;
use std::collections::BTreeMap;

/// An AuthorizationPolicy.
#[derive(Debug, Clone)]
pub(super) struct AuthorizationRecord {
    identity: Identity,
    selector: BTreeMap<String, String>,
    /// By `targetRefs`, which select no pods.
    of_reference: bool,
    action: String,
    rules: Vec<Value>,
}

/// What a gateway knows of a request.
#[derive(Debug)]
pub(super) struct Question<'name> {
    /// Namespace and service account of the caller, where the leg is protected by mesh mTLS.
    pub(super) caller: Option<(&'name str, &'name str)>,
    /// Host, of HTTP.
    pub(super) host: Option<&'name str>,
    /// Server name that the connection asks for.
    pub(super) server_name: Option<&'name str>,
    /// Port of the pod that it arrived at.
    pub(super) port: u16,
}

/// What the policies say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Passes,
    Denied(Decision),
    NotModelled(String),
}

impl AuthorizationRecord {
    pub(super) fn read(object: &Object) -> Self {
        let action = object.text("/spec/action");
        Self {
            identity: Identity::of(object),
            selector: text_map(object.at("/spec/selector/matchLabels")),
            of_reference: !object.at("/spec/targetRefs").is_null() || !object.at("/spec/targetRef").is_null(),
            action: if action.is_empty() { "ALLOW" } else { action }.to_owned(),
            rules: object.items("/spec/rules").to_vec(),
        }
    }

    fn title(&self) -> String {
        self.identity.title("AuthorizationPolicy")
    }
}

/// Asks all policies that select a gateway's pod.
pub(super) fn ask(world: &World, pod: &PodRecord, question: &Question<'_>) -> Answer {
    let selects = |policy: &&AuthorizationRecord| {
        let namespace = &policy.identity.namespace;
        !policy.of_reference
            && (*namespace == pod.name.namespace || *namespace == world.root_namespace)
            && pod.has_labels(&policy.selector)
    };
    let policies: Vec<_> = world.authorizations.iter().filter(selects).collect();
    let of = |action: &str| {
        let action = action.to_owned();
        policies
            .iter()
            .copied()
            .filter(move |policy| policy.action == action)
    };
    if let Some(custom) = of("CUSTOM").next() {
        return Answer::NotModelled(format!("action CUSTOM of {}", custom.title()));
    }
    for policy in of("DENY") {
        for rule in &policy.rules {
            match matches(rule, question, true) {
                Ok(true) => return Answer::Denied(Decision::new(Matter::Policy, policy.title())),
                Ok(false) => {}
                Err(field) => return unknown(policy, &field),
            }
        }
    }
    let mut last = None;
    for policy in of("ALLOW") {
        last = Some(policy);
        for rule in &policy.rules {
            match matches(rule, question, false) {
                Ok(true) => return Answer::Passes,
                Ok(false) => {}
                Err(field) => return unknown(policy, &field),
            }
        }
    }
    last.map_or(Answer::Passes, |policy| {
        Answer::Denied(Decision::new(Matter::Policy, policy.title()))
    })
}

fn unknown(policy: &AuthorizationRecord, field: &str) -> Answer {
    Answer::NotModelled(format!("`{field}` of {}", policy.title()))
}

/// Whether a rule matches; the field that is not known otherwise.
fn matches(rule: &Value, question: &Question<'_>, denies: bool) -> Result<bool, String> {
    let from = any(&rule["from"], "source", |name, values| {
        of_source(question, name, values)
    })?;
    let to = any(&rule["to"], "operation", |name, values| {
        of_operation(question, name, values, denies)
    })?;
    let mut when = true;
    for condition in rule["when"].as_array().into_iter().flatten() {
        when &= holds(condition, question)?;
    }
    Ok(from && to && when)
}

/// Whether one of the items of a list fits, each with all of its fields; nothing said fits.
fn any(
    items: &Value,
    part: &str,
    check: impl Fn(&str, &[String]) -> Result<bool, String>,
) -> Result<bool, String> {
    let Some(items) = items.as_array().filter(|items| !items.is_empty()) else {
        return Ok(true);
    };
    for item in items {
        let mut all = true;
        for (name, values) in item[part].as_object().into_iter().flatten() {
            all &= check(name, &texts(values))?;
        }
        if all {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One condition of `when`.
fn holds(condition: &Value, question: &Question<'_>) -> Result<bool, String> {
    let value = match condition["key"].as_str().unwrap_or_default() {
        "connection.sni" => question.server_name.map(str::to_owned),
        "destination.port" => Some(question.port.to_string()),
        "source.namespace" => question.caller.map(|(namespace, _)| namespace.to_owned()),
        "source.principal" => question.caller.map(principal),
        other => return Err(format!("when {other}")),
    };
    let is = |values: &[String]| {
        value
            .as_deref()
            .is_some_and(|value| values.iter().any(|pattern| fits(pattern, value)))
    };
    let (values, not_values) = (texts(&condition["values"]), texts(&condition["notValues"]));
    Ok((values.is_empty() || is(&values)) && (not_values.is_empty() || !is(&not_values)))
}

fn principal((namespace, account): (&str, &str)) -> String {
    format!("cluster.local/ns/{namespace}/sa/{account}")
}

fn of_source(question: &Question<'_>, name: &str, values: &[String]) -> Result<bool, String> {
    let value = match name {
        "principals" | "notPrincipals" => question.caller.map(principal),
        "namespaces" | "notNamespaces" => question.caller.map(|(namespace, _)| namespace.to_owned()),
        "serviceAccounts" | "notServiceAccounts" => question
            .caller
            .map(|(namespace, account)| format!("{namespace}/{account}")),
        other => return Err(format!("from.source.{other}")),
    };
    let is = value.is_some_and(|value| values.iter().any(|pattern| fits(pattern, &value)));
    Ok(is != name.starts_with("not"))
}

fn of_operation(
    question: &Question<'_>,
    name: &str,
    values: &[String],
    denies: bool,
) -> Result<bool, String> {
    match name {
        "ports" | "notPorts" => {
            let is = values.iter().any(|value| *value == question.port.to_string());
            Ok(is != name.starts_with("not"))
        }
        "hosts" | "notHosts" => match question.host {
            Some(host) => {
                let is = values.iter().any(|pattern| fits(pattern, host));
                Ok(is != name.starts_with("not"))
            }
            // Not HTTP: such a rule never allows, and denies by what else it says.
            None => Ok(denies),
        },
        _ if question.host.is_none() => Ok(denies),
        other => Err(format!("to.operation.{other}")),
    }
}

/// Exact, `prefix*`, `*suffix`, or `*` for anything that is there.
fn fits(pattern: &str, value: &str) -> bool {
    if let Some(prefix) = pattern.strip_suffix('*') {
        return value.starts_with(prefix);
    }
    covers(pattern, value)
        || pattern
            .strip_prefix('*')
            .is_some_and(|suffix| value.ends_with(suffix))
}

fn texts(values: &Value) -> Vec<String> {
    let values = values.as_array().into_iter().flatten();
    values
        .filter_map(|value| Some(value.as_str()?.to_owned()))
        .collect()
}
