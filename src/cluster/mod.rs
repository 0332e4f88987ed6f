//! The only place that talks to an API server: connect, read, apply, wait, exec, follow logs, forward ports, delete.

mod access;
mod connect;
mod exec;
mod failure;
mod forward;
mod log;
mod objects;
mod rollout;
mod transport;
mod wait;
mod watch;

pub use access::{Answer, Rules};
pub use connect::ConnectionSettings;
pub use exec::{ExecEnd, ExecOutput};
pub use forward::Stream;
pub use log::{LogEvent, LogFollower, LogStart};
pub use objects::{Applied, ApplyOptions, DeleteOptions, Deleted, ServerVersion};
pub use wait::Waited;
pub use watch::PodChange;

use std::sync::Arc;
use std::time::Duration;

/// What the client says beside its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A request is sent again.
    Retrying {
        /// Its method.
        method: String,
        /// Its path.
        path: String,
        /// Why.
        reason: String,
    },
    /// A `Warning` header of the API server (RFC 9111 section 5.5), such as a Pod Security remark.
    Warning(String),
    /// A credential plugin starts and may talk to the user.
    CredentialPluginStarts(String),
    /// It is done.
    CredentialPluginEnds,
    /// A stream was opened again.
    Reconnected {
        /// Which.
        what: String,
    },
}

/// Who hears notices.
pub type Observer = Arc<dyn Fn(Notice) + Send + Sync>;

/// A connection to one API server. Cheap to clone; all clones share its bounds and its clock.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    shared: Arc<transport::Shared>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Cluster({})", self.context())
    }
}

impl Cluster {
    /// Puts any service that answers like an API server behind the same client: the sandbox, a fault injector.
    pub fn over_service<S, B, T>(service: S, default_namespace: T, context: &str, observer: Observer) -> Self
    where
        S: tower::Service<http::Request<kube::client::Body>, Response = http::Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<tower::BoxError>,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<tower::BoxError>,
        T: Into<String>,
    {
        let client = kube::Client::new(service, default_namespace);
        Self::new(client, context, "in-process", Duration::from_secs(30), observer)
    }

    fn new(client: kube::Client, context: &str, server: &str, deadline: Duration, observer: Observer) -> Self {
        Self { client, shared: Arc::new(transport::Shared::new(context, server, deadline, observer)) }
    }

    /// Name of the context in use.
    pub fn context(&self) -> &str {
        &self.shared.context
    }

    /// URL of the API server.
    pub fn server(&self) -> &str {
        &self.shared.server
    }

    /// Namespace of the context, or `default`.
    pub fn default_namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// The server's clock: its last Date header and what has passed since. `None` before its first answer.
    pub fn server_time(&self) -> Option<jiff::Timestamp> {
        self.shared.server_time()
    }

    /// Plain requests sent so far; watches, logs, execs and port-forwards are not counted.
    pub fn request_count(&self) -> u64 {
        self.shared.request_count()
    }
}
