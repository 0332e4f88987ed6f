//! Makes the real cluster that kubectl-egress is tested on: a real Kubernetes with a real Istio and an outside world
//! whose log is the ground truth, on one bare Linux machine, by one command.
//!
//! - `layout`: where everything of one cluster lives. `unavailable`, `space`: whether this machine can have one.
//! - `build`: the binaries. `image`: the container images. `cluster`: network, keys, kubeconfigs.
//! - `component`: what runs in it, one file each. `world`: the servers outside, and their log.
//! - `policy`: NetworkPolicy, enforced. `dns_relay`: the node's own resolver.
//! - `kyma`: a process that plays Kyma's Istio module.
//! - `up`, `down`, `status`, `traffic`: the commands. [`Lab`]: a running lab as a test suite sees it.
//! - `capture`: packets on their way through the node, for tests. `part`: processes of the cluster that tests freeze or kill.
//! - `release`: krew's manifest, filled in.
//! - `state`, `process`, `shell`, `wait`, `digest`, `output`: what all of them need.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")
)]

pub mod build;
mod capture;
mod cli;
mod cluster;
mod component;
mod digest;
mod dns_relay;
pub mod down;
mod image;
mod kyma;
mod lab;
mod layout;
mod output;
mod part;
mod policy;
mod process;
pub mod release;
mod shell;
mod space;
mod state;
pub mod status;
pub mod traffic;
mod unavailable;
pub mod up;
mod wait;
mod world;

pub use capture::{Capture, CapturedConnection, Carried};
pub use cli::main;
pub use kyma::{KymaProfile, Platform};
pub use lab::{DEFAULT_NAME, Lab};
pub use layout::ClusterLayout;
pub use part::{CutOff, Frozen, Part, Slow};
pub use policy::{InForce, PolicyEngine, PolicyStatus};
pub use state::{Options, OutboundPolicy, Phase};
pub use unavailable::{EXIT_CODE_SKIPPED, Tool, Unavailable};
pub use world::{
    Behaviour, CertificateKind, ClientCertificate, EventKind, Mark, PROXY_PORT, SERVERS, Server,
    TARGET_NAMES, World, WorldEvent, addresses_of,
};
