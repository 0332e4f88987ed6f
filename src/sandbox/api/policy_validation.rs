//! Validation of NetworkPolicies, in the API server's words (its `pkg/apis/networking/validation`).

use super::Refusal;
use crate::vocabulary::{Kind, LabelSelector, Protocol};
use serde_json::Value;
use std::net::IpAddr;

/// A wrong field: its path, the reason and the message.
struct Wrong {
    field: String,
    reason: &'static str,
    message: String,
}

type Checked = Result<(), Wrong>;

fn invalid(field: String, value: &Value, why: &str) -> Checked {
    let message = format!("Invalid value: {value}: {why}");
    wrong(field, "FieldValueInvalid", message)
}

fn unsupported(field: String, value: &Value, supported: &[&str]) -> Checked {
    let supported: Vec<String> = supported.iter().map(|value| format!("\"{value}\"")).collect();
    let message = format!(
        "Unsupported value: {value}: supported values: {}",
        supported.join(", ")
    );
    wrong(field, "FieldValueNotSupported", message)
}

fn forbidden(field: String, why: &str) -> Checked {
    wrong(field, "FieldValueForbidden", format!("Forbidden: {why}"))
}

fn required(field: String, why: &str) -> Checked {
    wrong(field, "FieldValueRequired", format!("Required value{why}"))
}

fn wrong(field: String, reason: &'static str, message: String) -> Checked {
    Err(Wrong {
        field,
        reason,
        message,
    })
}

/// Checks a NetworkPolicy's specification; the first wrong field is named.
pub(super) fn network_policy(kind: &Kind, name: &str, spec: &Value) -> Result<(), Refusal> {
    specification(spec)
        .map_err(|wrong| Refusal::invalid(kind, name, &wrong.field, wrong.reason, &wrong.message))
}

fn items<'object>(parent: &'object Value, field: &str) -> impl Iterator<Item = (usize, &'object Value)> {
    parent[field].as_array().into_iter().flatten().enumerate()
}

fn specification(spec: &Value) -> Checked {
    selector("spec.podSelector", &spec["podSelector"])?;
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for (position, rule) in items(spec, direction) {
            let path = format!("spec.{direction}[{position}]");
            for (position, entry) in items(rule, "ports") {
                port(&format!("{path}.ports[{position}]"), entry)?;
            }
            for (position, entry) in items(rule, peers) {
                peer(&format!("{path}.{peers}[{position}]"), entry)?;
            }
        }
    }
    if items(spec, "policyTypes").count() > 2 {
        let why = "may not specify more than two policyTypes";
        return invalid("spec.policyTypes".into(), &spec["policyTypes"], why);
    }
    for (position, name) in items(spec, "policyTypes") {
        if name != "Ingress" && name != "Egress" {
            return unsupported(
                format!("spec.policyTypes[{position}]"),
                name,
                &["Egress", "Ingress"],
            );
        }
    }
    Ok(())
}

fn selector(path: &str, selector: &Value) -> Checked {
    for (position, expression) in items(selector, "matchExpressions") {
        let path = format!("{path}.matchExpressions[{position}]");
        let has_values = expression["values"]
            .as_array()
            .is_some_and(|values| !values.is_empty());
        match expression["operator"].as_str().unwrap_or_default() {
            "In" | "NotIn" if has_values => {}
            "In" | "NotIn" => {
                return required(
                    format!("{path}.values"),
                    ": must be specified when `operator` is 'In' or 'NotIn'",
                );
            }
            "Exists" | "DoesNotExist" if has_values => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                return forbidden(format!("{path}.values"), why);
            }
            "Exists" | "DoesNotExist" => {}
            _ => {
                let why = "not a valid selector operator";
                return invalid(format!("{path}.operator"), &expression["operator"], why);
            }
        }
    }
    // What is left are names and values of labels, which one reader of ours knows the rules of.
    if !selector.is_null()
        && let Err(error) = serde_json::from_value::<LabelSelector>(selector.clone())
    {
        return invalid(
            format!("{path}.matchLabels"),
            &selector["matchLabels"],
            &error.to_string(),
        );
    }
    Ok(())
}

fn port(path: &str, entry: &Value) -> Checked {
    if Protocol::of_field(&entry["protocol"]).is_none() {
        return unsupported(
            format!("{path}.protocol"),
            &entry["protocol"],
            &["SCTP", "TCP", "UDP"],
        );
    }
    let (first, last) = (&entry["port"], &entry["endPort"]);
    let field = format!("{path}.port");
    let in_range = |value: &Value| value.as_u64().is_some_and(|port| (1..=65535).contains(&port));
    match first {
        Value::Null if !last.is_null() => {
            return forbidden(
                format!("{path}.endPort"),
                "may not be specified when `port` is not specified",
            );
        }
        Value::Null => {}
        Value::String(name) => {
            if !last.is_null() {
                let why = "may not be specified when `port` is non-numeric";
                return forbidden(format!("{path}.endPort"), why);
            }
            if name.len() > 15 {
                return invalid(field, first, "must be no more than 15 characters");
            }
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if !name.bytes().all(plain) || !name.bytes().any(|byte| byte.is_ascii_lowercase()) {
                let why = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
                return invalid(field, first, why);
            }
        }
        number if !in_range(number) => {
            return invalid(field, number, "must be between 1 and 65535, inclusive");
        }
        _ => {}
    }
    if !last.is_null() {
        let field = format!("{path}.endPort");
        if !in_range(last) {
            return invalid(field, last, "must be between 1 and 65535, inclusive");
        }
        if last.as_u64() < first.as_u64() {
            return invalid(field, last, "must be greater than or equal to `port`");
        }
    }
    Ok(())
}

fn peer(path: &str, peer: &Value) -> Checked {
    let has = |field: &str| !peer[field].is_null();
    if !has("podSelector") && !has("namespaceSelector") && !has("ipBlock") {
        return required(path.to_owned(), ": must specify a peer");
    }
    if has("ipBlock") && (has("podSelector") || has("namespaceSelector")) {
        return forbidden(path.to_owned(), "may not specify both ipBlock and another peer");
    }
    for field in ["podSelector", "namespaceSelector"] {
        selector(&format!("{path}.{field}"), &peer[field])?;
    }
    if has("ipBlock") {
        block(&format!("{path}.ipBlock"), &peer["ipBlock"])?;
    }
    Ok(())
}

fn block(path: &str, block: &Value) -> Checked {
    const RULE: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    let range = &block["cidr"];
    if range.as_str().is_none_or(str::is_empty) {
        return required(format!("{path}.cidr"), "");
    }
    let Some((network, prefix)) = cidr(range) else {
        return invalid(format!("{path}.cidr"), range, RULE);
    };
    for (position, entry) in items(block, "except") {
        let field = format!("{path}.except[{position}]");
        let Some((inner, inner_prefix)) = cidr(entry) else {
            return invalid(field, entry, RULE);
        };
        if inner_prefix <= prefix || shortened(inner, prefix) != shortened(network, prefix) {
            return invalid(field, entry, "must be a strict subset of `cidr`");
        }
    }
    Ok(())
}

fn cidr(value: &Value) -> Option<(IpAddr, u8)> {
    let (network, prefix) = value.as_str()?.split_once('/')?;
    let network: IpAddr = network.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    let width = if network.is_ipv4() { 32 } else { 128 };
    (prefix <= width).then_some((network, prefix))
}

/// The first bits of an address, with its family.
fn shortened(address: IpAddr, prefix: u8) -> (bool, u128) {
    let (width, bits) = match address {
        IpAddr::V4(address) => (32, u128::from(address.to_bits())),
        IpAddr::V6(address) => (128, address.to_bits()),
    };
    let kept = bits.checked_shr(u32::from(width - prefix)).unwrap_or(0);
    (address.is_ipv4(), kept)
}
