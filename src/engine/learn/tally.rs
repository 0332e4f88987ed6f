//! Counts lines by workload and destination as they stream by. Pure. What it keeps does not grow with the logs: a
//! workload has so many destinations and no more, and what comes beyond them is counted as such.

use super::flow::{Destination, sent};
use super::inside::Inside;
use crate::evidence::LogFormats;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Destinations that a workload may have: one that calls names by chance must not push another's out, nor fill the memory.
pub(super) const MOST_DESTINATIONS: usize = 200;
/// Addresses that are kept of one destination.
const MOST_ADDRESSES: usize = 8;

/// What is known of one destination of one workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flow {
    /// Connections, of HTTP requests.
    pub count: u64,
    /// Those of them that never reached the other side.
    pub failed: u64,
    /// Bytes that the workload sent.
    pub bytes_out: u64,
    /// Bytes that came back.
    pub bytes_in: u64,
    /// When the last one began, by the sidecar's clock.
    pub last_seen: Option<Timestamp>,
    /// Whom the sidecar connected to: the first few addresses.
    pub upstreams: BTreeSet<SocketAddr>,
}

/// Everything that one workload's sidecars told.
#[derive(Debug, Clone, Default)]
pub struct OfWorkload {
    /// By destination.
    pub flows: BTreeMap<Destination, Flow>,
    /// Connections and requests to destinations beyond the bound.
    pub beyond: u64,
}

/// All workloads, by name.
#[derive(Debug, Default)]
pub struct Tally {
    /// What each told.
    pub workloads: BTreeMap<String, OfWorkload>,
    /// Lines of access logs that were read.
    pub lines: u64,
}

impl Tally {
    /// Counts one raw line of a workload's sidecar; whether it is a line of an access log. Any bytes may come.
    pub(super) fn add(&mut self, workload: &str, raw: &[u8], formats: &LogFormats, inside: &Inside) -> bool {
        let Some(line) = formats.parse(raw) else {
            return false;
        };
        self.lines += 1;
        let Some(sent) = sent(&line, inside) else {
            return true;
        };
        if !self.workloads.contains_key(workload) {
            self.workloads.insert(workload.to_owned(), OfWorkload::default());
        }
        let Some(of_workload) = self.workloads.get_mut(workload) else {
            return true;
        };
        if of_workload.flows.len() >= MOST_DESTINATIONS && !of_workload.flows.contains_key(&sent.to) {
            of_workload.beyond += 1;
            return true;
        }
        let flow = of_workload.flows.entry(sent.to).or_default();
        flow.count += 1;
        flow.failed += u64::from(sent.failed);
        // For the proxy the application is who it receives from.
        flow.bytes_out = flow.bytes_out.saturating_add(line.bytes_received);
        flow.bytes_in = flow.bytes_in.saturating_add(line.bytes_sent);
        let began = line.start_time.as_deref().and_then(|time| time.parse().ok());
        flow.last_seen = flow.last_seen.max(began);
        if flow.upstreams.len() < MOST_ADDRESSES {
            flow.upstreams.extend(sent.upstream);
        }
        true
    }
}
