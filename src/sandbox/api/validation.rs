//! Validation of what we send, in the API server's words.

use super::Refusal;
use super::objects::Target;
use crate::sandbox::controllers;
use crate::sandbox::state::State;
use crate::vocabulary::Kind;
use serde_json::Value;

/// RFC 1123 label: what namespaces, Services and containers are called.
fn is_label(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(|byte| plain(byte) || byte == b'-')
        && name.bytes().next().is_some_and(plain)
        && name.bytes().last().is_some_and(plain)
}

/// Checks an object's name.
pub(super) fn name(kind: &Kind, name: &str) -> Result<(), Refusal> {
    let refuse = |message: &str| {
        let message = format!("Invalid value: \"{name}\": {message}");
        Err(Refusal::invalid(
            kind,
            name,
            "metadata.name",
            "FieldValueInvalid",
            &message,
        ))
    };
    if name.is_empty() {
        let message = "Required value: name or generateName is required";
        return Err(Refusal::invalid(
            kind,
            name,
            "metadata.name",
            "FieldValueRequired",
            message,
        ));
    }
    let label_only = matches!(kind.plural.as_str(), "namespaces" | "services");
    if label_only && !is_label(name) {
        return refuse(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        );
    }
    let free_form = kind.group == "rbac.authorization.k8s.io";
    if !free_form && (name.len() > 253 || !name.split('.').all(|part| is_label(part) || long_label(part))) {
        return refuse(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        );
    }
    Ok(())
}

/// Labels of a subdomain have no length limit of their own.
fn long_label(part: &str) -> bool {
    part.len() > 63
        && is_label(&part[..60])
        && part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Checks that a new object's namespace is there and not on its way out.
pub(super) fn namespace(state: &State, target: &Target, name: &str) -> Result<(), Refusal> {
    if !target.kind.namespaced {
        return Ok(());
    }
    let Some(namespace) = target.namespace.as_deref() else {
        return Err(Refusal::bad_request(
            "an empty namespace may not be set during creation",
        ));
    };
    let found = state
        .object("", "namespaces", "", namespace)
        .ok_or_else(|| Refusal::not_found(&crate::istio::kinds::namespace(), namespace))?;
    if found["status"]["phase"] == "Terminating" {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        return Err(Refusal::forbidden(&target.kind, name, &why));
    }
    Ok(())
}

/// Checks the fields of an object.
pub(super) fn object(kind: &Kind, name: &str, object: &Value) -> Result<(), Refusal> {
    let spec = &object["spec"];
    match kind.kind.as_str() {
        "ServiceEntry" => service_entry(kind, name, spec),
        "Deployment" => deployment(kind, name, spec),
        "Service" => service(kind, name, spec),
        "Job" => job(kind, name, spec),
        "NetworkPolicy" => super::policy_validation::network_policy(kind, name, spec),
        "DestinationRule" | "Gateway" | "VirtualService" => super::not_simulated::refuse(&kind.kind, spec),
        _ => Ok(()),
    }
}

fn service_entry(kind: &Kind, name: &str, spec: &Value) -> Result<(), Refusal> {
    let hosts = spec["hosts"].as_array().map_or(0, Vec::len);
    if hosts > 256 {
        let message = format!("Too many: {hosts}: must have at most 256 items");
        return Err(Refusal::invalid(
            kind,
            name,
            "spec.hosts",
            "FieldValueTooMany",
            &message,
        ));
    }
    if hosts == 0 {
        let message = "Required value";
        return Err(Refusal::invalid(
            kind,
            name,
            "spec.hosts",
            "FieldValueRequired",
            message,
        ));
    }
    let wildcard = spec["hosts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .find(|host| host.starts_with("*."));
    let no_endpoints = spec["endpoints"].as_array().is_none_or(Vec::is_empty);
    if let Some(host) = wildcard.filter(|_| spec["resolution"] == "DNS" && no_endpoints) {
        // Measured: truth.md section 6, case d.
        let message = format!(
            "admission webhook \"validation.istio.io\" denied the request: configuration is invalid: hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution mode DNS, domain name \"{host}\" invalid (label \"*\" invalid)"
        );
        return Err(Refusal::new(400, "BadRequest", message));
    }
    Ok(())
}

fn deployment(kind: &Kind, name: &str, spec: &Value) -> Result<(), Refusal> {
    let labels = &spec["template"]["metadata"]["labels"];
    let fits = spec["selector"]["matchLabels"]
        .as_object()
        .is_some_and(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)));
    if !fits {
        let message = "Invalid value: `selector` does not match template `labels`";
        return Err(Refusal::invalid(
            kind,
            name,
            "spec.template.metadata.labels",
            "FieldValueInvalid",
            message,
        ));
    }
    if spec["template"]["spec"]["containers"]
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        let field = "spec.template.spec.containers";
        return Err(Refusal::invalid(
            kind,
            name,
            field,
            "FieldValueRequired",
            "Required value",
        ));
    }
    Ok(())
}

fn service(kind: &Kind, name: &str, spec: &Value) -> Result<(), Refusal> {
    let ports = spec["ports"].as_array().map_or(0, Vec::len);
    if ports == 0 && spec["clusterIP"] != "None" {
        return Err(Refusal::invalid(
            kind,
            name,
            "spec.ports",
            "FieldValueRequired",
            "Required value",
        ));
    }
    Ok(())
}

fn job(kind: &Kind, name: &str, spec: &Value) -> Result<(), Refusal> {
    let template = &spec["template"]["spec"];
    let required = |field: &str, message: &str| {
        let message = format!("Required value{message}");
        Err(Refusal::invalid(
            kind,
            name,
            field,
            "FieldValueRequired",
            &message,
        ))
    };
    if template["containers"].as_array().is_none_or(Vec::is_empty) {
        return required("spec.template.spec.containers", "");
    }
    if template["restartPolicy"] != "OnFailure" && template["restartPolicy"] != "Never" {
        return required(
            "spec.template.spec.restartPolicy",
            ": valid values: \"OnFailure\", \"Never\"",
        );
    }
    Ok(())
}

/// Checks what else keeps a new object out: a pod's account, security standard, quotas.
pub(super) fn admission(state: &State, target: &Target, name: &str, object: &Value) -> Result<(), Refusal> {
    let namespace = target.namespace.as_deref().unwrap_or_default();
    let why = match target.kind.kind.as_str() {
        "Pod" => controllers::admit_pod(state, namespace, name, &object["spec"]).err(),
        "Job" => controllers::quota(state, namespace, "count/jobs.batch", "batch", "jobs")
            .map(|why| format!("jobs.batch \"{name}\" is forbidden: {why}")),
        _ => None,
    };
    match why {
        Some(why) => Err(Refusal::new(403, "Forbidden", why)),
        None => Ok(()),
    }
}

/// Checks that immutable fields stay.
pub(super) fn unchanged(kind: &Kind, name: &str, live: &Value, object: &Value) -> Result<(), Refusal> {
    let fields: &[(&str, &str)] = match kind.kind.as_str() {
        "Deployment" => &[("spec.selector", "/spec/selector")],
        "Job" => &[
            ("spec.selector", "/spec/selector"),
            ("spec.template", "/spec/template"),
            ("spec.completions", "/spec/completions"),
        ],
        "RoleBinding" => &[("roleRef", "/roleRef")],
        "Service" if !live["spec"]["clusterIP"].is_null() => &[("spec.clusterIP", "/spec/clusterIP")],
        _ => &[],
    };
    for (field, pointer) in fields {
        if live.pointer(pointer) != object.pointer(pointer) {
            let value = object.pointer(pointer).unwrap_or(&Value::Null);
            let message = format!("Invalid value: {value}: field is immutable");
            return Err(Refusal::invalid(kind, name, field, "FieldValueInvalid", &message));
        }
    }
    Ok(())
}
