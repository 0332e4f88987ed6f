//! The embedded cluster in a process of its own, so that its memory is not that of the program which is measured; its
//! requests and bytes are counted.

use crate::output;
use crate::relay;
use anyhow::{Context, Result};
use kubectl_egress::sandbox::{Sandbox, SandboxSettings};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader as AsyncBufReader};

/// The hidden command.
pub(crate) const COMMAND: &str = "serve";
/// As the program's own embedded cluster starts them.
const POD_START: Duration = Duration::from_millis(60);
/// Other people's namespaces.
const NAMESPACES: usize = 100;

/// What the cluster was asked for since it began.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// Requests that are no streams.
    pub(crate) requests: u64,
    /// Exec, logs, port-forwards and watches.
    pub(crate) streams: u64,
    /// Bytes to the client.
    pub(crate) received: u64,
    /// Bytes from the client.
    pub(crate) sent: u64,
}

impl Counted {
    /// What came since then.
    pub(crate) fn since(self, then: Self) -> Self {
        Self {
            requests: self.requests - then.requests,
            streams: self.streams - then.streams,
            received: self.received - then.received,
            sent: self.sent - then.sent,
        }
    }
}

/// The serving process; it ends when this is dropped.
pub(crate) struct Served {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    kubeconfig: PathBuf,
}

impl Served {
    /// Serves a cluster with so many pods of others; its kubeconfig is written into a folder.
    pub(crate) fn start(folder: &Path, pods: usize) -> Result<Self> {
        let kubeconfig = folder.join(format!("sandbox-{pods}.yaml"));
        let own = std::env::current_exe().context("the path of this program")?;
        let mut child = Command::new(own)
            .args([COMMAND, "--pods", &pods.to_string(), "--kubeconfig"])
            .arg(&kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the embedded cluster does not start")?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (ask, answers) = pipes.context("the embedded cluster has no pipes")?;
        let mut served = Self {
            child,
            ask,
            answers: BufReader::new(answers),
            kubeconfig,
        };
        // The first answer comes when it serves.
        served.counted()?;
        Ok(served)
    }

    /// The way to it.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What it was asked for so far.
    pub(crate) fn counted(&mut self) -> Result<Counted> {
        writeln!(self.ask)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).context("the embedded cluster does not answer")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves, and answers each line on standard input with what was counted, until that ends.
pub(crate) async fn serve(kubeconfig: &Path, pods: usize) -> Result<()> {
    let sandbox = Sandbox::new(SandboxSettings {
        pod_start: POD_START,
        ..SandboxSettings::default()
    });
    populate(&sandbox, pods)?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (address, passed) = relay::relay(listener.local_addr()?).await?;
    let serving = sandbox.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let text = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: sandbox\n  cluster: {{server: \"http://{address}\"}}\nusers:\n- name: sandbox\n  user: {{}}\ncontexts:\n- name: sandbox\n  context: {{cluster: sandbox, user: sandbox}}\ncurrent-context: sandbox\n"
    );
    std::fs::write(kubeconfig, text)?;
    let mut lines = AsyncBufReader::new(tokio::io::stdin()).lines();
    while lines.next_line().await?.is_some() {
        let requests = sandbox.requests();
        let streams = requests.iter().filter(|request| request.stream.is_some()).count();
        let counted = Counted {
            requests: (requests.len() - streams) as u64,
            streams: streams as u64,
            received: passed.received.load(Ordering::Relaxed),
            sent: passed.sent.load(Ordering::Relaxed),
        };
        output::data(&serde_json::to_string(&counted)?);
    }
    Ok(())
}

/// Other people's pods, as large as pods are.
fn populate(sandbox: &Sandbox, pods: usize) -> Result<()> {
    let namespaces = (0..NAMESPACES.min(pods)).map(|number| {
        json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("team-{number}")},
            "status": {"phase": "Active"},
        })
    });
    sandbox.populate(namespaces.chain((0..pods).map(pod)))?;
    Ok(())
}

/// Its containers' environment makes it about 4 KiB, as pods of a mesh are at least.
fn pod(number: usize) -> serde_json::Value {
    let application = format!("app-{}", number % 400);
    let variables: Vec<_> = (0..30)
        .map(|one| json!({"name": format!("SETTING_{one}"), "value": format!("{application}-value-{one}-of-a-usual-length")}))
        .collect();
    let address = format!(
        "10.{}.{}.{}",
        128 + number / 62_500,
        number / 250 % 250,
        number % 250 + 1
    );
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{application}-{number}"), "namespace": format!("team-{}", number % NAMESPACES),
            "labels": {"app": application, "security.istio.io/tlsMode": "istio"},
        },
        "spec": {"containers": [
            {"name": "application", "image": format!("registry.example.com/{application}:1"), "env": variables},
            {"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.29.0", "args": ["proxy", "sidecar"]},
        ]},
        "status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [
                {"type": "Ready", "status": "True"}, {"type": "ContainersReady", "status": "True"},
            ],
        },
    })
}
