//! The parts of Envoy's `config_dump` and `clusters?format=json` that are looked at. A gateway with a thousand hosts gives
//! megabytes: the rest of them is passed over, not kept.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// `config_dump?resource=dynamic_listeners`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Listeners {
    configs: Vec<DumpedListener>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DumpedListener {
    /// Draining listeners do not count: a dump goes on listing them after a removal (truth.md 8).
    active_state: Option<ListenerState>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListenerState {
    listener: Listener,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Listener {
    filter_chains: Vec<FilterChain>,
}

/// What takes connections that match.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct FilterChain {
    filter_chain_match: FilterChainMatch,
    filters: Vec<Filter>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FilterChainMatch {
    server_names: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Filter {
    typed_config: Leads,
}

/// A filter's or a route's configuration: where it leads, if it says so by one name.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Leads {
    cluster: Option<TextOrElse>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrElse {
    Text(String),
    Else(IgnoredAny),
}

impl Leads {
    fn cluster(&self) -> Option<&str> {
        match &self.cluster {
            Some(TextOrElse::Text(name)) => Some(name),
            Some(TextOrElse::Else(_)) | None => None,
        }
    }
}

impl Listeners {
    /// The filter chains of active listeners.
    pub(super) fn active_chains(&self) -> impl Iterator<Item = &FilterChain> {
        let active = self
            .configs
            .iter()
            .filter_map(|dumped| dumped.active_state.as_ref());
        active.flat_map(|state| &state.listener.filter_chains)
    }
}

impl FilterChain {
    /// The server names (SNI) that it takes; none: all.
    pub(super) fn server_names(&self) -> &[String] {
        &self.filter_chain_match.server_names
    }

    /// The clusters that it leads to.
    pub(super) fn clusters(&self) -> impl Iterator<Item = &str> {
        self.filters
            .iter()
            .filter_map(|filter| filter.typed_config.cluster())
    }
}

/// `config_dump?resource=dynamic_route_configs`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Routes {
    configs: Vec<DumpedRoutes>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DumpedRoutes {
    route_config: RouteConfiguration,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RouteConfiguration {
    virtual_hosts: Vec<VirtualHost>,
}

/// What answers for some Hosts.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct VirtualHost {
    /// The Hosts.
    pub(super) domains: Vec<String>,
    routes: Vec<Route>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Route {
    route: Leads,
}

impl Routes {
    pub(super) fn virtual_hosts(&self) -> impl Iterator<Item = &VirtualHost> {
        self.configs
            .iter()
            .flat_map(|dumped| &dumped.route_config.virtual_hosts)
    }
}

impl VirtualHost {
    /// The clusters that its routes lead to.
    pub(super) fn clusters(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().filter_map(|route| route.route.cluster())
    }
}

/// `clusters?format=json`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Clusters {
    cluster_statuses: Vec<ClusterStatus>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ClusterStatus {
    name: String,
}

impl Clusters {
    /// Active clusters (warming ones are not listed).
    pub(super) fn into_names(self) -> impl Iterator<Item = String> {
        self.cluster_statuses.into_iter().map(|status| status.name)
    }
}
