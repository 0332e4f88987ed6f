//! The real kubectl against `sandbox` as a server: it looks around, applies, follows a log, runs a command in a pod;
//! and what is not simulated says so itself.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// `sandbox` as a process with its kubeconfig, and kubectl with caches of its own.
pub(crate) struct Server {
    process: Child,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts it with further flags, and waits until its kubeconfig is there.
    pub(crate) fn start(flags: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        let process = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"))
            .arg("sandbox")
            .args(flags.split_whitespace())
            .arg("--write-kubeconfig")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, folder };
        let began = Instant::now();
        while !file.exists() {
            assert!(began.elapsed() < Duration::from_secs(20), "no kubeconfig");
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Our binary against it.
    pub(crate) fn egress(&self, arguments: &str) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"));
        command.args(arguments.split_whitespace()).stdin(Stdio::null());
        command.arg("--kubeconfig").arg(self.kubeconfig());
        Said::new(arguments, command.output().unwrap())
    }

    fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            // Its cache of what is served goes by address, and ports are used again.
            .env("HOME", self.folder.path());
        command
    }

    fn k(&self, arguments: &str) -> Said {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        Said::new(
            arguments,
            self.kubectl(&words).stdin(Stdio::null()).output().unwrap(),
        )
    }

    fn fed(&self, arguments: &str, manifest: &str) -> Said {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let mut command = self.kubectl(&words);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(manifest.as_bytes())
            .unwrap();
        Said::new(arguments, child.wait_with_output().unwrap())
    }
}

/// What a run said.
#[derive(Debug)]
pub(crate) struct Said {
    command: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    fn new(command: &str, output: Output) -> Self {
        Self {
            command: command.to_owned(),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    #[track_caller]
    fn fails(self, words: &str) {
        assert!(self.code != Some(0) && self.stderr.contains(words), "{self:?}");
    }

    /// The line of a table that begins with these words, in any spacing.
    #[track_caller]
    fn has_row(&self, words: &[&str]) -> &Self {
        let fits = |line: &str| line.split_whitespace().collect::<Vec<_>>().starts_with(words);
        assert!(
            self.stdout.lines().any(fits),
            "{words:?} in `{}`:\n{}",
            self.command,
            self.stdout
        );
        self
    }
}

fn kubectl_is_here() -> bool {
    let here = Command::new("kubectl")
        .args(["version", "--client"])
        .output()
        .is_ok_and(|ran| ran.status.success());
    if !here {
        eprintln!("skipped: kubectl is not installed");
    }
    here
}

const SETTINGS: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: demo}\ndata: {a: b}\n";

#[test]
fn kubectl_looks_around_and_changes_things() {
    if !kubectl_is_here() {
        return;
    }
    let server = Server::start("");
    server
        .egress("setup kyma-project.io -n demo --create-namespace")
        .exits(0);
    server.k("get namespaces").exits(0).has_row(&["demo", "Active"]);
    let pods = server.k("get pods -n demo -o wide").exits(0);
    pods.has_row(&["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]);
    let pod = pods.stdout.lines().nth(1).unwrap();
    assert!(
        pod.starts_with("curl-") && pod.contains("2/2") && pod.contains("Running"),
        "{pod}"
    );
    server
        .k("get deploy,svc -A")
        .exits(0)
        .has_row(&["demo", "deployment.apps/curl", "1/1", "1", "1"]);
    server.k("get se -n demo").exits(0).has_row(&[
        "egress-default-443",
        r#"["kyma-project.io"]"#,
        "MESH_EXTERNAL",
        "DNS",
    ]);
    server
        .k("get all -n demo")
        .exits(0)
        .has_row(&["deployment.apps/curl"]);
    let yaml = server.k("get vs -n demo egress-default -o yaml").exits(0).stdout;
    assert!(
        yaml.contains("kind: VirtualService") && yaml.contains("- kyma-project.io"),
        "{yaml}"
    );
    let gateways: serde_json::Value =
        serde_json::from_str(&server.k("get gateways -n demo -o json").exits(0).stdout).unwrap();
    assert_eq!(gateways["items"][0]["spec"]["selector"]["istio"], "egressgateway");
    let kinds = server.k("api-resources").exits(0);
    kinds.has_row(&[
        "serviceentries",
        "se",
        "networking.istio.io/v1",
        "true",
        "ServiceEntry",
    ]);
    let told = server.k("describe deploy -n demo curl").exits(0).stdout;
    assert!(told.contains("1 available"), "{told}");

    let applied =
        |said: Said, how: &str| assert_eq!(said.exits(0).stdout, format!("configmap/settings {how}\n"));
    applied(
        server.fed("apply --server-side -f -", SETTINGS),
        "serverside-applied",
    );
    server.k("delete configmap settings -n demo").exits(0);
    applied(server.fed("apply -f -", SETTINGS), "created");
    applied(server.fed("apply -f -", SETTINGS), "unchanged");
    applied(
        server.fed("apply -f -", &SETTINGS.replace("a: b", "a: c")),
        "configured",
    );
    server
        .k("get configmaps -n demo")
        .exits(0)
        .has_row(&["settings", "1"]);
    server.k("rollout restart deploy/curl -n demo").exits(0);
    server
        .k("rollout status deploy/curl -n demo --timeout 20s")
        .exits(0);
    server
        .k("wait --for=condition=Available deploy/curl -n demo --timeout 20s")
        .exits(0);
}

#[test]
fn kubectl_runs_commands_in_pods_and_follows_logs() {
    if !kubectl_is_here() {
        return;
    }
    let server = Server::start("");
    server
        .egress("setup kyma-project.io -n demo --create-namespace")
        .exits(0);
    let words = [
        "logs",
        "-f",
        "--tail",
        "0",
        "-n",
        "istio-system",
        "-l",
        "istio=egressgateway",
    ];
    let mut following = server
        .kubectl(&words)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let ask = |path: &str| {
        server.k(&format!("exec -n demo deploy/curl -c curl -- curl -s -o /dev/null -w %{{http_code}} https://kyma-project.io/{path}"))
    };
    // Nothing says when a follower is there: requests are made until one shows.
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let began = Instant::now();
    let line = loop {
        assert_eq!(ask("").exits(0).stdout, "200");
        match receiver.recv_timeout(Duration::from_millis(200)) {
            Ok(line) => break line,
            Err(_) => assert!(
                began.elapsed() < Duration::from_secs(20),
                "no line of the gateway"
            ),
        }
    };
    following.kill().unwrap();
    following.wait().unwrap();
    assert!(line.contains("outbound|443||kyma-project.io"), "{line}");
    let failed = server.k("exec -n demo deploy/curl -c curl -- curl -s https://nowhere.invalid");
    assert_eq!(failed.code, Some(6), "curl's own exit code: {failed:?}");
}

#[test]
fn what_is_not_simulated_says_so() {
    if !kubectl_is_here() {
        return;
    }
    let server = Server::start("");
    let explained = server.k("explain pods").exits(0).stdout;
    assert!(
        explained.contains("sandbox: kubectl explain is not simulated"),
        "{explained}"
    );
    let gateway = "-n istio-system deploy/istio-egressgateway";
    server
        .k(&format!("attach {gateway}"))
        .fails("sandbox: pods/attach is not simulated");
    server
        .k(&format!("port-forward {gateway} 15999:15000"))
        .fails("is not simulated");
    server
        .k(&format!("exec {gateway} -- ls"))
        .fails("sandbox: ls in a container is not simulated");
    server
        .k("create configmap x --from-literal=a=b")
        .fails("is not simulated");
    server
        .k("get storageclasses")
        .fails("doesn't have a resource type");
}

#[test]
fn a_kubeconfig_is_not_overwritten_without_a_word_and_a_command_gets_its_own() {
    let server = Server::start("");
    let path = server.kubeconfig();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let before = std::fs::read(&path).unwrap();
    let sandbox = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"));
        command.arg("sandbox").args(arguments).stdin(Stdio::null());
        Said::new("sandbox", command.output().unwrap())
    };
    let file = path.to_str().unwrap();
    let refused = sandbox(&["--write-kubeconfig", file]).exits(5);
    assert!(refused.stderr.contains("is there already"), "{refused:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let binary = env!("CARGO_BIN_EXE_kubectl-egress");
    let story = format!(
        "{binary} setup kyma-project.io -n demo --create-namespace && {binary} verify -n demo -o json; exit 7"
    );
    let ran = sandbox(&["--", "sh", "-c", &story]).exits(7);
    assert!(ran.stderr.starts_with("sandbox: simulated cluster\n"), "{ran:?}");
    assert!(ran.stdout.contains(r#""verdict": "proven""#), "{ran:?}");
}

#[test]
fn any_command_takes_a_cluster_of_its_own() {
    let run = |arguments: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"));
        command.args(arguments.split_whitespace()).stdin(Stdio::null());
        Said::new(arguments, command.output().unwrap())
    };
    let ran = run("setup kyma-project.io -n demo --create-namespace --sandbox -q -o json").exits(0);
    assert_eq!(
        ran.stderr.lines().next(),
        Some("sandbox: simulated cluster"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("proven"), "{ran:?}");
    let refused = run("status --sandbox --context live").exits(2);
    assert!(refused.stderr.contains("--context"), "{refused:?}");
    let refused = run("status --sandbox-fault quota").exits(2);
    assert!(refused.stderr.contains("needs --sandbox"), "{refused:?}");
}
