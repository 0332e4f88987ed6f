//! Faults that can be seen in objects alone, with a code for each; most of them `istioctl analyze` does not see.
//!
//! Pure. Each rule names its source: a measured fact (truth.md), a thread of users (domain.md section 2), or Istio's
//! code. A rule that rests on something being absent says nothing where not all objects of that kind could be read,
//! and only warns where files are looked at, since what is missing there may be in the cluster.

mod ambient;
mod destinations;
mod enforcement;
mod entries;
mod gateways;
mod index;
mod legs;
mod logs;
mod pods;
mod ports;
mod rules;
mod scene;
mod sidecars;
mod two_hops;
mod uses;

use crate::finding::{Article, Finding, Severity};
use crate::vocabulary::Object;
use scene::Scene;
use std::collections::{BTreeSet, HashMap};
pub use uses::{CredentialUse, GatewayUse, uses};

/// What is looked at.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The objects, with `kind` and `apiVersion`.
    pub objects: &'a [Object],
    /// Whether they are a cluster's; else some files.
    pub live: bool,
    /// Kinds of which not all were read, in CamelCase.
    pub partial: BTreeSet<String>,
}

/// A finding, and whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What was found.
    pub finding: Finding,
    /// Namespaces whose requests are concerned, or that own an object of it.
    pub namespaces: BTreeSet<String>,
}

impl Remark {
    fn new(article: &'static Article, message: impl Into<String>) -> Self {
        Self {
            finding: Finding::new(article, message),
            namespaces: BTreeSet::new(),
        }
    }

    /// Names an object as `Kind namespace/name`, and counts its namespace among those concerned.
    fn about(mut self, object: &Object) -> Self {
        self = self.of(object.namespace().unwrap_or_default());
        self.finding = self.finding.about(scene::name_of(object));
        self
    }

    fn of(mut self, namespace: &str) -> Self {
        if !namespace.is_empty() {
            self.namespaces.insert(namespace.to_owned());
        }
        self
    }

    /// What is missing in files may be in the cluster.
    fn unless_elsewhere(mut self, scene: &Scene<'_>) -> Self {
        if !scene.live && self.finding.severity == Severity::Error {
            self.finding.severity = Severity::Warning;
            self.finding.message.push_str(", as far as these files tell");
        }
        self
    }
}

/// `Kind namespace/name`, as findings name objects.
pub fn name_of(object: &Object) -> String {
    scene::name_of(object)
}

/// All faults of the objects, errors first; each once.
pub fn lint(subject: &Subject<'_>) -> Vec<Remark> {
    let (scene, mut remarks) = Scene::new(subject);
    two_hops::check(&scene, &mut remarks);
    ports::check(&scene, &mut remarks);
    rules::check(&scene, &mut remarks);
    gateways::check(&scene, &mut remarks);
    destinations::check(&scene, &mut remarks);
    entries::check(&scene, &mut remarks);
    sidecars::check(&scene, &mut remarks);
    logs::check(&scene, &mut remarks);
    enforcement::check(&scene, &mut remarks);
    ambient::check(subject, &mut remarks);
    let mut unique: Vec<Remark> = Vec::new();
    let mut positions: HashMap<String, usize> = HashMap::new();
    for remark in remarks {
        let next = unique.len();
        let position = *positions.entry(format!("{:?}", remark.finding)).or_insert(next);
        if position == next {
            unique.push(remark);
        } else {
            unique[position].namespaces.extend(remark.namespaces);
        }
    }
    unique.sort_by(|left, right| {
        let key = |remark: &Remark| (remark.finding.severity, remark.finding.code.clone());
        key(left).cmp(&key(right))
    });
    unique
}
