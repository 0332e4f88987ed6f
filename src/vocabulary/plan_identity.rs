//! Which plan: one name in one namespace.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A plan's namespace and name, both DNS labels (RFC 1123).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanIdentity {
    /// Namespace of the plan.
    pub namespace: String,
    /// Name of the plan.
    pub name: String,
}

/// Why a namespace or plan name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{value}` is not a valid {what}: use at most {limit} lower-case letters, digits and `-`, starting and ending with a letter or digit (RFC 1123 label)"
)]
pub struct PlanIdentityError {
    /// What was being named, for example `namespace`.
    pub what: &'static str,
    /// What was given.
    pub value: String,
    /// Longest that is allowed.
    pub limit: usize,
}

impl PlanIdentity {
    /// Longest plan name: object names of a plan append to it and must stay below 63 characters.
    pub const NAME_LIMIT: usize = 40;

    /// Checks both names.
    ///
    /// # Errors
    /// If one is not an RFC 1123 label, or the plan's name is longer than [`Self::NAME_LIMIT`].
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Result<Self, PlanIdentityError> {
        let (namespace, name) = (namespace.into(), name.into());
        check("namespace", &namespace, 63)?;
        check("plan name", &name, Self::NAME_LIMIT)?;
        Ok(Self { namespace, name })
    }

    /// How `--plan` names it in a command that works in a namespace: by its name alone where that is its own.
    pub fn seen_from(&self, namespace: &str) -> String {
        if self.namespace == namespace {
            self.name.clone()
        } else {
            self.to_string()
        }
    }

    /// Field manager for fields and objects that several plans share: co-ownership counts the references.
    pub fn shared_manager(&self) -> String {
        format!("{}/{}/{}", super::names::MANAGER, self.namespace, self.name)
    }

    /// The plan whose [`Self::shared_manager`] this is.
    pub fn of_shared_manager(manager: &str) -> Option<Self> {
        let plan = manager.strip_prefix(super::names::MANAGER)?.strip_prefix('/')?;
        let (namespace, name) = plan.split_once('/')?;
        Self::new(namespace, name).ok()
    }
}

fn check(what: &'static str, value: &str, limit: usize) -> Result<(), PlanIdentityError> {
    let plain = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let valid = !value.is_empty()
        && value.len() <= limit
        && value
            .chars()
            .all(|character| plain(character) || character == '-')
        && value.starts_with(plain)
        && value.ends_with(plain);
    if valid {
        Ok(())
    } else {
        Err(PlanIdentityError {
            what,
            value: value.to_owned(),
            limit,
        })
    }
}

impl fmt::Display for PlanIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}
