//! What can be said about the connection, and what the client says while it works.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long the headers of an answer may take when nothing else was said.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What kubectl's connection flags say. All of it is optional; an empty value means kubectl's default.
#[derive(Debug, Clone, Default)]
pub struct ConnectionSettings {
    /// `--kubeconfig`: this file alone; it must exist.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `--cluster`: a cluster entry other than the context's.
    pub cluster: Option<String>,
    /// `--user`: a user entry other than the context's.
    pub user: Option<String>,
    /// `--namespace`.
    pub namespace: Option<String>,
    /// `--as`.
    pub impersonate_user: Option<String>,
    /// `--as-group`, as often as given.
    pub impersonate_groups: Vec<String>,
    /// `--as-uid`.
    pub impersonate_uid: Option<String>,
    /// `--server`.
    pub server: Option<String>,
    /// `--token`.
    pub token: Option<String>,
    /// `--certificate-authority`: a PEM file.
    pub certificate_authority: Option<PathBuf>,
    /// `--tls-server-name`.
    pub tls_server_name: Option<String>,
    /// `--insecure-skip-tls-verify`.
    pub insecure_skip_tls_verify: bool,
    /// `--request-timeout`: how long the headers of an answer may take ([`DEFAULT_REQUEST_TIMEOUT`]).
    /// It never cuts a stream (watch, log, exec, port-forward) that has begun.
    pub request_timeout: Option<Duration>,
}

/// What the client tells while it works. Nobody needs to act on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A request failed and is sent again.
    Retrying {
        /// HTTP method.
        method: String,
        /// Path without the query.
        path: String,
        /// Why, as a fragment.
        reason: String,
    },
    /// No connection comes about to a server that has answered before, which is told once until it answers again; or the
    /// server cannot call an admission webhook, which is told once.
    Away {
        /// Who does not answer, as the subject of a sentence.
        who: String,
        /// How long it is tried again.
        patience: Duration,
    },
    /// A request was answered, or failed. Of a stream (watch, log, exec, port-forward) only its opening.
    Requested {
        /// HTTP method.
        method: String,
        /// Path without the query, which can hold what a command is given.
        path: String,
        /// The status, for example `200`, or why there is none, as a fragment.
        answer: String,
        /// From the sending to the answer's headers.
        elapsed: Duration,
    },
    /// The text of a `Warning:` header (PodSecurity, deprecations).
    Warning(String),
    /// A credential plugin of this name starts; it may want the terminal.
    CredentialPluginStarts(String),
    /// The credential plugin has ended; the terminal is ours again.
    CredentialPluginEnds,
    /// A stream that had broken off is open again.
    Reconnected {
        /// Which, for example `log of demo/curl-5d8`.
        what: String,
    },
}

/// Hears notices. Called from any task; must return at once.
pub type Observer = Arc<dyn Fn(Notice) + Send + Sync>;

/// Where environment variables are read from: the process, or a table that a test gives.
#[derive(Clone)]
pub struct Environment(Lookup);

type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

impl Environment {
    /// The variables of this process. Variables that are not UTF-8 count as unset.
    pub fn process() -> Self {
        Self(Arc::new(|name| std::env::var(name).ok()))
    }

    /// The variables that the function knows.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// The variable, unless it is unset or empty.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// The first of several spellings that is set and not empty.
    pub(super) fn first_of(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Environment")
    }
}
