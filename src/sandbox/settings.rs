//! What kind of cluster the sandbox is.

use super::network::OutsideHost;
use std::time::Duration;

/// Settings of a sandbox. The default is Istio with an egress gateway, `ALLOW_ANY`, and no access log.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one property of the cluster"
)]
pub struct SandboxSettings {
    /// Istio is installed: its API groups are served, istiod runs, pods are injected.
    pub istio: bool,
    /// Versions of `networking.istio.io` that are served, preferred first.
    pub istio_versions: Vec<String>,
    /// What istiod's image says.
    pub istio_version: String,
    /// The cluster is Kyma: its Istio module decides about the egress gateway, and `egress_gateway` means nothing.
    pub kyma: Option<KymaSettings>,
    /// An egress gateway runs in `istio-system`.
    pub egress_gateway: bool,
    /// Pods of that gateway.
    pub egress_gateway_replicas: u32,
    /// An ingress gateway runs in `istio-system`, behind a load balancer.
    pub ingress_gateway: bool,
    /// Which of several clusters in one process it is: no two have the same UIDs and addresses of pods.
    pub ordinal: u8,
    /// `outboundTrafficPolicy: REGISTRY_ONLY` instead of `ALLOW_ANY`.
    pub outbound_policy_registry_only: bool,
    /// The mesh configuration has `accessLogFile: /dev/stdout`.
    pub access_log: bool,
    /// The mesh configuration has `accessLogEncoding: JSON`.
    pub access_log_json: bool,
    /// From the creation of a pod to its readiness.
    pub pod_start: Duration,
    /// From a deletion to the pod's end, for pods with a grace period above zero.
    pub pod_stop: Duration,
    /// How far the cluster's clock is ahead of this process's, in seconds.
    pub clock_offset_seconds: i64,
    /// What the API server says its version is, for example `v1.34.4`.
    pub kubernetes_version: String,
    /// NetworkPolicies are enforced, by dropping packets. Otherwise the cluster has no policy engine: the objects are
    /// taken and change nothing.
    pub enforces_network_policies: bool,
    /// Requests that are forbidden, and denied in access reviews.
    pub denials: Vec<Denial>,
    /// Images that cannot be pulled.
    pub missing_images: Vec<String>,
    /// Hosts outside. The default holds those of the tutorials and of the measurements.
    pub outside: Vec<OutsideHost>,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self {
            istio: true,
            istio_versions: vec!["v1".into(), "v1beta1".into(), "v1alpha3".into()],
            istio_version: "1.29.0".into(),
            kyma: None,
            egress_gateway: true,
            ingress_gateway: false,
            ordinal: 0,
            egress_gateway_replicas: 1,
            outbound_policy_registry_only: false,
            access_log: false,
            access_log_json: false,
            pod_start: Duration::from_millis(150),
            pod_stop: Duration::from_millis(50),
            clock_offset_seconds: 0,
            kubernetes_version: "v1.34.4".into(),
            enforces_network_policies: true,
            denials: Vec::new(),
            missing_images: Vec::new(),
            outside: OutsideHost::defaults(),
        }
    }
}

impl SandboxSettings {
    /// The other cluster of two-cluster mTLS: it has an ingress gateway, and no egress gateway.
    #[must_use]
    pub fn target(self) -> Self {
        Self {
            egress_gateway: false,
            ingress_gateway: true,
            ordinal: 1,
            ..self
        }
    }
}

/// What the Istio module of a Kyma cluster is like. Its failures and warnings come from the objects, as with the real
/// one: `spec.experimental` is an error, an `EnvoyFilter` a warning.
#[derive(Debug, Clone)]
pub struct KymaSettings {
    /// The Istio custom resource `default` is there from the beginning.
    pub custom_resource: bool,
    /// From a change of the resource until the module has done what it asks for.
    pub reconcile: Duration,
    /// Pods that the gateway's autoscaler wants at least: 1 in the light profile, 3 in the production profile.
    pub least_replicas: u32,
    /// From the gateway's first pod until the autoscaler asks for so many.
    pub autoscale: Duration,
}

impl Default for KymaSettings {
    fn default() -> Self {
        Self {
            custom_resource: true,
            reconcile: Duration::from_millis(100),
            least_replicas: 1,
            autoscale: Duration::ZERO,
        }
    }
}

/// Something that a user may not do. `*` stands for everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Only this user, as given by impersonation; `None` is everybody.
    pub user: Option<String>,
    /// Verb, for example `list`.
    pub verb: String,
    /// API group; empty for the core group.
    pub group: String,
    /// Resource, with its subresource as `pods/exec`.
    pub resource: String,
    /// Only in this namespace; `None` is everywhere.
    pub namespace: Option<String>,
}

impl Denial {
    /// Denies a verb on a resource to everybody, everywhere.
    pub fn new(verb: &str, group: &str, resource: &str) -> Self {
        Self {
            user: None,
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            namespace: None,
        }
    }

    /// Only in one namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    pub(super) fn covers(
        &self,
        user: Option<&str>,
        verb: &str,
        group: &str,
        resource: &str,
        namespace: Option<&str>,
    ) -> bool {
        let fits = |pattern: &str, value: &str| pattern == "*" || pattern == value;
        self.user.as_deref().is_none_or(|denied| Some(denied) == user)
            && fits(&self.verb, verb)
            && fits(&self.group, group)
            && fits(&self.resource, resource)
            && self
                .namespace
                .as_deref()
                .is_none_or(|denied| Some(denied) == namespace)
    }
}
