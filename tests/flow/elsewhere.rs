//! The plan of one namespace, verified from another.

use crate::support::{clean_up, client, differences, dump, plan, sandbox, set_up, settings, silent};
use kubectl_egress::engine::prepare::Parts;
use kubectl_egress::engine::probe::{ProbeSource, find_source};
use kubectl_egress::engine::verify::{self, Enforced, VerifySettings};
use kubectl_egress::vocabulary::{ClaimState, ExitCode, PlanIdentity};
use std::time::Duration;

#[tokio::test]
async fn probes_and_pods_are_in_the_namespace_that_is_proven() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    let mut source_alone = settings(&[]);
    source_alone.plan = PlanIdentity::new("elsewhere", "default").unwrap();
    source_alone.parts = Parts {
        gateway: false,
        source: true,
        routing: false,
    };
    set_up(&cluster, source_alone).await.unwrap();
    let settings = verification(find_source(&cluster, "elsewhere", None, None).await.unwrap());
    let verification = verify::verify(&cluster, &settings, &silent()).await.unwrap();
    assert_eq!(
        (verification.plan.as_str(), verification.namespace.as_str()),
        ("demo/default", "elsewhere")
    );
    let of = |meshed: bool| {
        let mut sources = verification
            .probes
            .iter()
            .filter(move |probe| probe.meshed == meshed);
        sources.next().unwrap().source.clone()
    };
    assert!(of(true).starts_with("elsewhere/curl-"), "{}", of(true));
    assert!(
        of(false).starts_with("elsewhere/kubectl-egress-unmeshed-"),
        "{}",
        of(false)
    );
    let left: Vec<_> = sandbox
        .dump()
        .into_keys()
        .filter(|name| name.contains("unmeshed"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

/// Routed from a namespace that uses the plan of another, whether or not that one has a plan of its own over the same
/// gateway: Istio takes the gateway's DestinationRules of the client's namespace alone, if there are any.
#[tokio::test]
async fn a_plan_is_used_by_the_namespaces_that_it_names() {
    for has_its_own_plan in [false, true] {
        let sandbox = sandbox();
        let cluster = client(&sandbox);
        let mut other = settings(if has_its_own_plan {
            &["edition.cnn.com"]
        } else {
            &[]
        });
        other.plan = PlanIdentity::new("elsewhere", "default").unwrap();
        if !has_its_own_plan {
            other.parts = Parts {
                gateway: false,
                source: true,
                routing: false,
            };
        }
        set_up(&cluster, other).await.unwrap();
        let before = dump(&sandbox);
        let probe = async || {
            let source = find_source(&cluster, "elsewhere", None, None).await.unwrap();
            let mut wanted = verification(source);
            wanted.without_sidecar = false;
            verify::verify(&cluster, &wanted, &silent())
                .await
                .unwrap()
                .claims
                .routed
        };
        set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
        assert_eq!(probe().await, ClaimState::Disproven, "it is not exported yet");
        let mut exported = settings(&["kyma-project.io"]);
        exported.plan_settings.export_to = vec!["elsewhere".to_owned()];
        set_up(&cluster, exported).await.unwrap();
        assert_eq!(probe().await, ClaimState::Proven, "own plan: {has_its_own_plan}");
        clean_up(&cluster).await.unwrap();
        // Shared with that namespace's plan, or gone.
        let mut after = dump(&sandbox);
        after.retain(|name, _| !name.starts_with("Telemetry istio-system/"));
        let mut before = before;
        before.retain(|name, _| !name.starts_with("Telemetry istio-system/"));
        assert_eq!(differences(&before, &after), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_namespace_to_export_to_that_is_not_there_is_named_before_anything_is_changed() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    let before = dump(&sandbox);
    let mut exported = settings(&["kyma-project.io"]);
    exported.plan_settings.export_to = vec!["nowhere".to_owned()];
    let error = set_up(&cluster, exported).await.unwrap_err();
    assert_eq!(error.code(), ExitCode::Usage);
    assert!(error.to_string().contains("namespace nowhere"), "{error}");
    assert_eq!(error.hints(), ["make it: kubectl create namespace nowhere"]);
    assert_eq!(differences(&before, &dump(&sandbox)), Vec::<String>::new());
}

fn verification(source: ProbeSource) -> VerifySettings {
    VerifySettings {
        bypass: None,
        echo: None,
        plan: plan(),
        namespace: "elsewhere".to_owned(),
        hosts: Vec::new(),
        forbidden: Vec::new(),
        without_sidecar: true,
        source,
        ca_certificate: None,
        max_time_seconds: 2,
        enforced: Enforced::IfLocked,
        timeout: Duration::from_secs(10),
    }
}
