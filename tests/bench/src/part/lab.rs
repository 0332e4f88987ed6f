//! What the parts that need a lab share: the lab, kubectl on it, and namespaces of their own.

use super::Unmeasured;
use crate::bench::Bench;
use crate::process::Rival;
use anyhow::Result;
use kubectl_egress_lab::Lab;
use std::path::PathBuf;
use std::process::Command;

/// The lab, or the reason why there is nothing to measure.
pub(super) fn lab(bench: &Bench) -> Result<&Lab, Unmeasured> {
    let why = "no lab is up (cargo lab up)";
    bench
        .lab
        .as_ref()
        .ok_or_else(|| Unmeasured::Skipped(why.to_owned()))
}

/// kubectl on the lab.
pub(super) fn kubectl<'run>(lab: &'run Lab, arguments: &'run [&'run str]) -> Rival<'run> {
    Rival::new(move || {
        let mut command = Command::new("kubectl");
        command.args(arguments).env("KUBECONFIG", lab.kubeconfig());
        Ok(command)
    })
}

/// Our program on the lab.
pub(super) fn ours<'run>(bench: &'run Bench, lab: &Lab, arguments: Vec<String>) -> Rival<'run> {
    let kubeconfig: PathBuf = lab.kubeconfig();
    Rival::new(move || Ok(bench.command(&kubeconfig, &arguments)))
}

/// Words of a command.
pub(super) fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// A namespace that goes when it is dropped.
pub(super) struct Place<'run> {
    lab: &'run Lab,
    pub(super) name: String,
}

impl<'run> Place<'run> {
    /// A namespace that is not there yet.
    pub(super) fn new(lab: &'run Lab, what: &str) -> Self {
        let name = format!("bench-{what}-{}", std::process::id());
        Self { lab, name }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let arguments = [
            "delete",
            "namespace",
            &self.name,
            "--ignore-not-found",
            "--wait=true",
        ];
        // What stays is seen by `kubectl get namespaces`; the measurements are made.
        let _ = kubectl(self.lab, &arguments).run();
    }
}
