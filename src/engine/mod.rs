//! Runs steps as a graph, journals before it changes, undoes, probes; says what happens as events.

mod access_logs;
mod admission;
pub mod ephemeral_container;
pub mod event;
pub mod facts;
mod gateway_choice;
mod gateway_finder;
mod give_back;
pub mod graph;
mod holders;
pub mod journal_store;
pub mod lease;
mod listener;
pub mod lockdown;
mod log_switch;
mod module;
mod namespace;
mod orphans;
pub mod permissions;
pub mod platform;
pub mod pods;
pub mod prepare;
pub mod probe;
mod probe_plan;
pub mod probe_pod;
mod process;
pub mod proxy;
mod round;
pub mod sentinel;
pub mod setup;
pub mod status;
pub mod undo;
pub mod verify;
pub mod witness;
pub mod workload;

pub use event::{Event, Events, StepId};
