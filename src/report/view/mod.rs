//! Texts of what the commands show. Each takes values and a [`Style`](super::Style) and gives text; nothing prints here.

mod bypass;
mod certificates;
mod changes;
mod check;
mod explanation;
mod findings;
mod html;
mod junit;
mod learn;
mod lockdown;
mod path;
mod probes;
mod simulation;
mod target;
mod verification;

pub use certificates::{certificate_chain, certificate_files, certificate_trust};
pub use changes::{change_line, changes, diff};
pub use check::checked;
pub use explanation::{exit_code, explanation, log_summary};
pub use findings::{article, articles, finding, what_to_do};
pub use html::page;
pub use junit::{junit, verification_junit};
pub use learn::{learned, next_after_learning};
pub use lockdown::{lockdown, lockdown_preview, next_after_lockdown};
pub use path::paths;
pub use probes::{probe, probe_line, probe_mark};
pub use simulation::{nothing_would_break, simulation, would_break};
pub use target::{target, two_clusters};
pub use verification::{next_after_verification, verification};
