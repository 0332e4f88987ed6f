//! What every part needs: the program, how often to run it, a folder, the lab if one is up.

use crate::process::Rival;
use anyhow::{Context, Result, bail};
use kubectl_egress_lab::Lab;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// The circumstances of a run.
pub(crate) struct Bench {
    /// The program that is measured, built for release.
    pub(crate) program: PathBuf,
    /// How often each command runs.
    pub(crate) runs: usize,
    /// Bytes of the access logs.
    pub(crate) log_size: u64,
    /// How long what runs on runs.
    pub(crate) long: Duration,
    /// The lab, if one is up.
    pub(crate) lab: Option<Lab>,
    folder: TempDir,
}

impl Bench {
    /// Builds the program unless one is named.
    pub(crate) fn new(
        program: Option<PathBuf>,
        runs: usize,
        log_size: u64,
        long: Duration,
        lab: &str,
    ) -> Result<Self> {
        let program = program.map_or_else(build, Ok)?;
        let program = program
            .canonicalize()
            .with_context(|| format!("{} is not there", program.display()))?;
        Ok(Self {
            program,
            runs,
            log_size,
            long,
            lab: Lab::running_as(lab)?,
            folder: tempfile::Builder::new()
                .prefix("kubectl-egress-bench-")
                .tempdir()?,
        })
    }

    /// A folder that goes with the run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in that folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with arguments, in an environment in which no cluster is found.
    pub(crate) fn ours<'run>(
        &'run self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>> + Clone + 'run,
    ) -> Rival<'run> {
        Rival::new(move || Ok(self.command(&self.file("no-kubeconfig"), arguments.clone())))
    }

    /// The program with arguments, on a cluster.
    pub(crate) fn command(
        &self,
        kubeconfig: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("KUBECONFIG", kubeconfig);
        command
            .env("HOME", self.folder())
            .stdin(std::process::Stdio::null());
        command
    }
}

/// Builds what is shipped, and tells where it is.
fn build() -> Result<PathBuf> {
    crate::output::note("building the program for release");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["build", "--release", "--locked", "--package", "kubectl-egress"];
    let built = Command::new(cargo)
        .args(arguments)
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cargo cannot be run")?;
    if !built.status.success() {
        bail!("the program does not build");
    }
    let said = String::from_utf8_lossy(&built.stdout);
    let mut artifacts = said.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    artifacts
        .next_back()
        .context("cargo does not say where the program is")
}
