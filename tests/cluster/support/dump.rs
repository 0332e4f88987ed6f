//! The whole cluster as values, to be compared object by object and field by field.

use super::kubectl::Kubectl;
use serde_json::Value;
use std::collections::BTreeMap;

/// Kinds that change by themselves: what happened, who leads, and the deprecated doubles of other kinds.
const RESTLESS: &[&str] = &[
    "events",
    "events.events.k8s.io",
    "leases.coordination.k8s.io",
    "endpoints",
    "componentstatuses",
    "ipaddresses.networking.k8s.io",
];

/// The annotation by which istiod elects leaders in ConfigMaps; it is renewed every few seconds.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";

/// Every object of every kind that can be listed, without what changes by itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dump(BTreeMap<String, Value>);

impl Dump {
    /// Takes one.
    pub(crate) fn take(kubectl: &Kubectl) -> Self {
        let kinds = kubectl.run("api-resources --verbs=list -o name");
        let kinds: Vec<&str> = kinds.lines().filter(|kind| !RESTLESS.contains(kind)).collect();
        let list = kubectl.json(&format!("get {} -A", kinds.join(",")));
        let objects = list["items"].as_array().unwrap().iter().map(|object| {
            let text = |pointer: &str| {
                object
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let name = format!(
                "{} {}/{}",
                text("/kind"),
                text("/metadata/namespace"),
                text("/metadata/name")
            );
            let mut object = object.clone();
            settle(&mut object);
            // Kyma's module follows generations, which never go back, and writes Istio's webhooks anew for each.
            if text("/kind") == "Istio" || text("/kind").ends_with("WebhookConfiguration") {
                object["metadata"]["generation"] = Value::Null;
            }
            // What an autoscaler measures comes and goes by itself.
            if text("/kind") == "HorizontalPodAutoscaler" {
                object["status"] = Value::Null;
            }
            (format!("{} {name}", text("/apiVersion")), object)
        });
        Self(objects.collect())
    }

    /// Only what is in one namespace, and the namespace: for tests beside others.
    pub(crate) fn of_namespace(kubectl: &Kubectl, namespace: &str) -> Self {
        let mut all = Self::take(kubectl);
        let (inside, itself) = (format!(" {namespace}/"), format!(" /{namespace}"));
        all.0
            .retain(|name, _| name.contains(&inside) || name.ends_with(&itself));
        all
    }

    /// Objects in which these words stand anywhere.
    pub(crate) fn mentioning(&self, words: &str) -> Vec<&str> {
        let all = self.0.iter();
        let speaking =
            all.filter(|(name, object)| name.contains(words) || object.to_string().contains(words));
        speaking.map(|(name, _)| name.as_str()).collect()
    }

    /// Requires that nothing is different from an earlier one; names what is.
    #[track_caller]
    pub(crate) fn equals(&self, before: &Self) {
        let mut differences = Vec::new();
        for name in self.0.keys().filter(|name| !before.0.contains_key(*name)) {
            differences.push(format!("{name} is new"));
        }
        for (name, object) in &before.0 {
            match self.0.get(name) {
                None => differences.push(format!("{name} is gone")),
                Some(now) => compare(object, now, name, &mut differences),
            }
        }
        assert!(
            differences.is_empty(),
            "the cluster is not as it was:\n{}",
            differences.join("\n")
        );
    }
}

/// Takes out what the comparison leaves aside: resource versions, timestamps, managed fields.
fn settle(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| {
                !matches!(name.as_str(), "resourceVersion" | "managedFields")
                    && !name.ends_with("Time")
                    && !name.ends_with("Timestamp")
                    && !name.ends_with("-time")
                    && name != LEADER
            });
            fields.values_mut().for_each(settle);
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        _ => {}
    }
}

fn compare(before: &Value, now: &Value, at: &str, differences: &mut Vec<String>) {
    if let (Value::Object(before), Value::Object(now)) = (before, now) {
        for name in now.keys().filter(|name| !before.contains_key(*name)) {
            differences.push(format!("{at}.{name} is new: {}", now[name]));
        }
        for (name, value) in before {
            match now.get(name) {
                None => differences.push(format!("{at}.{name} is gone; it was {value}")),
                Some(now) => compare(value, now, &format!("{at}.{name}"), differences),
            }
        }
    } else if before != now {
        differences.push(format!("{at} was {before} and is {now}"));
    }
}
