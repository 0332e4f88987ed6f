//! The kinds that we touch, so that no discovery is needed to reach them.

use crate::vocabulary::Kind;

/// Istio's group of routing, by which its version is told.
pub const NETWORKING: &str = "networking.istio.io";

/// An Istio kind in the version that every Istio before 1.22 serves, with the same fields; `None` for kinds that are
/// not Istio's own. Checked against the CRDs of `istio.io/api` 1.21 and 1.22: of `security.istio.io` 1.21 serves
/// `v1` for some kinds and `v1beta1` for all.
pub fn before_v1(kind: &Kind) -> Option<Kind> {
    let version = match kind.group.as_str() {
        _ if kind.version != "v1" => return None,
        NETWORKING | "security.istio.io" => "v1beta1",
        "telemetry.istio.io" => "v1alpha1",
        _ => return None,
    };
    let version = version.to_owned();
    Some(Kind {
        version,
        ..kind.clone()
    })
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $group:literal $version:literal $kind:literal $plural:literal $namespaced:literal;)+) => {
        $($(#[$doc])* pub fn $name() -> Kind { Kind::new($group, $version, $kind, $plural, $namespaced) })+
        /// Every kind of this file.
        pub fn all() -> Vec<Kind> { vec![$($name()),+] }
    };
}

kinds! {
    /// Namespace.
    namespace = "" "v1" "Namespace" "namespaces" false;
    /// Node.
    node = "" "v1" "Node" "nodes" false;
    /// Pod.
    pod = "" "v1" "Pod" "pods" true;
    /// Service.
    service = "" "v1" "Service" "services" true;
    /// ServiceAccount.
    service_account = "" "v1" "ServiceAccount" "serviceaccounts" true;
    /// ConfigMap.
    config_map = "" "v1" "ConfigMap" "configmaps" true;
    /// Secret.
    secret = "" "v1" "Secret" "secrets" true;
    /// Event.
    event = "" "v1" "Event" "events" true;
    /// Endpoints of a Service.
    endpoint_slice = "discovery.k8s.io" "v1" "EndpointSlice" "endpointslices" true;
    /// Deployment.
    deployment = "apps" "v1" "Deployment" "deployments" true;
    /// ReplicaSet.
    replica_set = "apps" "v1" "ReplicaSet" "replicasets" true;
    /// StatefulSet.
    stateful_set = "apps" "v1" "StatefulSet" "statefulsets" true;
    /// DaemonSet.
    daemon_set = "apps" "v1" "DaemonSet" "daemonsets" true;
    /// Job.
    job = "batch" "v1" "Job" "jobs" true;
    /// CronJob.
    cron_job = "batch" "v1" "CronJob" "cronjobs" true;
    /// PersistentVolumeClaim.
    persistent_volume_claim = "" "v1" "PersistentVolumeClaim" "persistentvolumeclaims" true;
    /// Ingress.
    ingress = "networking.k8s.io" "v1" "Ingress" "ingresses" true;
    /// Lease.
    lease = "coordination.k8s.io" "v1" "Lease" "leases" true;
    /// Role.
    role = "rbac.authorization.k8s.io" "v1" "Role" "roles" true;
    /// RoleBinding.
    role_binding = "rbac.authorization.k8s.io" "v1" "RoleBinding" "rolebindings" true;
    /// NetworkPolicy.
    network_policy = "networking.k8s.io" "v1" "NetworkPolicy" "networkpolicies" true;
    /// Istio Gateway.
    gateway = "networking.istio.io" "v1" "Gateway" "gateways" true;
    /// Istio VirtualService.
    virtual_service = "networking.istio.io" "v1" "VirtualService" "virtualservices" true;
    /// Istio DestinationRule.
    destination_rule = "networking.istio.io" "v1" "DestinationRule" "destinationrules" true;
    /// Istio ServiceEntry.
    service_entry = "networking.istio.io" "v1" "ServiceEntry" "serviceentries" true;
    /// Istio Sidecar.
    sidecar = "networking.istio.io" "v1" "Sidecar" "sidecars" true;
    /// Istio EnvoyFilter: changes to a proxy's configuration.
    envoy_filter = "networking.istio.io" "v1alpha3" "EnvoyFilter" "envoyfilters" true;
    /// Istio Telemetry.
    telemetry = "telemetry.istio.io" "v1" "Telemetry" "telemetries" true;
    /// Istio AuthorizationPolicy.
    authorization_policy = "security.istio.io" "v1" "AuthorizationPolicy" "authorizationpolicies" true;
    /// Horizontal autoscaler of a Deployment.
    horizontal_pod_autoscaler = "autoscaling" "v2" "HorizontalPodAutoscaler" "horizontalpodautoscalers" true;
    /// Custom resource of the Kyma Istio module: what of Istio is installed.
    istio_module = "operator.kyma-project.io" "v1alpha2" "Istio" "istios" true;
    /// Rule of the Kyma API Gateway module: which Service is exposed under which host.
    api_rule = "gateway.kyma-project.io" "v2" "APIRule" "apirules" true;
    /// Istio PeerAuthentication.
    peer_authentication = "security.istio.io" "v1" "PeerAuthentication" "peerauthentications" true;
}
