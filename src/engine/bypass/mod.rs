//! `verify --bypass`: tries to get out without the gateway, for real, from throw-away pods.
//!
//! | file | holds |
//! |---|---|
//! | `pods` | the pods that are tried from, one per kind of place |
//! | `targets` | what is tried to be reached: hosts, addresses, gateways |
//! | `tries` | which request each attempt makes |
//! | `work` | makes all tries side by side and judges each |
//! | `record` | outcomes from before a lock, kept in the plan's journal |
//!
//! The list of attempts is [`ATTEMPTS`](crate::vocabulary::ATTEMPTS), the judgement is in `evidence`.

mod pods;
pub(super) mod record;
mod targets;
mod tries;
mod work;

pub(super) use pods::{Made, Pods};
pub(super) use targets::{Extra, Targets};
pub(super) use work::{Known, attempt_all};

use std::net::IpAddr;

/// What the user decided about the attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BypassSettings {
    /// Also from pods of another namespace and on the host's network.
    pub all: bool,
    /// A resolver outside: it is asked by UDP, pinged, and connected to at port 853.
    pub resolver: IpAddr,
    /// Whether a container may be put into the pod that the probes leave from, which is of a workload that the user
    /// named; `None`: no workload was named.
    pub into_workload: Option<bool>,
    /// Image of that container.
    pub image: String,
}
