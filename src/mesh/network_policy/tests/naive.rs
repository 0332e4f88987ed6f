//! A second evaluator, written straight from the reference without sharing code with the first: slow, flat, and
//! only good for comparing.

use serde_json::Value;

/// Whether labels fit a selector object.
fn fits(selector: &Value, labels: &Value) -> bool {
    if let Some(pairs) = selector["matchLabels"].as_object() {
        for (key, value) in pairs {
            if labels.get(key) != Some(value) {
                return false;
            }
        }
    }
    if let Some(expressions) = selector["matchExpressions"].as_array() {
        for expression in expressions {
            let found = labels.get(expression["key"].as_str().unwrap());
            let listed = expression["values"]
                .as_array()
                .is_some_and(|values| found.is_some_and(|found| values.contains(found)));
            let holds = match expression["operator"].as_str().unwrap() {
                "In" => found.is_some() && listed,
                "NotIn" => found.is_none() || !listed,
                "Exists" => found.is_some(),
                _ => found.is_none(),
            };
            if !holds {
                return false;
            }
        }
    }
    true
}

/// An IPv4 address as its 32 bits in text.
fn bits(address: &str) -> String {
    let parts: Vec<u32> = address.split('.').map(|part| part.parse().unwrap()).collect();
    let number = parts.iter().fold(0, |number: u32, part| number * 256 + part);
    format!("{number:032b}")
}

fn in_range(address: &str, range: &str) -> bool {
    let (network, length) = range.split_once('/').unwrap();
    let length: usize = length.parse().unwrap();
    bits(address)[..length] == bits(network)[..length]
}

/// A connection between pods (JSON with namespace, labels, address, named ports) or addresses.
pub(super) struct Connection<'a> {
    pub(super) from: &'a Value,
    pub(super) to: &'a Value,
    pub(super) port: u64,
    pub(super) protocol: &'a str,
}

fn port_fits(entry: &Value, connection: &Connection<'_>) -> bool {
    if entry["protocol"].as_str().unwrap_or("TCP") != connection.protocol {
        return false;
    }
    if let Some(name) = entry["port"].as_str() {
        return connection.to["ports"][connection.protocol][name] == connection.port;
    }
    let Some(first) = entry["port"].as_u64() else {
        return true;
    };
    let last = entry["endPort"].as_u64().unwrap_or(first);
    first <= connection.port && connection.port <= last
}

fn peer_fits(peer: &Value, policy: &Value, other: &Value, namespaces: &Value) -> bool {
    if peer.get("ipBlock").is_some() {
        let block = &peer["ipBlock"];
        let address = other["address"].as_str().unwrap();
        if !in_range(address, block["cidr"].as_str().unwrap()) {
            return false;
        }
        for range in block["except"].as_array().unwrap_or(&Vec::new()) {
            if in_range(address, range.as_str().unwrap()) {
                return false;
            }
        }
        return true;
    }
    let Some(namespace) = other["namespace"].as_str() else {
        return false;
    };
    if peer.get("namespaceSelector").is_some() {
        if !fits(&peer["namespaceSelector"], &namespaces[namespace]) {
            return false;
        }
    } else if policy["namespace"] != namespace {
        return false;
    }
    peer.get("podSelector")
        .is_none_or(|selector| fits(selector, &other["labels"]))
}

/// `None`: not isolated. `policies`: JSON with namespace and spec, `policyTypes` always written out.
pub(super) fn judge(
    direction: &str,
    policies: &[Value],
    namespaces: &Value,
    connection: &Connection<'_>,
) -> Option<bool> {
    let (pod, other) = if direction == "Egress" {
        (connection.from, connection.to)
    } else {
        (connection.to, connection.from)
    };
    let (rules, peers) = if direction == "Egress" {
        ("egress", "to")
    } else {
        ("ingress", "from")
    };
    let mut isolated = false;
    let mut allowed = pod == other;
    for policy in policies {
        let spec = &policy["spec"];
        let types = spec["policyTypes"].as_array().unwrap();
        if policy["namespace"] != pod["namespace"]
            || !types.contains(&Value::from(direction))
            || !fits(&spec["podSelector"], &pod["labels"])
        {
            continue;
        }
        isolated = true;
        for rule in spec[rules].as_array().unwrap_or(&Vec::new()) {
            let ports = rule["ports"].as_array().cloned().unwrap_or_default();
            let list = rule[peers].as_array().cloned().unwrap_or_default();
            let port = ports.is_empty() || ports.iter().any(|entry| port_fits(entry, connection));
            let peer = list.is_empty() || list.iter().any(|peer| peer_fits(peer, policy, other, namespaces));
            allowed |= port && peer;
        }
    }
    isolated.then_some(allowed)
}
