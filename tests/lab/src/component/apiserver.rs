//! The API server, with an audit log so that the requests of a run can be counted.

use std::time::Duration;

use anyhow::Result;

use super::{Cluster, etcd, text};

const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
";

/// Starts it.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start(cluster: &mut Cluster) -> Result<()> {
    let layout = &cluster.layout;
    let pki = |name: &str| text(layout.pki().join(name));
    let policy = layout.state_dir().join("audit-policy.yaml");
    std::fs::write(&policy, AUDIT_POLICY)?;
    let address = layout.node_address().to_string();
    let arguments = [
        ("etcd-servers", etcd::URL.to_owned()),
        ("secure-port", "6443".into()),
        ("bind-address", "0.0.0.0".into()),
        ("advertise-address", address),
        ("service-cluster-ip-range", layout.service_range().into()),
        ("allow-privileged", "true".into()),
        ("authorization-mode", "Node,RBAC".into()),
        ("enable-admission-plugins", "NodeRestriction".into()),
        ("client-ca-file", pki("ca.pem")),
        ("tls-cert-file", pki("apiserver.pem")),
        ("tls-private-key-file", pki("apiserver.key")),
        (
            "service-account-issuer",
            "https://kubernetes.default.svc.cluster.local".into(),
        ),
        ("service-account-key-file", pki("service-account.pub")),
        ("service-account-signing-key-file", pki("service-account.key")),
        ("kubelet-certificate-authority", pki("ca.pem")),
        ("kubelet-client-certificate", pki("apiserver-kubelet.pem")),
        ("kubelet-client-key", pki("apiserver-kubelet.key")),
        ("kubelet-preferred-address-types", "InternalIP".into()),
        ("requestheader-client-ca-file", pki("front-proxy-ca.pem")),
        ("requestheader-allowed-names", "front-proxy".into()),
        ("requestheader-extra-headers-prefix", "X-Remote-Extra-".into()),
        ("requestheader-group-headers", "X-Remote-Group".into()),
        ("requestheader-username-headers", "X-Remote-User".into()),
        ("proxy-client-cert-file", pki("front-proxy.pem")),
        ("proxy-client-key-file", pki("front-proxy.key")),
        ("audit-policy-file", text(policy)),
        ("audit-log-path", text(layout.audit_log())),
        ("profiling", "false".into()),
    ];
    let arguments = arguments
        .iter()
        .map(|(flag, value)| format!("--{flag}={value}"))
        .collect();
    cluster.start_kubernetes("kube-apiserver", arguments)
}

/// Waits until it is ready; controllers that are started earlier give up.
///
/// # Errors
/// Not within a minute and a half.
pub(crate) fn wait(cluster: &Cluster) -> Result<()> {
    cluster.wait_for_url(
        "the API server",
        Duration::from_secs(90),
        &ready_request(&cluster.layout),
    )
}

/// The arguments with which curl asks the API server whether it is ready.
pub(crate) fn ready_request(layout: &crate::layout::ClusterLayout) -> Vec<String> {
    let mut arguments = credentials(layout);
    arguments.push(format!("{}/readyz", layout.server_url()));
    arguments
}

/// The arguments with which curl is the administrator.
pub(super) fn credentials(layout: &crate::layout::ClusterLayout) -> Vec<String> {
    let pki = |name: &str| text(layout.pki().join(name));
    let (authority, certificate, key) = (pki("ca.pem"), pki("admin.pem"), pki("admin.key"));
    ["--cacert", &authority, "--cert", &certificate, "--key", &key]
        .map(ToOwned::to_owned)
        .to_vec()
}
