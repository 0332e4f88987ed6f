//! The script of the dead-man's switch, played by real shells and curl against an API server on loopback TLS.
//!
//! Every test runs with `sh`, and with busybox's shell where the machine has one: the curl image has that.

#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

#[path = "lock_switch/api.rs"]
mod api;
#[path = "lock_switch/deadline.rs"]
mod deadline;
#[path = "lock_switch/rehearse.rs"]
mod rehearse;
#[path = "lock_switch/restore.rs"]
mod restore;
#[path = "lock_switch/script.rs"]
mod script;
#[path = "lock_switch/trouble.rs"]
mod trouble;
