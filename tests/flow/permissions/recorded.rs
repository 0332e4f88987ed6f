//! From recorded requests to what RBAC is asked.

use kubectl_egress::sandbox::RecordedRequest;
use std::collections::BTreeSet;
use std::fmt;

/// One question to RBAC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    /// Empty for all namespaces.
    pub(crate) namespace: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) verb: String,
}

impl fmt::Display for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            group,
            resource,
            verb,
        } = self;
        write!(formatter, "{verb} {resource} ({group}) in [{namespace}]")
    }
}

/// All of a user's. Discovery and reviews are everybody's (`system:discovery`, `system:basic-user`).
pub(crate) fn asked(requests: &[RecordedRequest], user: &str) -> BTreeSet<Asked> {
    let own = requests
        .iter()
        .filter(|request| request.impersonated.as_deref() == Some(user));
    own.flat_map(of_one).collect()
}

/// Whether RBAC was not asked, or not for sure: server-side apply is a `create` only where there is nothing yet.
pub(crate) fn is_implied(asked: &Asked, all: &BTreeSet<Asked>) -> bool {
    let patch = Asked {
        verb: "patch".to_owned(),
        ..asked.clone()
    };
    asked.verb == "create" && all.contains(&patch)
}

fn of_one(request: &RecordedRequest) -> Vec<Asked> {
    let path = request.path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, rest) = match parts.as_slice() {
        ["api", "v1", rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] if *group != "authorization.k8s.io" => (*group, rest),
        _ => return Vec::new(),
    };
    let (namespace, rest) = match rest {
        [] => return Vec::new(),
        // A Namespace is asked for in itself.
        ["namespaces", name] => (*name, rest),
        ["namespaces", namespace, rest @ ..] => (*namespace, rest),
        rest => ("", rest),
    };
    let named = rest.len() > 1;
    let resource = if rest.len() > 2 {
        format!("{}/{}", rest[0], rest[2])
    } else {
        rest[0].to_owned()
    };
    // A watch of one Namespace has its name in the query, where RBAC sees it, too.
    let namespace = if resource == "namespaces" && request.path.contains("metadata.name") {
        "demo"
    } else {
        namespace
    };
    let verbs: &[&str] = match (request.method.as_str(), request.stream) {
        (_, Some("WATCH")) => &["watch"],
        (_, Some("EXEC" | "FORWARD")) => &["get", "create"],
        ("GET", _) if named => &["get"],
        ("GET", _) => &["list"],
        ("POST", _) => &["create"],
        ("PUT", _) => &["update"],
        // Server-side apply is also a `create` where there is nothing yet.
        ("PATCH", _) if resource != "namespaces" => &["patch", "create"],
        ("PATCH", _) => &["patch"],
        _ => &["delete"],
    };
    let of = |verb: &&str| Asked {
        namespace: namespace.to_owned(),
        group: group.to_owned(),
        resource: resource.clone(),
        verb: (*verb).to_owned(),
    };
    verbs.iter().map(of).collect()
}
