//! Plays the script as the Job's container would: its variables, its mounted files, its shell.

use super::api::Api;
use kubectl_egress::plan::lock::switch::SCRIPT;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// Where lock and canary are.
pub(crate) const POLICIES: &str = "/apis/networking.k8s.io/v1/namespaces/demo/networkpolicies";

/// The shells of this machine that the script must run in.
pub(crate) fn shells() -> Vec<Vec<&'static str>> {
    let busybox = Command::new("busybox").arg("true").stdout(Stdio::null()).status();
    let mut shells = vec![vec!["sh"]];
    if busybox.is_ok_and(|status| status.success()) {
        shells.push(vec!["busybox", "sh"]);
    }
    shells
}

/// One container: its files and variables.
pub(crate) struct Container {
    directory: TempDir,
    variables: BTreeMap<&'static str, String>,
    shell: Vec<&'static str>,
}

impl Container {
    /// One that is to delete the lock, of which the deadline is over.
    pub(crate) fn new(api: &Api, shell: &[&'static str]) -> Self {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
        let variables = BTreeMap::from([
            ("SWITCH_UNDO", "delete".to_owned()),
            ("SWITCH_NAMESPACE", "demo".to_owned()),
            ("SWITCH_LOCK", "the-lock".to_owned()),
            ("SWITCH_LOCK_UID", String::new()),
            ("SWITCH_CANARY", "the-canary".to_owned()),
            ("SWITCH_DEADLINE", "1".to_owned()),
            ("SWITCH_ENDPOINTS", String::new()),
            ("SWITCH_SPEC", path("spec.json")),
            ("SWITCH_CREDENTIALS", path("")),
            ("SWITCH_TERMINATION_LOG", path("termination-log")),
            ("KUBERNETES_SERVICE_HOST", "127.0.0.1".to_owned()),
            ("KUBERNETES_SERVICE_PORT", api.port.to_string()),
            // A proxy that the image's environment names is not for the API server.
            ("https_proxy", "http://127.0.0.1:9".to_owned()),
        ]);
        let container = Self {
            directory,
            variables,
            shell: shell.to_vec(),
        };
        container.write("token", "token-1");
        container.write("ca.crt", &api.certificate);
        container.write("switch.sh", SCRIPT);
        container
    }

    pub(crate) fn with(mut self, variable: &'static str, value: impl std::fmt::Display) -> Self {
        self.variables.insert(variable, value.to_string());
        self
    }

    /// One that is to restore the lock with this UID to this spec.
    pub(crate) fn restoring(self, uid: &str, spec: &str) -> Self {
        self.write("spec.json", spec);
        self.with("SWITCH_UNDO", "restore").with("SWITCH_LOCK_UID", uid)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What the pod's status would show.
    pub(crate) fn termination_message(&self) -> String {
        std::fs::read_to_string(self.path("termination-log")).unwrap_or_default()
    }

    /// Starts the script with one argument.
    pub(crate) fn start(&self, command: &str) -> Child {
        Command::new(self.shell[0])
            .args(&self.shell[1..])
            .arg(self.path("switch.sh"))
            .arg(command)
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, command: &str) -> Ended {
        Ended::of(&self.start(command).wait_with_output().unwrap())
    }
}

/// How the script ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Ended {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Seconds since 1970, as the script counts them.
pub(crate) fn epoch_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Ends the script as the kubelet does. Killing it would leave its work running, which only a container ends.
pub(crate) fn terminate(process: u32) {
    let sent = Command::new("kill")
        .args(["-TERM", &process.to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}
