//! Name resolution, as curl sees it.

use super::destination::address_of;
use super::reach;
use super::transfer::{TransferRequest, TransferResult};
use crate::sandbox::state::{Inner, State};
use serde_json::Value;

/// How long the resolver asks DNS servers that do not answer, in milliseconds (truth.md 2).
const RESOLVER_TIMEOUT: u64 = 19_800;

/// The address that curl connects to, or how curl ends without one.
pub(super) fn address(
    inner: &Inner,
    state: &State,
    source: &Value,
    request: &TransferRequest,
) -> Result<String, Box<TransferResult>> {
    if asks_dns(request) && !reach::dns(inner, state, source) {
        return Err(Box::new(not_resolved_in_time(request)));
    }
    resolve(inner, state, source, request).ok_or_else(|| Box::new(not_resolved(request, 3)))
}

/// Whether curl must ask DNS: it was given no address, neither as the host nor with `--resolve`.
fn asks_dns(request: &TransferRequest) -> bool {
    let host = request.connect_to.trim_end_matches('.');
    let given = request.resolve.contains_key(&format!("{host}:{}", request.port));
    !given && host.parse::<std::net::IpAddr>().is_err()
}

fn not_resolved(request: &TransferRequest, time: u64) -> TransferResult {
    TransferResult {
        exit: 6,
        error: format!("Could not resolve host: {}", request.connect_to),
        time,
        ..TransferResult::default()
    }
}

/// The DNS packets are dropped: curl or the resolver gives up.
fn not_resolved_in_time(request: &TransferRequest) -> TransferResult {
    match request.limit().filter(|limit| *limit < RESOLVER_TIMEOUT) {
        None => not_resolved(request, RESOLVER_TIMEOUT),
        Some(limit) => TransferResult {
            exit: 28,
            error: format!("Resolving timed out after {limit} milliseconds"),
            time: limit,
            ..TransferResult::default()
        },
    }
}

fn resolve(inner: &Inner, state: &State, source: &Value, request: &TransferRequest) -> Option<String> {
    let host = request.connect_to.trim_end_matches('.');
    if let Some(address) = request.resolve.get(&format!("{host}:{}", request.port)) {
        return Some(address.clone());
    }
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Some(host.to_owned());
    }
    if let Some(address) = service_address(state, source, host) {
        return Some(address);
    }
    address_of(inner, host)
}

/// The cluster address of a Service by its name, as cluster DNS searches it.
fn service_address(state: &State, source: &Value, host: &str) -> Option<String> {
    let short = host
        .strip_suffix(".svc.cluster.local")
        .or_else(|| host.strip_suffix(".svc"))
        .unwrap_or(host);
    let own = source["metadata"]["namespace"].as_str().unwrap_or_default();
    let (name, namespace) = short.split_once('.').unwrap_or((short, own));
    let service = state.object("", "services", namespace, name)?;
    service["spec"]["clusterIP"].as_str().map(str::to_owned)
}
