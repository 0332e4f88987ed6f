//! The components of a cluster, one file each: what it is started with, and when it is ready.

pub(crate) mod apiserver;
pub(crate) mod containerd;
pub(crate) mod controllers;
pub(crate) mod coredns;
pub(crate) mod etcd;
pub(crate) mod istio;
pub(crate) mod kubelet;
pub(crate) mod kubeproxy;
pub(crate) mod kyma;
pub(crate) mod node_dns;
pub(crate) mod policy;
pub(crate) mod world;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::build::Binaries;
use crate::layout::ClusterLayout;
use crate::process::{self, Daemon, Started, log_tail};
use crate::shell::{inside, output, output_with_input};
use crate::state::State;
use crate::wait::{Look, until};

/// A cluster being started: where it lives, what runs so far.
pub(crate) struct Cluster {
    /// Names, addresses, folders.
    pub layout: ClusterLayout,
    /// The built programs.
    pub binaries: Binaries,
    /// The record on disk, kept up to date.
    pub state: State,
}

impl Cluster {
    /// Starts a component in the node's namespace and records it.
    ///
    /// # Errors
    /// It cannot be started or recorded.
    pub(crate) fn start(
        &mut self,
        name: &str,
        program: &std::path::Path,
        arguments: Vec<String>,
    ) -> Result<()> {
        let namespace = self.layout.node_namespace();
        self.start_in(&namespace, name, program, arguments)
    }

    /// Starts a component in any namespace and records it.
    ///
    /// # Errors
    /// It cannot be started or recorded.
    pub(crate) fn start_in(
        &mut self,
        namespace: &str,
        name: &str,
        program: &std::path::Path,
        arguments: Vec<String>,
    ) -> Result<()> {
        let started = process::start(
            &self.layout,
            &Daemon {
                name,
                namespace,
                program,
                arguments,
            },
        )?;
        self.state.processes.push(started);
        self.state.save(&self.layout)
    }

    /// Starts a Kubernetes component: the one binary under the component's name.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) fn start_kubernetes(&mut self, name: &str, arguments: Vec<String>) -> Result<()> {
        let folder = self.layout.state_dir().join("bin");
        std::fs::create_dir_all(&folder)?;
        let program = folder.join(name);
        if !program.exists() {
            std::os::unix::fs::symlink(&self.binaries.kubernetes, &program)?;
        }
        self.start(name, &program, arguments)
    }

    /// Whether a component was started.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.state.processes.iter().any(|process| process.name == name)
    }

    /// Stops a component and forgets it.
    ///
    /// # Errors
    /// It cannot be stopped.
    pub(crate) fn stop(&mut self, name: &str) -> Result<()> {
        for process in self.state.processes.iter().filter(|process| process.name == name) {
            process.stop()?;
        }
        self.state.processes.retain(|process| process.name != name);
        self.state.save(&self.layout)
    }

    /// Waits for a condition; a component that ends meanwhile ends the waiting, with the end of its log.
    ///
    /// # Errors
    /// The deadline passed, or a component ended.
    pub(crate) fn wait<T>(
        &self,
        what: &str,
        deadline: Duration,
        mut look: impl FnMut() -> Result<Look<T>>,
    ) -> Result<T> {
        until(what, deadline, || {
            if let Some(ended) = self.ended() {
                bail!(
                    "{} ended while waiting for {what}:\n{}",
                    ended.name,
                    log_tail(&self.layout, &ended.name)
                );
            }
            look()
        })
    }

    fn ended(&self) -> Option<&Started> {
        self.state.processes.iter().find(|process| !process.is_alive())
    }

    /// Waits until an HTTP(S) URL answers 2xx to the given arguments of curl.
    fn wait_for_url(&self, what: &str, deadline: Duration, arguments: &[String]) -> Result<()> {
        let node = self.layout.node_namespace();
        self.wait(what, deadline, || {
            let mut curl = inside(&node, "curl");
            curl.args([
                "--silent",
                "--show-error",
                "--fail",
                "--max-time",
                "5",
                "--noproxy",
                "*",
            ])
            .args(arguments);
            Ok(match output(&mut curl) {
                Ok(_) => Look::Done(()),
                Err(error) => Look::NotYet(error.to_string()),
            })
        })
    }
}

/// This program as it was when the lab came up: a new build does not replace the file of running components, and a
/// test that changes a running lab is another program.
///
/// # Errors
/// It cannot be copied.
pub(crate) fn own_program(layout: &ClusterLayout) -> Result<PathBuf> {
    let program = own_program_path(layout);
    if !program.exists() {
        std::fs::copy(std::env::current_exe()?, &program)?;
    }
    Ok(program)
}

fn own_program_path(layout: &ClusterLayout) -> PathBuf {
    layout.state_dir().join("kubectl-egress-lab")
}

/// A path as an argument.
fn text(path: impl Into<PathBuf>) -> String {
    path.into().to_string_lossy().into_owned()
}

/// Runs kubectl against the lab and returns what it wrote.
///
/// # Errors
/// kubectl failed.
pub(crate) fn kubectl(layout: &ClusterLayout, arguments: &[&str]) -> Result<String> {
    output(kubectl_command(layout).args(arguments))
}

/// Applies manifests, as the lab's own field manager.
///
/// # Errors
/// kubectl failed.
pub(crate) fn apply(layout: &ClusterLayout, manifests: &str) -> Result<()> {
    let arguments = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=kubectl-egress-lab",
        "-f",
        "-",
    ];
    output_with_input(kubectl_command(layout).args(arguments), manifests).map(|_| ())
}

fn kubectl_command(layout: &ClusterLayout) -> std::process::Command {
    let mut command = inside(&layout.node_namespace(), "kubectl");
    command.arg("--kubeconfig").arg(layout.kubeconfig());
    command
}

/// Waits until a Deployment or DaemonSet is rolled out; kubectl watches it.
///
/// # Errors
/// Not within `seconds`; the error holds the state of the namespace's pods.
pub(crate) fn rollout(layout: &ClusterLayout, namespace: &str, object: &str, seconds: u32) -> Result<()> {
    let timeout = format!("--timeout={seconds}s");
    let waited = kubectl(layout, &["-n", namespace, "rollout", "status", object, &timeout]);
    if let Err(error) = waited {
        let pods =
            kubectl(layout, &["-n", namespace, "get", "pods,events", "-o", "wide"]).unwrap_or_default();
        bail!("{error}\n{pods}");
    }
    Ok(())
}
