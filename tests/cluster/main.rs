//! The stories of the tool against a real cluster, each outcome compared with what the outside world's log says.
//!
//! The cluster is the lab's (`cargo lab up`); `LAB_NAME` names another one. Without a lab every test says so and
//! passes, unless `LAB_REQUIRED=1` is set. Tests that only use namespaces of their own run side by side; those that
//! change what all share (the gateway's replicas, its access log, the mesh's policy) or look at all of it run alone.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test that panics is a test that fails; one that is skipped says so"
)]

mod support;

mod adversity;
mod agreement;
mod ambient;
mod bad_input;
mod bypass;
mod capture;
mod catalogue;
mod certificates;
mod check;
mod crowd;
mod differential;
mod documents;
mod ended;
mod explain_log;
mod gateways;
mod gitops;
mod kyma;
mod learn;
mod least_privilege;
mod lock;
mod lock_findings;
mod lock_rules;
mod log_formats;
mod modes;
mod outcomes;
mod parts;
mod permissions;
mod plans;
mod rare_findings;
mod runs;
mod two_clusters;
mod undo;
mod versions;
mod whole_story;
mod workloads;
