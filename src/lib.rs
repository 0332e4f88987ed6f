//! `kubectl-egress` sets up Istio egress-gateway routing, proves it with receipts, and undoes it.
//!
//! How data flows, once through:
//!
//! ```text
//! flags or file -> plan::Plan -> Vec<plan::Step> (a graph) -> engine applies and waits, emitting engine::Event
//!   -> probes -> raw receipts -> evidence chains them into hops -> outcomes and claims -> report
//! ```
//!
//! | module | holds | may import (besides `vocabulary` and `error`) |
//! |---|---|---|
//! | [`vocabulary`] | the words: hosts, ports, outcomes, labels, exit codes | nothing |
//! | [`finding`] | the catalogue of diagnosed faults, EGR-nnn | nothing |
//! | [`istio`] | typed structs of the Istio objects that we write and read | nothing |
//! | [`certificate`] | makes, inspects and checks certificates | finding |
//! | [`plan`] | settings to plan to steps to objects | istio, finding, certificate |
//! | [`mesh`] | how Istio carries a request: objects and a request to a path | istio, finding |
//! | [`evidence`] | log lines, curl reports, counters to hops to outcomes and verdicts | istio, finding |
//! | [`cluster`] | the only place that talks to an API server | istio |
//! | [`engine`] | runs steps, journals, undoes, probes; owns the event types | plan, evidence, mesh, cluster, finding, istio, certificate |
//! | [`report`] | event sinks; the only place that prints | engine, evidence, finding, certificate |
//! | [`sandbox`] | the embedded cluster; moves packets by asking `mesh` | mesh, istio, certificate |
//! | [`cli`] | what can be typed; becomes plain settings | nothing |
//! | [`command`] | one file per subcommand, where all of it is put together | everything |
//!
//! A test (`tests/architecture.rs`) enforces these arrows.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")
)]

pub mod certificate;
pub mod cli;
pub mod cluster;
pub mod command;
pub mod engine;
pub mod error;
pub mod evidence;
pub mod finding;
pub mod istio;
pub mod mesh;
pub mod plan;
pub mod report;
pub mod sandbox;
pub mod vocabulary;
