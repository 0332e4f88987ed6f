//! etcd, on the node's loopback address only.

use std::time::Duration;

use anyhow::Result;

use super::{Cluster, text};

/// Where the API server finds it.
pub(super) const URL: &str = "http://127.0.0.1:2379";

/// Starts it.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start(cluster: &mut Cluster) -> Result<()> {
    let program = cluster.binaries.etcd.clone();
    let folder = text(cluster.layout.state_dir().join("etcd"));
    let arguments = [
        ("--data-dir", folder.as_str()),
        ("--listen-client-urls", URL),
        ("--advertise-client-urls", URL),
        ("--listen-peer-urls", "http://127.0.0.1:2380"),
        ("--log-level", "warn"),
    ];
    let mut arguments: Vec<_> = arguments
        .iter()
        .map(|(flag, value)| format!("{flag}={value}"))
        .collect();
    // A test cluster may lose its data when the machine stops.
    arguments.push("--unsafe-no-fsync".into());
    cluster.start("etcd", &program, arguments)
}

/// Waits until it takes requests.
///
/// # Errors
/// Not within half a minute.
pub(crate) fn wait(cluster: &Cluster) -> Result<()> {
    cluster.wait_for_url("etcd", Duration::from_secs(30), &[format!("{URL}/health")])
}
