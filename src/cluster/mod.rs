//! The only place that talks to an API server: connect, read, apply, wait, exec, follow logs, forward ports, delete.
//!
//! kube gives TLS, proxies and the HTTP connection. Paths, retries, deadlines, waiting, exec and log following are ours,
//! because each has a trap in kube 5.0.0 that would make a proof worthless; each file names the trap that it avoids.

mod access;
mod apply;
mod credential;
mod exec;
mod explain;
mod failure;
mod forward;
mod kubeconfig;
mod lines;
mod log;
mod log_reading;
mod objects;
mod owned;
mod path;
mod pods;
mod presence;
mod proxy;
mod replay;
mod rollout;
mod seen;
mod served;
mod server;
mod settings;
mod socket;
mod transport;
mod wait;
mod wait_rollout;
mod watch;

pub use access::{Answer, Rule, Rules};
pub use apply::{Applied, ApplyOptions, ApplyOutcome, ConflictingField};
pub use exec::{ExecEnd, ExecOutput};
pub use forward::Stream;
pub use kubeconfig::KubeconfigNames;
pub use log::{LogEvent, LogFollower, LogStart};
pub use log_reading::LogReach;
pub use objects::{DeleteOptions, Deleted};
pub use pods::PodChange;
pub use served::ApiGroups;
pub use server::ServerVersion;
pub use settings::{ConnectionSettings, DEFAULT_REQUEST_TIMEOUT, Environment, Notice, Observer};
pub use wait::Waited;

use crate::error::{Error, Result};
use bytes::Bytes;
use credential::Credential;
use explain::Destination;
use kube::client::{Body, ClientBuilder};
use seen::Seen;
use std::sync::Arc;
use transport::Transport;

/// A connection to one API server. Cheap to clone: all clones share the connections and the limits.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    transport: Transport,
    seen: Seen,
    /// What is served, once known; see `served`.
    api_groups: tokio::sync::OnceCell<Arc<ApiGroups>>,
    default_namespace: String,
}

impl Cluster {
    /// Connects as kubectl would with these flags. No request is sent yet; a credential plugin runs, once.
    ///
    /// # Errors
    /// If the kubeconfig, the plugin or a flag is not usable. An unknown context's error lists the contexts there are.
    pub async fn connect(settings: &ConnectionSettings, observer: Observer) -> Result<Self> {
        Self::connect_in(&Environment::process(), settings, observer).await
    }

    /// [`Self::connect`] with the environment variables of somebody else's choice.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_in(
        environment: &Environment,
        settings: &ConnectionSettings,
        observer: Observer,
    ) -> Result<Self> {
        let chosen = kubeconfig::choose(settings, environment)?;
        let mut configuration = chosen.configuration;
        let mut credential = None;
        if let Some(plugin) = chosen.plugin {
            let (obtained, given) = Credential::obtain(plugin, Arc::clone(&observer)).await?;
            if let (Some(certificate), Some(key)) = (given.client_certificate_data, given.client_key_data) {
                configuration.auth_info.client_certificate_data = Some(base64(&certificate)?);
                configuration.auth_info.client_key_data = Some(base64(&key)?.into());
            }
            credential = Some(obtained);
        }
        let request_timeout = settings
            .request_timeout
            .filter(|timeout| !timeout.is_zero())
            .unwrap_or(DEFAULT_REQUEST_TIMEOUT);
        configuration.connect_timeout = Some(request_timeout.min(DEFAULT_REQUEST_TIMEOUT));
        // Whoever runs us installs the same provider first; a second installation is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let default_namespace = configuration.default_namespace.clone();
        let destination = Destination {
            server: without_slash(&configuration.cluster_url.to_string()),
            flag: chosen
                .context
                .as_ref()
                .map_or(String::new(), |name| format!(" --context {name}")),
            // Inside a pod, or with --server alone.
            context: chosen.context.unwrap_or_else(|| "none".to_owned()),
        };
        let builder = ClientBuilder::try_from(configuration).map_err(|error| unusable(&error))?;
        let transport = Transport::new(
            builder.build(),
            credential,
            observer,
            destination,
            request_timeout,
        );
        Ok(Self::assemble(transport, default_namespace))
    }

    /// What a kubeconfig names; nothing is asked and no plugin runs.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn kubeconfig_names(settings: &ConnectionSettings) -> Result<KubeconfigNames> {
        kubeconfig::names(settings, &Environment::process())
    }

    /// Whether there is nothing to connect to: no flag, no kubeconfig, and this is not a pod.
    pub fn none_is_configured(settings: &ConnectionSettings) -> bool {
        kubeconfig::is_missing(settings, &Environment::process())
    }

    /// Speaks to any tower service that answers as an API server does: the sandbox, a fault injector.
    /// Retries, deadlines and limits are the same as on a real connection.
    pub fn over_service<S, B>(service: S, default_namespace: &str, context: &str, observer: Observer) -> Self
    where
        S: tower::Service<http::Request<Body>, Response = http::Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<tower::BoxError>,
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<tower::BoxError>,
    {
        let client = kube::Client::new(service, default_namespace);
        let destination = Destination {
            server: format!("in-process://{context}"),
            context: context.to_owned(),
            flag: String::new(),
        };
        let transport = Transport::new(client, None, observer, destination, DEFAULT_REQUEST_TIMEOUT);
        Self::assemble(transport, default_namespace.to_owned())
    }

    fn assemble(transport: Transport, default_namespace: String) -> Self {
        Self(Arc::new(Inner {
            transport,
            seen: Seen::default(),
            api_groups: tokio::sync::OnceCell::new(),
            default_namespace,
        }))
    }

    fn transport(&self) -> &Transport {
        &self.0.transport
    }

    fn seen(&self) -> &Seen {
        &self.0.seen
    }

    /// The context's name.
    pub fn context(&self) -> &str {
        &self.transport().destination.context
    }

    /// The namespace to use when none is given.
    pub fn default_namespace(&self) -> &str {
        &self.0.default_namespace
    }

    /// The API server, as `https://host:port`.
    pub fn server(&self) -> &str {
        &self.transport().destination.server
    }

    /// The server's clock: the last `Date` header plus the time since; `None` before the first answer.
    /// It is at most a second behind. The client's own clock decides nothing.
    pub fn server_time(&self) -> Option<jiff::Timestamp> {
        self.transport().server_time()
    }

    /// Plain requests sent so far, every try counted; watches, log streams, execs and port-forwards are not.
    pub fn request_count(&self) -> u64 {
        self.transport().request_count()
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Cluster").field(&self.server()).finish()
    }
}

fn without_slash(server: &str) -> String {
    server.trim_end_matches('/').to_owned()
}

/// Kubeconfigs carry PEM in base64, and kube reads it from there only.
fn base64(pem: &str) -> Result<String> {
    let encoded = serde_json::to_value(k8s_openapi::ByteString(pem.as_bytes().to_vec()));
    encoded
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .ok_or_else(|| Error::bug("a certificate cannot be written in base64"))
}

fn unusable(error: &kube::Error) -> Error {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    Error::usage("the credentials or certificates of the kubeconfig cannot be used")
        .because(innermost.to_string())
        .hint("compare with `kubectl config view --minify`")
}
