//! The TLS that a proxy makes towards a server outside: which settings hold, what the Secret gives, and how the handshake
//! ends (truth.md sections 4 and 5).

use super::destination::Server;
use super::handshake::{Expects, client_believes, server_admits};
use super::transfer::Transfer;
use crate::mesh::{Matter, PredictedHop, Proxy};
use crate::sandbox::secret::text_of;
use crate::sandbox::state::State;
use crate::vocabulary::PodName;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// How long a cluster warms whose Secret does not come (truth.md, surprise 12).
const WARMING: SignedDuration = SignedDuration::from_secs(15);
/// What Envoy says of one afterwards.
const NOT_SUPPLIED: &str = "TLS_error:_Secret_is_not_supplied_by_SDS";

/// Why a proxy's TLS does not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The cluster waits for its Secret.
    Warming,
    /// The handshake failed at the proxy, for this reason.
    Tls(String),
    /// The server closed the connection after the proxy's part of the handshake.
    Terminated,
}

/// A certificate, and authorities, as a gateway got them from a Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sandbox) struct HeldSecret {
    /// The chain (PEM).
    certificate: Option<String>,
    has_key: bool,
    authorities: Option<String>,
}

/// Makes TLS to a server. Gives what the proxy showed it of its own.
pub(super) fn originate(
    transfer: &mut Transfer<'_>,
    hop: &PredictedHop,
    server: &Server,
    mutual: bool,
) -> Result<Option<String>, Failure> {
    let now = Timestamp::now();
    let Some((rule, tls)) = settings(transfer.state, hop) else {
        // The mesh model says that there are some.
        return Err(Failure::Terminated);
    };
    let held = match (tls["credentialName"].as_str(), &hop.at) {
        (Some(secret), Proxy::Gateway(pod)) => {
            let held = hold(transfer.state, pod, secret).filter(|held| held.serves(mutual));
            let Some(held) = held else {
                let age = transfer.inner.now().duration_since(created(&rule));
                return Err(if age < WARMING {
                    Failure::Warming
                } else {
                    Failure::Tls(NOT_SUPPLIED.to_owned())
                });
            };
            held
        }
        _ => HeldSecret::default(),
    };
    if tls["insecureSkipVerify"] != true {
        let public = || transfer.inner.public.certificate();
        let authorities = held.authorities.clone().unwrap_or_else(public);
        let expects = expects(&tls, &transfer.request.host);
        client_believes(&server.chain, &authorities, &expects, now)
            .map_err(|distrust| Failure::Tls(distrust.of_envoy()))?;
    }
    let shown = held.certificate.filter(|_| mutual);
    if server_admits(&server.admits, shown.as_deref(), now) {
        Ok(shown)
    } else {
        Err(Failure::Terminated)
    }
}

/// Names that Istio makes the proxy expect: `sni` alone switches the comparison off (truth.md, surprise 1).
fn expects(tls: &Value, host: &str) -> Expects {
    let names: Vec<String> = tls["subjectAltNames"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    if !names.is_empty() {
        return Expects::OneOf(names);
    }
    match tls["sni"].as_str() {
        Some(name) if !name.is_empty() => Expects::Any,
        _ => Expects::Host(host.to_owned()),
    }
}

/// The DestinationRule that the mesh model names for a hop, and the TLS settings in it that hold for its cluster.
fn settings(state: &State, hop: &PredictedHop) -> Option<(Value, Value)> {
    let decision = hop
        .decided_by
        .iter()
        .find(|decision| decision.matter == Matter::Tls)?;
    let (namespace, name) = decision
        .object
        .strip_prefix("DestinationRule ")?
        .split_once('/')?;
    let rule = state.object("networking.istio.io", "destinationrules", namespace, name)?;
    let mut parts = hop.cluster.split('|').skip(1);
    let port: u64 = parts.next()?.parse().ok()?;
    let subset = parts.next()?;
    let spec = &rule["spec"];
    let subsets = spec["subsets"].as_array().into_iter().flatten();
    let of_subset = subsets
        .filter(|known| known["name"] == subset)
        .map(|known| &known["trafficPolicy"]);
    let of_port = |policy: &Value| {
        let mut ports = policy["portLevelSettings"].as_array().into_iter().flatten();
        ports.find(|settings| settings["port"]["number"] == port).cloned()
    };
    let mut policies = of_subset.chain([&spec["trafficPolicy"]]);
    let tls = policies.find_map(|policy| {
        let found = of_port(policy).unwrap_or_else(|| policy.clone());
        found["tls"].is_object().then(|| found["tls"].clone())
    })?;
    Some((rule.clone(), tls))
}

fn created(object: &Value) -> Timestamp {
    let text = object["metadata"]["creationTimestamp"].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or(Timestamp::MIN)
}

/// What a gateway's pod holds of a Secret of its namespace. It goes on using one that was deleted.
pub(in crate::sandbox) fn hold(state: &mut State, pod: &PodName, secret: &str) -> Option<HeldSecret> {
    let key = (pod.to_string(), secret.to_owned());
    let live = state.object("", "secrets", &pod.namespace, secret).cloned();
    let beside = state.object("", "secrets", &pod.namespace, &format!("{secret}-cacert"));
    if live.is_none() && beside.is_none() {
        return state.held_secrets.get(&key).cloned();
    }
    let authority_of = |object: &Value| {
        ["cacert", "ca.crt"]
            .into_iter()
            .find_map(|name| text_of(object, name))
    };
    let authorities = live
        .as_ref()
        .and_then(authority_of)
        .or_else(|| beside.and_then(authority_of));
    let pair = [["cert", "key"], ["tls.crt", "tls.key"]]
        .into_iter()
        .find_map(|[certificate, key]| {
            let live = live.as_ref()?;
            Some((text_of(live, certificate)?, text_of(live, key)?))
        });
    let held = HeldSecret {
        has_key: pair.as_ref().is_some_and(|(_, key)| !key.is_empty()),
        certificate: pair.map(|(certificate, _)| certificate),
        authorities,
    };
    state.held_secrets.insert(key, held.clone());
    Some(held)
}

impl HeldSecret {
    pub(in crate::sandbox) fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    pub(in crate::sandbox) fn authorities(&self) -> Option<&str> {
        self.authorities.as_deref()
    }

    /// Whether it has what the TLS needs: istiod supplies nothing of a Secret that lacks a part (truth.md 5).
    fn serves(&self, mutual: bool) -> bool {
        self.authorities.is_some() && (!mutual || (self.certificate.is_some() && self.has_key))
    }
}
