//! containerd, with every file of its own below the lab's folders.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Cluster, text};
use crate::cluster::network;
use crate::image::PAUSE;
use crate::layout::ClusterLayout;
use crate::shell::{inside, output};
use crate::unavailable::find_program;
use crate::wait::Look;

fn configuration(layout: &ClusterLayout) -> String {
    format!(
        r#"version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Without the capability SYS_RESOURCE nobody can lower a score, and runc dies of trying.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{runc}"
        SystemdCgroup = false
"#,
        root = layout.data_dir().join("containerd").display(),
        state = layout.containerd_state().display(),
        socket = layout.containerd_socket().display(),
        plugins = network::plugins(layout).display(),
        cni = layout.state_dir().join("cni").display(),
        runc = layout.state_dir().join("runc").display(),
    )
}

/// Starts it.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start(cluster: &mut Cluster) -> Result<()> {
    network::write_cni(&cluster.layout)?;
    let path = cluster.layout.state_dir().join("containerd.toml");
    std::fs::write(&path, configuration(&cluster.layout))?;
    let program = find_program("containerd").context("containerd is not installed")?;
    cluster.start("containerd", &program, vec!["--config".into(), text(path)])
}

/// Waits until it answers.
///
/// # Errors
/// Not within half a minute.
pub(crate) fn wait(cluster: &Cluster) -> Result<()> {
    let socket = cluster.layout.containerd_socket();
    cluster.wait("containerd", Duration::from_secs(30), || {
        let mut ctr = inside(&cluster.layout.node_namespace(), "ctr");
        Ok(
            match output(
                ctr.arg("--address")
                    .arg(&socket)
                    .args(["--connect-timeout", "2s", "version"]),
            ) {
                Ok(_) => Look::Done(()),
                Err(error) => Look::NotYet(error.to_string()),
            },
        )
    })
}

/// The sockets of the containers' supervisors; containerd puts them outside its own folders.
pub(crate) fn supervisor_sockets(layout: &ClusterLayout) -> Vec<PathBuf> {
    let tasks = layout
        .containerd_state()
        .join("io.containerd.runtime.v2.task/k8s.io");
    let addresses = std::fs::read_dir(tasks).into_iter().flatten().filter_map(|task| {
        let address = std::fs::read_to_string(task.ok()?.path().join("address")).ok()?;
        Some(PathBuf::from(address.trim().strip_prefix("unix://")?))
    });
    addresses
        .filter(|path| path.starts_with("/run/containerd/s"))
        .collect()
}
