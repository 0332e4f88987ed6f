//! The machine's side of a cluster: what exists before any component runs.

pub mod kubeconfig;
pub mod network;
pub mod pki;
pub mod world_pki;
