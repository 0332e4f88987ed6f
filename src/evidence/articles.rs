//! Articles that the catalogue does not have yet. They belong beside the others, in `finding::catalogue`.

use crate::finding::{Article, Severity};

/// A host that must not be reachable is reachable, by the planned way.
pub static FORBIDDEN_HOST_REACHABLE: Article = Article {
    code: "EGR-118",
    severity: Severity::Warning,
    title: "a host that must not be reachable is reachable through the gateway",
    cause: "The gateway has a route for the host: another plan, or somebody by hand, declared it.",
    fix: "`kubectl egress status` names the routing objects of the host; take them away, or allow the host in the plan",
};

/// A proxy ended the request in a way that decides nothing.
pub static NOT_EXPLAINED: Article = Article {
    code: "EGR-119",
    severity: Severity::Warning,
    title: "the evidence does not explain what happened",
    cause: "The lines that were found show neither a complete way nor a refusal that is known.",
    fix: "`kubectl egress logs` shows the raw lines, `kubectl egress explain --log LINE` what they mean",
};

/// A policy stops a declared host.
pub static STOPPED_BY_POLICY: Article = Article {
    code: "EGR-120",
    severity: Severity::Error,
    title: "a policy stops a declared host",
    cause: "A NetworkPolicy or an AuthorizationPolicy selects the source or the gateway and does not allow the host.",
    fix: "allow the way to the gateway and to the host in that policy: `kubectl get networkpolicy,authorizationpolicy -A`",
};
