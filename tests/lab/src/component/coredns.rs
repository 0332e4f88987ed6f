//! CoreDNS as every cluster has it: a Deployment and the Service `kube-dns`. It knows the cluster and the names of
//! the outside world, and asks nobody else.

use std::fmt::Write;

use anyhow::Result;

use super::{apply, rollout};
use crate::layout::ClusterLayout;
use crate::world::SERVERS;

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
    let mut wildcards = String::new();
    for server in SERVERS {
        let plain: Vec<_> = server
            .names
            .iter()
            .filter(|name| !name.starts_with("*."))
            .copied()
            .collect();
        for address in server.addresses() {
            let _ = writeln!(hosts, "        {address} {}", plain.join(" "));
            for domain in server.names.iter().filter_map(|name| name.strip_prefix("*.")) {
                let _ = write!(
                    wildcards,
                    "    template IN A {domain} {{\n        answer \"{{{{ .Name }}}} 5 IN A {address}\"\n    }}\n    \
                     template IN AAAA {domain} {{\n        rcode NOERROR\n    }}\n"
                );
            }
        }
    }
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
{wildcards}    hosts {{
{hosts}        ttl 5
        no_reverse
    }}
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
    }
}
