//! kube-proxy: Service addresses in the node's network namespace.

use anyhow::Result;

use super::{Cluster, text};
use crate::cluster::kubeconfig::write_component;

/// Starts it.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start(cluster: &mut Cluster) -> Result<()> {
    let layout = &cluster.layout;
    let arguments = [
        ("kubeconfig", text(write_component(layout, "kube-proxy")?)),
        ("proxy-mode", "iptables".into()),
        ("cluster-cidr", layout.pod_range().into()),
        ("hostname-override", layout.name()),
        ("conntrack-max-per-core", "0".into()),
        ("conntrack-tcp-timeout-established", "0".into()),
        ("conntrack-tcp-timeout-close-wait", "0".into()),
        ("bind-address", layout.node_address().to_string()),
        ("healthz-bind-address", "127.0.0.1:10256".into()),
        ("metrics-bind-address", "127.0.0.1:10249".into()),
    ];
    let arguments = arguments
        .iter()
        .map(|(flag, value)| format!("--{flag}={value}"))
        .collect();
    cluster.start_kubernetes("kube-proxy", arguments)
}
