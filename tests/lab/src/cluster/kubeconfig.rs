//! Kubeconfig files: one for people and tests, one for each component.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::layout::ClusterLayout;
use crate::shell::write_atomically;

/// Writes the administrator's kubeconfig, with everything embedded so that the file can be copied.
///
/// # Errors
/// A key is missing, or the folder is not writable.
pub(crate) fn write_admin(layout: &ClusterLayout) -> Result<()> {
    write(layout, "admin", &layout.kubeconfig())
}

/// Writes the kubeconfig of a component, named like its certificate, and returns its path.
///
/// # Errors
/// As [`write_admin`].
pub(crate) fn write_component(layout: &ClusterLayout, certificate: &str) -> Result<PathBuf> {
    let path = layout.pki().join(format!("{certificate}.kubeconfig"));
    write(layout, certificate, &path)?;
    Ok(path)
}

fn write(layout: &ClusterLayout, user: &str, path: &std::path::Path) -> Result<()> {
    let embed = |file: &str| -> Result<String> {
        let file = layout.pki().join(file);
        Ok(STANDARD.encode(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?))
    };
    let text = format!(
        "apiVersion: v1
kind: Config
current-context: {name}
clusters:
- name: {name}
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: {user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {user}
",
        name = layout.name(),
        server = layout.server_url(),
        authority = embed("ca.pem")?,
        certificate = embed(&format!("{user}.pem"))?,
        key = embed(&format!("{user}.key"))?,
    );
    write_atomically(path, text.as_bytes())?;
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(())
}
