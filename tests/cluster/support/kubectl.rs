//! kubectl, for what the tests do to the cluster beside the tool.

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// kubectl on one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Kubectl(PathBuf);

impl Kubectl {
    pub(crate) fn new(kubeconfig: &Path) -> Self {
        Self(kubeconfig.to_owned())
    }

    /// Runs a command, typed as in a shell without quotes, and returns what it printed.
    #[track_caller]
    pub(crate) fn run(&self, typed: &str) -> String {
        self.attempt(typed)
            .unwrap_or_else(|error| panic!("kubectl {typed}: {error}"))
    }

    /// The same where failure is an answer.
    pub(crate) fn attempt(&self, typed: &str) -> Result<String, String> {
        let mut command = self.command();
        output(command.args(typed.split_whitespace()).stdin(Stdio::null()), None)
    }

    /// One argument list, for arguments with blanks in them.
    #[track_caller]
    pub(crate) fn with(&self, arguments: &[&str]) -> String {
        output(self.command().args(arguments).stdin(Stdio::null()), None)
            .unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}"))
    }

    /// Applies manifests as somebody who is not the tool.
    #[track_caller]
    pub(crate) fn apply(&self, manifests: &str) {
        let mut command = self.command();
        command
            .args([
                "apply",
                "--server-side",
                "--field-manager=somebody-else",
                "-f",
                "-",
            ])
            .stdin(Stdio::piped());
        output(&mut command, Some(manifests))
            .unwrap_or_else(|error| panic!("kubectl apply: {error}\n{manifests}"));
    }

    /// Runs a command with text on standard input.
    pub(crate) fn feed(&self, typed: &str, input: &str) -> Result<String, String> {
        let mut command = self.command();
        command.args(typed.split_whitespace()).stdin(Stdio::piped());
        output(&mut command, Some(input))
    }

    /// Reads an object, or a list.
    #[track_caller]
    pub(crate) fn json(&self, typed: &str) -> Value {
        serde_json::from_str(&self.run(&format!("{typed} -o json"))).unwrap()
    }

    /// Names of objects, one a line, such as `pod/curl-1`.
    #[track_caller]
    pub(crate) fn names(&self, typed: &str) -> Vec<String> {
        self.run(&format!("{typed} -o name"))
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn command(&self) -> Command {
        let mut command = Command::new("kubectl");
        command
            .arg("--kubeconfig")
            .arg(&self.0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

fn output(command: &mut Command, input: Option<&str>) -> Result<String, String> {
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    if let (Some(text), Some(mut pipe)) = (input, child.stdin.take()) {
        pipe.write_all(text.as_bytes())
            .map_err(|error| error.to_string())?;
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
