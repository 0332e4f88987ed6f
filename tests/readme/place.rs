//! Where README is followed: a served sandbox, an empty folder, our binary and kubectl in PATH.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The place, for as long as it is kept.
pub(crate) struct Place {
    server: Child,
    folder: tempfile::TempDir,
    path: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// How a line ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    /// `None` without kubectl.
    pub(crate) fn new() -> Option<Self> {
        let kubectl = Command::new("kubectl").args(["version", "--client"]).output();
        kubectl.ok().filter(|output| output.status.success())?;
        let folder = tempfile::tempdir().unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_kubectl-egress"));
        let programs = folder.path().join("bin");
        std::fs::create_dir(&programs).unwrap();
        std::fs::copy(binary, programs.join("kubectl-egress")).unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        let server = Command::new(binary)
            .args(["sandbox", "--write-kubeconfig"])
            .arg(&kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let place = Self { server, folder, path };
        let began = Instant::now();
        while !kubeconfig.exists() {
            assert!(began.elapsed() < Duration::from_secs(20), "no kubeconfig");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(place)
    }

    /// Runs a line in a shell, with no terminal.
    pub(crate) fn run(&self, line: &str) -> Ran {
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", line])
            .current_dir(self.folder.path().join("work"))
            .env("PATH", &self.path)
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join("work").join(name), text).unwrap();
    }
}
