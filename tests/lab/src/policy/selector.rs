//! Label selectors, as the API reference defines them: all requirements must hold, and an empty selector selects everything.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `matchLabels` and `matchExpressions`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LabelSelector {
    match_labels: BTreeMap<String, String>,
    match_expressions: Vec<Expression>,
}

#[derive(Debug, Clone, Deserialize)]
struct Expression {
    key: String,
    operator: Operator,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl LabelSelector {
    /// Whether it selects an object with these labels.
    pub(super) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self
                .match_expressions
                .iter()
                .all(|expression| expression.matches(labels))
    }
}

impl Expression {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            Operator::In => listed,
            // Also where there is no such label.
            Operator::NotIn => !listed,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn selects(selector: Value, labels: Value) -> bool {
        let selector: LabelSelector = serde_json::from_value(selector).unwrap();
        selector.matches(&serde_json::from_value(labels).unwrap())
    }

    fn expression(operator: &str, values: &[&str], labels: Value) -> bool {
        let expression = json!({"key": "tier", "operator": operator, "values": values});
        selects(json!({"matchExpressions": [expression]}), labels)
    }

    #[test]
    fn an_empty_selector_selects_everything() {
        assert!(selects(json!({}), json!({"app": "a"})) && selects(json!({}), json!({})));
    }

    #[test]
    fn every_requirement_must_hold() {
        let selector = json!({
            "matchLabels": {"app": "a", "tier": "web"},
            "matchExpressions": [{"key": "old", "operator": "DoesNotExist"}],
        });
        assert!(selects(
            selector.clone(),
            json!({"app": "a", "tier": "web", "more": "x"})
        ));
        assert!(!selects(selector.clone(), json!({"app": "a"})));
        assert!(!selects(selector, json!({"app": "a", "tier": "web", "old": ""})));
    }

    #[test]
    fn operators() {
        assert!(expression("In", &["a", "b"], json!({"tier": "b"})));
        assert!(!expression("In", &["a", "b"], json!({"tier": "c"})));
        assert!(!expression("In", &["a"], json!({})));
        assert!(!expression("NotIn", &["a", "b"], json!({"tier": "b"})));
        assert!(expression("NotIn", &["a"], json!({"tier": "c"})));
        assert!(
            expression("NotIn", &["a"], json!({})),
            "no label is not one of the values"
        );
        assert!(expression("Exists", &[], json!({"tier": ""})) && !expression("Exists", &[], json!({})));
        assert!(expression("DoesNotExist", &[], json!({})));
        assert!(!expression("DoesNotExist", &[], json!({"tier": ""})));
    }
}
