//! Views.

use super::*;
use crate::error::Error;
use crate::report::{Mark, Printer, Style, view};
use crate::vocabulary::{Change, ObjectReference};

const STYLE: Style = Style {
    color: false,
    unicode: true,
    width: Some(80),
    verbosity: 0,
};

#[test]
fn a_proven_verification() {
    let value = document(
        vec![routed(), blocked(), unmeshed()],
        Verdict::Proven,
        ClaimState::Proven,
    );
    let text = view::verification(&value, &STYLE);
    fits_80_columns(&text);
    insta::assert_snapshot!(text, @r"
    ✔ kyma-project.io:443  routed
        https from demo/curl-5d7c9b6f4-x2x4z
        application → sidecar  TLS        seen by curl and sidecar log
        sidecar → gateway      mTLS       seen by sidecar log and gateway log
          by istio-system/istio-egressgateway-6c8b4b5d9f-8kq2w
        gateway → host         TLS        seen by gateway log
    ✔ www.google.com:443  blocked by registry-only
        https from demo/curl-5d7c9b6f4-x2x4z
    ‼ kyma-project.io:443 without sidecar  bypassed, expected: must not get out
        https from demo/curl-unmeshed
        application → host     TLS        seen by curl
        warning: EGR-102 demo/curl-unmeshed reaches kyma-project.io:443 without
          passing a proxy

    What to do
      EGR-102: `kubectl egress lockdown` lets out only DNS, istiod and the gateway's
        pods, and proves it

    Claims
    ✔ routed    proven        every declared host and port goes through the gateway
    – enforced  not required  nothing else gets out

    ✔ verdict: proven (plan demo/default, 3 probes)
    ");
    assert_eq!(
        view::next_after_verification(&value),
        "kubectl egress lockdown -n demo"
    );
    let mut locked = value;
    locked.claims.enforced = ClaimState::Proven;
    assert_eq!(
        view::next_after_verification(&locked),
        "kubectl egress logs --follow -n demo"
    );
}

/// No word about the encryption of a connection that was not made.
#[test]
fn a_leg_that_failed_says_so_and_why() {
    let mut result = routed();
    let last = result.hops.pop().unwrap();
    result.hops = vec![last.that_failed("no connection: UF,URX delayed_connect_error:_Connection_refused")];
    result.outcome = Outcome::Unreachable;
    insta::assert_snapshot!(view::probe(&result, &STYLE), @r"
    ✘ kyma-project.io:443  unreachable, expected: routed
        https from demo/curl-5d7c9b6f4-x2x4z
        gateway → host         failed     seen by gateway log
          no connection: UF,URX delayed_connect_error:_Connection_refused
    ");
}

#[test]
fn a_disproven_verification_says_what_to_do() {
    let value = document(
        vec![bypassed(), unmeshed()],
        Verdict::Disproven,
        ClaimState::Disproven,
    );
    let text = view::verification(&value, &STYLE);
    fits_80_columns(&text);
    insta::assert_snapshot!(text, @r"
    ✘ edition.cnn.com:443  bypassed, expected: routed
        https from demo/curl-5d7c9b6f4-x2x4z
        sidecar → host         unknown    seen by sidecar log
        error: EGR-101 edition.cnn.com:443 left through PassthroughCluster: no
          VirtualService routes it to the gateway
    ‼ kyma-project.io:443 without sidecar  bypassed, expected: must not get out
        https from demo/curl-unmeshed
        application → host     TLS        seen by curl
        warning: EGR-102 demo/curl-unmeshed reaches kyma-project.io:443 without
          passing a proxy

    What to do
      EGR-101: run `kubectl egress setup HOST`, or `kubectl egress status` to see
        which routing object is missing; `kubectl egress lockdown` stops whatever
        does not go through the gateway
      EGR-102: `kubectl egress lockdown` lets out only DNS, istiod and the gateway's
        pods, and proves it

    Claims
    ✘ routed    disproven     every declared host and port goes through the gateway
    – enforced  not required  nothing else gets out

    ✘ verdict: disproven (plan demo/default, 2 probes)
    ");
    assert_eq!(
        view::next_after_verification(&value),
        "kubectl egress explain EGR-101"
    );
}

#[test]
fn receipts_come_word_for_word_when_asked_for() {
    let text = view::probe(
        &routed(),
        &Style {
            verbosity: 1,
            ..STYLE
        },
    );
    insta::assert_snapshot!(text, @r#"
    ✔ kyma-project.io:443  routed
        https from demo/curl-5d7c9b6f4-x2x4z
        application → sidecar  TLS        seen by curl and sidecar log
          curl of demo/curl-5d7c9b6f4-x2x4z istio-proxy at 2026-11-20T09:00:00.123Z: "- - -" 0 - - - "-" 1018 4621 103
          sidecar log of demo/curl-5d7c9b6f4-x2x4z istio-proxy at 2026-11-20T09:00:00.123Z: "- - -" 0 - - - "-" 1018 4621 103
        sidecar → gateway      mTLS       seen by sidecar log and gateway log
          by istio-system/istio-egressgateway-6c8b4b5d9f-8kq2w
          sidecar log of demo/curl-5d7c9b6f4-x2x4z istio-proxy at 2026-11-20T09:00:00.123Z: "- - -" 0 - - - "-" 1018 4621 103
          gateway log of demo/curl-5d7c9b6f4-x2x4z istio-proxy at 2026-11-20T09:00:00.123Z: "- - -" 0 - - - "-" 1018 4621 103
        gateway → host         TLS        seen by gateway log
          gateway log of demo/curl-5d7c9b6f4-x2x4z istio-proxy at 2026-11-20T09:00:00.123Z: "- - -" 0 - - - "-" 1018 4621 103
        curl: exit 0, HTTP 200, 10.244.0.17:41976 to 203.0.113.10:443, 103 ms
    "#);
}

#[test]
fn of_many_probes_only_the_unexpected_ones_show_their_way() {
    let mut probes = vec![routed(); 30];
    probes.push(bypassed());
    let text = view::verification(
        &document(probes, Verdict::Disproven, ClaimState::Disproven),
        &STYLE,
    );
    assert_eq!(text.matches("seen by").count(), 1, "{text}");
    assert!(
        text.contains("receipts of the 30 that went as expected: -v or -o json"),
        "{text}"
    );
}

#[test]
fn a_probe_is_marked_by_what_was_expected_of_it() {
    let mark = |expected, outcome| {
        view::probe_mark(&ProbeResult {
            expected,
            outcome,
            ..routed()
        })
    };
    assert_eq!(mark(Expected::Routed, Outcome::Bypassed), Mark::Bad);
    assert_eq!(mark(Expected::Routed, Outcome::Blocked), Mark::Bad);
    assert_eq!(mark(Expected::Routed, Outcome::Inconclusive), Mark::Open);
    assert_eq!(mark(Expected::NotReachable, Outcome::Blocked), Mark::Good);
    assert_eq!(mark(Expected::NotReachable, Outcome::Routed), Mark::Warning);
    // A host that is down looks like one that is blocked: no success.
    assert_eq!(mark(Expected::NotReachable, Outcome::Unreachable), Mark::Open);
    assert_eq!(mark(Expected::Reachable, Outcome::Unreachable), Mark::Bad);
}

#[test]
fn an_article_and_a_diff() {
    let text = view::article(&catalogue::CONTRADICTION, &STYLE);
    // Commands stay whole, to be copied; all else is wrapped.
    let prose = text.lines().filter(|line| !line.starts_with("  kubectl "));
    fits_80_columns(&prose.collect::<Vec<_>>().join("\n"));
    insta::assert_snapshot!(text, @r"
    EGR-115 (warning): the witnesses contradict each other

    How it shows
      Two witnesses of one request say things that cannot both be true.

    Why it happens
      For example curl succeeded while the proxy's line shows a failure.

    How to see it by hand
      kubectl logs POD -c istio-proxy -n NAMESPACE --tail=20 --timestamps
      kubectl logs -n istio-system -l istio=egressgateway -c istio-proxy --tail=20 --prefix --timestamps

    What to do
      run the command again; if it persists, `kubectl egress logs` shows the raw
      lines

    References
      Istio, Tasks: Envoy Access Logs
    ");
    let colored = view::diff(
        "--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\u{1b}[2J\n z\n",
        &Style { color: true, ..STYLE },
    );
    assert!(colored.contains("\u{1b}[1m\u{1b}[31m-x\u{1b}[0m"), "{colored:?}");
    assert!(colored.contains("\u{1b}[32m+y\\x1b[2J\u{1b}[0m"), "{colored:?}");
}

#[test]
fn errors_show_causes_then_hints() {
    let (printer, captured) = Printer::captured();
    printer.error(
        &Error::cluster("cannot apply ServiceEntry demo/egress-default")
            .because("admission webhook \"validation.istio.io\" denied the request:\nerror: all is well")
            .because("hosts must be set")
            .hint("kubectl egress render shows the object")
            .hint("kubectl egress setup continues"),
    );
    insta::assert_snapshot!(captured.stderr(), @r#"
    error: cannot apply ServiceEntry demo/egress-default
      because: admission webhook "validation.istio.io" denied the request:
        error: all is well
      because: hosts must be set

    hint: kubectl egress render shows the object
    hint: kubectl egress setup continues
    "#);
}

#[test]
fn dry_runs_and_deletions_say_so() {
    let namespace = ObjectReference::cluster(kind("Namespace"), "demo");
    let entry = ObjectReference::namespaced(kind("Gateway"), "istio-system", "egress");
    let text = view::changes(
        [(&namespace, Change::Created), (&entry, Change::Deleted)],
        true,
        &STYLE,
    );
    assert_eq!(
        text,
        "namespace/demo created (dry run)\ngateway/egress deleted from istio-system (dry run)\n"
    );
}
