//! What a pod reaches inside the cluster, as NetworkPolicies let it: DNS, istiod, the API server.

use crate::mesh::network_policy::Endpoint;
use crate::mesh::{World, can_ask_dns};
use crate::sandbox::controllers::is_ready;
use crate::sandbox::state::{Inner, State};
use crate::vocabulary::names::ISTIO_NAMESPACE;
use crate::vocabulary::{Object, Protocol};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};

/// Address of the only node, and of the API server, which runs on its network.
pub(in crate::sandbox) const NODE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));
/// Port on which the API server itself listens.
pub(in crate::sandbox) const API_SERVER_PORT: u16 = 6443;
/// Port of istiod's configuration service, for proxies.
const XDS_PORT: u16 = 15012;

/// Whether a pod can ask DNS.
pub(in crate::sandbox) fn dns(inner: &Inner, state: &State, pod: &Value) -> bool {
    can_ask_dns(&inner.world(state), &Object(pod.clone()))
}

/// Whether a proxy gets its first configuration: it must resolve istiod's name and connect to it.
pub(in crate::sandbox) fn proxy_can_start(inner: &Inner, state: &State, pod: &Value) -> bool {
    if state
        .store
        .list("networking.k8s.io", "networkpolicies", None)
        .next()
        .is_none()
    {
        return true;
    }
    let world = inner.world(state);
    let pod = Object(pod.clone());
    can_ask_dns(&world, &pod) && reaches_istiod(&world, state, &pod)
}

fn reaches_istiod(world: &World, state: &State, pod: &Object) -> bool {
    let mut istiods = state
        .store
        .list("", "pods", Some(ISTIO_NAMESPACE))
        .filter(|(_, pod)| pod["metadata"]["labels"]["app"] == "istiod" && is_ready(pod))
        .peekable();
    let policies = world.network_policies();
    istiods.peek().is_none()
        || istiods.any(|(_, istiod)| policies.connects(pod, &Object(istiod.clone()), XDS_PORT, Protocol::Tcp))
}

/// Whether a pod reaches the API server. Its Service's address was replaced when the packet is judged.
pub(in crate::sandbox) fn api_server(inner: &Inner, state: &State, pod: &Value) -> bool {
    let to = Endpoint {
        address: NODE_ADDRESS,
        port: API_SERVER_PORT,
        protocol: Protocol::Tcp,
        pod: None,
    };
    inner
        .world(state)
        .network_policies()
        .egress(&Object(pod.clone()), &to)
        .lets_through()
}
