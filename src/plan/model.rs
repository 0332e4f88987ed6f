//! A plan: which hosts and ports leave through which gateway.

use super::lock::LockSettings;
use crate::error::Error;
use crate::vocabulary::{HostName, HostPort, Mode, PlanIdentity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One host and port with its mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedHost {
    /// The host.
    pub host: HostName,
    /// The port that the application uses.
    pub port: u16,
    /// How its traffic leaves.
    pub mode: Mode,
}

impl PlannedHost {
    /// A host and port in the default mode.
    pub fn passthrough(host: HostName, port: u16) -> Self {
        Self {
            host,
            port,
            mode: Mode::Passthrough,
        }
    }

    /// Host and port without the mode.
    pub fn host_port(&self) -> HostPort {
        HostPort {
            host: self.host.clone(),
            port: self.port,
        }
    }
}

impl fmt::Display for PlannedHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{} ({})", self.host, self.port, self.mode)
    }
}

/// Hosts and settings, valid as a whole: made by [`Plan::new`], so that nothing invalid reaches the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Namespace and name.
    pub identity: PlanIdentity,
    /// `NAMESPACE/SERVICE` of the gateway; absent: found in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Hosts, sorted by host and port.
    pub hosts: Vec<PlannedHost>,
    /// What `lockdown` does unless its flags say otherwise; absent: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lockdown: Option<LockSettings>,
}

/// Why hosts do not make a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A host and port stands there twice.
    #[error("{0} is named twice; name each host and port once")]
    Twice(HostPort),
    /// One SNI cannot lead to two ports.
    #[error(
        "{host} is named with the ports {first} and {second}; TLS passthrough finds its way by server name (SNI) alone, so one host has one port on a gateway"
    )]
    TwoPorts {
        /// The host.
        host: HostName,
        /// Its first port.
        first: u16,
        /// Its second port.
        second: u16,
    },
    /// A wildcard needs a fixed server behind the gateway (Istio issue 61831).
    #[error(
        "{0} is a wildcard; through a gateway Istio routes a wildcard only to one fixed server, which this version cannot set up; name the hosts one by one"
    )]
    Wildcard(HostName),
    /// A port that clients speak plain HTTP to.
    #[error(
        "{0} uses port 80, where clients speak plain HTTP; mode passthrough carries TLS only; use port 443"
    )]
    PlaintextPort(HostPort),
    /// Port 0.
    #[error("{0} has port 0; a port is 1 to 65535")]
    PortZero(HostName),
    /// No host at all.
    #[error("no host is named; name at least one, for example `kubectl egress setup kyma-project.io`")]
    Empty,
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        Self::usage(error.to_string())
    }
}

impl Plan {
    /// Checks the hosts against each other and sorts them.
    ///
    /// # Errors
    /// The first rule that the hosts break.
    pub fn new(
        identity: PlanIdentity,
        gateway: Option<String>,
        mut hosts: Vec<PlannedHost>,
    ) -> Result<Self, PlanError> {
        hosts.sort_by(|left, right| (&left.host, left.port).cmp(&(&right.host, right.port)));
        if hosts.is_empty() {
            return Err(PlanError::Empty);
        }
        for planned in &hosts {
            if planned.port == 0 {
                return Err(PlanError::PortZero(planned.host.clone()));
            }
            if planned.host.is_wildcard() {
                return Err(PlanError::Wildcard(planned.host.clone()));
            }
            if planned.port == 80 {
                return Err(PlanError::PlaintextPort(planned.host_port()));
            }
        }
        for pair in hosts.windows(2) {
            if pair[0].host == pair[1].host {
                return Err(if pair[0].port == pair[1].port {
                    PlanError::Twice(pair[0].host_port())
                } else {
                    PlanError::TwoPorts {
                        host: pair[0].host.clone(),
                        first: pair[0].port,
                        second: pair[1].port,
                    }
                });
            }
        }
        Ok(Self {
            identity,
            gateway,
            hosts,
            lockdown: None,
        })
    }

    /// This plan with settings for its lock.
    #[must_use]
    pub fn with_lockdown(mut self, lockdown: Option<LockSettings>) -> Self {
        self.lockdown = lockdown;
        self
    }

    /// This plan with more hosts; a host that is there already with the same port stays one host,
    /// with another port the new one replaces it.
    ///
    /// # Errors
    /// If the new hosts break a rule among themselves or with the rest.
    pub fn merged(&self, gateway: Option<String>, more: Vec<PlannedHost>) -> Result<Self, PlanError> {
        let added = Self::new(self.identity.clone(), gateway.clone(), more)?;
        let mut hosts: Vec<_> = self
            .hosts
            .iter()
            .filter(|old| added.hosts.iter().all(|new| new.host != old.host))
            .cloned()
            .collect();
        hosts.extend(added.hosts);
        let merged = Self::new(
            self.identity.clone(),
            gateway.or_else(|| self.gateway.clone()),
            hosts,
        )?;
        Ok(merged.with_lockdown(self.lockdown.clone()))
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

    /// Hosts by port, each list sorted.
    pub fn hosts_by_port(&self) -> BTreeMap<u16, Vec<&HostName>> {
        let mut by_port: BTreeMap<u16, Vec<&HostName>> = BTreeMap::new();
        for planned in &self.hosts {
            by_port.entry(planned.port).or_default().push(&planned.host);
        }
        by_port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(text: &str, port: u16) -> PlannedHost {
        PlannedHost::passthrough(text.parse().unwrap(), port)
    }

    fn plan(hosts: Vec<PlannedHost>) -> Result<Plan, PlanError> {
        Plan::new(PlanIdentity::new("demo", "default").unwrap(), None, hosts)
    }

    #[test]
    fn refuses_what_istio_cannot_carry() {
        let host: HostName = "a.example".parse().unwrap();
        let cases = [
            (vec![], PlanError::Empty),
            (
                vec![planned("a.example", 443), planned("a.example", 443)],
                PlanError::Twice(HostPort {
                    host: host.clone(),
                    port: 443,
                }),
            ),
            (
                vec![planned("a.example", 8443), planned("a.example", 443)],
                PlanError::TwoPorts {
                    host: host.clone(),
                    first: 443,
                    second: 8443,
                },
            ),
            (
                vec![planned("a.example", 80)],
                PlanError::PlaintextPort(HostPort {
                    host: host.clone(),
                    port: 80,
                }),
            ),
            (vec![planned("a.example", 0)], PlanError::PortZero(host)),
            (
                vec![planned("*.a.example", 443)],
                PlanError::Wildcard("*.a.example".parse().unwrap()),
            ),
        ];
        for (hosts, expected) in cases {
            assert_eq!(plan(hosts), Err(expected));
        }
    }

    #[test]
    fn merges_by_host_and_replaces_the_port() {
        let lockdown = Some(LockSettings {
            api_server: true,
            ..LockSettings::default()
        });
        let before = plan(vec![planned("a.example", 443), planned("b.example", 443)])
            .unwrap()
            .with_lockdown(lockdown.clone());
        let after = before
            .merged(None, vec![planned("b.example", 8443), planned("c.example", 443)])
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
        assert_eq!(after.lockdown, lockdown);
        assert_eq!(
            after.merged(None, vec![planned("a.example", 443)]).unwrap(),
            after
        );
    }

    #[test]
    fn without_the_last_host_nothing_is_left() {
        let plan = plan(vec![planned("a.example", 443)]).unwrap();
        assert_eq!(plan.without(&["a.example".parse().unwrap()]), None);
    }
}
