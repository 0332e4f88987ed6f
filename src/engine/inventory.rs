//! Reads every object that decides how requests leave: lists only, all kinds at once, and what may not be read is told.
//!
//! What a namespace's proxies get is merged from all namespaces (exportTo, the root namespace, a Service's own), so
//! every kind is asked for in the whole cluster first, and in the few namespaces that matter where that is refused.
//! Pods are many: without [`Scope::All`] those of the namespaces that matter are read, and those that a Gateway selects.

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::istio::mesh_configuration;
use crate::vocabulary::{Kind, Object, ObjectReference, names};
use futures::future;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Where is looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// At one namespace, and at what Istio merges into it from elsewhere.
    Namespace(String),
    /// At all namespaces.
    All,
}

impl Scope {
    /// The one namespace, if it is one.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Namespace(namespace) => Some(namespace),
            Self::All => None,
        }
    }
}

/// What could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The kind.
    pub kind: Kind,
    /// The namespaces that were read all the same; empty if nothing of the kind was.
    pub read_in: Vec<String>,
    /// Why: the API server's words.
    pub why: String,
}

impl Unread {
    /// One sentence: what is not known.
    pub fn sentence(&self) -> String {
        let kind = &self.kind.kind;
        if self.read_in.is_empty() {
            return format!("{kind} objects could not be read: {}", self.why);
        }
        let places = self.read_in.join(", ");
        format!("{kind} objects were read in {places} only: {}", self.why)
    }
}

/// The objects of a cluster that decide how requests leave.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// All that was read, each once, with `kind` and `apiVersion`.
    pub objects: Vec<Object>,
    /// What was refused: rules that need it say nothing.
    pub unread: Vec<Unread>,
}

impl Inventory {
    /// The mesh configuration, as JSON; `Null` if it is not there or cannot be read.
    pub fn mesh(&self) -> Value {
        let mut maps = self.objects.iter().filter(|object| {
            object.text("/kind") == "ConfigMap"
                && object.name() == "istio"
                && object.namespace() == Some(names::ISTIO_NAMESPACE)
        });
        maps.next().and_then(mesh_configuration).unwrap_or(Value::Null)
    }

    /// The objects of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a Kind) -> impl Iterator<Item = &'a Object> {
        self.objects.iter().filter(move |object| {
            let group = object
                .text("/apiVersion")
                .rsplit_once('/')
                .map_or("", |(group, _)| group);
            object.text("/kind") == kind.kind && group == kind.group
        })
    }
}

/// Kinds that are read in the whole cluster; one request each, and more where there are more than 500 objects.
fn kinds_of_mesh() -> Vec<Kind> {
    vec![
        kinds::service(),
        kinds::endpoint_slice(),
        kinds::namespace(),
        kinds::service_entry(),
        kinds::virtual_service(),
        kinds::destination_rule(),
        kinds::gateway(),
        kinds::sidecar(),
        kinds::envoy_filter(),
        kinds::authorization_policy(),
        kinds::peer_authentication(),
        kinds::telemetry(),
        kinds::network_policy(),
    ]
}

/// Reads everything, at most eight requests at a time (the client's bound). Nothing is written, watched or guessed.
///
/// # Errors
/// If the API server cannot be reached. What it refuses to show is in [`Inventory::unread`].
pub async fn inventory(cluster: &Cluster, scope: &Scope) -> Result<Inventory> {
    let mut places: Vec<String> = scope.namespace().map(str::to_owned).into_iter().collect();
    for place in [names::ISTIO_NAMESPACE, names::DNS_NAMESPACE] {
        if !places.iter().any(|known| known == place) {
            places.push(place.to_owned());
        }
    }
    let kinds = kinds_of_mesh();
    let lists = future::join_all(kinds.iter().map(|kind| everywhere(cluster, kind, &places)));
    let mesh = ObjectReference::namespaced(kinds::config_map(), names::ISTIO_NAMESPACE, "istio");
    let (lists, mesh) = future::join(lists, cluster.get(&mesh)).await;
    let mut gathered = Inventory::default();
    for read in lists {
        gathered.take(read?);
    }
    match mesh {
        Ok(mesh) => gathered.objects.extend(mesh),
        // The lists have come: the server is there, and refuses this one.
        Err(refused) => gathered
            .unread
            .push(unread(&kinds::config_map(), Vec::new(), &refused)),
    }
    match scope {
        Scope::All => gathered.take(everywhere(cluster, &kinds::pod(), &places).await?),
        Scope::Namespace(_) => gathered.pods(cluster, places).await?,
    }
    Ok(gathered)
}

/// What reading one kind gave.
struct Read {
    objects: Vec<Object>,
    unread: Option<Unread>,
}

impl Inventory {
    fn take(&mut self, read: Read) {
        self.objects.extend(read.objects);
        self.unread.extend(read.unread);
    }

    /// Pods of the namespaces that matter, and those that a Gateway selects, wherever they are.
    async fn pods(&mut self, cluster: &Cluster, mut places: Vec<String>) -> Result<()> {
        let kind = kinds::pod();
        places.extend(self.gateway_namespaces());
        places.sort();
        places.dedup();
        let of_places = places
            .iter()
            .map(|place| cluster.list_if_permitted(&kind, Some(place), None));
        let selectors = self.gateway_selectors();
        let selected = selectors
            .iter()
            .map(|selector| cluster.list_if_permitted(&kind, None, Some(selector)));
        let (of_places, selected) =
            future::join(future::join_all(of_places), future::join_all(selected)).await;
        let mut pods: BTreeMap<(String, String), Object> = BTreeMap::new();
        let mut why = None;
        let mut read_in = Vec::new();
        for (place, listed) in places.iter().zip(of_places) {
            match listed? {
                Ok(listed) => {
                    read_in.push(place.clone());
                    pods.extend(listed.into_iter().map(keyed));
                }
                Err(refused) => why = Some(refused),
            }
        }
        for listed in selected {
            match listed? {
                Ok(listed) => pods.extend(listed.into_iter().map(keyed)),
                Err(refused) => why = Some(refused),
            }
        }
        self.objects.extend(pods.into_values());
        self.unread.extend(why.map(|why| unread(&kind, read_in, &why)));
        Ok(())
    }

    /// Namespaces of Services that a Gateway's selector may lead to.
    fn gateway_namespaces(&self) -> BTreeSet<String> {
        let kind = kinds::gateway();
        let gateways: Vec<&Value> = self
            .of_kind(&kind)
            .map(|gateway| gateway.at("/spec/selector"))
            .filter(|selector| selector.as_object().is_some_and(|pairs| !pairs.is_empty()))
            .collect();
        let leads_to = |service: &&Object| {
            gateways
                .iter()
                .any(|selector| service.labels_match("/spec/selector", selector))
        };
        self.of_kind(&kinds::service())
            .filter(leads_to)
            .filter_map(|service| service.namespace().map(str::to_owned))
            .collect()
    }

    /// Different selectors of Gateways, as label selectors of a list.
    fn gateway_selectors(&self) -> BTreeSet<String> {
        let kind = kinds::gateway();
        let selectors = self
            .of_kind(&kind)
            .filter_map(|gateway| gateway.at("/spec/selector").as_object());
        selectors
            .map(|pairs| {
                let pairs = pairs
                    .iter()
                    .filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)));
                pairs.collect::<Vec<_>>().join(",")
            })
            .filter(|selector| !selector.is_empty())
            .collect()
    }
}

fn keyed(pod: Object) -> ((String, String), Object) {
    let namespace = pod.namespace().unwrap_or_default().to_owned();
    ((namespace, pod.name().to_owned()), pod)
}

/// Everything of a kind, or what may be read of it.
async fn everywhere(cluster: &Cluster, kind: &Kind, places: &[String]) -> Result<Read> {
    let why = match cluster.list_if_permitted(kind, None, None).await? {
        Ok(objects) => {
            return Ok(Read {
                objects,
                unread: None,
            });
        }
        Err(refused) => refused,
    };
    let (mut objects, mut read_in) = (Vec::new(), Vec::new());
    if kind.namespaced {
        let lists = places
            .iter()
            .map(|place| cluster.list_if_permitted(kind, Some(place), None));
        for (place, listed) in places.iter().zip(future::join_all(lists).await) {
            if let Ok(listed) = listed? {
                objects.extend(listed);
                read_in.push(place.clone());
            }
        }
    }
    Ok(Read {
        objects,
        unread: Some(unread(kind, read_in, &why)),
    })
}

fn unread(kind: &Kind, read_in: Vec<String>, why: &Error) -> Unread {
    let why = why.causes().first().map_or_else(|| why.message(), String::as_str);
    Unread {
        kind: kind.clone(),
        read_in,
        why: why.to_owned(),
    }
}
