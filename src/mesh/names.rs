//! Host patterns, and who sees what.

/// Whether a pattern (`a.b`, `*.b`, `*`) covers a host or a narrower pattern.
pub(super) fn covers(pattern: &str, host: &str) -> bool {
    if pattern == "*" || pattern == host {
        return true;
    }
    pattern
        .strip_prefix('*')
        .is_some_and(|domain| host.ends_with(domain) && host.len() > domain.len())
}

/// How specific a pattern is: exact names before wildcards, longer wildcards before shorter ones.
pub(super) fn specificity(pattern: &str) -> (bool, usize) {
    (!pattern.starts_with('*'), pattern.len())
}

/// Whether `exportTo` lets a namespace see an object of another namespace. Nothing said is everybody.
pub(super) fn visible(export_to: &[String], owner: &str, viewer: &str) -> bool {
    export_to.is_empty()
        || export_to
            .iter()
            .any(|entry| entry == "*" || entry == viewer || (entry == "." && owner == viewer))
}

/// The full name of a destination: short names are Services of the object's own namespace.
pub(super) fn full_host(host: &str, namespace: &str) -> String {
    if host.contains('.') || host.starts_with('*') {
        host.to_owned()
    } else {
        format!("{host}.{namespace}.svc.cluster.local")
    }
}

/// `outbound|PORT|SUBSET|HOST`, a cluster's name in Envoy.
pub(super) fn cluster_name(port: u16, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("a.b", "a.b", true)]
    #[case("*.b", "a.b", true)]
    #[case("*.b", "b", false)]
    #[case("*.b", "*.b", true)]
    #[case("*", "a.b", true)]
    #[case("a.b", "www.a.b", false)]
    fn patterns(#[case] pattern: &str, #[case] host: &str, #[case] expected: bool) {
        assert_eq!(covers(pattern, host), expected);
    }

    #[test]
    fn an_export_names_namespaces_the_own_one_or_all() {
        let list = |text: &str| vec![text.to_owned()];
        assert!(visible(&[], "a", "b"));
        assert!(visible(&list("."), "a", "a"));
        assert!(!visible(&list("."), "a", "b"));
        assert!(visible(&list("b"), "a", "b"));
        assert!(!visible(&list("c"), "a", "b"));
    }
}
