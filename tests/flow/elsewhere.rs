//! The plan of one namespace, verified from another.

use crate::support::{client, plan, sandbox, set_up, settings, silent};
use kubectl_egress::engine::prepare::Parts;
use kubectl_egress::engine::probe::find_source;
use kubectl_egress::engine::verify::{self, VerifySettings};
use kubectl_egress::vocabulary::PlanIdentity;
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
    let settings = VerifySettings {
        plan: plan(),
        namespace: "elsewhere".to_owned(),
        hosts: Vec::new(),
        forbidden: Vec::new(),
        without_sidecar: true,
        source: find_source(&cluster, "elsewhere", None, None).await.unwrap(),
        ca_certificate: None,
        max_time_seconds: 2,
        enforced_required: false,
        timeout: Duration::from_secs(10),
    };
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
