//! NetworkPolicy, enforced: no engine is to be had from the registries, so the lab has its own.
//!
//! It shares nothing with the shipped crate, on purpose: two implementations that were written apart check each other.
//!
//! - `object`, `selector`, `network`: what the API server says, as far as it matters here.
//! - `compile`: objects become a [`Ruleset`], the form in which one can think about packets.
//! - `ruleset`: that form, and a judge of single packets over it.
//! - `nftables`: a ruleset as text for `nft`.
//! - `engine`: how real engines differ. `timeline`: enforcement that comes late. `connection`: connections that are cut.
//! - `watch`, `daemon`, `status`: the process that keeps the kernel's rules up to date, and what it says about them.
//! - `announce`: pods are known before they run.

mod announce;
#[cfg(test)]
mod cases;
mod compile;
mod connection;
mod daemon;
mod engine;
mod network;
mod nftables;
mod object;
mod ruleset;
mod selector;
mod status;
mod timeline;
mod watch;

pub(crate) use announce::plugin;
pub(crate) use daemon::{Settings, run};
pub use engine::PolicyEngine;
pub use status::{InForce, PolicyStatus};
pub(crate) use watch::Access;
