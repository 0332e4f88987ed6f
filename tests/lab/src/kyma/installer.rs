//! Istio's own installer, as the module runs it: in a process of its own, for every reconciliation anew.
//! Source: `cmd/istio-install/main.go`, `internal/reconciliations/istio/{client,install,metadata}.go` of the module.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, anyhow, bail};
use serde_json::Value;

use super::operator::{MODULE_LABEL, operator};
use super::{Client, FAIL_ANNOTATION, ISTIO_NAMESPACE, KymaProfile};
use crate::output;
use crate::shell;

/// How long the installer waits for pods; the module's own limit.
const READINESS_TIMEOUT: &str = "150s";
/// All that the module lets out about a failed installation.
const FAILED: &str = "Istio installation resulted in an error";
/// Kinds that get the module's label.
const LABELLED: &str = "deployments,services,serviceaccounts,configmaps,roles,rolebindings,\
                        poddisruptionbudgets,horizontalpodautoscalers";

/// The installer and what it needs.
pub(super) struct Installer {
    pub(super) client: Client,
    pub(super) istioctl: PathBuf,
    /// For the installer's file and its caches.
    pub(super) folder: PathBuf,
    pub(super) profile: KymaProfile,
}

impl Installer {
    /// Installs what a CR asks for, removes what it does not, and waits until it is ready.
    pub(super) fn install(&self, istio: &Value) -> Result<()> {
        if let Some(failure) = failure(istio) {
            bail!("{failure}");
        }
        let file = self.folder.join("kyma-istio.json");
        std::fs::write(&file, serde_json::to_vec_pretty(&operator(istio, self.profile))?)?;
        let mut install = shell::command(&self.istioctl);
        let words = [
            "install",
            "--skip-confirmation",
            "--readiness-timeout",
            READINESS_TIMEOUT,
            "--filename",
        ];
        self.run(install.args(words).arg(&file)).map_err(|error| {
            output::note(&format!("{error:#}"));
            anyhow!(FAILED)
        })?;
        self.label()
    }

    /// Removes Istio and its namespace.
    pub(super) fn uninstall(&self) -> Result<()> {
        let mut uninstall = shell::command(&self.istioctl);
        self.run(uninstall.args(["uninstall", "--purge", "--skip-confirmation"]))?;
        let words = [
            "delete",
            "namespace",
            ISTIO_NAMESPACE,
            "--ignore-not-found",
            "--wait=false",
        ];
        self.client.run(&words).map(|_| ())
    }

    fn run(&self, command: &mut Command) -> Result<String> {
        command.arg("--kubeconfig").arg(self.client.kubeconfig());
        shell::output(command.env("HOME", &self.folder))
    }

    fn label(&self) -> Result<()> {
        let (key, value) = MODULE_LABEL;
        let words = [
            "--namespace",
            ISTIO_NAMESPACE,
            "label",
            LABELLED,
            "--selector",
            "operator.istio.io/component",
            "--overwrite",
            "--field-manager=manager",
            &format!("{key}={value}"),
        ];
        self.client.run(&words).map(|_| ())
    }
}

/// The error that a test wants instead of an installation.
fn failure(istio: &Value) -> Option<String> {
    let text = istio
        .pointer("/metadata/annotations")?
        .get(FAIL_ANNOTATION)?
        .as_str()?;
    Some(if text.is_empty() { FAILED } else { text }.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_test_can_choose_the_error() {
        let istio = |text| json!({"metadata": {"annotations": {FAIL_ANNOTATION: text}}});
        assert_eq!(failure(&istio("no room")), Some("no room".to_owned()));
        assert_eq!(failure(&istio("")), Some(FAILED.to_owned()));
        assert_eq!(failure(&json!({"metadata": {}})), None);
    }
}
