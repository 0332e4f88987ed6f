//! The embedded cluster through a real `kube::Client`.

#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

#[path = "sandbox/common.rs"]
mod common;
#[path = "sandbox/field_owners.rs"]
mod field_owners;
#[path = "sandbox/jobs.rs"]
mod jobs;
#[path = "sandbox/lock.rs"]
mod lock;
#[path = "sandbox/objects.rs"]
mod objects;
#[path = "sandbox/origination.rs"]
mod origination;
#[path = "sandbox/pods.rs"]
mod pods;
#[path = "sandbox/policies.rs"]
mod policies;
#[path = "sandbox/policy_objects.rs"]
mod policy_objects;
#[path = "sandbox/port_forward.rs"]
mod port_forward;
#[path = "sandbox/source.rs"]
mod source;
#[path = "sandbox/switch.rs"]
mod switch;
#[path = "sandbox/traffic.rs"]
mod traffic;
