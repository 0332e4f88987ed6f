//! What a run will need to do, asked for before it begins: one review of rules per namespace, exact ones where that
//! is not enough.

use super::client_secret::{SecretUser, SecretWish};
use super::prepare::Parts;
use crate::cluster::{Answer, Cluster, Rules};
use crate::error::{Error, Result};
use crate::istio::{kinds, kyma};
use crate::plan::GatewayTarget;
use crate::plan::istio_module::ModuleChange;
use crate::plan::journal::Entry;
use crate::plan::ownership::Manifest;
use crate::vocabulary::{Kind, PlanIdentity};
use futures::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};

/// One permission: verb, API group, resource (with subresource), namespace; and what it is for.
struct Need<'need> {
    verb: &'static str,
    group: String,
    resource: String,
    /// One object, where rules may be limited to it.
    name: Option<String>,
    namespace: &'need str,
    purpose: Purpose,
}

/// What a permission is for. Without the essential ones a run does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    SetUp,
    Proof,
    CleanUp,
}

/// What a run wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Wants<'run> {
    /// Which parts.
    pub parts: Parts,
    /// What it changes at the Kyma module.
    pub module: Option<&'run ModuleChange>,
    /// Its routing objects.
    pub routing: &'run [Manifest],
    /// Secrets that it makes.
    pub secrets: &'run [SecretWish],
}

/// Checks everything that the run will need.
///
/// # Errors
/// If something essential is not allowed; all of it is named at once. What is only useful comes back as remarks.
pub async fn check(
    cluster: &Cluster,
    plan: &PlanIdentity,
    gateway: &GatewayTarget,
    wants: Wants<'_>,
) -> Result<Vec<String>> {
    let needs = needs(plan, gateway, wants);
    let namespaces: BTreeSet<&str> = needs.iter().map(|need| need.namespace).collect();
    let reads = namespaces
        .into_iter()
        .map(|namespace| async move { Ok::<_, Error>((namespace, cluster.rules(namespace).await?)) });
    let rules: BTreeMap<&str, Rules> = try_join_all(reads).await?.into_iter().collect();
    let none = Rules::default();
    let mut missing = Vec::new();
    let mut remarks = Vec::new();
    let mut kept: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for need in &needs {
        let rules = rules.get(need.namespace).unwrap_or(&none);
        let allowed = match rules.allows(need.verb, &need.group, &need.resource, need.name.as_deref()) {
            Answer::Yes => true,
            Answer::No => false,
            Answer::Unknown => {
                cluster
                    .may(need.verb, &need.group, &need.resource, Some(need.namespace))
                    .await?
            }
        };
        let text = format!(
            "{} {} in namespace {}",
            need.verb,
            with_group(need),
            need.namespace
        );
        match need.purpose {
            _ if allowed => {}
            Purpose::SetUp => missing.push(text),
            Purpose::Proof => remarks.push(format!("you may not {text}; without it less can be proven")),
            Purpose::CleanUp => kept.entry(need.namespace).or_default().push(with_group(need)),
        }
    }
    remarks.extend(kept.into_iter().map(|(namespace, resources)| {
        let resources = resources.join(", ");
        format!("you may not delete {resources} in namespace {namespace}; `cleanup` could not take away what is set up now")
    }));
    if missing.is_empty() {
        return Ok(remarks);
    }
    let first = missing.remove(0);
    let mut error = Error::cluster(format!("you may not {first}"));
    if !missing.is_empty() {
        error = error.because(format!("nor: {}", missing.join("; ")));
    }
    Err(error.hint(format!(
        "ask the cluster's administrator; check with: kubectl auth can-i --list -n {}",
        plan.namespace
    )))
}

fn with_group(need: &Need<'_>) -> String {
    if need.group.is_empty() {
        need.resource.clone()
    } else {
        format!("{}.{}", need.resource, need.group)
    }
}

fn needs<'need>(
    plan: &'need PlanIdentity,
    gateway: &'need GatewayTarget,
    wants: Wants<'need>,
) -> Vec<Need<'need>> {
    let parts = wants.parts;
    let mut needs = Vec::new();
    let own = plan.namespace.as_str();
    let mut writes = |kind: &Kind, namespace: &'need str| {
        for (verb, purpose) in [
            ("create", Purpose::SetUp),
            ("patch", Purpose::SetUp),
            ("delete", Purpose::CleanUp),
        ] {
            needs.push(Need {
                verb,
                group: kind.group.clone(),
                resource: kind.plural.clone(),
                name: None,
                namespace,
                purpose,
            });
        }
    };
    writes(&kinds::config_map(), own);
    writes(&kinds::lease(), own);
    if parts.source {
        for kind in [kinds::service_account(), kinds::service(), kinds::deployment()] {
            writes(&kind, own);
        }
    }
    if parts.routing {
        let mut asked = BTreeSet::new();
        for reference in wants.routing.iter().map(|manifest| &manifest.reference) {
            let namespace = reference.namespace.as_deref().unwrap_or(own);
            if asked.insert((reference.kind.plural.as_str(), namespace)) {
                writes(&reference.kind, namespace);
            }
        }
    }
    let mut of_secrets = Vec::new();
    for wish in wants.secrets {
        let namespace = match wish.user {
            SecretUser::Gateway => gateway.namespace.as_str(),
            SecretUser::Curl => own,
        };
        if !of_secrets.contains(&namespace) {
            writes(&kinds::secret(), namespace);
            of_secrets.push(namespace);
        }
    }
    if gateway.created && wants.secrets.iter().any(|wish| wish.user == SecretUser::Gateway) {
        for kind in [kinds::role(), kinds::role_binding()] {
            writes(&kind, &gateway.namespace);
        }
    }
    if parts.gateway && gateway.created {
        for kind in [kinds::service_account(), kinds::service(), kinds::deployment()] {
            writes(&kind, &gateway.namespace);
        }
    }
    let core = |verb, resource: &str, namespace, purpose| Need {
        verb,
        group: String::new(),
        resource: resource.to_owned(),
        name: None,
        namespace,
        purpose,
    };
    for namespace in of_secrets {
        needs.push(core("get", "secrets", namespace, Purpose::SetUp));
    }
    needs.push(core("list", "pods", gateway.namespace.as_str(), Purpose::SetUp));
    needs.push(core("list", "pods", own, Purpose::SetUp));
    for namespace in [own, gateway.namespace.as_str()] {
        needs.push(core("get", "pods/log", namespace, Purpose::Proof));
        needs.push(core("create", "pods/portforward", namespace, Purpose::Proof));
    }
    // Kubernetes 1.35 asks for `create` where older servers ask for `get` (kubernetes pull 134577).
    needs.push(core("create", "pods/exec", own, Purpose::Proof));
    if let Some(module) = wants.module {
        needs.extend(of_module(module));
    }
    needs
}

/// Server-side apply needs `patch`, and `create` where there is nothing yet.
fn of_module(module: &ModuleChange) -> Vec<Need<'static>> {
    let reference = &module.manifest.reference;
    let whole = matches!(module.entry, Entry::Object { .. });
    let also: &[(&str, Purpose)] = if whole {
        &[("create", Purpose::SetUp), ("delete", Purpose::CleanUp)]
    } else {
        &[]
    };
    let need = |(verb, purpose)| Need {
        verb,
        group: reference.kind.group.clone(),
        resource: reference.kind.plural.clone(),
        // Nobody can be limited to creating one name.
        name: (verb != "create").then(|| reference.name.clone()),
        namespace: kyma::NAMESPACE,
        purpose,
    };
    let all = also.iter().copied().chain([("patch", Purpose::SetUp)]);
    all.map(need).collect()
}
