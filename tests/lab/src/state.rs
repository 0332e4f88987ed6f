//! What is known about a lab on disk, and the lock that guards it.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::kyma::{KymaProfile, Platform};
use crate::layout::ClusterLayout;
use crate::policy::PolicyEngine;
use crate::process::Started;
use crate::shell::write_atomically;

/// What the mesh does with requests to hosts that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutboundPolicy {
    /// Unknown hosts are reached directly.
    AllowAny,
    /// Unknown hosts are refused by the sidecar.
    RegistryOnly,
}

impl OutboundPolicy {
    /// The word in Istio's mesh configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllowAny => "ALLOW_ANY",
            Self::RegistryOnly => "REGISTRY_ONLY",
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// Whether the egress gateway is installed.
    pub egress_gateway: bool,
    /// The mesh's outbound policy.
    pub outbound_policy: OutboundPolicy,
    /// How NetworkPolicies are enforced. A lab of before there was a choice enforces nothing.
    #[serde(default = "no_engine")]
    pub policy_engine: PolicyEngine,
    /// Who installs Istio.
    #[serde(default)]
    pub platform: Platform,
    /// Which defaults the Kyma module takes.
    #[serde(default)]
    pub kyma_profile: KymaProfile,
    /// Whether new pods ask a resolver on the node.
    #[serde(default)]
    pub node_local_dns: bool,
}

fn no_engine() -> PolicyEngine {
    PolicyEngine::None
}

/// How far `up` came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Being started, or killed or failed while it was.
    Starting,
    /// Everything was ready once.
    Up,
}

/// The record of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    /// How far `up` came.
    pub phase: Phase,
    /// What was asked for.
    pub options: Options,
    /// The processes, in the order of their start.
    pub processes: Vec<Started>,
    /// Kernel settings of the machine that the kubelet changes, with their values from before.
    #[serde(default)]
    pub kernel_settings: Vec<(PathBuf, String)>,
}

impl State {
    fn file(layout: &ClusterLayout) -> PathBuf {
        layout.state_dir().join("state.json")
    }

    /// Reads the record; `None` where there is none or a killed run left nonsense.
    pub(crate) fn load(layout: &ClusterLayout) -> Option<Self> {
        serde_json::from_slice(&fs::read(Self::file(layout)).ok()?).ok()
    }

    /// Writes the record.
    ///
    /// # Errors
    /// The state folder is missing or not writable.
    pub(crate) fn save(&self, layout: &ClusterLayout) -> Result<()> {
        write_atomically(&Self::file(layout), &serde_json::to_vec_pretty(self)?)
    }
}

/// Takes a lock that the kernel gives back when this process ends, however it ends.
///
/// # Errors
/// The lock file cannot be made.
pub(crate) fn lock(path: &std::path::Path, waiting: impl FnOnce()) -> Result<File> {
    let folder = path.parent().context("a lock file has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let file = File::options().create(true).append(true).open(path)?;
    if file.try_lock().is_err() {
        waiting();
        file.lock()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_readable_json() {
        let state = State {
            phase: Phase::Up,
            options: Options {
                egress_gateway: true,
                outbound_policy: OutboundPolicy::RegistryOnly,
                policy_engine: PolicyEngine::AfterDnat,
                platform: Platform::Kyma,
                kyma_profile: KymaProfile::Light,
                node_local_dns: true,
            },
            processes: vec![Started {
                name: "etcd".into(),
                pid: 7,
                start_time: 9,
            }],
            kernel_settings: vec![],
        };
        let text = serde_json::to_string(&state).unwrap();
        assert!(text.contains(r#""outboundPolicy":"REGISTRY_ONLY""#), "{text}");
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
    }

    #[test]
    fn a_lock_waits_for_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let first = lock(&path, || panic!("nobody holds it")).unwrap();
        let waited = std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let mut waited = false;
                let _lock = lock(&path, || waited = true).unwrap();
                waited
            });
            std::thread::sleep(std::time::Duration::from_millis(50));
            drop(first);
            second.join().unwrap()
        });
        assert!(waited);
    }
}
