//! `lockdown` against the sandbox: proven and confirmed, or everything is as before; also when the client dies.

use crate::support::{
    clean_up, client, codes, differences, dump, plan, quick, set_up, settings, silent, verify_quickly,
};
use futures::stream::{self, StreamExt};
use kubectl_egress::cluster::{ApplyOptions, Cluster};
use kubectl_egress::engine::lockdown::{
    Decision, EFFECT_WITHIN, Lockdown, LockdownEnd, LockdownSettings, prepare, run, unlock,
};
use kubectl_egress::engine::prepare::DryRun;
use kubectl_egress::engine::{probe, status};
use kubectl_egress::error::Result;
use kubectl_egress::istio::kinds;
use kubectl_egress::plan::lock::LockSettings;
use kubectl_egress::sandbox::{Sandbox, SandboxSettings};
use kubectl_egress::vocabulary::{ClaimState, Object, ObjectReference, Verdict, names};
use serde_json::{Value, json};
use std::time::Duration;

const CONFIRM_WITHIN: Duration = Duration::from_secs(180);

async fn decide(cluster: &Cluster) -> Result<Decision> {
    decide_with(cluster, EFFECT_WITHIN).await
}

async fn decide_with(cluster: &Cluster, effect_within: Duration) -> Result<Decision> {
    let source = probe::find_source(cluster, "demo", None, None).await?;
    let wanted = LockdownSettings {
        plan: plan(),
        namespace: "demo".to_owned(),
        lock: LockSettings::default(),
        confirm_within: CONFIRM_WITHIN,
        effect_within,
        forbidden: vec!["www.google.com".parse().unwrap()],
        source,
        ca_certificate: None,
        max_time_seconds: 12,
        timeout: Duration::from_secs(10),
    };
    prepare(cluster, wanted).await
}

async fn lock(cluster: &Cluster) -> Result<Lockdown> {
    match decide(cluster).await? {
        Decision::Lock(prepared) => run(cluster, &prepared, &silent(), std::future::pending()).await,
        Decision::Unchanged(prepared) => {
            let mut document = prepared.document();
            document.end = LockdownEnd::Unchanged;
            Ok(document)
        }
    }
}

async fn routed() -> (Sandbox, Cluster) {
    let sandbox = Sandbox::new(quick());
    let cluster = client(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    (sandbox, cluster)
}

/// Names of the NetworkPolicies of the namespace, with whether each selects all of its pods.
fn policies(sandbox: &Sandbox) -> Vec<(String, bool)> {
    let of_kind = |(name, object): (&String, &Value)| {
        let name = name.strip_prefix("NetworkPolicy demo/")?.to_owned();
        Some((name, object["spec"]["podSelector"] == json!({})))
    };
    dump(sandbox).iter().filter_map(of_kind).collect()
}

#[tokio::test]
async fn a_lock_is_proven_outlives_its_deadline_and_is_taken_away() {
    let (sandbox, cluster) = routed().await;
    let document = lock(&cluster).await.unwrap();
    assert_eq!(document.end, LockdownEnd::Locked, "{document:#?}");
    assert_eq!(
        (document.verdict, document.claims.enforced),
        (Verdict::Proven, ClaimState::Proven)
    );
    sandbox.pass_time(2 * CONFIRM_WITHIN);
    assert_eq!(
        policies(&sandbox).len(),
        1,
        "the switch is disarmed and its guard is gone"
    );
    assert_eq!(lock(&cluster).await.unwrap().end, LockdownEnd::Unchanged);
    let verified = verify_quickly(&cluster).await;
    assert_eq!(verified.claims.routed, ClaimState::Proven);
    for dry_run in [DryRun::Client, DryRun::Server] {
        let would_go = unlock(&cluster, &plan(), "demo", dry_run, &silent())
            .await
            .unwrap();
        assert_eq!(would_go.len(), 1, "{would_go:?}");
        assert_eq!(policies(&sandbox).len(), 1, "{dry_run:?}");
    }
    unlock(&cluster, &plan(), "demo", DryRun::No, &silent())
        .await
        .unwrap();
    assert_eq!(policies(&sandbox), []);
}

#[tokio::test]
async fn another_policy_that_opens_a_way_out_is_named_and_nothing_is_changed() {
    let (sandbox, cluster) = routed().await;
    let open = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "open", "namespace": "demo"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
    });
    sandbox.put(&open).unwrap();
    let before = policies(&sandbox);
    let Decision::Lock(prepared) = decide(&cluster).await.unwrap() else {
        panic!("there is no lock yet")
    };
    assert!(prepared.is_refused());
    let said: Vec<&str> = prepared
        .findings
        .iter()
        .map(|finding| &*finding.message)
        .collect();
    assert!(
        said.iter().any(|said| said.contains("any address, any port")),
        "{said:?}"
    );
    assert_eq!(policies(&sandbox), before);
}

/// Lets the client die as soon as it has sent so many requests; gives whether it came to its end before.
async fn dies_after(sandbox: &Sandbox, cluster: &Cluster, requests: usize) -> bool {
    let limit = sandbox.requests().len() + requests;
    let dying = async {
        while sandbox.requests().len() < limit {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        done = lock(cluster) => done.is_ok(),
        () = dying => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_the_client_dies_no_unproven_lock_outlives_its_deadline() {
    let whole = {
        let (sandbox, cluster) = routed().await;
        let before = sandbox.requests().len();
        lock(&cluster).await.unwrap();
        sandbox.requests().len() - before
    };
    let moments = (0..12).map(|part| whole * part / 12);
    let locked: Vec<bool> = stream::iter(moments)
        .map(|requests| async move {
            let (sandbox, cluster) = routed().await;
            if dies_after(&sandbox, &cluster, requests).await {
                return true;
            }
            let was_locked = policies(&sandbox).iter().any(|(_, whole)| *whole);
            // What is on its way to the sandbox still arrives there.
            tokio::time::sleep(Duration::from_millis(50)).await;
            // Only a complete proof takes the switch away.
            let mut sent = sandbox.requests().into_iter();
            let disarmed = sent.any(|sent| sent.method == "DELETE" && sent.path.contains("/jobs/"));
            sandbox.pass_time(CONFIRM_WITHIN + Duration::from_secs(5));
            let left = policies(&sandbox).iter().any(|(_, whole)| *whole);
            assert!(
                disarmed || !left,
                "a lock is left after {requests} of {whole} requests"
            );
            was_locked
        })
        .buffer_unordered(2)
        .collect()
        .await;
    assert!(
        locked.contains(&true),
        "some died while the lock was there: {locked:?}"
    );
}

#[tokio::test]
async fn without_a_policy_engine_it_is_said_and_nothing_is_left() {
    let sandbox = Sandbox::new(SandboxSettings {
        enforces_network_policies: false,
        ..quick()
    });
    let cluster = client(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    let before = dump(&sandbox);
    let Decision::Lock(prepared) = decide_with(&cluster, Duration::from_millis(300)).await.unwrap() else {
        panic!("there is no lock yet")
    };
    let document = run(&cluster, &prepared, &silent(), std::future::pending())
        .await
        .unwrap();
    assert_eq!(document.end, LockdownEnd::Refused, "{document:#?}");
    let found: Vec<&str> = document.findings.iter().map(|finding| &*finding.code).collect();
    assert!(found.contains(&"EGR-503"), "{document:#?}");
    let mut after = dump(&sandbox);
    let journal = "ConfigMap demo/kubectl-egress-default";
    after.insert(journal.to_owned(), before[journal].clone());
    assert_eq!(differences(&before, &after), Vec::<String>::new());
}

#[tokio::test]
async fn a_lock_whose_gateway_or_dns_moved_is_named_with_the_command_that_renews_it() {
    for (service, port, moved) in [
        ("istio-system/istio-egressgateway", "https", 9443),
        ("kube-system/kube-dns", "dns-tcp", 5353),
    ] {
        let (sandbox, cluster) = routed().await;
        assert_eq!(lock(&cluster).await.unwrap().end, LockdownEnd::Locked);
        assert!(!codes(&verify_quickly(&cluster).await).contains(&"EGR-515"));
        let mut object = sandbox.dump()[&format!("Service {service}")].clone();
        let ports = object["spec"]["ports"].as_array_mut().unwrap();
        let of_name = ports.iter_mut().find(|entry| entry["name"] == port);
        of_name.unwrap_or_else(|| panic!("{service} has no port {port}"))["targetPort"] = json!(moved);
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("managedFields");
        sandbox.put(&object).unwrap();
        let verified = verify_quickly(&cluster).await;
        let finding = verified.findings.iter().find(|finding| finding.code == "EGR-515");
        let finding = finding.unwrap_or_else(|| panic!("{service}: {:?}", verified.findings));
        assert!(finding.message.contains(&moved.to_string()), "{finding:?}");
        let renews = "kubectl egress lockdown -n demo --plan default";
        assert!(finding.fix.contains(renews), "{finding:?}");
        let rows = status::read(&cluster, &plan()).await.unwrap().objects;
        assert!(
            rows.iter()
                .any(|row| row.object.starts_with("lock ") && row.detail.contains("EGR-515")),
            "{rows:?}"
        );
    }
}

/// What a `verify -n B --plan A/NAME` that was killed leaves is in B, and no journal names it.
#[tokio::test]
async fn cleaning_up_takes_away_the_probe_pods_of_every_namespace() {
    let (sandbox, cluster) = routed().await;
    sandbox
        .put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere"}}))
        .unwrap();
    for (name, plan) in [("killed", "default"), ("of-another-plan", "other")] {
        let reference = ObjectReference::namespaced(kinds::pod(), "elsewhere", name);
        let pod = Object(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "elsewhere", "labels": {
                names::MANAGED_BY_LABEL: names::MANAGER, names::PLAN_LABEL: plan, names::PLAN_NAMESPACE_LABEL: "demo",
            }},
            "spec": {"containers": [{"name": "curl", "image": names::SOURCE_IMAGE}]},
        }));
        let options = ApplyOptions::new(&reference, names::MANAGER);
        cluster.apply(&pod, &options).await.unwrap();
    }
    clean_up(&cluster).await.unwrap();
    let left = sandbox.dump();
    assert!(!left.contains_key("Pod elsewhere/killed"));
    assert!(left.contains_key("Pod elsewhere/of-another-plan"));
}

/// Decides about a lock that lets pods reach one another, which the usual one does not.
async fn lock_wider(cluster: &Cluster) -> Result<Lockdown> {
    let source = probe::find_source(cluster, "demo", None, None).await?;
    let wanted = LockdownSettings {
        plan: plan(),
        namespace: "demo".to_owned(),
        lock: LockSettings {
            in_cluster: kubectl_egress::vocabulary::InCluster::Allow,
            ..LockSettings::default()
        },
        confirm_within: CONFIRM_WITHIN,
        effect_within: EFFECT_WITHIN,
        forbidden: vec!["www.google.com".parse().unwrap()],
        source,
        ca_certificate: None,
        max_time_seconds: 12,
        timeout: Duration::from_secs(10),
    };
    match prepare(cluster, wanted).await? {
        Decision::Lock(prepared) => run(cluster, &prepared, &silent(), std::future::pending()).await,
        Decision::Unchanged(prepared) => {
            let mut document = prepared.document();
            document.end = LockdownEnd::Unchanged;
            Ok(document)
        }
    }
}

fn whole_lock(sandbox: &Sandbox) -> Option<Value> {
    let all = dump(sandbox);
    let mut policies = all
        .iter()
        .filter(|(name, _)| name.starts_with("NetworkPolicy demo/"));
    let whole = policies.find(|(_, policy)| policy["spec"]["podSelector"] == json!({}));
    whole.map(|(_, policy)| policy["spec"].clone())
}

/// Takes the API server away at the n-th request until the client has given up.
async fn loses_its_server(sandbox: &Sandbox, cluster: &Cluster, nth: usize) -> bool {
    let fault = kubectl_egress::sandbox::FaultKind::Refused(u32::MAX);
    sandbox.inject(kubectl_egress::sandbox::Fault::new("", fault).nth(u32::try_from(nth).unwrap()));
    let ended = lock_wider(cluster).await;
    sandbox.mend();
    ended.is_ok_and(|document| document.end == LockdownEnd::Locked)
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_lock_that_died_half_way_is_made_anew_and_proven() {
    let (wanted, whole) = {
        let (sandbox, cluster) = routed().await;
        lock(&cluster).await.unwrap();
        let before = sandbox.requests().len();
        assert_eq!(lock_wider(&cluster).await.unwrap().end, LockdownEnd::Locked);
        (whole_lock(&sandbox), sandbox.requests().len() - before)
    };
    let moments = (6..12).map(|part| whole * part / 12);
    let left: Vec<bool> = stream::iter(moments)
        .map(|nth| {
            let wanted = &wanted;
            async move {
                let (sandbox, _) = routed().await;
                lock(&client(&sandbox)).await.unwrap();
                let one = policies(&sandbox).len();
                if loses_its_server(&sandbox, &client(&sandbox), nth).await {
                    return false;
                }
                let left = policies(&sandbox).len() > one || whole_lock(&sandbox) == *wanted;
                // Its Lease is nobody's after some seconds without a sign of life.
                sandbox.pass_time(Duration::from_secs(20));
                let again = lock_wider(&client(&sandbox)).await.unwrap();
                assert_eq!(
                    again.end,
                    LockdownEnd::Locked,
                    "request {nth} of {whole}: {again:#?}"
                );
                sandbox.pass_time(2 * CONFIRM_WITHIN);
                assert_eq!(whole_lock(&sandbox), *wanted, "request {nth} of {whole}");
                assert_eq!(policies(&sandbox).len(), one, "request {nth} of {whole}");
                left
            }
        })
        .buffer_unordered(2)
        .collect()
        .await;
    assert!(left.contains(&true), "some left something behind: {left:?}");
}

/// Not to have seen the gateway's log is no proof that hosts do not go through the gateway.
#[tokio::test(start_paused = true)]
async fn without_the_gateways_log_a_lock_is_neither_made_nor_disproven() {
    use kubectl_egress::sandbox::{Fault, FaultKind};
    let (sandbox, cluster) = routed().await;
    sandbox.inject(
        Fault::new("istio-egressgateway", FaultKind::Hang)
            .method("LOG")
            .times(u32::MAX),
    );
    let document = lock(&cluster).await.unwrap();
    assert_eq!(
        (document.end, document.verdict),
        (LockdownEnd::Refused, Verdict::Inconclusive)
    );
    let codes: Vec<&str> = document
        .findings
        .iter()
        .map(|finding| finding.code.as_str())
        .collect();
    assert!(!codes.contains(&"EGR-506"), "{codes:?}");
    assert_eq!(whole_lock(&sandbox), None);
}
