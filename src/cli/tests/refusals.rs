//! What is refused, and in which words.

use super::*;

/// Each refusal names the value, the rule and what to type instead.
#[rstest]
#[case::scheme(
    "setup https://kyma-project.io/x",
    "is a URL",
    "give the host alone: kyma-project.io"
)]
#[case::upper_case("verify Kyma-Project.io", "upper-case", "give kyma-project.io")]
#[case::address("route 203.0.113.1", "`203.0.113.1` is an IP address", "DNS name")]
#[case::address_6("route [2001:db8::1]", "is an IP address", "DNS name")]
#[case::port_zero(
    "setup a.example:0",
    "`0` in `a.example:0` is not a port",
    "1 to 65535, as in a.example:443"
)]
#[case::port_large("setup a.example:65536", "`65536`", "as in a.example:443")]
#[case::port_empty("setup a.example:", "is not a port", "as in a.example:443")]
#[case::twice("setup a.example a.example:443", "`a.example:443` is given twice", "port 443")]
#[case::both("route a.example --remove a.example", "`a.example` is both", "to be removed")]
#[case::enumeration(
    "status -o JSON",
    "--output: `JSON` is not one of text, json, yaml",
    "write json"
)]
#[case::enumeration_unknown("status -o xml", "`xml` is not one of text, json, yaml", "write one of these")]
#[case::dry_run(
    "setup --dry-run=yes",
    "--dry-run: `yes` is not one of none, client, server",
    "write one of these"
)]
#[case::source("verify --from shop", "--from: `shop` does not say what it is", "deploy/shop")]
#[case::source_kind(
    "verify --from daemonset/shop",
    "`daemonset` in `daemonset/shop`",
    "deploy/shop"
)]
#[case::source_name("verify --from deploy/Shop", "`Shop` is not an object's name", "lower-case")]
#[case::gateway("setup --gateway gw", "--gateway: `gw` has no namespace", "istio-system/gw")]
#[case::namespace(
    "status -n Demo",
    "--namespace: `Demo` is not a valid namespace",
    "lower-case"
)]
#[case::plan("status --plan a_b", "--plan: `a_b` is not a valid plan name", "lower-case")]
#[case::plan_of_namespace("verify --plan a/b/c", "--plan: `b/c` is not a valid plan name", "lower-case")]
#[case::plan_without_name("verify --plan a/", "--plan: `` is not a valid plan name", "lower-case")]
#[case::plan_namespace("verify --plan A/b", "--plan: `A` is not a valid namespace", "lower-case")]
#[case::in_cluster("lockdown --in-cluster Allow", "--in-cluster: `Allow`", "write allow")]
#[case::confirm(
    "lockdown --confirm-within 29s",
    "--confirm-within: `29s` is too short",
    "at least 30s"
)]
#[case::selector("lockdown -l a=b,", "--selector: ", "`a=b,`")]
#[case::lockdown_host(
    "lockdown --forbidden https://a.example",
    "--forbidden: `https://a.example` is a URL",
    "a.example"
)]
#[case::duration("setup --timeout soon", "--timeout: `soon` is not a duration", "as in 30s")]
#[case::max_time("verify --max-time 10s", "--max-time: `10s`", "as in 10")]
#[case::method(
    "probe a.example --method get",
    "--method: `get` is not one of GET",
    "write GET"
)]
#[case::expect("probe a.example --expect Routed", "--expect: `Routed`", "write routed")]
#[case::wildcard(
    "probe *.wikipedia.org",
    "`*.wikipedia.org` is a wildcard",
    "www.wikipedia.org"
)]
#[case::target_scheme("probe ftp://a.example", "`ftp` in `ftp://a.example`", "https://a.example")]
#[case::credentials("probe https://u:p@a.example", "carries a user name", "without it")]
#[case::paths("probe https://a.example/x --path /y", "contradict", "`/x`")]
#[case::path("probe a.example --path x", "--path: `x` is not a path", "as in /x")]
#[case::image(
    "setup --image a;b",
    "--image: `a;b` is not an image reference",
    "as in docker.io"
)]
#[case::code("explain 1", "`1` is not a finding's code", "as in EGR-101")]
#[case::exit_code("explain --exit-code 256", "`256` is not an exit code of curl", "as in 35")]
#[case::shell_code("explain --exit-code 127", "`127` is not curl's", "was not found")]
#[case::source_kind(
    "explain --exit-code 7 --from shop",
    "`shop` is no kind of source",
    "deploy/shop"
)]
#[case::story(
    "tutorial story",
    "`story` is not one of passthrough, mtls, istio",
    "write one of these"
)]
#[case::toleration(
    "enable-gateway --toleration a:noexecute",
    "--toleration: `noexecute`",
    "write NoExecute"
)]
fn refuses(#[case] line: &str, #[case] names: &str, #[case] mends: &str) {
    let error = refused(line);
    let (message, hint) = (error.message(), error.hints().join("\n"));
    assert!(message.contains(names), "{message}");
    assert!(
        message.contains(mends) || hint.contains(mends),
        "{message} {hint}"
    );
    assert_eq!(error.code(), crate::vocabulary::ExitCode::Usage);
}

#[rstest]
#[case("verfy", "verify")]
#[case("verify --frm deploy/x", "--from")]
#[case("setup a.example -f plan.yaml", "--file")]
#[case("verify -c app", "--from")]
#[case("probe a.example --unmeshed --from pod/x", "--from")]
#[case("status -q -v", "--verbose")]
#[case("route", "HOST")]
fn claps_own_refusals_become_errors_of_ours(#[case] line: &str, #[case] names: &str) {
    let error = refused(line);
    let hints = error.hints().join("\n");
    assert!(
        error.message().contains(names) || hints.contains(names),
        "{error} {hints}"
    );
    assert!(
        !error.message().contains('\n') && !error.message().starts_with("error"),
        "{error}"
    );
    assert!(hints.contains("--help"), "{hints}");
}
