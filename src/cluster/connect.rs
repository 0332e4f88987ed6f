//! From kubeconfig and flags to a connection.

use super::{Cluster, Notice, Observer};
use crate::error::{Error, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::PathBuf;
use std::time::Duration;

/// What kubectl's connection flags say.
#[derive(Debug, Clone, Default)]
pub struct ConnectionSettings {
    /// File instead of `KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// Context instead of the current one.
    pub context: Option<String>,
    /// Cluster instead of the context's.
    pub cluster: Option<String>,
    /// User instead of the context's.
    pub user: Option<String>,
    /// Namespace instead of the context's.
    pub namespace: Option<String>,
    /// `--as`.
    pub impersonate_user: Option<String>,
    /// `--as-group`.
    pub impersonate_groups: Vec<String>,
    /// `--as-uid`.
    pub impersonate_uid: Option<String>,
    /// URL of the API server.
    pub server: Option<String>,
    /// Bearer token.
    pub token: Option<String>,
    /// File with the server's CA.
    pub certificate_authority: Option<PathBuf>,
    /// Name in the server's certificate.
    pub tls_server_name: Option<String>,
    /// Do not verify the server's certificate.
    pub insecure_skip_tls_verify: bool,
    /// How long a request may take; none: 30 s.
    pub request_timeout: Option<Duration>,
}

impl Cluster {
    /// Connects as kubectl would; nothing is sent yet.
    ///
    /// # Errors
    /// If the kubeconfig cannot be read, names an unknown context, or credentials cannot be had.
    pub async fn connect(settings: &ConnectionSettings, observer: Observer) -> Result<Self> {
        let read = match &settings.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let kubeconfig = read.map_err(|error| Error::cluster("the kubeconfig cannot be read").because(error.to_string()).hint("name one with --kubeconfig, or set KUBECONFIG"))?;
        let context = settings.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
        if !kubeconfig.contexts.iter().any(|known| known.name == context) {
            let names: Vec<&str> = kubeconfig.contexts.iter().map(|known| known.name.as_str()).collect();
            return Err(Error::usage(format!("there is no context `{context}` in the kubeconfig")).hint(format!("it has: {}", names.join(", "))));
        }
        let options = KubeConfigOptions { context: Some(context.clone()), cluster: settings.cluster.clone(), user: settings.user.clone() };
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| Error::cluster("the kubeconfig cannot be used").because(error.to_string()))?;
        config.default_retry = false;
        config.auth_info.impersonate.clone_from(&settings.impersonate_user);
        if !settings.impersonate_groups.is_empty() {
            config.auth_info.impersonate_groups = Some(settings.impersonate_groups.clone());
        }
        if let Some(namespace) = &settings.namespace {
            config.default_namespace.clone_from(namespace);
        }
        let server = config.cluster_url.to_string();
        observer(Notice::CredentialPluginEnds);
        let client = kube::Client::try_from(config).map_err(|error| Error::cluster("could not prepare the connection").because(super::failure::why(&error)))?;
        Ok(Self::new(client, &context, server.trim_end_matches('/'), settings.request_timeout.unwrap_or(Duration::from_secs(30)), observer))
    }
}
