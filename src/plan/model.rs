//! A plan: which hosts and ports leave through which gateway.

use super::PortPlan;
use super::lock::LockSettings;
use super::rules::{self, PlanError};
use crate::vocabulary::{HostName, HostPort, Mode, OutboundPolicy, PlanIdentity};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One host and port, and how it leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedHost {
    /// The host.
    pub host: HostName,
    /// The port that the application uses, and how it leaves.
    #[serde(flatten)]
    pub how: PortPlan,
}

impl PlannedHost {
    /// A host and port in a mode.
    pub fn new(host: HostName, port: u16, mode: Mode) -> Self {
        Self {
            host,
            how: PortPlan::new(port, mode),
        }
    }

    /// A host and port in the default mode.
    pub fn passthrough(host: HostName, port: u16) -> Self {
        Self::new(host, port, Mode::Passthrough)
    }

    /// The port that the application uses.
    pub fn port(&self) -> u16 {
        self.how.port
    }

    /// Host and port without the mode.
    pub fn host_port(&self) -> HostPort {
        HostPort {
            host: self.host.clone(),
            port: self.how.port,
        }
    }

    /// Whether this host, added to a plan, pushes out one that is there.
    fn takes_the_place_of(&self, old: &Self) -> bool {
        let same_kind =
            self.how.through_gateway() && old.how.through_gateway() && self.how.scheme() == old.how.scheme();
        self.host == old.host && (self.port() == old.port() || same_kind)
    }

    /// The name that a probe asks for: the host, or of a wildcard the sample, else its server if the wildcard covers it.
    pub fn probed_name(&self) -> Option<&HostName> {
        if !self.host.is_wildcard() {
            return Some(&self.host);
        }
        let server = self.how.server.as_ref().filter(|server| self.host.covers(server));
        self.how.sample.as_ref().or(server)
    }
}

impl fmt::Display for PlannedHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.how)
    }
}

/// Hosts and settings, valid as a whole: made by [`Plan::new`], so that nothing invalid reaches the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Namespace and name.
    pub identity: PlanIdentity,
    /// Hosts, sorted by host and port.
    pub hosts: Vec<PlannedHost>,
    /// What is said of the plan as a whole.
    #[serde(flatten)]
    pub settings: PlanSettings,
}

impl Plan {
    /// Checks the hosts against each other and sorts them.
    ///
    /// # Errors
    /// The first rule that the hosts break.
    pub fn new(
        identity: PlanIdentity,
        settings: PlanSettings,
        mut hosts: Vec<PlannedHost>,
    ) -> Result<Self, PlanError> {
        hosts.sort_by(|left, right| (&left.host, left.port()).cmp(&(&right.host, right.port())));
        rules::check(&hosts)?;
        Ok(Self {
            identity,
            hosts,
            settings,
        })
    }

    /// A plan without hosts, for the steps that need none.
    pub fn without_hosts(identity: PlanIdentity, settings: PlanSettings) -> Self {
        Self {
            identity,
            hosts: Vec::new(),
            settings,
        }
    }

    /// This plan with more hosts. A host that is there already with the same port, or with another port of the same
    /// kind through the gateway, is replaced: there is room for one.
    ///
    /// # Errors
    /// If the new hosts break a rule among themselves or with the rest.
    pub fn merged(&self, settings: PlanSettings, more: Vec<PlannedHost>) -> Result<Self, PlanError> {
        let settings = self.settings.merged(settings);
        if more.is_empty() {
            return Ok(Self {
                settings,
                ..self.clone()
            });
        }
        let added = Self::new(self.identity.clone(), settings.clone(), more)?;
        let mut hosts: Vec<_> = self
            .hosts
            .iter()
            .filter(|old| !added.hosts.iter().any(|new| new.takes_the_place_of(old)))
            .cloned()
            .collect();
        hosts.extend(added.hosts);
        Self::new(self.identity.clone(), settings, hosts)
    }

    /// This plan without some hosts; `None` if none is left.
    pub fn without(&self, removed: &[HostName]) -> Option<Self> {
        let hosts: Vec<_> = self
            .hosts
            .iter()
            .filter(|planned| !removed.contains(&planned.host))
            .cloned()
            .collect();
        (!hosts.is_empty()).then(|| Self {
            hosts,
            ..self.clone()
        })
    }
}

/// What is said of a plan as a whole, beside its hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanSettings {
    /// `NAMESPACE/SERVICE` of the gateway; absent: found in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Further namespaces whose workloads use the routing (Istio's `exportTo`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub export_to: Vec<String>,
    /// What sidecars of the plan's namespace do with unknown hosts; absent: what the mesh says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound_policy: Option<OutboundPolicy>,
    /// What `lockdown` does unless its flags say otherwise; absent: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lockdown: Option<LockSettings>,
}

impl PlanSettings {
    /// These settings with what `newer` says in place of what they say; namespaces are added.
    #[must_use]
    pub fn merged(&self, newer: Self) -> Self {
        let mut export_to = self.export_to.clone();
        export_to.extend(newer.export_to);
        export_to.sort();
        export_to.dedup();
        Self {
            gateway: newer.gateway.or_else(|| self.gateway.clone()),
            export_to,
            outbound_policy: newer.outbound_policy.or(self.outbound_policy),
            lockdown: newer.lockdown.or_else(|| self.lockdown.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(text: &str, port: u16) -> PlannedHost {
        PlannedHost::passthrough(text.parse().unwrap(), port)
    }

    fn plan(hosts: Vec<PlannedHost>) -> Result<Plan, PlanError> {
        Plan::new(
            PlanIdentity::new("demo", "default").unwrap(),
            PlanSettings::default(),
            hosts,
        )
    }

    #[test]
    fn merges_by_host_and_replaces_the_port() {
        let lockdown = Some(LockSettings {
            api_server: true,
            ..LockSettings::default()
        });
        let before = plan(vec![planned("a.example", 443), planned("b.example", 443)]).unwrap();
        let before = Plan {
            settings: PlanSettings {
                lockdown: lockdown.clone(),
                ..PlanSettings::default()
            },
            ..before
        };
        let after = before
            .merged(
                PlanSettings::default(),
                vec![planned("b.example", 8443), planned("c.example", 443)],
            )
            .unwrap();
        let hosts: Vec<_> = after.hosts.iter().map(ToString::to_string).collect();
        assert_eq!(
            hosts,
            [
                "a.example:443 (passthrough)",
                "b.example:8443 (passthrough)",
                "c.example:443 (passthrough)"
            ]
        );
        assert_eq!(after.settings.lockdown, lockdown);
        assert_eq!(
            after
                .merged(PlanSettings::default(), vec![planned("a.example", 443)])
                .unwrap(),
            after
        );
    }

    #[test]
    fn without_the_last_host_nothing_is_left() {
        let plan = plan(vec![planned("a.example", 443)]).unwrap();
        assert_eq!(plan.without(&["a.example".parse().unwrap()]), None);
    }
}
