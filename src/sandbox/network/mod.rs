//! The network: who is outside, what curl does, what the proxies write.

mod outside;

pub use outside::{OutsideHost, OutsideRequest, Reachability};
