//! What the engine says about itself: a file that is replaced as a whole after every load, so that tests can wait for
//! "this policy is in force" and need not sleep.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::engine::PolicyEngine;
use super::object::{Metadata, NetworkPolicy, Pod};
use crate::shell::write_atomically;

/// What is in force now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// Which engine is played. Under `none` the rest says what would be in force.
    pub engine: PolicyEngine,
    /// How often rules were loaded into the kernel.
    pub loads: u64,
    /// The policies, by `NAMESPACE/NAME`.
    pub policies: BTreeMap<String, InForce>,
    /// The pods, by `NAMESPACE/NAME`, with the addresses that rules know them by.
    pub pods: BTreeMap<String, Vec<IpAddr>>,
    /// Why the last load failed, where it did. The rules of the one before are in force then.
    pub error: Option<String>,
}

/// The version of a policy that is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InForce {
    /// Its UID.
    pub uid: String,
    /// Its resource version.
    pub resource_version: String,
}

impl From<&Metadata> for InForce {
    fn from(metadata: &Metadata) -> Self {
        Self {
            uid: metadata.uid.clone(),
            resource_version: metadata.resource_version.clone(),
        }
    }
}

impl PolicyStatus {
    /// Reads the status in the engine's folder.
    ///
    /// # Errors
    /// There is none: the engine has not loaded anything yet.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = file(folder);
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no status", path.display()))
    }

    /// Says what is not as it should be where `objects`, a list, are all policies and pods that there are; `None`
    /// where exactly these policies are in force, and for all of these pods.
    pub(crate) fn missing(&self, objects: &Value) -> Option<String> {
        let (mut policies, mut pods) = (BTreeMap::new(), BTreeMap::new());
        for item in objects["items"].as_array().into_iter().flatten() {
            if item["kind"] == "Pod" {
                let Ok(pod) = Pod::deserialize(item) else {
                    return Some(format!("a pod that cannot be read: {item}"));
                };
                pods.insert(pod.metadata.key(), pod.addresses());
            } else {
                let Ok(policy) = NetworkPolicy::deserialize(item) else {
                    return Some(format!("a policy that cannot be read: {item}"));
                };
                policies.insert(policy.metadata.key(), InForce::from(&policy.metadata));
            }
        }
        pods.retain(|_, addresses| !addresses.is_empty());
        if self.policies != policies {
            Some(format!(
                "in force are {:?}, there are {policies:?}",
                self.policies
            ))
        } else if pods
            .iter()
            .any(|(key, addresses)| self.pods.get(key) != Some(addresses))
        {
            Some(format!("known are {:?}, there are {pods:?}", self.pods))
        } else {
            self.error.clone()
        }
    }

    /// Replaces the status in the engine's folder.
    ///
    /// # Errors
    /// The folder is missing or not writable.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        write_atomically(&file(folder), &serde_json::to_vec_pretty(self)?)
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("status.json")
}
