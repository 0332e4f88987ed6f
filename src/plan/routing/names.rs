//! Names of routing objects, subsets and of the clusters that Envoy makes of them.

use crate::plan::{GatewayTarget, Plan, PlannedHost};
use crate::vocabulary::{HostName, Scheme};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Longest name of a subset (a DNS label, RFC 1123).
const LABEL: usize = 63;
/// Longest name of an object (a DNS subdomain, RFC 1123).
const SUBDOMAIN: usize = 253;

/// Name of a plan's Gateway, DestinationRule and common subset, and the beginning of its other objects' names.
pub fn base_name(plan: &Plan) -> String {
    format!("egress-{}", plan.identity.name)
}

/// Name of the DestinationRule in another namespace that uses a plan. Everything of that namespace's own plans begins
/// otherwise.
pub(super) fn copy_of_rule(plan: &Plan) -> String {
    format!("from.{}.{}", plan.identity.namespace, base_name(plan))
}

/// Name of an object that is about one host alone. The dot keeps it apart from every other plan's names, which have
/// none: `egress-default.edition.cnn.com`.
pub(super) fn host_object_name(plan: &Plan, host: &HostName) -> String {
    let host = host.as_str().replacen('*', "wildcard", 1);
    shortened(format!("{}.{host}", base_name(plan)), SUBDOMAIN)
}

/// Name of the subset with a host's server name: `egress-default-edition-cnn-com`. A hyphen of the host is doubled, so
/// that no two hosts have one name.
pub(super) fn host_subset(plan: &Plan, host: &HostName) -> String {
    shortened(format!("{}-{}", base_name(plan), host_label(host)), LABEL)
}

fn host_label(host: &HostName) -> String {
    host.as_str()
        .replace('-', "--")
        .replace('.', "-")
        .replacen('*', "wildcard", 1)
}

/// Cuts a name that is too long, and makes it unique again by a part of its hash.
fn shortened(name: String, longest: usize) -> String {
    if name.len() <= longest {
        return name;
    }
    let digest = Sha256::digest(name.as_bytes());
    let mut hash = String::new();
    for byte in digest.iter().take(5) {
        let _ = write!(hash, "{byte:02x}");
    }
    let kept = name[..longest - hash.len() - 1].trim_end_matches(['-', '.']);
    format!("{kept}-{hash}")
}

/// The subset of the gateway's Service that a host's requests go to.
pub(super) fn subset(plan: &Plan, planned: &PlannedHost) -> String {
    if planned.how.mesh_mtls() {
        host_subset(plan, &planned.host)
    } else {
        base_name(plan)
    }
}

/// The port of the gateway's Service that takes a host's requests: HTTP has one, TLS another. A gateway without a port
/// for HTTP is refused before anything is made of it ([`super::check_gateway`]).
pub(super) fn gateway_port(gateway: &GatewayTarget, planned: &PlannedHost) -> u16 {
    match (planned.how.scheme(), gateway.http) {
        (Scheme::Http, Some(http)) => http.port,
        _ => gateway.tls_port,
    }
}

/// Envoy's name of the sidecar's cluster towards the gateway.
pub(super) fn mesh_leg_cluster(plan: &Plan, gateway: &GatewayTarget, planned: &PlannedHost) -> String {
    format!(
        "outbound|{}|{}|{}",
        gateway_port(gateway, planned),
        subset(plan, planned),
        gateway.service_host()
    )
}

/// The subset of an external proxy that tunnels to one port of a host.
pub(super) fn tunnel_subset(plan: &Plan, planned: &PlannedHost) -> String {
    let host = host_label(&planned.host);
    shortened(format!("{}-{}-{host}", base_name(plan), planned.port()), LABEL)
}

/// Name of the objects that make an external proxy known. `proxy.` keeps it apart from those of a host of that name.
pub(super) fn proxy_object_name(plan: &Plan, proxy: &HostName) -> String {
    shortened(format!("{}.proxy.{proxy}", base_name(plan)), SUBDOMAIN)
}

/// Name of an object about a Kubernetes Service that is called in a host's place.
pub(super) fn service_object_name(plan: &Plan, service: &str) -> String {
    let service = service.replace('/', ".");
    shortened(format!("{}.service.{service}", base_name(plan)), SUBDOMAIN)
}

/// Envoy's name of the cluster towards a host, at whichever proxy sends it out. Its port is the application's, also
/// where the host is called at another one (the ServiceEntry's target port). With an external proxy it is the cluster
/// towards that one. A headless Service has its own; an ExternalName is only another name of the host (measured on
/// the lab).
pub(super) fn outside_cluster(plan: &Plan, planned: &PlannedHost) -> String {
    let how = &planned.how;
    if let Some(proxy) = &how.proxy {
        let subset = if how.tunnel {
            tunnel_subset(plan, planned)
        } else {
            String::new()
        };
        return format!("outbound|{}|{subset}|{}", proxy.port, proxy.host);
    }
    match how.service_host().filter(|_| !how.addresses.is_empty()) {
        Some(service) => format!("outbound|{}||{service}", planned.port()),
        None => format!("outbound|{}||{}", planned.port(), planned.host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlanSettings;
    use crate::vocabulary::PlanIdentity;

    fn plan() -> Plan {
        Plan::without_hosts(
            PlanIdentity::new("demo", "default").unwrap(),
            PlanSettings::default(),
        )
    }

    #[test]
    fn two_hosts_never_have_one_subset() {
        let name = |host: &str| host_subset(&plan(), &host.parse().unwrap());
        assert_eq!(name("edition.cnn.com"), "egress-default-edition-cnn-com");
        assert_ne!(name("a-b.example"), name("a.b.example"));
        let long = |end: &str| format!("{}.{}.{end}", "a".repeat(60), "b".repeat(60));
        assert!(name(&long("example")).len() <= LABEL);
        assert_ne!(name(&long("example")), name(&long("example.org")));
    }

    #[test]
    fn an_object_of_a_host_has_a_name_that_kubernetes_takes() {
        let name = |host: &str| host_object_name(&plan(), &host.parse().unwrap());
        assert_eq!(name("*.wikipedia.org"), "egress-default.wildcard.wikipedia.org");
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        assert!(name(&longest).len() <= SUBDOMAIN);
    }
}
