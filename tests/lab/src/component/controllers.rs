//! The controller-manager and the scheduler.

use anyhow::Result;

use super::{Cluster, text};
use crate::cluster::kubeconfig::write_component;

/// Starts both; the API server must be ready.
///
/// # Errors
/// One cannot be started.
pub(crate) fn start(cluster: &mut Cluster) -> Result<()> {
    start_controller_manager(cluster)?;
    start_scheduler(cluster)
}

fn start_controller_manager(cluster: &mut Cluster) -> Result<()> {
    let layout = &cluster.layout;
    let kubeconfig = text(write_component(layout, "kube-controller-manager")?);
    let pki = |name: &str| text(layout.pki().join(name));
    let arguments = [
        ("kubeconfig", kubeconfig.clone()),
        ("authentication-kubeconfig", kubeconfig.clone()),
        ("authorization-kubeconfig", kubeconfig),
        ("bind-address", "127.0.0.1".into()),
        ("leader-elect", "false".into()),
        ("use-service-account-credentials", "true".into()),
        ("service-account-private-key-file", pki("service-account.key")),
        ("root-ca-file", pki("ca.pem")),
        ("cluster-signing-cert-file", pki("ca.pem")),
        ("cluster-signing-key-file", pki("ca.key")),
        ("allocate-node-cidrs", "true".into()),
        ("cluster-cidr", layout.pod_range().into()),
        ("service-cluster-ip-range", layout.service_range().into()),
    ];
    let arguments = arguments
        .iter()
        .map(|(flag, value)| format!("--{flag}={value}"))
        .collect();
    cluster.start_kubernetes("kube-controller-manager", arguments)
}

fn start_scheduler(cluster: &mut Cluster) -> Result<()> {
    let kubeconfig = text(write_component(&cluster.layout, "kube-scheduler")?);
    let arguments = [
        ("kubeconfig", kubeconfig.clone()),
        ("authentication-kubeconfig", kubeconfig.clone()),
        ("authorization-kubeconfig", kubeconfig),
        ("bind-address", "127.0.0.1".into()),
        ("leader-elect", "false".into()),
    ];
    let arguments = arguments
        .iter()
        .map(|(flag, value)| format!("--{flag}={value}"))
        .collect();
    cluster.start_kubernetes("kube-scheduler", arguments)
}
