//! What routes make use of and what is judged elsewhere: Secrets, whose content is no affair of the mesh's, and the
//! gateway's pods, whose access log is decided by `plan::access_log`.

use super::Subject;
use super::legs::At;
use super::rules::tls_of;
use super::scene::{Scene, is_router};
use crate::vocabulary::Object;
use std::collections::{BTreeMap, BTreeSet};

/// A Secret that a gateway makes TLS with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CredentialUse {
    /// Namespace of the gateway's pods, where the Secret has to be.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it holds a client's certificate; else only an authority.
    pub client: bool,
    /// Namespace of the route.
    pub user: String,
}

/// Gateway pods to which routes lead.
#[derive(Debug, Clone)]
pub struct GatewayUse {
    /// One of the pods.
    pub pod: Object,
    /// Namespaces that send hosts there.
    pub users: BTreeSet<String>,
}

/// What the routes among the objects use.
pub fn uses(subject: &Subject<'_>) -> (Vec<CredentialUse>, Vec<GatewayUse>) {
    let (scene, _) = Scene::new(subject);
    let mut credentials = BTreeSet::new();
    let mut gateways: BTreeMap<(String, String), GatewayUse> = BTreeMap::new();
    for leg in &scene.legs {
        let user = scene.virtual_services[leg.route].namespace;
        match &leg.at {
            At::Gateway(name) => {
                let homes = scene
                    .gateway(name)
                    .map(|gateway| scene.homes_of(gateway))
                    .unwrap_or_default();
                for home in homes {
                    let tls = tls_of(&scene, home, leg);
                    let Some((tls, name)) = tls.and_then(|tls| Some((tls.mode, tls.credential_name?))) else {
                        continue;
                    };
                    credentials.insert(CredentialUse {
                        namespace: home.to_owned(),
                        name: plain_name(&name).to_owned(),
                        client: tls == "MUTUAL",
                        user: user.to_owned(),
                    });
                }
            }
            At::Mesh => {
                let Some(service) = scene.services.get(&leg.destination) else {
                    continue;
                };
                for pod in scene.pods_behind(service).filter(|pod| is_router(pod)) {
                    let key = (
                        service.namespace().unwrap_or_default().to_owned(),
                        service.name().to_owned(),
                    );
                    let known = gateways.entry(key).or_insert_with(|| GatewayUse {
                        pod: pod.clone(),
                        users: BTreeSet::new(),
                    });
                    known.users.extend(scene.clients_of(leg));
                }
            }
        }
    }
    (
        credentials.into_iter().collect(),
        gateways.into_values().collect(),
    )
}

/// `kubernetes://NAME` is another way to write it.
fn plain_name(name: &str) -> &str {
    name.strip_prefix("kubernetes://").unwrap_or(name)
}
