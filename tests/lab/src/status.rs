//! `status`: what is up.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::component::{apiserver, istio, kyma};
use crate::kyma::Platform;
use crate::layout::ClusterLayout;
use crate::process::{members, memory};
use crate::shell::{command, output};
use crate::state::{Options, Phase, State};

/// What is known about a lab.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its name; also the context's name.
    pub name: String,
    /// Whether everything runs and answers.
    pub healthy: bool,
    /// How far `up` came; none where there is no lab.
    pub phase: Option<Phase>,
    /// What was asked for.
    pub options: Option<Options>,
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The log of the outside world.
    pub world_log: PathBuf,
    /// The API server's audit log.
    pub audit_log: PathBuf,
    /// The folder of the components' logs.
    pub logs: PathBuf,
    /// The components.
    pub components: Vec<Component>,
    /// Resident memory of all processes of the lab, pods included, in bytes.
    pub memory: u64,
    /// The second cluster, where the lab has one.
    pub target: Option<Box<Status>>,
}

/// One component.
#[derive(Debug, Clone, Serialize)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its process.
    pub pid: i32,
    /// Whether it runs.
    pub alive: bool,
}

/// Looks at the lab.
pub fn status(layout: &ClusterLayout) -> Status {
    let state = State::load(layout);
    let processes = state
        .as_ref()
        .map(|state| state.processes.clone())
        .unwrap_or_default();
    let target = !layout.is_target() && State::load(&layout.target()).is_some();
    Status {
        name: layout.name(),
        healthy: state.as_ref().is_some_and(|state| is_healthy(layout, state)),
        phase: state.as_ref().map(|state| state.phase),
        options: state.as_ref().map(|state| state.options),
        kubeconfig: layout.kubeconfig(),
        world_log: layout.world_log(),
        audit_log: layout.audit_log(),
        logs: layout.logs(),
        memory: members(layout, &processes).into_iter().map(memory).sum(),
        components: processes
            .into_iter()
            .map(|process| Component {
                alive: process.is_alive(),
                name: process.name,
                pid: process.pid,
            })
            .collect(),
        target: target.then(|| Box::new(self::status(&layout.target()))),
    }
}

/// Says whether a lab came up once, all of its processes run, and API server and mesh are ready.
pub(crate) fn is_healthy(layout: &ClusterLayout, state: &State) -> bool {
    state.phase == Phase::Up
        && state.processes.iter().all(crate::process::Started::is_alive)
        && answers(layout).is_ok()
        && mesh_is_ready(layout, state.options).unwrap_or(false)
}

fn mesh_is_ready(layout: &ClusterLayout, options: Options) -> Result<bool> {
    match options.platform {
        Platform::Istio => istio::is_ready(layout),
        Platform::Kyma => kyma::is_ready(layout),
    }
}

fn answers(layout: &ClusterLayout) -> Result<()> {
    let mut curl = command("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--fail",
        "--max-time",
        "5",
        "--noproxy",
        "*",
    ]);
    output(curl.args(apiserver::ready_request(layout))).map(|_| ())
}

impl Status {
    /// The lines for people.
    pub fn lines(&self) -> Vec<String> {
        let Some(options) = self.options else {
            return vec![format!("{}: there is none", self.name)];
        };
        let megabytes = self.memory / (1024 * 1024);
        let mut lines = vec![
            format!(
                "{}: {}",
                self.name,
                if self.healthy { "up" } else { "not healthy" }
            ),
            format!("  platform         {}", options.platform_words()),
            format!(
                "  egress gateway   {}",
                match (options.platform, options.egress_gateway) {
                    (Platform::Kyma, _) => "as the Istio CR says",
                    (_, true) => "installed",
                    (_, false) => "not installed",
                }
            ),
            format!("  outbound policy  {}", options.outbound_policy.as_str()),
            format!("  policy engine    {}", options.policy_engine),
            format!(
                "  resolver         {}",
                if options.node_local_dns {
                    "on the node, for new pods"
                } else {
                    "kube-dns"
                }
            ),
            format!("  kubeconfig       {}", self.kubeconfig.display()),
            format!("  outside world    {}", self.world_log.display()),
            format!("  audit log        {}", self.audit_log.display()),
            format!("  logs             {}", self.logs.display()),
            format!("  memory           {megabytes} MiB"),
        ];
        lines.extend(self.components.iter().map(|component| {
            let life = if component.alive { "runs" } else { "ENDED" };
            format!("  {:<24} {life}, process {}", component.name, component.pid)
        }));
        lines.extend(self.target.iter().flat_map(|target| target.lines()));
        lines
    }
}
