//! Applications that reach hosts by a forward proxy outside, which they ask for a tunnel (CONNECT): what the mesh sees of
//! that is a connection to the proxy.

use super::case::{Ask, Case};
use super::objects::{istio, port};
use serde_json::{Value, json};

/// The lab's forward proxy.
pub(super) const PROXY: (&str, u16) = ("proxy.test", 3128);
/// All its addresses.
const ADDRESSES: [&str; 2] = ["203.0.113.32", "203.0.113.33"];

type Change = fn(&mut Case);

/// Ways to declare it; each holds for a whole namespace.
pub(super) const CHANGES: &[(&str, Change)] = &[
    ("a forward proxy that nothing declares", |case| {
        by_proxy(case, None);
    }),
    ("a forward proxy as TCP with its addresses", |case| {
        by_proxy(case, Some(declared("TCP", &json!(ADDRESSES))));
    }),
    ("a forward proxy as TCP with another address", |case| {
        by_proxy(case, Some(declared("TCP", &json!(["203.0.113.99"]))));
    }),
    ("a forward proxy as HTTP", |case| {
        by_proxy(case, Some(declared("HTTP", &json!(ADDRESSES))));
    }),
    ("a forward proxy as TCP under REGISTRY_ONLY", |case| {
        by_proxy(case, Some(declared("TCP", &json!(ADDRESSES))));
        let past = Ask {
            by: None,
            ..case.asks[0].clone()
        };
        case.asks.push(past);
        let spec = json!({"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}});
        let scope = istio("Sidecar", &case.place.namespace, "scope", &spec);
        case.objects.push(scope);
    }),
];

fn declared(protocol: &str, addresses: &Value) -> Value {
    let endpoints: Vec<Value> = ADDRESSES
        .iter()
        .map(|address| json!({"address": address}))
        .collect();
    json!({
        "hosts": [PROXY.0], "exportTo": ["."], "location": "MESH_EXTERNAL", "resolution": "STATIC",
        "addresses": addresses, "endpoints": endpoints, "ports": [port(PROXY.1, protocol)],
    })
}

/// The host itself stays unknown to the mesh.
fn by_proxy(case: &mut Case, entry: Option<Value>) {
    let namespace = case.place.namespace.clone();
    case.objects = entry
        .map(|spec| istio("ServiceEntry", &namespace, "proxy", &spec))
        .into_iter()
        .collect();
    case.asks.truncate(1);
    case.asks[0].by = Some(PROXY);
}
