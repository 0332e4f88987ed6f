//! Other people's traffic through the same gateway, so that nothing passes only because the cluster is quiet.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::component::{apply, istio, kubectl, rollout};
use crate::lab::Lab;
use crate::world;

const MANIFESTS: &str = include_str!("traffic.yaml");
/// The label of a namespace that `start` made.
const LABEL: &str = "kubectl-egress-lab/traffic=true";

/// Who the traffic comes from, where it goes, how much of it there is.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// The namespace, made and removed with the traffic.
    pub namespace: String,
    /// The host, one of the outside world's.
    pub host: String,
    /// Requests in a second, at most.
    pub rate: f64,
}

impl Traffic {
    fn manifests(&self) -> Result<String> {
        ensure!(
            self.rate.is_finite() && self.rate > 0.0,
            "the rate is more than 0 requests in a second"
        );
        ensure!(
            world::find(&self.host).is_some(),
            "the outside world has no {}",
            self.host
        );
        let pause = format!("{:.3}", 1.0 / self.rate);
        Ok(MANIFESTS
            .replace("NAMESPACE", &self.namespace)
            .replace("HOST", &self.host)
            .replace("PAUSE", &pause))
    }
}

/// Starts the traffic and waits until the outside world sees it come from the gateway.
///
/// # Errors
/// There is no such host or no gateway, or the gateway does not carry the traffic within a minute.
pub fn start(lab: &Lab, traffic: &Traffic) -> Result<()> {
    let manifests = traffic.manifests()?;
    ensure!(
        istio::has_gateway(lab.layout())?,
        "there is no egress gateway to carry traffic; `cargo lab up --egress-gateway true` adds it"
    );
    apply(lab.layout(), &manifests)?;
    rollout(lab.layout(), &traffic.namespace, "deployment/lab-traffic", 60)?;
    let gateway = "jsonpath={.items[*].status.podIP}";
    let pods = kubectl(
        lab.layout(),
        &[
            "get",
            "pods",
            "--namespace",
            "istio-system",
            "--selector",
            "istio=egressgateway",
            "--output",
            gateway,
        ],
    )?;
    let world = lab.world();
    world
        .wait_for(world.mark()?, Duration::from_secs(60), |event| {
            let peer = event.peer_ip().to_string();
            event.is_request()
                && event.sni.as_deref() == Some(&traffic.host)
                && pods.split(' ').any(|pod| pod == peer)
        })
        .with_context(|| format!("no request for {} came from the gateway ({pods})", traffic.host))?;
    Ok(())
}

/// Stops all traffic that was started, with its namespaces.
///
/// # Errors
/// The API server refuses.
pub fn stop(lab: &Lab) -> Result<()> {
    kubectl(
        lab.layout(),
        &["delete", "namespaces", "--selector", LABEL, "--wait=true"],
    )
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_hold_what_was_asked_for() {
        let traffic = Traffic {
            namespace: "other".into(),
            host: "noise.test".into(),
            rate: 4.0,
        };
        let text = traffic.manifests().unwrap();
        assert!(
            text.contains("namespace: other")
                && text.contains("hosts: [noise.test]")
                && text.contains("sleep 0.250")
        );
        assert!(!text.contains("NAMESPACE") && !text.contains("HOST"));
        assert!(
            Traffic {
                rate: 0.0,
                ..traffic.clone()
            }
            .manifests()
            .is_err()
        );
        assert!(
            Traffic {
                host: "nobody.test".into(),
                ..traffic
            }
            .manifests()
            .is_err()
        );
    }
}
