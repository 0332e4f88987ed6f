//! Kubeconfig files: one for people and tests, one for each component.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::layout::ClusterLayout;
use crate::shell::write_atomically;

/// The certificate of the administrator.
const ADMINISTRATOR: &str = "admin";

/// Writes the administrator's kubeconfig, with everything embedded so that the file can be copied.
///
/// # Errors
/// A key is missing, or the folder is not writable.
pub(crate) fn write_admin(layout: &ClusterLayout) -> Result<()> {
    write(&[layout], ADMINISTRATOR, &layout.kubeconfig())
}

/// Writes the kubeconfig of a lab of two clusters: a context for each, the current one is the first's.
///
/// # Errors
/// As [`write_admin`].
pub(crate) fn write_both(layout: &ClusterLayout) -> Result<()> {
    write(&[layout, &layout.target()], ADMINISTRATOR, &layout.kubeconfig())
}

/// Writes the kubeconfig of a component, named like its certificate, and returns its path.
///
/// # Errors
/// As [`write_admin`].
pub(crate) fn write_component(layout: &ClusterLayout, certificate: &str) -> Result<PathBuf> {
    let path = layout.pki().join(format!("{certificate}.kubeconfig"));
    write(&[layout], certificate, &path)?;
    Ok(path)
}

fn write(layouts: &[&ClusterLayout], certificate: &str, path: &std::path::Path) -> Result<()> {
    let [mut clusters, mut users, mut contexts] = [const { Vec::new() }; 3];
    for layout in layouts {
        let name = layout.context();
        let embed = |file: &str| -> Result<String> {
            let file = layout.pki().join(file);
            let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            Ok(STANDARD.encode(content))
        };
        let user = if layout.is_target() {
            format!("{certificate}-{name}")
        } else {
            certificate.to_owned()
        };
        clusters.push(json!({"name": name, "cluster": {
            "server": layout.server_url(),
            "certificate-authority-data": embed("ca.pem")?,
        }}));
        users.push(json!({"name": user, "user": {
            "client-certificate-data": embed(&format!("{certificate}.pem"))?,
            "client-key-data": embed(&format!("{certificate}.key"))?,
        }}));
        contexts.push(json!({"name": name, "context": {"cluster": name, "user": user}}));
    }
    // JSON is YAML.
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": layouts.first().map(|layout| layout.context()),
        "clusters": clusters,
        "users": users,
        "contexts": contexts,
    });
    write_atomically(path, &serde_json::to_vec_pretty(&kubeconfig)?)?;
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(())
}
