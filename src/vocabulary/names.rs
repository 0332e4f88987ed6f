//! Names that are written into the cluster: labels, annotations, field managers, object names.
//!
//! Each is here once. The prefix is one constant: whoever publishes the tool sets it to a domain of their own.

/// Domain of every label, annotation and API group of ours.
pub const PREFIX: &str = "kubectl-egress.dev";
/// API version of plan files and of every JSON document that we print.
pub const API_VERSION: &str = "kubectl-egress.dev/v1alpha1";
/// Field manager of objects that belong to one plan, and value of `app.kubernetes.io/managed-by`.
pub const MANAGER: &str = "kubectl-egress";
/// Kubernetes' recommended label that names the tool which manages an object.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Label that names the plan an object belongs to.
pub const PLAN_LABEL: &str = "kubectl-egress.dev/plan";
/// Label that names the namespace of the plan an object belongs to.
pub const PLAN_NAMESPACE_LABEL: &str = "kubectl-egress.dev/plan-namespace";
/// Label that says what an object is for, for example `source` or `journal`.
pub const ROLE_LABEL: &str = "kubectl-egress.dev/role";
/// Annotation of a Lease that tells its holder's process from every other one.
pub const PROCESS_ANNOTATION: &str = "kubectl-egress.dev/process";
/// Name of the plan when none is given.
pub const DEFAULT_PLAN: &str = "default";
/// Name of the source's ServiceAccount, Service, Deployment and container.
pub const SOURCE: &str = "curl";
/// Image of the source. Pinned, so that two runs a year apart probe with the same curl.
pub const SOURCE_IMAGE: &str = "docker.io/curlimages/curl:8.18.0";
/// Container name of the Istio proxy, in sidecars (native or not) and gateways.
pub const PROXY_CONTAINER: &str = "istio-proxy";
/// Istio's root namespace unless the mesh configuration says otherwise.
pub const ISTIO_NAMESPACE: &str = "istio-system";
/// Namespace of the cluster's DNS.
pub const DNS_NAMESPACE: &str = "kube-system";
/// Host that must not be reachable unless the user names others.
pub const DEFAULT_FORBIDDEN_HOST: &str = "www.google.com";
/// Label of every object of one lockdown run (lock, canary, switch), with the run's id.
pub const LOCK_LABEL: &str = "kubectl-egress.dev/lock";
/// Label of the pod of the dead-man's switch alone, with the run's id. Canary and guard select by it: per run, so that
/// it is of no use to anybody once the run is over.
pub const SWITCH_LABEL: &str = "kubectl-egress.dev/switch";
/// Beginning of the names of all objects of a lockdown run; see [`crate::plan::lock`].
pub const LOCK_PREFIX: &str = "kubectl-egress-lock-";
/// Beginning of the names of Role and RoleBinding by which a gateway of ours reads Secrets.
pub const SECRET_READER_PREFIX: &str = "kubectl-egress-secrets-";
/// Label that Kubernetes puts on every namespace, with the namespace's name.
pub const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Condition that nobody ever sets: a pod with this readiness gate gets no traffic of any Service.
pub const NEVER_READY_GATE: &str = "kubectl-egress.dev/never-serves";
/// Beginning of the annotations that note on a foreign object what a value of ours replaced; one per field.
pub const BEFORE_ANNOTATION_PREFIX: &str = "kubectl-egress.dev/before-";
