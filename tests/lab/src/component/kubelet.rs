//! The kubelet, with its pods below the lab's own cgroup.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{Cluster, node_dns, text};
use crate::cluster::kubeconfig::write_component;

/// Its name among the components.
const NAME: &str = "kubelet";
/// Kernel settings of the machine that the kubelet changes; `down` gives them back.
const KERNEL_SETTINGS: &[&str] = &[
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// Starts it; containerd must answer, and the API server must be ready.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start(cluster: &mut Cluster) -> Result<()> {
    let layout = cluster.layout.clone();
    let kubeconfig = write_component(&layout, "node")?;
    let socket = format!("unix://{}", layout.containerd_socket().display());
    let configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout.node_address(),
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": layout.pki().join("ca.pem")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", layout.cgroup()),
        "clusterDNS": [node_dns::resolver(&layout, cluster.state.options.node_local_dns)],
        "clusterDomain": "cluster.local",
        // Small and often, so that logs are rotated while something follows them.
        "containerLogMaxSize": "64Ki",
        "containerLogMonitorInterval": "3s",
        "containerRuntimeEndpoint": socket,
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "failCgroupV1": false,
        "failSwapOn": false,
        "healthzBindAddress": "127.0.0.1",
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "podLogsDir": layout.data_dir().join("pod-logs"),
        "readOnlyPort": 0,
        "resolvConf": "",
        "tlsCertFile": layout.pki().join("kubelet-server.pem"),
        "tlsPrivateKeyFile": layout.pki().join("kubelet-server.key"),
    });
    let path = layout.state_dir().join("kubelet.json");
    fs::write(&path, serde_json::to_vec_pretty(&configuration)?)?;
    if cluster.state.kernel_settings.is_empty() {
        cluster.state.kernel_settings = read_kernel_settings();
    }
    let arguments = vec![
        format!("--config={}", path.display()),
        format!("--kubeconfig={}", text(kubeconfig)),
        format!("--root-dir={}", layout.data_dir().join("kubelet").display()),
        format!("--cert-dir={}", layout.pki().display()),
        format!("--hostname-override={}", layout.name()),
        format!("--node-ip={}", layout.node_address()),
        "--v=1".into(),
    ];
    cluster.start_kubernetes(NAME, arguments)
}

/// Starts it anew with what the options say now, and waits until it answers. Pods go on meanwhile.
///
/// # Errors
/// It cannot be stopped or started.
pub(crate) fn restart(cluster: &mut Cluster) -> Result<()> {
    cluster.stop(NAME)?;
    start(cluster)?;
    let health = ["http://127.0.0.1:10248/healthz".to_owned()];
    cluster.wait_for_url("the kubelet", Duration::from_secs(30), &health)
}

fn read_kernel_settings() -> Vec<(PathBuf, String)> {
    KERNEL_SETTINGS
        .iter()
        .map(|name| PathBuf::from("/proc/sys").join(name))
        .filter_map(|path| Some((path.clone(), fs::read_to_string(&path).ok()?.trim().to_owned())))
        .collect()
}
