//! The TLS that a proxy adds on its way to a destination, as its DestinationRules say.
//!
//! Source: Istio's reference of DestinationRule (ClientTLSSettings): a port's settings come before those of all ports,
//! a subset's policy before the rule's.

use super::records::DestinationRuleRecord;
use crate::istio::{ClientTls, PortTrafficPolicy, TrafficPolicy};

/// The TLS settings that hold for a port of a destination, and the rule that they are in.
pub(super) fn of<'world>(
    rules: &[&'world DestinationRuleRecord],
    subset: &str,
    port: u16,
) -> Option<(&'world ClientTls, &'world DestinationRuleRecord)> {
    let of_subset = rules.iter().find_map(|rule| {
        let mut known = rule.specification.subsets.iter();
        let named = known.find(|known| !subset.is_empty() && known.name == subset)?;
        Some((named.traffic_policy.as_ref()?, *rule))
    });
    // Rules for one host merge: the oldest's policy holds.
    let of_rule = rules
        .iter()
        .find_map(|rule| Some((rule.specification.traffic_policy.as_ref()?, *rule)));
    let policies: Vec<_> = of_subset.into_iter().chain(of_rule).collect();
    for (policy, rule) in &policies {
        // A port's settings replace all others, also with nothing.
        if let Some(settings) = of_port(policy, port) {
            return settings.tls.as_ref().map(|tls| (tls, *rule));
        }
    }
    policies
        .iter()
        .find_map(|(policy, rule)| Some((policy.tls.as_ref()?, *rule)))
}

fn of_port(policy: &TrafficPolicy, port: u16) -> Option<&PortTrafficPolicy> {
    policy
        .port_level_settings
        .iter()
        .find(|settings| settings.port.number == port)
}
