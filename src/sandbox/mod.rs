//! The embedded cluster: an API server, a few controllers, and a network that moves packets by asking [`crate::mesh`].
//!
//! It speaks HTTP over an in-memory pipe, or on a socket, so that the true client code runs against it:
//! discovery, objects with field owners, watches, WebSocket exec and port-forward, log streams, and faults on
//! request. It is as small as it can be: what it does, it does as a real cluster was measured to do; what it
//! does not know it says. A verdict seen here proves plumbing only.
//! Left out, and refused by name, is what the tool does not need: of routing what `api::not_simulated` lists, of
//! Kubernetes every kind that is not asked for, resources and affinities of pods, volumes, probes of containers.
//!
//! | part | holds |
//! |---|---|
//! | `store` | objects, revisions, the history that watches read |
//! | `api` | paths, verbs, errors in the API server's words, discovery, reviews, watches |
//! | `apply` | server-side apply: path sets, merging, conflicts |
//! | `controllers` | Deployments to pods, injection, Services to endpoints, Kyma's Istio module |
//! | `network` | curl, the outside world, its TLS, access logs |
//! | `ingress` | the ingress gateway of a cluster that is another one's target |
//! | `streams` | exec, logs, port-forward, Envoy's admin port |

mod api;
mod apply;
mod controllers;
mod fault;
mod ingress;
mod mesh_authority;
mod network;
mod pipe;
mod public_authority;
mod secret;
mod seed;
mod selector;
mod server;
mod settings;
mod spoiled;
mod state;
mod store;
mod streams;

pub use fault::{Fault, FaultKind, Gate};
pub use network::{Admits, OutsideHost, OutsideRequest, Reachability};
pub use public_authority::ServerCertificate;
pub use settings::{Denial, KymaSettings, SandboxSettings};
pub use state::RecordedRequest;

use crate::error::{Error, Result};
use serde_json::Value;
use state::Inner;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A cluster in this process. Clones share it.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

impl Sandbox {
    /// A cluster as `settings` describe it, ready at once: its first pods are running.
    pub fn new(settings: SandboxSettings) -> Self {
        Self {
            inner: Inner::new(settings),
        }
    }

    /// Puts another cluster outside of this one: what that one's ingress gateway serves is found by its name.
    pub fn lead_to(&self, target: &Self) {
        self.inner.lead_to(&target.inner);
    }

    /// The certificate (PEM) of the authority that issued those of the hosts outside, and that everybody trusts.
    pub fn public_authority(&self) -> String {
        self.inner.public.certificate()
    }

    /// A client-side service over an in-memory pipe: each connection is served by the same HTTP server as a socket.
    pub fn service(&self) -> pipe::PipeService {
        pipe::PipeService::new(&self.inner)
    }

    /// Serves the same API on a socket until the future is dropped; for `kubectl`.
    ///
    /// # Errors
    /// If the socket no longer accepts connections.
    pub async fn serve(&self, listener: tokio::net::TcpListener) -> Result<()> {
        loop {
            let (stream, _peer) = listener
                .accept()
                .await
                .map_err(|error| Error::bug("the sandbox's socket failed").because(error.to_string()))?;
            if self.inner.refuses_connection() {
                continue;
            }
            tokio::spawn(server::serve_connection(Arc::clone(&self.inner), stream));
        }
    }

    /// Serves one connection, whatever it is, until it closes.
    pub async fn serve_stream<Stream>(&self, stream: Stream)
    where
        Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        server::serve_connection(Arc::clone(&self.inner), stream).await;
    }

    /// Every request so far, in the order of arrival.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.inner.lock().requests.clone()
    }

    /// Makes a request fail that is still to come. Several faults are tried in the order of injection.
    pub fn inject(&self, fault: Fault) {
        self.inner.lock().faults.push(fault);
    }

    /// Takes back every fault that has not struck yet, and lets connections in again.
    pub fn mend(&self) {
        self.inner.lock().faults.clear();
        self.inner.refuse_connections(0);
    }

    /// Cuts every stream (exec, log, port-forward, watch) that is open now, as a load balancer does.
    pub fn cut_streams(&self) {
        self.inner.cut_streams();
    }

    /// Moves the cluster's clock on, and does at once what becomes due by it: pods start, a dead-man's switch acts.
    /// Needs a runtime.
    pub fn pass_time(&self, time: std::time::Duration) {
        self.inner.pass_time(time);
    }

    /// Forgets the history that watches read, so that older resource versions are answered with 410.
    pub fn compact(&self) {
        self.inner.lock().store.compact();
    }

    /// Puts an object into the cluster as manager `sandbox`, past faults, denials and the request log.
    ///
    /// # Errors
    /// If the kind is not known here or the API would refuse it.
    pub fn put(&self, object: &Value) -> Result<()> {
        api::put_from_outside(&self.inner, object)?;
        // Without a runtime the timers wait for the first request.
        if tokio::runtime::Handle::try_current().is_ok() {
            self.inner.ring();
        }
        Ok(())
    }

    /// Makes a cluster large: these objects have always been there, with their status, as they are. No validation, no
    /// controller, no history of them, so that tens of thousands cost no more than their memory.
    ///
    /// # Errors
    /// If a kind is not known here.
    pub fn populate(&self, objects: impl IntoIterator<Item = Value>) -> Result<()> {
        api::populate(&self.inner, objects)
    }

    /// Appends a line to a container's log, as if the container had written it.
    pub fn write_log(&self, pod: &crate::vocabulary::PodName, container: &str, line: &str) {
        self.inner.write_log(&pod.namespace, &pod.name, container, line);
    }

    /// Who really reached the outside: the ground truth.
    pub fn outside_log(&self) -> Vec<OutsideRequest> {
        self.inner.lock().outside.clone()
    }

    /// All objects by `Kind namespace/name`, to compare before and after.
    pub fn dump(&self) -> BTreeMap<String, Value> {
        self.inner.dump()
    }
}
