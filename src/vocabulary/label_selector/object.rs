//! The object form: `matchLabels` and `matchExpressions`.

use super::{LabelSelector, LabelSelectorError, Requirement};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A label selector as objects of the API carry it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SelectorObject {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    match_labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    match_expressions: Vec<Expression>,
}

/// One entry of `matchExpressions`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Expression {
    key: String,
    operator: Operator,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<String>,
}

/// The operators of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl From<LabelSelector> for SelectorObject {
    fn from(selector: LabelSelector) -> Self {
        let mut object = Self::default();
        for requirement in selector.requirements {
            let (key, operator, values) = match requirement {
                Requirement::In { key, mut values } => {
                    // Two requirements on one label cannot both be in a map.
                    if values.len() == 1 && !object.match_labels.contains_key(&key) {
                        object.match_labels.insert(key, values.remove(0));
                        continue;
                    }
                    (key, Operator::In, values)
                }
                Requirement::NotIn { key, values } => (key, Operator::NotIn, values),
                Requirement::Exists { key } => (key, Operator::Exists, Vec::new()),
                Requirement::DoesNotExist { key } => (key, Operator::DoesNotExist, Vec::new()),
            };
            object.match_expressions.push(Expression {
                key,
                operator,
                values,
            });
        }
        object
    }
}

impl TryFrom<SelectorObject> for LabelSelector {
    type Error = LabelSelectorError;

    /// The API's own checks: names and values are valid, values are there exactly where the operator wants them.
    fn try_from(object: SelectorObject) -> Result<Self, LabelSelectorError> {
        for (key, value) in &object.match_labels {
            super::text::check_key(key, key)?;
            super::text::check_value(value, value)?;
        }
        for Expression {
            key,
            operator,
            values,
        } in &object.match_expressions
        {
            super::text::check_key(key, key)?;
            let wants_values = matches!(operator, Operator::In | Operator::NotIn);
            if wants_values == values.is_empty() {
                let rule = if wants_values {
                    format!("operator {operator:?} needs values")
                } else {
                    format!("operator {operator:?} takes no values")
                };
                return Err(LabelSelectorError::new(key, rule));
            }
            for value in values {
                super::text::check_value(value, value)?;
            }
        }
        let mut selector = Self::from_labels(&object.match_labels);
        selector
            .requirements
            .extend(object.match_expressions.into_iter().map(Requirement::from));
        Ok(selector)
    }
}

impl From<Expression> for Requirement {
    fn from(expression: Expression) -> Self {
        let Expression {
            key,
            operator,
            values,
        } = expression;
        match operator {
            Operator::In => Self::In { key, values },
            Operator::NotIn => Self::NotIn { key, values },
            Operator::Exists => Self::Exists { key },
            Operator::DoesNotExist => Self::DoesNotExist { key },
        }
    }
}

/// See [`LabelSelector::from_object`].
pub(super) fn read(selector: &Value) -> LabelSelector {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut requirements: Vec<Requirement> = equal
        .map(|(key, value)| Requirement::In {
            key: key.clone(),
            values: value.as_str().map(str::to_owned).into_iter().collect(),
        })
        .collect();
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    requirements.extend(expressions.map(|expression| {
        Expression::deserialize(expression).map_or_else(
            |_| Requirement::In {
                key: expression["key"].as_str().unwrap_or_default().to_owned(),
                values: Vec::new(),
            },
            Requirement::from,
        )
    }));
    LabelSelector { requirements }
}
