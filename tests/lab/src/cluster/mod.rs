//! The machine's side of a cluster: what exists before any component runs.

pub(crate) mod kubeconfig;
pub(crate) mod network;
pub(crate) mod pki;
pub(crate) mod world_pki;
