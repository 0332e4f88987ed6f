//! The outside world: servers with known faults in a network namespace of their own, whose log is the ground truth.
//!
//! - `table`: which names exist, at which address, and how their server behaves. A new name is one entry there.
//! - `event`: one line of the log.
//! - `log`: reading the log, for tests.
//! - `server`: the process that answers. `proxy`: the one that passes connections on. `resolver`: the one
//!   that is asked for names.

mod answer;
mod connection;
mod event;
mod log;
#[cfg(test)]
mod loopback_tests;
mod proxy;
mod resolver;
mod server;
mod table;
mod tls;
mod writer;

pub use event::{ClientCertificate, EventKind, WorldEvent};
pub use log::{Mark, World};
pub(crate) use server::serve;
pub(crate) use table::find;
pub use table::{Behaviour, CertificateKind, PROXY_PORT, SERVERS, Server, TARGET_NAMES, addresses_of};
