//! The headers that proxies add to a request, by which a host outside learns who asked (truth.md, surprise 8).

use super::transfer::Transfer;
use crate::mesh::{LegTls, PredictedHop, Proxy};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What the host gets besides curl's own headers.
pub(super) fn headers(
    transfer: &mut Transfer<'_>,
    hops: &[PredictedHop],
    port: u16,
) -> Vec<(String, String)> {
    let through_gateway = hops.iter().any(|hop| matches!(hop.at, Proxy::Gateway(_)));
    let protected = hops.iter().any(|hop| matches!(hop.tls, LegTls::Mesh { .. }));
    let number = transfer.state.next_number();
    let mut added = vec![
        ("X-Envoy-Attempt-Count", "1".to_owned()),
        (
            "X-Forwarded-Proto",
            if protected { "https" } else { "http" }.to_owned(),
        ),
        ("X-Request-Id", format!("5a4db0c5-0000-4000-a000-{number:012x}")),
    ];
    if through_gateway {
        let host = &transfer.request.host;
        added.push(("X-Envoy-Decorator-Operation", format!("{host}:{port}/*")));
        added.push(("X-Forwarded-For", transfer.source_address.clone()));
    }
    if protected {
        added.push(("X-Forwarded-Client-Cert", forwarded(transfer.source)));
    }
    added.retain(|(name, _)| !removes(transfer, &name.to_ascii_lowercase()));
    added
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// A pod's identity in the mesh.
pub(in crate::sandbox) fn identity(pod: &Value) -> String {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
    format!("spiffe://cluster.local/ns/{namespace}/sa/{account}")
}

/// Who called the gateway, in its words. The certificate itself is not simulated, only its digest.
fn forwarded(source: &Value) -> String {
    let identity = identity(source);
    let digest = Sha256::digest(identity.as_bytes());
    let hash = digest
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!("By=spiffe://cluster.local/ns/istio-system/sa/gateway;Hash={hash};Subject=\"\";URI={identity}")
}

/// Whether a route for the host takes a header out: the gateway's line is written after that.
pub(super) fn removes(transfer: &Transfer<'_>, header: &str) -> bool {
    let named = |services: &Value, host: &str| {
        services
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == host))
    };
    let mut all = transfer
        .state
        .store
        .list("networking.istio.io", "virtualservices", None);
    all.any(|(_, service)| {
        let routes = service["spec"]["http"].as_array().into_iter().flatten();
        named(&service["spec"]["hosts"], &transfer.request.host)
            && routes
                .into_iter()
                .any(|route| named(&route["headers"]["request"]["remove"], header))
    })
}
