//! One file per row of the table of issue 5 that is about a mode, named after it.
//!
//! The outside world's log decides: who sent the request, on which port, with which TLS and which headers.

mod row_01_tls_passthrough;
mod row_02_http;
mod row_03_tls_origination_at_the_gateway;
mod row_04_tls_origination_at_the_sidecar;
mod row_05_mtls_origination;
mod row_06_passthrough_inside_mutual_tls;
mod row_08_direct_and_outbound_policy;
mod row_09_ranges_past_the_proxy;
mod row_10_wildcards;
mod row_11_services_for_egress;
mod row_12_external_proxy;
mod row_13_network_policy_lockdown;
mod row_14_troubleshooting;
mod row_15_many_modes_and_two_plans;

use super::support::{Run, Stage};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How each leg of a judged probe is protected, as `sidecar-gateway: mtls`.
fn legs(probe: &Value) -> Vec<String> {
    let hops = probe["hops"].as_array().into_iter().flatten();
    hops.map(|hop| {
        let text = |key: &str| hop[key].as_str().unwrap_or_default().to_owned();
        format!("{}-{}: {}", text("from"), text("to"), text("encryption"))
    })
    .collect()
}

/// Requires words in what a run printed, wherever it did.
#[track_caller]
fn mentions(run: &Run, words: &[&str]) {
    let said = run.to_string();
    for word in words {
        assert!(said.contains(word), "no `{word}`: {said}");
    }
}

/// Headers by which Istio tells who called.
const TELLING: [&str; 7] = [
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-envoy-attempt-count",
    "x-envoy-external-address",
    "x-envoy-decorator-operation",
    "x-request-id",
];

/// Folder with the keys and certificates of the outside world.
fn pki(stage: &mut Stage) -> PathBuf {
    let authority = stage.world.authority();
    authority.parent().unwrap().to_owned()
}

/// A Secret that goes when the test ends.
struct Secret {
    kubectl: super::support::kubectl::Kubectl,
    at: String,
}

impl Secret {
    /// Makes it, each key from a file.
    fn make(stage: &Stage, namespace: &str, name: &str, files: &[(&str, &Path)]) -> Self {
        let files: Vec<String> = files
            .iter()
            .map(|(key, path)| format!("--from-file={key}={}", path.display()))
            .collect();
        let at = format!("{name} -n {namespace}");
        stage
            .kubectl
            .run(&format!("create secret generic {at} {}", files.join(" ")));
        Self {
            kubectl: stage.kubectl.clone(),
            at,
        }
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let _ = self.kubectl.attempt(&format!("delete secret {}", self.at));
    }
}

/// Runs openssl in a folder, typed as in a shell without quotes.
#[track_caller]
fn openssl(folder: &Path, typed: &str) {
    let output = Command::new("openssl")
        .args(typed.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "openssl {typed}: {said}");
}
