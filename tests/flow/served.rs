//! The sandbox on a socket, and our binary run against it as a user runs it.

use crate::support::{dump, sandbox};
use kubectl_egress::sandbox::Sandbox;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// What authenticates the client.
pub(crate) const TOKEN: &str = "a-token-that-nobody-may-see";

/// A sandbox that is served until this is dropped. Needs a runtime with more than one thread.
pub(crate) struct Served {
    pub(crate) sandbox: Sandbox,
    kubeconfig: tempfile::NamedTempFile,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) async fn served() -> Served {
    serve(sandbox()).await
}

pub(crate) async fn serve(sandbox: Sandbox) -> Served {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    let content = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "sandbox",
        "clusters": [{"name": "sandbox", "cluster": {"server": server}}],
        "users": [{"name": "sandbox", "user": {"token": TOKEN}}],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "sandbox", "namespace": "demo"}}],
    });
    std::fs::write(kubeconfig.path(), content.to_string()).unwrap();
    let serving = sandbox.clone();
    let server = tokio::spawn(async move { serving.serve(listener).await.unwrap() });
    Served {
        sandbox,
        kubeconfig,
        server,
    }
}

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The document on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks the exit code.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

impl Served {
    /// The binary with arguments, as `kubectl egress` is typed.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"));
        command.args(arguments.split_whitespace()).stdin(Stdio::null());
        command.arg("--kubeconfig").arg(self.kubeconfig.path());
        command
    }

    /// All objects, once every pod runs.
    pub(crate) async fn steady_dump(&self) -> BTreeMap<String, Value> {
        loop {
            let objects = dump(&self.sandbox);
            let mut pods = objects.iter().filter(|(name, _)| name.starts_with("Pod "));
            if pods.all(|(_, pod)| pod["status"]["phase"] == "Running") {
                return objects;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self, arguments: &str) -> Run {
        let mut command = self.command(arguments);
        let ran = tokio::task::spawn_blocking(move || command.output());
        let Output {
            status,
            stdout,
            stderr,
        } = ran.await.unwrap().unwrap();
        Run {
            code: status.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }
}
