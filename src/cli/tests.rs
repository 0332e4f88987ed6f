//! What is taken; what is refused, and what help says, stand in files of their own.

mod explains;
mod refusals;

use super::*;
use crate::vocabulary::{InCluster, Scheme};
use rstest::rstest;
use std::time::Duration;

fn parsed(line: &str) -> Invocation {
    parse(words(line)).unwrap()
}

fn refused(line: &str) -> Error {
    match parse(words(line)) {
        Err(Stop::Usage(error)) => error,
        other => panic!("`{line}` is not refused: {other:?}"),
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    std::iter::once("kubectl-egress").chain(line.split_whitespace())
}

fn text(line: &str) -> String {
    match parse(words(line)) {
        Err(Stop::Text(text)) => anstream::adapter::strip_str(&text).to_string(),
        other => panic!("`{line}` gives no text: {other:?}"),
    }
}

#[test]
fn kubectls_flags_work_after_the_command() {
    let connection = parsed(
        "verify -n demo --context c --cluster k --user u --kubeconfig /k --as a --as-group g --as-group h --as-uid 7 \
         --token t -s https://s --certificate-authority /ca --tls-server-name n --insecure-skip-tls-verify \
         --request-timeout 1m --sandbox --sandbox-fault quota",
    )
    .connection;
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        connection,
        Connection {
            namespace: some("demo"),
            context: some("c"),
            kubeconfig: Some("/k".into()),
            cluster: some("k"),
            user: some("u"),
            impersonate_user: some("a"),
            impersonate_groups: vec!["g".into(), "h".into()],
            impersonate_uid: some("7"),
            token: some("t"),
            server: some("https://s"),
            certificate_authority: Some("/ca".into()),
            tls_server_name: some("n"),
            insecure_skip_tls_verify: true,
            request_timeout: Some(Duration::from_secs(60)),
            sandbox: true,
            sandbox_faults: vec![SandboxFault::Quota],
        }
    );
    assert_eq!(parsed("-n demo verify").connection.namespace, some("demo"));
    assert_eq!(
        parsed("verify --request-timeout 0").connection.request_timeout,
        Some(Duration::MAX)
    );
    assert_eq!(parsed("verify").connection, Connection::default());
}

#[test]
fn screen_flags_work_everywhere() {
    let screen = parsed("status -o json --progress plain -vv --color never -y").screen;
    assert_eq!(screen.output, crate::vocabulary::OutputFormat::Json);
    assert_eq!(screen.progress, crate::vocabulary::ProgressStyle::Plain);
    assert_eq!(
        (screen.verbosity, screen.quiet, screen.assume_yes),
        (2, false, true)
    );
    assert!(parsed("status -q").screen.quiet);
}

#[test]
fn setup_reads_all_of_its_flags() {
    let Command::Setup(setup) = parsed(
        "setup kyma-project.io *.wikipedia.org:8443 --plan p --gateway istio-system/gw --timeout 90s --dry-run=server \
         --force-conflicts --create-gateway --node-selector a=b --toleration c=d:NoExecute --create-namespace \
         --inject pod --image i:1 --curl-secret s --atomic --no-probe --from deploy/shop -c app --ca-cert /ca.pem",
    )
    .command
    else {
        panic!("not setup")
    };
    assert_eq!(
        setup.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["kyma-project.io", "*.wikipedia.org:8443"]
    );
    assert_eq!(
        (setup.plan.plan.to_string().as_str(), setup.plan.timeout),
        ("p", Duration::from_secs(90))
    );
    assert_eq!(setup.plan.gateway.unwrap().to_string(), "istio-system/gw");
    assert_eq!(
        (setup.change.dry_run, setup.change.force_conflicts),
        (DryRun::Server, true)
    );
    assert!(setup.gateway.create_gateway && setup.atomic && setup.no_probe && setup.source.create_namespace);
    assert_eq!(
        (
            setup.gateway.node_selectors.len(),
            setup.gateway.tolerations.len()
        ),
        (1, 1)
    );
    assert_eq!(
        (setup.source.inject, setup.source.image.as_deref()),
        (Inject::Pod, Some("i:1"))
    );
    assert_eq!(setup.source.curl_secret.as_deref(), Some("s"));
    assert_eq!(setup.probe.from[0].to_string(), "deploy/shop");
    assert_eq!(setup.probe.container.as_deref(), Some("app"));
    assert_eq!(setup.probe.ca_certificate.as_deref(), Some("/ca.pem"));
    assert_eq!(setup.probe.max_time, 12);
}

#[test]
fn lockdown_reads_all_of_its_flags() {
    let Command::Lockdown(lockdown) = parsed(
        "lockdown -n test-egress --plan egress/p --in-cluster allow -l app=shop,tier!=x --allow-api-server \
         --confirm-within 90s --forbidden a.example --forbidden b.example --dry-run=client --from deploy/shop",
    )
    .command
    else {
        panic!("not lockdown")
    };
    assert_eq!(lockdown.in_cluster, Some(InCluster::Allow));
    assert_eq!(lockdown.selector.unwrap().to_string(), "app=shop,tier!=x");
    assert!(lockdown.allow_api_server);
    assert_eq!(lockdown.confirm_within, Duration::from_secs(90));
    let forbidden: Vec<_> = lockdown.forbidden.iter().map(ToString::to_string).collect();
    assert_eq!(forbidden, ["a.example", "b.example"]);
    let plan = PlanArgument {
        namespace: Some("egress".to_owned()),
        name: "p".to_owned(),
    };
    assert_eq!(
        (lockdown.plan.plan.to_string().as_str(), lockdown.plan.plan),
        ("egress/p", plan)
    );
    assert_eq!(lockdown.change.dry_run, DryRun::Client);
    assert_eq!(lockdown.probe.from[0].to_string(), "deploy/shop");
}

#[test]
fn nothing_said_leaves_the_lock_to_the_plan() {
    let Command::Lockdown(lockdown) = parsed("lockdown").command else {
        panic!("not lockdown")
    };
    assert_eq!((lockdown.in_cluster, lockdown.selector), (None, None));
    assert_eq!(
        (lockdown.allow_api_server, lockdown.confirm_within),
        (false, Duration::from_secs(180))
    );
    let Command::Unlock(unlock) = parsed("unlock --dry-run=server").command else {
        panic!("not unlock")
    };
    assert_eq!(
        (unlock.plan.plan.to_string().as_str(), unlock.change.dry_run),
        ("default", DryRun::Server)
    );
}

#[test]
fn a_minus_is_standard_input() {
    let file = |line| match parsed(line).command {
        Command::Setup(setup) => setup.file,
        Command::Logs(logs) => logs.follow.then_some(PlanFile::StandardInput),
        _ => None,
    };
    assert_eq!(file("setup -f -"), Some(PlanFile::StandardInput));
    assert_eq!(
        file("setup -f plan.yaml"),
        Some(PlanFile::Path("plan.yaml".into()))
    );
    assert_eq!(file("logs -f"), Some(PlanFile::StandardInput));
    assert_eq!(file("setup"), None);
}

#[rstest]
#[case("kyma-project.io", "https", 443, None)]
#[case("kyma-project.io:80", "http", 80, None)]
#[case("http://kyma-project.io", "http", 80, None)]
#[case("https://kyma-project.io:8443/a?b=c#d", "https", 8443, Some("/a?b=c"))]
#[case("https://kyma-project.io?b=c", "https", 443, Some("/?b=c"))]
fn a_target_is_filled_in(
    #[case] typed: &str,
    #[case] scheme: &str,
    #[case] port: u16,
    #[case] path: Option<&str>,
) {
    let target = value::probe_target(typed).unwrap();
    assert_eq!(
        (target.scheme.as_str(), target.port, target.path.as_deref()),
        (scheme, port, path)
    );
    assert_eq!(target.host.as_str(), "kyma-project.io");
}

#[test]
fn codes_may_be_typed_in_any_form() {
    for typed in ["explain egr-101", "explain EGR-101", "explain 101"] {
        match parsed(typed).command {
            Command::Explain(explain) => {
                assert_eq!(explain.target, Some(ExplainTarget::Code("EGR-101".into())));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn explain_takes_one_thing_or_none() {
    let explain = |line: &str| match parsed(line).command {
        Command::Explain(explain) => explain,
        other => panic!("{other:?}"),
    };
    assert_eq!(explain("explain").target, None);
    assert_eq!(explain("explain --log").log.as_deref(), Some("-"));
    assert_eq!(explain("explain --log -").log.as_deref(), Some("-"));
    assert_eq!(explain("explain --log {}").log.as_deref(), Some("{}"));
    let code = explain("explain --exit-code 35 --from bare");
    assert_eq!(
        (code.exit_code, code.from),
        (Some(35), Some(SourceArgument::Bare))
    );
    let workload = explain("explain --exit-code 35 --from deploy/shop").from;
    assert!(
        matches!(workload, Some(SourceArgument::Workload(_))),
        "{workload:?}"
    );
    refused("explain EGR-101 --log -");
    refused("explain --log - --exit-code 7");
    refused("explain --from meshed");
    refused("explain -f routes.yaml");
    let host = |line: &str| match explain(line).target {
        Some(ExplainTarget::Host { target, port_named }) => (target.port, target.scheme, port_named),
        other => panic!("{other:?}"),
    };
    assert_eq!(host("explain kyma-project.io"), (443, Scheme::Https, false));
    assert_eq!(
        host("explain kyma-project.io:80 --from bare"),
        (80, Scheme::Http, true)
    );
    assert_eq!(
        host("explain http://kyma-project.io -f ."),
        (80, Scheme::Http, true)
    );
}

#[test]
fn learning_watches_or_reads() {
    let learn = |line: &str| match parsed(line).command {
        Command::Learn(learn) => learn,
        other => panic!("{other:?}"),
    };
    let watched = learn("learn -n demo --for 10m --write plan.yaml");
    assert_eq!((watched.watch, watched.since), (Duration::from_secs(600), None));
    assert_eq!(watched.write.as_deref(), Some(std::path::Path::new("plan.yaml")));
    let read = learn("learn --since 1h");
    assert_eq!(
        (read.watch, read.since),
        (Duration::from_secs(60), Some(Duration::from_secs(3600)))
    );
    assert!(
        refused("learn --for 1m --since 1h")
            .to_string()
            .contains("cannot be used with")
    );
    assert!(refused("learn --for 0s").to_string().contains("more than zero"));
    match parsed("lockdown --learn 90s").command {
        Command::Lockdown(lockdown) => assert_eq!(lockdown.learn, Some(Duration::from_secs(90))),
        other => panic!("{other:?}"),
    }
}
