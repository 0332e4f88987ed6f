//! What a set-up needs to be allowed to do.

use super::{Need, Purpose, Wants, core, writes};
use crate::engine::client_secret::SecretUser;
use crate::istio::{kinds, kyma};
use crate::plan::GatewayTarget;
use crate::plan::istio_module::ModuleChange;
use crate::plan::journal::Entry;
use crate::vocabulary::{Kind, PlanIdentity};
use std::collections::BTreeSet;

/// Everything that a set-up needs.
pub(super) fn needs<'need>(
    plan: &'need PlanIdentity,
    gateway: &'need GatewayTarget,
    wants: Wants<'need>,
) -> Vec<Need<'need>> {
    let parts = wants.parts;
    let mut needs = Vec::new();
    let own = plan.namespace.as_str();
    let mut write = |kind: &Kind, namespace: &'need str| needs.extend(writes(kind, namespace));
    write(&kinds::config_map(), own);
    write(&kinds::lease(), own);
    if parts.source {
        for kind in [kinds::service_account(), kinds::service(), kinds::deployment()] {
            write(&kind, own);
        }
    }
    if parts.routing {
        let mut asked = BTreeSet::new();
        for reference in wants.routing.iter().map(|manifest| &manifest.reference) {
            let namespace = reference.namespace.as_deref().unwrap_or(own);
            if asked.insert((reference.kind.plural.as_str(), namespace)) {
                write(&reference.kind, namespace);
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
            write(&kinds::secret(), namespace);
            of_secrets.push(namespace);
        }
    }
    if gateway.created && wants.secrets.iter().any(|wish| wish.user == SecretUser::Gateway) {
        for kind in [kinds::role(), kinds::role_binding()] {
            write(&kind, &gateway.namespace);
        }
    }
    if parts.gateway && gateway.created {
        for kind in [kinds::service_account(), kinds::service(), kinds::deployment()] {
            write(&kind, &gateway.namespace);
        }
    }
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
