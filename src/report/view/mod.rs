//! Texts of what the commands show. Each takes values and a [`Style`](super::Style) and gives text; nothing prints here.

mod bypass;
mod certificates;
mod changes;
mod findings;
mod lockdown;
mod probes;
mod target;
mod verification;

pub use certificates::{certificate_chain, certificate_files, certificate_trust};
pub use changes::{change_line, changes, diff};
pub use findings::{article, finding, what_to_do};
pub use lockdown::{lockdown, next_after_lockdown};
pub use probes::{probe, probe_line, probe_mark};
pub use target::{target, two_clusters};
pub use verification::{next_after_verification, verification};
