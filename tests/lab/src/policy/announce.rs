//! A pod's address, known before its first container runs: the lab is a plugin of the pods' network too, and a pod's
//! network is ready only when the rules know the pod. The API server names the address about a second later, and for
//! that second an isolated pod would be open.
//!
//! The plugin leaves one file for each sandbox in the engine's folder, and takes it away with the sandbox.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::network::Network;
use super::status::PolicyStatus;
use crate::output;
use crate::shell::write_atomically;
use crate::wait::{Look, until};

/// The addresses of sandboxes, by the UID of their pod.
pub(super) type Announced = BTreeMap<String, Vec<IpAddr>>;

/// How long a pod's network waits for the rules.
const PATIENCE: Duration = Duration::from_secs(10);

/// All that was announced.
pub(super) fn read_all(folder: &Path) -> Announced {
    let entries = std::fs::read_dir(announcements(folder)).into_iter().flatten();
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter_map(|path| {
            let uid = path.file_stem()?.to_str()?.to_owned();
            Some((uid, serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?))
        })
        .collect()
}

/// Plays a plugin of the container network interface, version 0.4.0: the command is in the environment, what the plugins
/// before it did on stdin.
///
/// # Errors
/// The rules do not know the pod in time. The kubelet tries again.
pub(crate) fn plugin(folder: &Path) -> Result<()> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let configuration: Value = serde_json::from_str(&input).unwrap_or_default();
    let pod = Sandbox::from_arguments(&variable("CNI_ARGS"));
    match variable("CNI_COMMAND").as_str() {
        "ADD" => {
            let result = &configuration["prevResult"];
            pod.announce(folder, &addresses(result))?;
            output::data(&result.to_string());
        }
        "DEL" => pod.forget(folder),
        "VERSION" => {
            output::data(&json!({"cniVersion": "0.4.0", "supportedVersions": ["0.4.0"]}).to_string());
        }
        _ => {}
    }
    Ok(())
}

/// The pod whose network is made.
#[derive(Debug, PartialEq, Eq)]
struct Sandbox {
    key: String,
    uid: String,
}

impl Sandbox {
    /// Reads `CNI_ARGS`, `KEY=VALUE;KEY=VALUE`.
    fn from_arguments(text: &str) -> Self {
        let value = |name: &str| {
            let values = text.split(';').filter_map(|pair| pair.split_once('='));
            values
                .filter(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
                .next()
                .unwrap_or_default()
        };
        Self {
            key: format!("{}/{}", value("K8S_POD_NAMESPACE"), value("K8S_POD_NAME")),
            uid: value("K8S_POD_UID"),
        }
    }

    fn file(&self, folder: &Path) -> PathBuf {
        announcements(folder).join(format!("{}.json", self.uid))
    }

    fn announce(&self, folder: &Path, addresses: &[IpAddr]) -> Result<()> {
        if self.uid.is_empty() || addresses.is_empty() {
            bail!("a sandbox without pod or address: {self:?} {addresses:?}");
        }
        std::fs::create_dir_all(announcements(folder))?;
        write_atomically(&self.file(folder), &serde_json::to_vec(addresses)?)?;
        let what = format!("rules for {} at {addresses:?}", self.key);
        until(&what, PATIENCE, || {
            let status = PolicyStatus::read(folder)?;
            Ok(match status.pods.get(&self.key) {
                Some(known) if known == addresses => Look::Done(()),
                known => Look::NotYet(format!("the policy engine knows {known:?}")),
            })
        })
    }

    fn forget(&self, folder: &Path) {
        // Nothing to take away is as good.
        let _ = std::fs::remove_file(self.file(folder));
    }
}

fn announcements(folder: &Path) -> PathBuf {
    folder.join("sandboxes")
}

/// The addresses in a result, `{"ips": [{"address": "198.18.0.5/24"}]}`.
fn addresses(result: &Value) -> Vec<IpAddr> {
    let ips = result["ips"].as_array().into_iter().flatten();
    ips.filter_map(|ip| ip["address"].as_str()?.parse::<Network>().ok())
        .map(|network| network.address())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARGUMENTS: &str = "IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=curl;K8S_POD_UID=u-1";

    #[test]
    fn the_arguments_name_the_pod() {
        let expected = Sandbox {
            key: "demo/curl".into(),
            uid: "u-1".into(),
        };
        assert_eq!(Sandbox::from_arguments(ARGUMENTS), expected);
    }

    #[test]
    fn addresses_are_those_of_the_plugins_before() {
        let result =
            json!({"ips": [{"version": "4", "address": "198.18.0.5/24"}, {"address": "fd00::5/64"}]});
        let expected: [IpAddr; 2] = ["198.18.0.5".parse().unwrap(), "fd00::5".parse().unwrap()];
        assert_eq!(addresses(&result), expected);
        assert!(addresses(&Value::Null).is_empty());
    }

    #[test]
    fn a_network_waits_for_the_rules_and_leaves_a_note_until_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let addresses: Vec<IpAddr> = vec!["198.18.0.5".parse().unwrap()];
        let sandbox = Sandbox::from_arguments(ARGUMENTS);
        PolicyStatus::default().write(folder.path()).unwrap();
        std::thread::scope(|scope| {
            let ready = scope.spawn(|| sandbox.announce(folder.path(), &addresses));
            while read_all(folder.path()).get("u-1") != Some(&addresses) {
                std::thread::yield_now();
            }
            assert!(!ready.is_finished(), "it did not wait");
            let status = PolicyStatus {
                pods: [("demo/curl".to_owned(), addresses.clone())].into(),
                ..PolicyStatus::default()
            };
            status.write(folder.path()).unwrap();
            ready.join().unwrap().unwrap();
        });
        sandbox.forget(folder.path());
        assert!(read_all(folder.path()).is_empty());
    }
}
