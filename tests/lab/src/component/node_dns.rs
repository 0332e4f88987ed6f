//! A resolver on the node, at the address that NodeLocal DNS has everywhere: this very program, under its hidden
//! command. Pods that start while it is switched on have it in their resolv.conf, and nothing else.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;

use super::{Cluster, kubelet, own_program};
use crate::layout::ClusterLayout;
use crate::shell::{inside, output};
use crate::wait::Look;

/// The hidden command that relays questions.
pub(crate) const COMMAND: &str = "relay-dns";
/// Its name among the components.
const NAME: &str = "node-local-dns";
/// The port of DNS.
const PORT: u16 = 53;

/// The address that pods of this lab have in their resolv.conf.
pub(super) fn resolver(layout: &ClusterLayout, node_local: bool) -> Ipv4Addr {
    if node_local {
        layout.node_local_dns()
    } else {
        layout.dns_service()
    }
}

/// Starts it where it is asked for and does not run yet.
///
/// # Errors
/// It cannot be started, or ends.
pub(crate) fn start(cluster: &mut Cluster) -> Result<()> {
    let layout = cluster.layout.clone();
    if !cluster.state.options.node_local_dns || cluster.has(NAME) {
        return Ok(());
    }
    let address = layout.node_local_dns();
    output(inside(&layout.node_namespace(), "ip").args([
        "address",
        "replace",
        &format!("{address}/32"),
        "dev",
        "lo",
    ]))?;
    let program = own_program(&layout)?;
    let socket = |address| SocketAddr::from((address, PORT)).to_string();
    let arguments = [
        COMMAND.to_owned(),
        "--address".into(),
        socket(address),
        "--upstream".into(),
        socket(layout.dns_service()),
    ];
    cluster.start(NAME, &program, arguments.into())?;
    cluster.wait("the node's resolver", Duration::from_secs(20), || {
        let listening = output(inside(&layout.node_namespace(), "ss").args(["-H", "-l", "-n", "-t", "-u"]))?;
        let lines = listening.lines().filter(|line| line.contains(&socket(address)));
        Ok(if lines.count() == 2 {
            Look::Done(())
        } else {
            Look::NotYet("it is opening its ports".into())
        })
    })
}

/// Does what the options say on a lab that is up: the kubelet is started again, for the pods that come after. The
/// resolver stays when it is switched off, for the pods that have it.
///
/// # Errors
/// The resolver or the kubelet cannot be started.
pub(crate) fn switch(cluster: &mut Cluster) -> Result<()> {
    start(cluster)?;
    kubelet::restart(cluster)
}
