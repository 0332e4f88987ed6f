//! What a set-up needs to be allowed to do.

use super::{Need, Purpose, Wants, kinds_of};
use crate::engine::client_secret::SecretUser;
use crate::istio::{kinds, kyma};
use crate::plan::GatewayTarget;
use crate::plan::istio_module::ModuleChange;
use crate::plan::journal::Entry;
use crate::plan::permissions::{self, Permission, Scope};
use crate::vocabulary::{Circumstance, ClusterCommand, Kind, PlanIdentity};

/// Everything that a set-up needs.
pub(super) fn needs(plan: &PlanIdentity, gateway: &GatewayTarget, wants: Wants<'_>) -> Vec<Need> {
    let own = plan.namespace.as_str();
    let of_gateway = |user: SecretUser| user == SecretUser::Gateway;
    let secrets = wants.secrets.iter().filter(|wish| of_gateway(wish.user));
    let mut circumstances = Vec::new();
    if wants.label {
        circumstances.push(Circumstance::Label);
    }
    if wants.parts.gateway && gateway.created {
        circumstances.push(Circumstance::CreateGateway);
    }
    let scope = Scope {
        command: command(wants),
        plan,
        namespace: own,
        gateway: &gateway.namespace,
        routing: kinds_of(wants.routing.iter().map(|manifest| &manifest.reference), plan),
        secrets: secrets.map(|wish| wish.name.clone()).collect(),
        circumstances: circumstances
            .into_iter()
            .chain((!wants.secrets.is_empty()).then_some(Circumstance::ClientSecret))
            .collect(),
    };
    let mut needs: Vec<Need> = permissions::of(&scope).into_iter().map(Need::of).collect();
    // Objects that the table does not know: a policy beside the routes, Secrets of curl, the gateway's right to read.
    let routing = wants.routing.iter().map(|manifest| &manifest.reference);
    let mut further: Vec<(Kind, &str)> = routing
        .map(|reference| {
            (
                reference.kind.clone(),
                reference.namespace.as_deref().unwrap_or(own),
            )
        })
        .collect();
    if wants.secrets.iter().any(|wish| !of_gateway(wish.user)) {
        further.push((kinds::secret(), own));
        needs.push(Need {
            permission: permission("get", &kinds::secret(), own),
            purpose: Purpose::Change,
        });
    }
    if gateway.created && wants.secrets.iter().any(|wish| of_gateway(wish.user)) {
        further.extend([kinds::role(), kinds::role_binding()].map(|kind| (kind, gateway.namespace.as_str())));
    }
    needs.extend(
        further
            .iter()
            .flat_map(|(kind, namespace)| writes(kind, namespace)),
    );
    needs.extend(wants.module.into_iter().flat_map(of_module));
    if !wants.rehearsed {
        let removals: Vec<Need> = needs.iter().filter_map(removal).collect();
        needs.extend(removals);
    }
    needs.sort_by(|one, other| one.permission.cmp(&other.permission));
    needs.dedup_by(|one, other| one.permission == other.permission);
    needs
}

fn command(wants: Wants<'_>) -> ClusterCommand {
    let parts = wants.parts;
    match (parts.gateway, parts.source, parts.routing) {
        // `certs inspect --gateway` prepares, and does nothing.
        (false, false, false) if wants.secrets.is_empty() => ClusterCommand::Certs,
        _ if wants.rehearsed => ClusterCommand::Diff,
        (false, false, false) => ClusterCommand::Secrets,
        (true, false, false) => ClusterCommand::EnableGateway,
        (false, true, false) => ClusterCommand::DeployCurl,
        (false, false, _) => ClusterCommand::Route,
        _ => ClusterCommand::Setup,
    }
}

/// What is made now is taken away later.
pub(super) fn removal(need: &Need) -> Option<Need> {
    let made = &need.permission;
    let applied = need.purpose == Purpose::Change && made.verb == "create" && made.resource != "leases";
    applied.then(|| Need {
        permission: Permission {
            verb: "delete".to_owned(),
            ..made.clone()
        },
        purpose: Purpose::CleanUp,
    })
}

/// What it takes to apply objects of a kind.
fn writes(kind: &Kind, namespace: &str) -> [Need; 2] {
    ["create", "patch"].map(|verb| Need {
        permission: permission(verb, kind, namespace),
        purpose: Purpose::Change,
    })
}

/// One verb on a kind.
fn permission(verb: &str, kind: &Kind, namespace: &str) -> Permission {
    Permission {
        namespace: Some(namespace.to_owned()),
        group: kind.group.clone(),
        resource: kind.plural.clone(),
        name: None,
        verb: verb.to_owned(),
    }
}

/// Server-side apply needs `patch`, and `create` where there is nothing yet.
fn of_module(module: &ModuleChange) -> Vec<Need> {
    let reference = &module.manifest.reference;
    let whole = matches!(module.entry, Entry::Object { .. });
    let verbs: &[&str] = if whole { &["create", "patch"] } else { &["patch"] };
    let need = |verb: &&str| Need {
        permission: Permission {
            // Nobody can be limited to creating one name.
            name: (*verb != "create").then(|| reference.name.clone()),
            ..permission(verb, &reference.kind, kyma::NAMESPACE)
        },
        purpose: Purpose::Change,
    };
    verbs.iter().map(need).collect()
}
