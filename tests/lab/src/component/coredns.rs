//! CoreDNS as every cluster has it: a Deployment and the Service `kube-dns`. It knows the cluster and the names of
//! the outside world, and asks nobody else.

use std::fmt::Write;
use std::net::Ipv4Addr;

use anyhow::Result;

use super::{apply, rollout};
use crate::layout::ClusterLayout;
use crate::world::{SERVERS, Server, TARGET_NAMES};

const MANIFESTS: &str = include_str!("coredns.yaml");

/// Applies it.
///
/// # Errors
/// The API server refuses.
pub(crate) fn install(layout: &ClusterLayout) -> Result<()> {
    let corefile = corefile().lines().fold(String::new(), |mut text, line| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {line}");
        text
    });
    let manifests = MANIFESTS
        .replace("DNS_ADDRESS", &layout.dns_service().to_string())
        .replace("    COREFILE\n", &corefile);
    apply(layout, &manifests)
}

/// Waits until it answers.
///
/// # Errors
/// Not within a minute and a half.
pub(crate) fn wait(layout: &ClusterLayout) -> Result<()> {
    rollout(layout, "kube-system", "deployment/coredns", 90)
}

fn corefile() -> String {
    let mut hosts = String::new();
    let mut templates = String::new();
    let domains: Vec<_> = SERVERS.iter().flat_map(Server::domains).collect();
    for server in SERVERS {
        let plain = server.names.iter().filter(|name| !name.starts_with("*."));
        // What a template answers is never looked for among the hosts, so an exact name of its domain is one too. Of
        // templates the first counts.
        let (below, plain): (Vec<&str>, Vec<_>) = plain.partition(|name| {
            domains.iter().any(|domain| {
                name.strip_suffix(domain)
                    .is_some_and(|label| label.ends_with('.'))
            })
        });
        for address in server.addresses() {
            if !plain.is_empty() {
                let _ = writeln!(hosts, "        {address} {}", plain.join(" "));
            }
            for name in &below {
                templates.insert_str(0, &template(name, address));
            }
            for domain in server.domains() {
                templates.push_str(&template(domain, address));
            }
        }
    }
    let _ = writeln!(
        hosts,
        "        {} {}",
        ClusterLayout::ingress_address(),
        TARGET_NAMES.join(" ")
    );
    format!(
        "cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {{
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        pods insecure
        ttl 5
    }}
}}
.:53 {{
    errors
    health
    ready
    loadbalance round_robin
{templates}    hosts {{
{hosts}        ttl 5
        no_reverse
    }}
}}
"
    )
}

/// One address for a name and everything below it.
fn template(zone: &str, address: Ipv4Addr) -> String {
    format!(
        "    template IN A {zone} {{
        answer \"{{{{ .Name }}}} 5 IN A {address}\"
    }}
    template IN AAAA {zone} {{
        rcode NOERROR
    }}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_in_the_corefile() {
        let text = corefile();
        assert!(
            text.contains("203.0.113.10 kyma-project.io www.kyma-project.io\n"),
            "{text}"
        );
        assert!(text.contains("203.0.113.28 rotating.test\n"), "{text}");
        assert!(
            text.contains("template IN A wild.test {\n        answer \"{{ .Name }} 5 IN A 203.0.113.20\""),
            "{text}"
        );
        assert!(!text.contains("*."), "{text}");
        assert!(
            text.contains("203.0.113.130 target.example.com nginx.example.com httpbin.example.com\n"),
            "{text}"
        );
        let at = |part: &str| text.find(part).unwrap();
        assert!(at("IN A apart.wild.test") < at("IN A wild.test"), "{text}");
    }
}
