//! Request paths and queries.

use crate::istio::kinds;
use crate::sandbox::settings::SandboxSettings;
use crate::vocabulary::Kind;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) enum Path {
    /// `/version`.
    Version,
    /// `/healthz`, `/livez`, `/readyz`.
    Health,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1` or `/apis/GROUP/VERSION`.
    Resources { group: String, version: String },
    /// `/openapi/v3` and below.
    OpenApi(String),
    /// Objects.
    Objects {
        kind: Kind,
        namespace: Option<String>,
        name: Option<String>,
        subresource: Option<String>,
    },
    /// The group and version are served, the resource is not.
    UnknownResource,
    /// Nothing.
    Unknown,
}

/// Kinds that only the sandbox names: they are asked about, not written by us.
fn further_kinds() -> Vec<Kind> {
    vec![
        Kind::new(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            false,
        ),
        Kind::new(
            "admissionregistration.k8s.io",
            "v1",
            "MutatingWebhookConfiguration",
            "mutatingwebhookconfigurations",
            false,
        ),
        Kind::new(RBAC, "v1", "ClusterRole", "clusterroles", false),
        Kind::new(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", false),
        Kind::new(
            "policy",
            "v1",
            "PodDisruptionBudget",
            "poddisruptionbudgets",
            true,
        ),
        Kind::new("", "v1", "Endpoints", "endpoints", true),
        Kind::new("", "v1", "ResourceQuota", "resourcequotas", true),
        Kind::new(
            "networking.istio.io",
            "v1",
            "WorkloadEntry",
            "workloadentries",
            true,
        ),
        Kind::new("networking.istio.io", "v1", "EnvoyFilter", "envoyfilters", true),
        Kind::new(
            REVIEWS,
            "v1",
            "SelfSubjectRulesReview",
            "selfsubjectrulesreviews",
            false,
        ),
        Kind::new(
            REVIEWS,
            "v1",
            "SelfSubjectAccessReview",
            "selfsubjectaccessreviews",
            false,
        ),
    ]
}

/// Group of the access reviews.
pub(in crate::sandbox) const REVIEWS: &str = "authorization.k8s.io";

/// Group of Roles and their bindings.
pub(in crate::sandbox) const RBAC: &str = "rbac.authorization.k8s.io";

/// Whether a group belongs to Istio.
pub(in crate::sandbox) fn of_istio(group: &str) -> bool {
    group.ends_with(".istio.io")
}

/// Every kind that this sandbox serves, in the version it is kept in.
pub(in crate::sandbox) fn served_kinds(settings: &SandboxSettings) -> Vec<Kind> {
    let mut all = kinds::all();
    for kind in further_kinds() {
        if !all
            .iter()
            .any(|known| known.group == kind.group && known.plural == kind.plural)
        {
            all.push(kind);
        }
    }
    let module = kinds::istio_module().group;
    // Kyma's API Gateway module is not there.
    let api_gateway = kinds::api_rule().group;
    all.retain(|kind| settings.istio || !of_istio(&kind.group));
    all.retain(|kind| settings.kyma.is_some() || kind.group != module);
    all.retain(|kind| kind.group != api_gateway);
    all
}

/// Versions of a group, preferred first; none if it is not served.
pub(in crate::sandbox) fn versions(settings: &SandboxSettings, group: &str) -> Vec<String> {
    if group == "telemetry.istio.io" && settings.istio {
        let mut versions = settings.istio_versions.clone();
        versions.retain(|version| version == "v1");
        versions.push("v1alpha1".to_owned());
        return versions;
    }
    if of_istio(group) && settings.istio {
        return settings.istio_versions.clone();
    }
    let mut versions: Vec<_> = served_kinds(settings)
        .into_iter()
        .filter(|kind| kind.group == group)
        .map(|kind| kind.version)
        .collect();
    versions.dedup();
    versions
}

impl Path {
    /// Reads a path.
    pub(in crate::sandbox) fn parse(settings: &SandboxSettings, path: &str) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments.as_slice() {
            ["version"] => Self::Version,
            ["healthz" | "livez" | "readyz", ..] => Self::Health,
            ["openapi", "v3", rest @ ..] => Self::OpenApi(rest.join("/")),
            ["api"] => Self::CoreVersions,
            ["apis"] => Self::Groups,
            ["apis", group] if !versions(settings, group).is_empty() => Self::Group((*group).to_owned()),
            ["api", version, rest @ ..] => Self::in_group(settings, "", version, rest),
            ["apis", group, version, rest @ ..] => Self::in_group(settings, group, version, rest),
            _ => Self::Unknown,
        }
    }

    fn in_group(settings: &SandboxSettings, group: &str, version: &str, rest: &[&str]) -> Self {
        if !versions(settings, group).iter().any(|served| served == version) {
            return Self::Unknown;
        }
        let (namespace, rest) = match rest {
            [] => {
                return Self::Resources {
                    group: group.to_owned(),
                    version: version.to_owned(),
                };
            }
            ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let plural = rest[0];
        let Some(mut kind) = served_kinds(settings)
            .into_iter()
            .find(|kind| kind.group == group && kind.plural == plural)
        else {
            return Self::UnknownResource;
        };
        version.clone_into(&mut kind.version);
        Self::Objects {
            kind,
            namespace,
            name: rest.get(1).map(|name| (*name).to_owned()),
            subresource: (rest.len() > 2).then(|| rest[2..].join("/")),
        }
    }
}

/// A query, decoded, in order.
#[derive(Debug, Clone, Default)]
pub(in crate::sandbox) struct Query(Vec<(String, String)>);

impl Query {
    pub(in crate::sandbox) fn parse(text: &str) -> Self {
        Self(
            text.split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    /// The first value of a name.
    pub(in crate::sandbox) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of a name.
    pub(in crate::sandbox) fn all<'query>(
        &'query self,
        name: &'query str,
    ) -> impl Iterator<Item = &'query str> {
        self.0
            .iter()
            .filter(move |(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a name has the value `true`, `1` or none.
    pub(in crate::sandbox) fn is_set(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| matches!(value, "true" | "1" | ""))
    }
}

/// Undoes percent-encoding and `+`.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let value = std::str::from_utf8(&digits)
                    .ok()
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok());
                bytes.push(value.unwrap_or(b'%'));
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_namespace_from_what_is_in_it() {
        let settings = SandboxSettings::default();
        let parsed = |path: &str| match Path::parse(&settings, path) {
            Path::Objects {
                kind,
                namespace,
                name,
                subresource,
            } => format!("{} {namespace:?} {name:?} {subresource:?}", kind.kind),
            other => format!("{other:?}"),
        };
        assert_eq!(parsed("/api/v1/namespaces/a"), r#"Namespace None Some("a") None"#);
        assert_eq!(
            parsed("/api/v1/namespaces/a/pods/b/exec"),
            r#"Pod Some("a") Some("b") Some("exec")"#
        );
        assert_eq!(
            parsed("/apis/networking.istio.io/v1beta1/gateways"),
            "Gateway None None None"
        );
        assert_eq!(parsed("/apis/nothing.io/v1/things"), "Unknown");
        assert_eq!(parsed("/api/v1/things"), "UnknownResource");
    }

    #[test]
    fn decodes_a_query() {
        let query = Query::parse("labelSelector=app%3Dcurl%2Ctier+in+%28a%29&command=a&command=b");
        assert_eq!(query.get("labelSelector"), Some("app=curl,tier in (a)"));
        assert_eq!(query.all("command").collect::<Vec<_>>(), ["a", "b"]);
    }
}
