//! Measures kubectl-egress against the bars of its design, each beside its rival in the same run.
//!
//! `cargo measure` prints a table and `cargo measure --write` keeps it in the README, between two marker lines. Every
//! number is of whole processes, of several runs, as minimum, median and maximum; nothing here judges by passing or
//! failing, and no test depends on it: machines differ.
//!
//! - `cli`: what can be typed. `part`: what can be measured, one file each below it.
//! - `process`: runs a command, and a rival in turn with it. `watched`: one that runs on. `spread`: several figures as one.
//! - `served`: the embedded cluster in a process of its own, with its requests and bytes counted.
//! - `manifests`, `access_log`: what is measured on. `audit`: what the lab's API server was asked for. `row`, `page`: the table, and its place in the README.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")
)]

mod access_log;
mod audit;
mod bench;
mod cli;
mod manifests;
mod output;
mod page;
mod part;
mod process;
mod relay;
mod row;
mod served;
mod spread;
mod watched;

pub use cli::main;
