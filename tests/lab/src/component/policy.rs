//! The policy engine: this very program, under its hidden command, in the node's network namespace.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::{Cluster, apiserver, kubectl, own_program, own_program_path, text};
use crate::layout::ClusterLayout;
use crate::policy::{Access, PolicyEngine, PolicyStatus, Settings};
use crate::wait::{Look, until};

/// The hidden command that enforces policies.
pub(crate) const COMMAND: &str = "enforce-policies";
/// The hidden command that tells the engine of a pod's address.
pub(crate) const PLUGIN_COMMAND: &str = "announce-pod";
/// The name of that command among the plugins of the pods' network.
pub(crate) const PLUGIN: &str = "lab-policy";
/// Its name among the components.
const NAME: &str = "policy-engine";

/// What the hidden command is told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    folder: std::path::PathBuf,
    #[arg(long)]
    server: String,
    #[arg(long, required = true)]
    node_address: Vec<std::net::IpAddr>,
    /// Arguments of curl.
    #[arg(last = true)]
    credentials: Vec<String>,
}

impl Arguments {
    /// The same for the engine.
    pub(crate) fn into_settings(self) -> Settings {
        Settings {
            folder: self.folder,
            access: Access {
                server: self.server,
                credentials: self.credentials,
            },
            node_addresses: self.node_address,
        }
    }
}

/// Starts it and waits until it has loaded rules for everything that is there; the API server must be ready.
///
/// # Errors
/// It cannot be started, or ends.
pub(crate) fn start(cluster: &mut Cluster) -> Result<()> {
    let layout = cluster.layout.clone();
    let engine = cluster.state.options.policy_engine;
    engine.ask(&layout.policy())?;
    let program = own_program(&layout)?;
    let mut arguments = vec![COMMAND.to_owned(), "--folder".into(), text(layout.policy())];
    arguments.extend(["--server".into(), layout.server_url()]);
    for address in node_addresses(&layout) {
        arguments.extend(["--node-address".into(), address.to_string()]);
    }
    arguments.push("--".into());
    arguments.extend(apiserver::credentials(&layout));
    cluster.start(NAME, &program, arguments)?;
    cluster.wait("the policy engine", Duration::from_secs(20), || {
        Ok(look(&layout, engine))
    })
}

/// The plugin that the pods' network calls. The program it runs is there before the first pod.
pub(crate) fn plugin_script(layout: &ClusterLayout) -> String {
    format!(
        "#!/bin/sh\nexec {} {PLUGIN_COMMAND} --folder {}\n",
        own_program_path(layout).display(),
        layout.policy().display()
    )
}

/// Does what the options say on a lab that is up.
///
/// # Errors
/// As [`start`] and [`switch`].
pub(crate) fn ensure(cluster: &mut Cluster) -> Result<()> {
    if cluster.has(NAME) {
        switch(&cluster.layout, cluster.state.options.policy_engine)
    } else {
        start(cluster)
    }
}

/// Asks for another engine and waits until it is in force.
///
/// # Errors
/// Not within ten seconds.
pub(crate) fn switch(layout: &ClusterLayout, engine: PolicyEngine) -> Result<()> {
    engine.ask(&layout.policy())?;
    until("the policy engine", Duration::from_secs(10), || {
        Ok(look(layout, engine))
    })
}

/// Waits until exactly the policies that the API server has, for exactly the pods that it knows, are in force.
///
/// # Errors
/// Not within `deadline`; the error says what is missing.
pub(crate) fn wait(layout: &ClusterLayout, deadline: Duration) -> Result<PolicyStatus> {
    let wanted = [
        "get",
        "networkpolicies,pods",
        "--all-namespaces",
        "--output",
        "json",
    ];
    until("policies in force", deadline, || {
        let objects: serde_json::Value = serde_json::from_str(&kubectl(layout, &wanted)?)?;
        let status = PolicyStatus::read(&layout.policy())?;
        Ok(match status.missing(&objects) {
            None => Look::Done(status),
            Some(missing) => Look::NotYet(missing),
        })
    })
}

fn look(layout: &ClusterLayout, engine: PolicyEngine) -> Look<()> {
    match PolicyStatus::read(&layout.policy()) {
        Ok(status) if status.engine == engine && status.error.is_none() => Look::Done(()),
        Ok(status) => Look::NotYet(format!("{status:?}")),
        Err(error) => Look::NotYet(format!("{error:#}")),
    }
}

fn node_addresses(layout: &ClusterLayout) -> [std::net::Ipv4Addr; 4] {
    [
        layout.node_address(),
        layout.node_address_in_world(),
        layout.node_address_to_pods(),
        layout.node_local_dns(),
    ]
}
