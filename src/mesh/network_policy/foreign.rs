//! Policies of other APIs: of a CNI's own kinds, or of the Network Policy working group. They are not evaluated,
//! only named, because they can let out and stop what NetworkPolicies do not.

use crate::vocabulary::{Kind, Object};

/// Groups and kinds, with the version to list them in.
const FOREIGN: &[(&str, &str, &str, &str, bool)] = &[
    (
        "cilium.io",
        "v2",
        "CiliumNetworkPolicy",
        "ciliumnetworkpolicies",
        true,
    ),
    (
        "cilium.io",
        "v2",
        "CiliumClusterwideNetworkPolicy",
        "ciliumclusterwidenetworkpolicies",
        false,
    ),
    (
        "crd.projectcalico.org",
        "v1",
        "GlobalNetworkPolicy",
        "globalnetworkpolicies",
        false,
    ),
    (
        "crd.projectcalico.org",
        "v1",
        "NetworkPolicy",
        "networkpolicies",
        true,
    ),
    (
        "projectcalico.org",
        "v3",
        "GlobalNetworkPolicy",
        "globalnetworkpolicies",
        false,
    ),
    (
        "projectcalico.org",
        "v3",
        "NetworkPolicy",
        "networkpolicies",
        true,
    ),
    (
        "policy.networking.k8s.io",
        "v1alpha1",
        "AdminNetworkPolicy",
        "adminnetworkpolicies",
        false,
    ),
    (
        "policy.networking.k8s.io",
        "v1alpha1",
        "BaselineAdminNetworkPolicy",
        "baselineadminnetworkpolicies",
        false,
    ),
    (
        "policy.networking.k8s.io",
        "v1alpha2",
        "ClusterNetworkPolicy",
        "clusternetworkpolicies",
        false,
    ),
    (
        "crd.antrea.io",
        "v1beta1",
        "ClusterNetworkPolicy",
        "clusternetworkpolicies",
        false,
    ),
    (
        "crd.antrea.io",
        "v1beta1",
        "NetworkPolicy",
        "networkpolicies",
        true,
    ),
    ("k8s.ovn.org", "v1", "EgressFirewall", "egressfirewalls", true),
];

/// The kinds, for whoever lists them; a cluster serves few of them or none.
pub fn foreign_kinds() -> Vec<Kind> {
    FOREIGN
        .iter()
        .map(|(group, version, kind, plural, namespaced)| {
            Kind::new(group, version, kind, plural, *namespaced)
        })
        .collect()
}

/// Whether an object is such a policy. It must carry its kind.
pub fn is_foreign(object: &Object) -> bool {
    let version = object.text("/apiVersion");
    let group = version.rsplit_once('/').map_or("", |(group, _)| group);
    FOREIGN
        .iter()
        .any(|known| known.0 == group && known.2 == object.text("/kind"))
}
