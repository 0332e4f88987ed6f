//! What a plan leaves to be looked up in the cluster before it can be set up: addresses of an external proxy, and
//! what a Kubernetes Service that is called in a host's place is like. And what this Istio is too old for.

use super::facts::Facts;
use super::{istio_version, pods};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::ownership::{self, Manifest};
use crate::plan::{Plan, PlannedHost, source};
use crate::vocabulary::{HostPort, LabelSelector, Object, Scheme, names};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// How long a name may take to resolve.
const LOOKUP: Duration = Duration::from_secs(20);
/// busybox has `nslookup`, glibc `getent`; one of them is in nearly every image with a shell.
const LOOK_UP: &str = "nslookup \"$0\" 2>/dev/null || getent ahosts \"$0\"";

/// A plan with what was looked up, and what the user should know of it.
pub(super) struct Completed {
    pub(super) plan: Plan,
    pub(super) remarks: Vec<String>,
}

/// Looks up what the plan leaves open.
///
/// # Errors
/// If this Istio cannot do what the plan wants, a Service does not lead to its host, or a proxy's name does not resolve.
pub(super) async fn complete(cluster: &Cluster, facts: &Facts, mut plan: Plan) -> Result<Completed> {
    let mut remarks = Vec::new();
    for planned in &mut plan.hosts {
        istio_version::check(planned, &facts.istio_version)?;
        if planned.how.service.is_some() {
            remarks.extend(match_service(cluster, facts, &plan.identity, planned).await?);
        }
        let unknown = planned.how.addresses.is_empty();
        if let Some(proxy) = planned.how.own_proxy().cloned().filter(|_| unknown) {
            planned.how.addresses = proxy_addresses(cluster, &plan.identity.namespace, &proxy).await?;
            let found: Vec<_> = planned.how.addresses.iter().map(ToString::to_string).collect();
            remarks.push(format!(
                "the proxy {} is known to the mesh by the addresses that it has now: {}; set up again when they change",
                proxy.host,
                found.join(", ")
            ));
        }
    }
    Ok(Completed { plan, remarks })
}

/// Whether a run has to have a source before the plan's hosts can be completed.
pub fn needs_source(hosts: &[PlannedHost]) -> bool {
    let mut hosts = hosts.iter();
    hosts.any(|planned| planned.how.own_proxy().is_some() && planned.how.addresses.is_empty())
}

/// Leaves out Services that somebody else made: they are used as they are.
pub(super) fn without_foreign_services(objects: Vec<Manifest>, plan: &Plan, facts: &Facts) -> Vec<Manifest> {
    let foreign: BTreeSet<String> = plan
        .hosts
        .iter()
        .filter_map(|planned| planned.how.service.clone())
        .filter(|service| {
            find_service(facts, service)
                .is_some_and(|object| ownership::plan_of(object).as_ref() != Some(&plan.identity))
        })
        .collect();
    let is_foreign = |manifest: &Manifest| {
        let of = match manifest.reference.kind.kind.as_str() {
            "Service" => manifest.reference.name.as_str(),
            "EndpointSlice" => manifest.object.label(SERVICE_NAME).unwrap_or_default(),
            _ => return false,
        };
        let namespace = manifest.reference.namespace.as_deref().unwrap_or_default();
        foreign.contains(&format!("{namespace}/{of}"))
    };
    objects
        .into_iter()
        .filter(|manifest| !is_foreign(manifest))
        .collect()
}

/// Annotation by which Istio shows a Service to some namespaces only.
const EXPORT_TO: &str = "networking.istio.io/exportTo";
/// Label by which an EndpointSlice belongs to a Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

fn find_service<'facts>(facts: &'facts Facts, service: &str) -> Option<&'facts Object> {
    let (namespace, name) = service.split_once('/')?;
    facts
        .services
        .iter()
        .find(|object| object.namespace() == Some(namespace) && object.name() == name)
}

/// Checks a Service that is there against the plan, and takes the addresses from a headless one.
async fn match_service(
    cluster: &Cluster,
    facts: &Facts,
    plan: &crate::vocabulary::PlanIdentity,
    planned: &mut PlannedHost,
) -> Result<Vec<String>> {
    let mut remarks = Vec::new();
    let service = planned.how.service.clone().unwrap_or_default();
    let Some(object) = find_service(facts, &service) else {
        let kind = if planned.how.addresses.is_empty() {
            "ExternalName"
        } else {
            "headless, with an EndpointSlice"
        };
        return Ok(vec![format!(
            "Service {service} is not there yet and is made ({kind}); `cleanup` removes it"
        )]);
    };
    if ownership::plan_of(object).as_ref() == Some(plan) {
        return Ok(remarks);
    }
    let at = planned.host_port();
    let refuse =
        |what: String| Error::usage(format!("Service {service} cannot stand for {at}")).because(what);
    let Some(port) = object
        .items("/spec/ports")
        .iter()
        .find(|port| port["port"] == planned.port())
    else {
        return Err(refuse(format!("it has no port {}", planned.port()))
            .hint("add the port to the Service, or name another one"));
    };
    if object.text("/spec/type") == "ExternalName" {
        let leads_to = object.text("/spec/externalName");
        if leads_to != planned.host.as_str() {
            return Err(refuse(format!("its externalName is {leads_to}")).hint(format!(
                "name that host, or another Service: --service NAMESPACE/NAME (one that is not there is made for {})",
                planned.host
            )));
        }
        if !planned.how.addresses.is_empty() {
            return Err(
                refuse("it is of type ExternalName and has no addresses".to_owned())
                    .hint("leave --address out"),
            );
        }
    } else if object
        .at("/spec/selector")
        .as_object()
        .is_some_and(|labels| !labels.is_empty())
    {
        return Err(refuse("it selects pods of this cluster".to_owned())
            .hint("name a Service without selector, or one that is not there yet"));
    } else {
        planned.how.addresses = endpoints(cluster, &service).await?;
        if object.at("/metadata/annotations")[EXPORT_TO].is_null() {
            remarks.push(format!(
                "Service {service} takes the connections of every sidecar of the mesh to its addresses; its annotation {EXPORT_TO} would keep it to some namespaces"
            ));
        }
        if planned.how.addresses.is_empty() {
            return Err(
                refuse("it has no EndpointSlice with addresses".to_owned()).hint(format!(
                    "make one with the label {SERVICE_NAME}={}",
                    object.name()
                )),
            );
        }
    }
    let protocol = protocol_remark(&service, planned, port);
    remarks.extend(protocol);
    remarks.push(format!(
        "Service {service} is there already and is used as it is; `cleanup` leaves it"
    ));
    Ok(remarks)
}

/// Istio learns the protocol of a Service's port from `appProtocol`, or from the beginning of its name.
fn protocol_remark(service: &str, planned: &PlannedHost, port: &serde_json::Value) -> Option<String> {
    let wanted: &[&str] = match planned.how.scheme() {
        Scheme::Http => &["http", "http2", "grpc"],
        Scheme::Https => &["tls", "https"],
    };
    let name = port["name"].as_str().unwrap_or_default();
    let said = port["appProtocol"]
        .as_str()
        .unwrap_or_else(|| name.split('-').next().unwrap_or_default());
    (!wanted.contains(&said)).then(|| {
        format!(
            "port {} of Service {service} is named `{name}`, so Istio has to guess what it carries; a name that begins with {}- tells it",
            planned.port(),
            wanted[0]
        )
    })
}

async fn endpoints(cluster: &Cluster, service: &str) -> Result<Vec<IpAddr>> {
    let (namespace, name) = service.split_once('/').unwrap_or_default();
    let selector = LabelSelector::from_object(&json!({"matchLabels": {SERVICE_NAME: name}})).to_string();
    let slices = cluster
        .list(&kinds::endpoint_slice(), Some(namespace), Some(&selector))
        .await?;
    let addresses: BTreeSet<IpAddr> = slices
        .iter()
        .flat_map(|slice| slice.items("/endpoints"))
        .filter_map(|endpoint| endpoint["addresses"].as_array())
        .flatten()
        .filter_map(|address| address.as_str()?.parse().ok())
        .collect();
    Ok(addresses.into_iter().collect())
}

/// Asks where it will be used: in our source, if it runs; else on this machine.
async fn proxy_addresses(cluster: &Cluster, namespace: &str, proxy: &HostPort) -> Result<Vec<IpAddr>> {
    let pods = pods::ready(cluster, namespace, &source::label_selector()).await?;
    let mut found = BTreeSet::new();
    if let Some(pod) = pods.first() {
        let command = ["sh", "-c", LOOK_UP, proxy.host.as_str()].map(str::to_owned);
        let output = cluster.exec(pod, Some(names::SOURCE), &command, LOOKUP).await?;
        found = addresses_in(&String::from_utf8_lossy(&output.stdout));
    } else if let Ok(addresses) = tokio::net::lookup_host((proxy.host.as_str(), proxy.port)).await {
        found = addresses.map(|address| address.ip()).collect();
    }
    if found.is_empty() {
        let place = if pods.is_empty() { "here" } else { "in the source" };
        return Err(
            Error::usage(format!("the proxy {} does not resolve {place}", proxy.host))
                .because("applications open connections to its addresses, by which the mesh has to know it")
                .hint("name each of them: --address IP"),
        );
    }
    Ok(found.into_iter().collect())
}

/// Reads what `nslookup` says after `Name:`, or `getent`.
fn addresses_in(text: &str) -> BTreeSet<IpAddr> {
    let mut answered = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with("Name:") {
            answered = true;
        }
        let words = match line.split_once(": ") {
            Some((label, rest)) if answered && label.starts_with("Address") => rest,
            _ => line,
        };
        found.extend(
            words
                .split_whitespace()
                .next()
                .and_then(|word| word.parse::<IpAddr>().ok()),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resolver_of_the_answer_is_no_address_of_the_name() {
        let busybox = "Server:\t\t198.19.0.10\nAddress:\t198.19.0.10:53\n\nName:\tproxy.test\nAddress: 203.0.113.32\nName:\tproxy.test\nAddress: 203.0.113.33\n";
        let old = "Server:    10.0.0.10\nAddress 1: 10.0.0.10 kube-dns\n\nName:      proxy.test\nAddress 1: 203.0.113.32 proxy.test\nAddress 2: 203.0.113.33\n";
        let getent = "203.0.113.32    STREAM proxy.test\n203.0.113.32    DGRAM\n203.0.113.33    STREAM\n";
        let expected: BTreeSet<IpAddr> = ["203.0.113.32", "203.0.113.33"]
            .map(|text| text.parse().unwrap())
            .into();
        for text in [busybox, old, getent] {
            assert_eq!(addresses_in(text), expected, "{text}");
        }
        assert!(
            addresses_in("Server:\t10.0.0.10\nAddress:\t10.0.0.10#53\n\n** server can't find x\n").is_empty()
        );
    }
}
