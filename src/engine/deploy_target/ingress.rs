//! The ingress gateway of the target, and whether its host is free there.

use crate::cluster::Cluster;
use crate::engine::facts::Facts;
use crate::engine::{gateway_finder, pods};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::GatewayTarget;
use crate::plan::target_workload::{Exposure, GATEWAY};
use crate::vocabulary::{HostName, LabelSelector, Object, PlanIdentity, PodName};
use serde_json::json;

/// An ingress gateway, with what clients outside know it by.
#[derive(Debug, Clone)]
pub struct Ingress {
    /// Service, pods' labels, ports.
    pub target: GatewayTarget,
    /// Addresses and names of its load balancer.
    pub addresses: Vec<String>,
}

impl Ingress {
    /// Finds the one named as `NAMESPACE/SERVICE`, or the only one there is.
    ///
    /// # Errors
    /// If there is none or several, or it takes no TLS.
    pub async fn find(cluster: &Cluster, facts: &Facts, named: Option<&str>) -> Result<Self> {
        let full =
            |service: &Object| format!("{}/{}", service.namespace().unwrap_or_default(), service.name());
        let mut found = Vec::new();
        for service in &facts.services {
            let wanted = match named {
                Some(named) => full(service) == named,
                None => gateway_finder::is_ingress(service) && !service.name().contains("eastwest"),
            };
            if !wanted {
                continue;
            }
            let selector = json!({"matchLabels": service.at("/spec/selector")});
            let selector = LabelSelector::from_object(&selector).to_string();
            let pods = cluster
                .list(&kinds::pod(), service.namespace(), Some(&selector))
                .await?;
            if pods.iter().any(gateway_finder::is_gateway_pod) {
                found.push((service, pods));
            }
        }
        let (service, pods) = match found.as_slice() {
            [one] => one,
            [] => return Err(none(named)),
            several => {
                let names: Vec<_> = several.iter().map(|(service, _)| full(service)).collect();
                return Err(Error::usage(format!(
                    "there are {} ingress gateways to choose from: {}",
                    names.len(),
                    names.join(", ")
                ))
                .hint(format!("name one: --ingress-gateway {}", names[0])));
            }
        };
        let target = gateway_finder::target(service, pods).ok_or_else(|| {
            Error::usage(format!(
                "the ingress gateway {} has no port for TLS",
                full(service)
            ))
            .hint("add port 443 to its Service, or name another one with --ingress-gateway")
        })?;
        let addresses = service.items("/status/loadBalancer/ingress").iter();
        let addresses =
            addresses.filter_map(|entry| entry["ip"].as_str().or_else(|| entry["hostname"].as_str()));
        Ok(Self {
            target,
            addresses: addresses.map(str::to_owned).collect(),
        })
    }

    /// One of its pods that is ready.
    ///
    /// # Errors
    /// If there is none.
    pub async fn pod(&self, cluster: &Cluster) -> Result<PodName> {
        let (namespace, selector) = (&self.target.namespace, self.target.label_selector());
        pods::ready(cluster, namespace, &selector)
            .await?
            .into_iter()
            .next()
            .ok_or_else(|| {
                Error::cluster(format!("the ingress gateway {} has no ready pod", self.target))
                    .hint(format!("look: kubectl get pods -n {namespace} -l '{selector}'"))
            })
    }
}

fn none(named: Option<&str>) -> Error {
    match named {
        Some(named) => Error::usage(format!("there is no ingress gateway {named}")),
        None => Error::usage("the target cluster has no Istio ingress gateway"),
    }
    .because("no Service of that kind selects a pod that runs Istio's proxy as a gateway")
    .hint("look: kubectl get services -A | grep -i ingress; name it: --ingress-gateway NAMESPACE/SERVICE")
}

/// How the workload is exposed: by an APIRule where the cluster serves the newest version of that kind.
///
/// # Errors
/// If the server cannot be reached.
pub async fn exposure(cluster: &Cluster) -> Result<Exposure> {
    let (groups, newest) = (cluster.api_groups().await?, kinds::api_rule());
    Ok(if groups.versions(&newest.group).contains(&newest.version) {
        Exposure::ApiRule
    } else {
        Exposure::VirtualService
    })
}

/// Refuses a host that another Gateway serves on the same pods and port: of two servers Istio takes the older one.
///
/// # Errors
/// If there is one, or Gateways cannot be listed.
pub async fn check_host(
    cluster: &Cluster,
    plan: &PlanIdentity,
    ingress: &GatewayTarget,
    host: &HostName,
) -> Result<()> {
    let gateways = cluster.list(&kinds::gateway(), None, None).await?;
    let own =
        |gateway: &Object| gateway.namespace() == Some(plan.namespace.as_str()) && gateway.name() == GATEWAY;
    let other = gateways
        .iter()
        .filter(|gateway| !own(gateway))
        .find(|gateway| serves(gateway, ingress, host));
    match other {
        None => Ok(()),
        Some(other) => Err(Error::usage(format!(
            "{} serves {host} already, on port {} of {ingress}",
            other.reference(&kinds::gateway()),
            ingress.tls_port
        ))
        .because("of two servers for one host on one port Istio takes the older one")
        .hint("choose another host, or take that Gateway away")),
    }
}

fn serves(gateway: &Object, ingress: &GatewayTarget, host: &HostName) -> bool {
    let selects = gateway.at("/spec/selector").as_object().is_none_or(|selector| {
        selector
            .iter()
            .all(|(name, value)| ingress.selector.get(name).map(String::as_str) == value.as_str())
    });
    selects
        && gateway.items("/spec/servers").iter().any(|server| {
            let hosts = server["hosts"].as_array().into_iter().flatten();
            let mut hosts = hosts
                .filter_map(serde_json::Value::as_str)
                .map(|name| name.rsplit('/').next().unwrap_or(name));
            server.pointer("/port/number").and_then(serde_json::Value::as_u64)
                == Some(ingress.tls_port.into())
                && hosts.any(|name| name == host.as_str())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_of_the_same_host_port_and_pods_is_in_the_way() {
        let ingress = GatewayTarget {
            selector: [("istio", "ingressgateway"), ("app", "istio-ingressgateway")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..crate::plan::gateway_workload::target("istio-system")
        };
        let host = "a.example".parse().unwrap();
        let gateway = |selector: serde_json::Value, port: u16, host: &str| {
            Object(json!({"spec": {"selector": selector, "servers": [
                {"port": {"number": port}, "hosts": [host]}]}}))
        };
        let ingress_labels = json!({"istio": "ingressgateway"});
        assert!(serves(
            &gateway(ingress_labels.clone(), 443, "demo/a.example"),
            &ingress,
            &host
        ));
        assert!(!serves(
            &gateway(ingress_labels.clone(), 443, "b.example"),
            &ingress,
            &host
        ));
        assert!(!serves(
            &gateway(ingress_labels, 80, "a.example"),
            &ingress,
            &host
        ));
        assert!(!serves(
            &gateway(json!({"istio": "other"}), 443, "a.example"),
            &ingress,
            &host
        ));
    }
}
