//! Which DestinationRules a proxy uses for a host.

use super::{Item, Scene, in_cluster_namespace};
use crate::istio::{DestinationRuleSpec, Subset, TrafficPolicy};
use crate::mesh::lint::rules::is_for_workloads;
use crate::mesh::names::{covers, specificity};
use std::collections::HashMap;
use std::rc::Rc;

/// The DestinationRules that a proxy uses for a host.
#[derive(Default)]
pub(in crate::mesh::lint) struct Used {
    rules: Vec<usize>,
    /// Those with settings for the whole host.
    policies: Vec<usize>,
    /// The first definition of each subset: the rule, and which of its subsets.
    subsets: HashMap<String, (usize, usize)>,
    /// Whether one is for single workloads.
    pub(in crate::mesh::lint) for_workloads: bool,
}

impl Used {
    /// Whether there are none.
    pub(in crate::mesh::lint) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether one of them defines a subset.
    pub(in crate::mesh::lint) fn defines(&self, subset: &str) -> bool {
        self.subsets.contains_key(subset)
    }
}

impl<'a> Scene<'a> {
    /// The DestinationRules that a proxy of `client` uses for a host, by Istio's order of namespaces: the client's own,
    /// the destination's, the root namespace. Of the first that has any, those with the most specific host.
    ///
    /// Source: Istio, `PushContext.destinationRule`; truth.md, the note at `plan::routing::destination_rules::mesh_leg`.
    pub(in crate::mesh::lint) fn used_rules(&self, client: &str, host: &str) -> Rc<Used> {
        let key = (client.to_owned(), host.to_owned());
        if let Some(known) = self.known.used.borrow().get(&key) {
            return Rc::clone(known);
        }
        let mut used = Used {
            rules: self.find_rules(client, host),
            ..Used::default()
        };
        for position in &used.rules {
            let rule = &self.rules[*position];
            used.for_workloads |= is_for_workloads(rule.object);
            if rule.spec.traffic_policy.is_some() {
                used.policies.push(*position);
            }
            for (number, subset) in rule.spec.subsets.iter().enumerate() {
                let first = used.subsets.entry(subset.name.clone());
                first.or_insert((*position, number));
            }
        }
        let used = Rc::new(used);
        self.known.used.borrow_mut().insert(key, Rc::clone(&used));
        used
    }

    fn find_rules(&self, client: &str, host: &str) -> Vec<usize> {
        let mut owners: Vec<&str> = vec![client];
        if let Some(service) = self.services.get(host) {
            owners.extend(service.namespace());
        } else {
            let entries = self
                .entries_of(host)
                .filter(|entry| self.sees_entry(client, entry));
            owners.extend(entries.map(|entry| entry.namespace));
            owners.extend(in_cluster_namespace(host));
        }
        owners.push(self.root());
        for owner in owners {
            let of_owner = self.index.rules.get(owner);
            let mut found = of_owner.map_or_else(Vec::new, |rules| rules.overlapping(host));
            found.retain(|position| {
                let rule = &self.rules[*position];
                covers(&rule.host(), host) && self.sees_rule(client, rule)
            });
            let specificity_of = |position: &usize| specificity(&self.rules[*position].host());
            if let Some(best) = found.iter().map(specificity_of).max() {
                found.retain(|position| specificity_of(position) == best);
                return found;
            }
        }
        Vec::new()
    }

    /// The rules themselves, oldest first.
    pub(in crate::mesh::lint) fn rules_in(
        &self,
        used: &Used,
    ) -> impl Iterator<Item = &Item<'a, DestinationRuleSpec>> {
        used.rules.iter().map(|position| &self.rules[*position])
    }

    /// Their settings for the whole host, oldest first.
    pub(in crate::mesh::lint) fn policies_in(&self, used: &Used) -> impl Iterator<Item = &TrafficPolicy> {
        let rules = used.policies.iter().map(|position| &self.rules[*position]);
        rules.filter_map(|rule| rule.spec.traffic_policy.as_ref())
    }

    /// The first definition of a subset.
    pub(in crate::mesh::lint) fn subset_in(&self, used: &Used, name: &str) -> Option<&Subset> {
        let (rule, number) = used.subsets.get(name)?;
        self.rules[*rule].spec.subsets.get(*number)
    }

    /// DestinationRules of any namespace for a host, oldest first.
    pub(in crate::mesh::lint) fn rules_anywhere(
        &self,
        host: &str,
    ) -> impl Iterator<Item = &Item<'a, DestinationRuleSpec>> {
        let positions = self.index.all_rules.overlapping(host).into_iter();
        let host = host.to_owned();
        positions
            .map(|position| &self.rules[position])
            .filter(move |rule| covers(&rule.host(), &host))
    }
}
