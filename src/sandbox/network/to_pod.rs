//! Connections of pods without sidecar to a pod's own address: a gateway listens there; nothing else does.

use super::proxies;
use super::transfer::{Transfer, TransferResult};
use crate::mesh::{Dropped, predict_at_gateway};
use crate::sandbox::ingress::is_gateway;
use crate::vocabulary::{PodName, Scheme};
use serde_json::Value;

/// Where every Istio gateway tells its health, over plain HTTP.
const HEALTH_PORT: u16 = 15021;

/// Connects to a pod.
pub(super) fn connect(transfer: &mut Transfer<'_>, pod: &Value) -> TransferResult {
    if !is_gateway(pod) {
        return match transfer.predict(None).dropped {
            Some(_) => transfer.no_answer(),
            None => transfer.refused(),
        };
    }
    let text = |name: &str| pod["metadata"][name].as_str().unwrap_or_default();
    let name = PodName::new(text("namespace"), text("name"));
    let world = transfer.inner.world(transfer.state);
    let prediction = predict_at_gateway(&world, &transfer.question(), &name);
    if prediction.dropped == Some(Dropped::AtSource) {
        return transfer.no_answer();
    }
    if transfer.request.port == HEALTH_PORT && transfer.request.scheme == Scheme::Http {
        let healthy = transfer.request.path == "/healthz/ready";
        return transfer.answer(if healthy { 200 } else { 404 }, 2);
    }
    if prediction.hops.is_empty() {
        return transfer.refused();
    }
    proxies::carry(transfer, &prediction)
}
