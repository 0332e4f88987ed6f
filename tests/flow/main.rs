//! Library flows against the embedded cluster: what is true of Istio, only `tests/cluster` shows; that our own
//! machinery holds together, also under every fault of the wire, is shown here.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking; one that is skipped says so"
)]

mod access_log;
mod binary;
mod bypass;
mod certificates;
mod check;
mod completion;
mod crowd;
mod deploy_target;
mod dump;
mod elsewhere;
mod explain;
mod explain_host;
mod faults;
mod gateway_api;
mod istio;
mod kubectl;
mod kyma;
mod learn;
mod lock;
mod origination;
mod permissions;
mod probing;
mod report;
mod sandbox_faults;
mod served;
mod story;
mod support;
mod tutorial;
mod undo;
