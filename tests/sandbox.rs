//! The embedded cluster through a real `kube::Client`.

#[path = "sandbox/common.rs"]
mod common;
#[path = "sandbox/field_owners.rs"]
mod field_owners;
#[path = "sandbox/objects.rs"]
mod objects;
