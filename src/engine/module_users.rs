//! Who uses the Istio that Kyma's module installed for us: while somebody does, the module stays.

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::istio::{kinds, kyma};
use crate::vocabulary::{Kind, Object, ObjectReference, names};

/// What keeps a resource that we made from being deleted: Istio is used by somebody else. `None` if nothing does.
/// The kinds are those for which the module itself would refuse to go.
///
/// # Errors
/// If the cluster refuses to list.
pub(super) async fn used_by_others(cluster: &Cluster, namespace: &str) -> Result<Option<String>> {
    let kinds = [
        kinds::gateway(),
        kinds::virtual_service(),
        kinds::destination_rule(),
        kinds::service_entry(),
        kinds::sidecar(),
        kinds::telemetry(),
        kinds::authorization_policy(),
        kinds::peer_authentication(),
        Kind::new(
            "networking.istio.io",
            "v1alpha3",
            "EnvoyFilter",
            "envoyfilters",
            true,
        ),
        Kind::new(
            "networking.istio.io",
            "v1",
            "WorkloadEntry",
            "workloadentries",
            true,
        ),
        Kind::new(
            "networking.istio.io",
            "v1",
            "WorkloadGroup",
            "workloadgroups",
            true,
        ),
        Kind::new(
            "networking.istio.io",
            "v1beta1",
            "ProxyConfig",
            "proxyconfigs",
            true,
        ),
        Kind::new(
            "security.istio.io",
            "v1",
            "RequestAuthentication",
            "requestauthentications",
            true,
        ),
        Kind::new(
            "extensions.istio.io",
            "v1alpha1",
            "WasmPlugin",
            "wasmplugins",
            true,
        ),
    ];
    let lists = kinds.iter().map(|kind| async move {
        let objects = cluster.list(kind, None, None).await?;
        let foreign = objects
            .into_iter()
            .filter(|object| !crate::plan::ownership::is_ours(object) && !is_modules_own(kind, object));
        Ok::<_, Error>(foreign.map(|object| object.reference(kind)).collect::<Vec<_>>())
    });
    let mut users: Vec<ObjectReference> = futures::future::try_join_all(lists)
        .await?
        .into_iter()
        .flatten()
        .collect();
    let meshed = cluster
        .list(&kinds::pod(), None, Some("security.istio.io/tlsMode=istio"))
        .await?;
    let others = meshed.iter().filter(|pod| pod.namespace() != Some(namespace));
    users.extend(others.map(|pod| pod.reference(&kinds::pod())));
    Ok(users.split_first().map(|(first, rest)| match rest.len() {
        0 => first.to_string(),
        more => format!("{first} and {more} more"),
    }))
}

/// The mesh-wide strictness is the module's.
fn is_modules_own(kind: &Kind, object: &Object) -> bool {
    object.label(kyma::MODULE_LABEL) == Some(kyma::MODULE)
        || (*kind == kinds::peer_authentication()
            && object.namespace() == Some(names::ISTIO_NAMESPACE)
            && object.name() == "default")
}
