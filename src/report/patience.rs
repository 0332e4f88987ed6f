//! Why something that is awaited for seconds already takes long, and where to look meanwhile.

use std::time::Duration;

/// After this long somebody who watches wonders.
pub(super) const SOON: Duration = Duration::from_secs(4);

/// What the engine awaits, by a part of its words, and why that can take long. The first that fits is told.
const REASONS: &[(&str, &str)] = &[
    (
        "could not be pulled",
        "the node tries again, each time after a longer pause; a mirror of yours: --image",
    ),
    (
        "is being created",
        "mostly the node is pulling its image, which takes a while the first time; `kubectl get events -n NAMESPACE` \
         tells",
    ),
    (
        "is not ready yet",
        "it runs and its readiness probe has not succeeded; a sidecar needs istiod for that",
    ),
    (
        "unschedulable",
        "no node has room for it; `kubectl describe pod` says what is missing",
    ),
    (
        "scheduled",
        "no node has taken it yet; `kubectl describe pod` says what it waits for",
    ),
    (
        "old pods are still there",
        "a pod has 30 s to end what it does, unless its own terminationGracePeriodSeconds says otherwise",
    ),
    (
        "new pods exist",
        "an admission webhook or a quota can hold pods back; `kubectl get events -n NAMESPACE` tells",
    ),
    (
        "are available",
        "pods are scheduled, their images are pulled, and their readiness is waited for",
    ),
    (
        "pods of Deployment",
        "a pod has 30 s to end what it does, unless its own terminationGracePeriodSeconds says otherwise",
    ),
    (
        "Namespace",
        "everything in it goes first; `kubectl get namespace NAMESPACE -o yaml` says what is left",
    ),
    (
        "to be gone",
        "a finalizer can hold it: its controller has to let go first",
    ),
    (
        "proxies' lines",
        "Envoy writes its log once a second, and a connection that times out is logged only when it does, after 10 s",
    ),
    (
        "sidecar",
        "istiod sends a change to the proxies within seconds; with very many of them it takes longer",
    ),
    (
        "gateway",
        "istiod sends a change to the proxies within seconds; with very many of them it takes longer",
    ),
    (
        "policy engine",
        "the network plugin writes a policy to every node within seconds; some do not at all (EGR-503)",
    ),
    (
        "switch's pod",
        "it is scheduled like any pod, and pulls the source's image",
    ),
    (
        "ready pod",
        "it is scheduled, its image is pulled, and its sidecar asks istiod for its configuration",
    ),
];

/// Why what is awaited for this long may take longer still; nothing as long as nobody wonders.
pub(super) fn why(awaited: &str, for_how_long: Duration) -> Option<&'static str> {
    if for_how_long < SOON {
        return None;
    }
    let reason = REASONS.iter().find(|(words, _)| awaited.contains(words));
    reason.map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("pod curl-5d7: container curl is being created", "pulling its image")]
    #[case("the pods of Deployment demo/curl to be gone", "30 s to end")]
    #[case("Namespace demo to be gone", "everything in it goes first")]
    #[case("ServiceEntry demo/egress to be gone", "finalizer")]
    #[case("the proxies' lines about them", "once a second")]
    fn what_is_awaited_is_explained_after_a_while(#[case] awaited: &str, #[case] expected: &str) {
        assert_eq!(
            why(awaited, SOON.checked_sub(Duration::from_millis(1)).unwrap()),
            None
        );
        let said = why(awaited, SOON).unwrap();
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn what_is_not_known_is_not_explained() {
        assert_eq!(why("something else", Duration::from_mins(1)), None);
    }
}
