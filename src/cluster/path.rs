//! Request paths, written from the kinds' catalogue without discovery.

use crate::vocabulary::{Kind, ObjectReference};
use std::fmt::Write as _;

/// The path of a kind's objects, in a namespace or in all.
pub(super) fn collection(kind: &Kind, namespace: Option<&str>) -> String {
    let mut path = if kind.group.is_empty() {
        format!("/api/{}", kind.version)
    } else {
        format!("/apis/{}/{}", kind.group, kind.version)
    };
    if let Some(namespace) = namespace.filter(|_| kind.namespaced) {
        path.push_str("/namespaces/");
        path.push_str(&encode(namespace));
    }
    path.push('/');
    path.push_str(&kind.plural);
    path
}

/// The path of one object.
pub(super) fn object(reference: &ObjectReference) -> String {
    format!(
        "{}/{}",
        collection(&reference.kind, reference.namespace.as_deref()),
        encode(&reference.name)
    )
}

/// A path with the query that the pairs make.
pub(super) fn with_query(mut path: String, pairs: &[(&str, &str)]) -> String {
    for (index, (name, value)) in pairs.iter().enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.push_str(name);
        path.push('=');
        path.push_str(&encode(value));
    }
    path
}

/// Percent-encodes everything but unreserved characters (RFC 3986 section 2.3).
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::istio::kinds;

    #[test]
    fn paths_of_namespaced_and_cluster_wide_kinds() {
        assert_eq!(
            collection(&kinds::pod(), Some("demo")),
            "/api/v1/namespaces/demo/pods"
        );
        assert_eq!(collection(&kinds::pod(), None), "/api/v1/pods");
        assert_eq!(
            object(&ObjectReference::cluster(kinds::namespace(), "demo")),
            "/api/v1/namespaces/demo"
        );
        assert_eq!(
            object(&ObjectReference::namespaced(kinds::gateway(), "demo", "g")),
            "/apis/networking.istio.io/v1/namespaces/demo/gateways/g"
        );
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(
            with_query("/x".into(), &[("labelSelector", "a=b,c in (d)"), ("watch", "1")]),
            "/x?labelSelector=a%3Db%2Cc%20in%20%28d%29&watch=1"
        );
    }

    #[test]
    fn a_name_cannot_leave_its_place_in_the_path() {
        let reference = ObjectReference::namespaced(kinds::pod(), "demo", "../../secrets?x=1");
        assert_eq!(
            object(&reference),
            "/api/v1/namespaces/demo/pods/..%2F..%2Fsecrets%3Fx%3D1"
        );
    }
}
