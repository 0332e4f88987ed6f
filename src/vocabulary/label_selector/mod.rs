//! Label selectors: what a policy, a Deployment or `-l` on the command line selects.
//!
//! Rules: Kubernetes API reference, LabelSelector; "Labels and Selectors" of the documentation for the text form.

mod object;
mod text;

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use object::SelectorObject;
pub use text::LabelSelectorError;

/// Requirements that must all hold; without any, everything is selected.
///
/// As text it is what `kubectl -l` takes, as JSON the object of the API (`matchLabels`, `matchExpressions`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "SelectorObject", into = "SelectorObject")]
#[schemars(with = "SelectorObject")]
pub struct LabelSelector {
    /// All must hold.
    pub requirements: Vec<Requirement>,
}

/// One requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Requirement {
    /// The label is there and its value is one of these.
    In {
        /// Name of the label.
        key: String,
        /// Allowed values; without any, nothing fits.
        values: Vec<String>,
    },
    /// The label is absent, or its value is none of these.
    NotIn {
        /// Name of the label.
        key: String,
        /// Refused values.
        values: Vec<String>,
    },
    /// The label is there.
    Exists {
        /// Name of the label.
        key: String,
    },
    /// The label is absent.
    DoesNotExist {
        /// Name of the label.
        key: String,
    },
}

impl Requirement {
    /// The label it is about.
    pub fn key(&self) -> &str {
        match self {
            Self::In { key, .. }
            | Self::NotIn { key, .. }
            | Self::Exists { key }
            | Self::DoesNotExist { key } => key,
        }
    }

    /// Whether a label with this value, or an absent one (`None`), fulfils it.
    fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Self::In { values, .. } => value.is_some_and(|value| values.iter().any(|one| one == value)),
            Self::NotIn { values, .. } => !value.is_some_and(|value| values.iter().any(|one| one == value)),
            Self::Exists { .. } => value.is_some(),
            Self::DoesNotExist { .. } => value.is_none(),
        }
    }
}

impl LabelSelector {
    /// Reads `{matchLabels, matchExpressions}` of an object of the API; null and `{}` select everything. An
    /// expression with an operator that the API does not have fits nothing: the API server admits none.
    pub fn from_object(selector: &Value) -> Self {
        object::read(selector)
    }

    /// Selects by equality alone, as a Service's selector does.
    pub fn from_labels(labels: &BTreeMap<String, String>) -> Self {
        let requirements = labels
            .iter()
            .map(|(key, value)| Requirement::In {
                key: key.clone(),
                values: vec![value.clone()],
            })
            .collect();
        Self { requirements }
    }

    /// The object of the API. Single values become `matchLabels`, as people write them.
    pub fn to_object(&self) -> Value {
        // The struct holds texts and lists of texts: nothing in it can fail to be JSON.
        serde_json::to_value(SelectorObject::from(self.clone())).unwrap_or_default()
    }

    /// Whether it selects an object with these labels (a JSON object of texts, or null).
    pub fn matches(&self, labels: &Value) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.holds(labels.get(requirement.key()).and_then(Value::as_str)))
    }

    /// The fewest labels that something must carry to be selected; `None` if no labels can do it.
    pub fn satisfying_labels(&self) -> Option<BTreeMap<String, String>> {
        let keys: BTreeSet<&str> = self.requirements.iter().map(Requirement::key).collect();
        let mut labels = BTreeMap::new();
        for key in keys {
            let about: Vec<&Requirement> = self.requirements.iter().filter(|one| one.key() == key).collect();
            let fits = |value: Option<&str>| about.iter().all(|requirement| requirement.holds(value));
            if fits(None) {
                continue;
            }
            let value = candidates(&about).into_iter().find(|value| fits(Some(value)))?;
            labels.insert(key.to_owned(), value);
        }
        Some(labels)
    }
}

/// Values worth trying for one label: those that are named, or one more than could be refused.
fn candidates(about: &[&Requirement]) -> Vec<String> {
    let named = about.iter().find_map(|requirement| match requirement {
        Requirement::In { values, .. } => Some(values.clone()),
        _ => None,
    });
    let refused: usize = about
        .iter()
        .map(|requirement| match requirement {
            Requirement::NotIn { values, .. } => values.len(),
            _ => 0,
        })
        .sum();
    let free = || (0..=refused).map(|number| format!("probe-{number}")).collect();
    named.unwrap_or_else(free)
}
