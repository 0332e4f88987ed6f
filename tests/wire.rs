//! Faults at the wire: the true client against servers on loopback that answer, cut, hang and drip.
//!
//! Each test is a trap of kube 5.0.0 or of the Kubernetes API that would make a proof worthless or a run hang. Nothing is
//! mocked in the middle: requests leave through the connection that a real cluster would see.

#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

#[path = "wire/apply.rs"]
mod apply;
#[path = "wire/credentials.rs"]
mod credentials;
#[path = "wire/deadlines.rs"]
mod deadlines;
#[path = "wire/exec.rs"]
mod exec;
#[path = "wire/forward.rs"]
mod forward;
#[path = "wire/harness.rs"]
mod harness;
#[path = "wire/kubeconfig.rs"]
mod kubeconfig;
#[path = "wire/live.rs"]
mod live;
#[path = "wire/log.rs"]
mod log;
#[path = "wire/retry.rs"]
mod retry;
#[path = "wire/rollout.rs"]
mod rollout;
#[path = "wire/server.rs"]
mod server;
#[path = "wire/tls.rs"]
mod tls;
#[path = "wire/wait.rs"]
mod wait;
#[path = "wire/webhook.rs"]
mod webhook;
