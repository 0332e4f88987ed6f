//! What each command has to be allowed to do: `table.txt`, read for one command in one cluster, and as manifests.

mod manifest;
mod table;

pub use manifest::objects;

use crate::istio::kyma;
use crate::plan::journal::Journal;
use crate::vocabulary::{Circumstance, ClusterCommand, Kind, PlanIdentity, names};
use std::collections::BTreeSet;
use std::fmt;
use table::{Name, Place};

/// Namespace of the Service `kubernetes`.
const API_NAMESPACE: &str = "default";

/// One thing that has to be allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// Where; `None` is in all namespaces.
    pub namespace: Option<String>,
    /// API group; empty for the core group.
    pub group: String,
    /// Resource, with its subresource as `pods/exec`.
    pub resource: String,
    /// The only object that is meant, if there is only one.
    pub name: Option<String>,
    /// Verb.
    pub verb: String,
}

impl Permission {
    /// `RESOURCE.GROUP`, as kubectl writes it.
    pub fn full_resource(&self) -> String {
        if self.group.is_empty() {
            self.resource.clone()
        } else {
            format!("{}.{}", self.resource, self.group)
        }
    }

    /// Where, in words.
    pub fn place(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("in namespace {namespace}"),
            None => "in all namespaces".to_owned(),
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = self.full_resource();
        write!(formatter, "{} {resource} {}", self.verb, self.place())
    }
}

/// A command in a cluster.
#[derive(Debug, Clone)]
pub struct Scope<'scope> {
    /// The command.
    pub command: ClusterCommand,
    /// The plan.
    pub plan: &'scope PlanIdentity,
    /// The namespace that is probed or locked.
    pub namespace: &'scope str,
    /// The namespace of the egress gateway.
    pub gateway: &'scope str,
    /// The kinds of the plan's routing, and the namespaces where such objects are.
    pub routing: Vec<(Kind, String)>,
    /// Secrets of the gateway.
    pub secrets: Vec<String>,
    /// What else is so.
    pub circumstances: Vec<Circumstance>,
}

/// Everything that the command needs, each once, in a fixed order.
pub fn of(scope: &Scope<'_>) -> BTreeSet<Permission> {
    let mut all = BTreeSet::new();
    let holds = |circumstance: &Option<Circumstance>| {
        circumstance.is_none_or(|circumstance| scope.circumstances.contains(&circumstance))
    };
    for row in table::rows().iter().filter(|row| holds(&row.when)) {
        if !row.commands.contains(&scope.command) {
            continue;
        }
        for (group, resource, namespace) in resources(row, scope) {
            for name in names_of(row.name, scope) {
                all.insert(Permission {
                    namespace: namespace.clone(),
                    group: group.clone(),
                    resource: resource.clone(),
                    // Nobody can be limited to creating one name.
                    name: name.filter(|_| row.verb != "create"),
                    verb: row.verb.clone(),
                });
            }
        }
    }
    let everywhere: Vec<Permission> = all
        .iter()
        .filter(|one| one.namespace.is_none())
        .cloned()
        .collect();
    // What is allowed in all namespaces need not be allowed in one.
    all.retain(|one| {
        let whole = |wide: &Permission| {
            (&wide.group, &wide.resource, &wide.verb, &wide.name)
                == (&one.group, &one.resource, &one.verb, &None)
        };
        one.namespace.is_none() || !everywhere.iter().any(whole)
    });
    all
}

/// Group, resource and namespace of a row.
fn resources(row: &table::Row, scope: &Scope<'_>) -> Vec<(String, String, Option<String>)> {
    let place = match row.place {
        Place::Routing => {
            let kinds = scope.routing.iter();
            return kinds
                .map(|(kind, namespace)| (kind.group.clone(), kind.plural.clone(), Some(namespace.clone())))
                .collect();
        }
        Place::Plan => Some(scope.plan.namespace.as_str()),
        Place::Work => Some(scope.namespace),
        Place::Gateway => Some(scope.gateway),
        Place::Istio => Some(names::ISTIO_NAMESPACE),
        Place::Dns => Some(names::DNS_NAMESPACE),
        Place::Api => Some(API_NAMESPACE),
        Place::Kyma => Some(kyma::NAMESPACE),
        Place::Everywhere => None,
    };
    vec![(row.group.clone(), row.resource.clone(), place.map(str::to_owned))]
}

fn names_of(name: Name, scope: &Scope<'_>) -> Vec<Option<String>> {
    match name {
        Name::Any => vec![None],
        // The Lease that a run holds has the same name.
        Name::Journal => vec![Some(Journal::object_name(scope.plan))],
        Name::Mesh => vec![Some("istio".to_owned())],
        Name::Secret => scope.secrets.iter().cloned().map(Some).collect(),
    }
}
