//! The API server, through kubectl: this process runs in the node's network namespace.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::ISTIOS;
use crate::shell::{command, output, output_with_input};

/// The field manager of everything the module writes: the name of its program.
const MANAGER: &str = "--field-manager=manager";

/// A way to the API server.
#[derive(Debug, Clone)]
pub(super) struct Client {
    kubeconfig: PathBuf,
}

impl Client {
    /// The one with the rights of a kubeconfig.
    pub(super) fn new(kubeconfig: PathBuf) -> Self {
        Self { kubeconfig }
    }

    /// What Istio's installer is to use, too.
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// kubectl, ready for its words.
    pub(super) fn kubectl(&self) -> Command {
        let mut kubectl = command("kubectl");
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig);
        kubectl
    }

    /// Runs kubectl and returns what it wrote.
    pub(super) fn run(&self, words: &[&str]) -> Result<String> {
        output(self.kubectl().args(words))
    }

    /// The objects of a kind, in the API server's order; `words` say where, and which.
    pub(super) fn list(&self, kinds: &str, words: &[&str]) -> Result<Vec<Value>> {
        let text = self.run(&[&["get", kinds, "--output=json"], words].concat())?;
        let list: Value = serde_json::from_str(&text).context("a list")?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Applies one object or a list of objects.
    pub(super) fn apply(&self, manifest: &Value) -> Result<()> {
        let words = [
            "apply",
            "--server-side",
            "--force-conflicts",
            MANAGER,
            "--filename=-",
        ];
        output_with_input(self.kubectl().args(words), &manifest.to_string()).map(|_| ())
    }

    /// Merges a patch into an Istio CR.
    pub(super) fn patch(&self, namespace: &str, name: &str, patch: &Value) -> Result<()> {
        self.patch_part(ISTIOS, namespace, name, &[], patch)
    }

    /// Merges a patch into the status of an Istio CR.
    pub(super) fn patch_status(&self, namespace: &str, name: &str, patch: &Value) -> Result<()> {
        self.patch_part(ISTIOS, namespace, name, &["--subresource=status"], patch)
    }

    /// Merges a patch into an object of any kind, or into the `part` of it that kubectl's words name.
    pub(super) fn patch_part(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        part: &[&str],
        patch: &Value,
    ) -> Result<()> {
        let patch = patch.to_string();
        let words = [
            "--namespace",
            namespace,
            "patch",
            kind,
            name,
            "--type=merge",
            "--patch",
            &patch,
            MANAGER,
        ];
        self.run(&[&words[..], part].concat()).map(|_| ())
    }
}
