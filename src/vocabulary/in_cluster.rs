//! What a lock says about traffic that stays inside the cluster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Whether a locked pod may reach other pods of the cluster.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum InCluster {
    /// Only what the lock names: DNS, istiod, the gateway. The tutorials' form.
    #[default]
    Deny,
    /// Every pod, except those of Istio's root namespace and of the gateway's: of them only what the lock names.
    Allow,
}

impl InCluster {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Deny, Self::Allow];
}

/// A text that is neither `deny` nor `allow`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of deny, allow")]
pub struct InClusterError(String);

impl FromStr for InCluster {
    type Err = InClusterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|value| value.to_string() == text);
        found.copied().ok_or_else(|| InClusterError(text.to_owned()))
    }
}

impl fmt::Display for InCluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_same_everywhere() {
        for value in InCluster::ALL {
            assert_eq!(value.to_string().parse(), Ok(*value));
            assert_eq!(serde_json::to_value(value).unwrap(), value.to_string());
        }
        assert_eq!(
            "Deny".parse::<InCluster>().unwrap_err().to_string(),
            "`Deny` is not one of deny, allow"
        );
    }
}
