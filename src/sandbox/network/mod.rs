//! The network: who is outside, what curl does, what the proxies write.

pub(super) mod access_log;
pub(super) mod curl;
mod curl_arguments;
mod curl_format;
mod destination;
mod ending;
mod handshake;
mod lines;
pub(super) mod origination;
mod outside;
pub(super) mod proxies;
pub(super) mod reach;
mod resolution;
mod telemetry;
pub(super) mod telling;
mod to_pod;
pub(super) mod transfer;

pub use outside::{Admits, OutsideHost, OutsideRequest, Reachability};
