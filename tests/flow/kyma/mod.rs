//! The Kyma platform on the embedded cluster: what becomes of the Istio custom resource and of who owns its field.

mod owners;
mod states;

use crate::support::{
    clean_up, clean_up_plan, client, differences, dump, plan, quick, set_up, settings, silent,
};
use kubectl_egress::cluster::{ApplyOptions, Cluster};
use kubectl_egress::engine::prepare::{DryRun, SetupSettings, prepare};
use kubectl_egress::engine::status::{self, Health};
use kubectl_egress::engine::{Event, Events, setup, undo};
use kubectl_egress::istio::{kinds, kyma};
use kubectl_egress::plan::field_owner::{FieldOwner, Operation, owners_of};
use kubectl_egress::sandbox::{Fault, FaultKind, KymaSettings, Sandbox, SandboxSettings};
use kubectl_egress::vocabulary::{ExitCode, Object, ObjectReference, PlanIdentity};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) const RESOURCE: &str = "Istio kyma-system/default";
pub(super) const GATEWAY: &str = "Deployment istio-system/istio-egressgateway";

pub(super) fn module() -> KymaSettings {
    KymaSettings {
        reconcile: Duration::from_millis(20),
        ..KymaSettings::default()
    }
}

pub(super) fn on(kyma: KymaSettings) -> (Sandbox, Cluster) {
    let sandbox = Sandbox::new(SandboxSettings {
        kyma: Some(kyma),
        ..quick()
    });
    let cluster = client(&sandbox);
    (sandbox, cluster)
}

pub(super) fn resource(sandbox: &Sandbox) -> Object {
    Object(sandbox.dump()[RESOURCE].clone())
}

pub(super) fn switch(sandbox: &Sandbox) -> Value {
    resource(sandbox).at(kyma::GATEWAY_SWITCH).clone()
}

pub(super) fn has_gateway(sandbox: &Sandbox) -> bool {
    sandbox.dump().contains_key(GATEWAY)
}

pub(super) fn istio(namespace: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "operator.kyma-project.io/v1alpha2", "kind": "Istio",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec})
}

pub(super) fn switched(value: bool) -> Value {
    json!({"components": {"egressGateway": {"enabled": value}}})
}

pub(super) fn reference() -> ObjectReference {
    ObjectReference::namespaced(kinds::istio_module(), kyma::NAMESPACE, "default")
}

/// Somebody else applies a value of the switch, and something besides.
pub(super) async fn somebody_applies(cluster: &Cluster, value: bool) {
    let mut spec = switched(value);
    spec["config"] = json!({"numTrustedProxies": 2});
    let object = Object(istio(kyma::NAMESPACE, "default", &spec));
    let options = ApplyOptions::new(&reference(), "flux");
    cluster.apply(&object, &options).await.unwrap();
    settled(cluster).await;
}

/// Waits until the module is done.
pub(super) async fn settled(cluster: &Cluster) {
    let ready = |live: Option<&Object>| match live.map(|live| live.text("/status/state")) {
        Some("Ready" | "Warning" | "Error") => kubectl_egress::cluster::Waited::Done,
        _ => kubectl_egress::cluster::Waited::Not("not yet".to_owned()),
    };
    let limit = Duration::from_secs(5);
    cluster.wait(&reference(), limit, &ready, &|_| {}).await.unwrap();
}

pub(super) fn hosts() -> SetupSettings {
    settings(&["kyma-project.io"])
}

pub(super) fn elsewhere() -> SetupSettings {
    SetupSettings {
        plan: other(),
        ..settings(&["edition.cnn.com"])
    }
}

pub(super) fn other() -> PlanIdentity {
    PlanIdentity::new("other", "default").unwrap()
}

pub(super) async fn nothing_is_left(
    sandbox: &Sandbox,
    cluster: &Cluster,
    before: &std::collections::BTreeMap<String, Value>,
) {
    let kept = clean_up(cluster).await.unwrap();
    assert_eq!(kept, Vec::<String>::new());
    let left = undo::leftovers(cluster, &plan()).await.unwrap();
    assert_eq!(left, Vec::<String>::new());
    let now = dump(sandbox);
    let timeless = |objects: &std::collections::BTreeMap<String, Value>| {
        let mut objects = objects.clone();
        for object in objects.values_mut() {
            if object["kind"] == "Istio" {
                object["status"]["conditions"] = Value::Null;
            }
        }
        objects
    };
    assert_eq!(
        differences(&timeless(before), &timeless(&now)),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn the_module_makes_the_gateway_and_takes_it_away_again() {
    let (sandbox, cluster) = on(module());
    let before = dump(&sandbox);
    assert!(!has_gateway(&sandbox));
    let prepared = prepare(&cluster, hosts()).await.unwrap();
    assert_eq!(
        prepared.consents,
        Vec::<String>::new(),
        "switching it on needs no question"
    );
    set_up(&cluster, hosts()).await.unwrap();
    assert_eq!(switch(&sandbox), json!(true));
    assert!(has_gateway(&sandbox));
    let owner = FieldOwner {
        manager: "kubectl-egress/demo/default".to_owned(),
        operation: Operation::Apply,
    };
    assert_eq!(owners_of(&resource(&sandbox), kyma::GATEWAY_SWITCH), [owner]);
    nothing_is_left(&sandbox, &cluster, &before).await;
    assert_eq!(
        resource(&sandbox).text("/status/state"),
        "Ready",
        "clean-up waits for the module"
    );
}

#[tokio::test]
async fn a_second_set_up_changes_nothing() {
    let (sandbox, cluster) = on(module());
    set_up(&cluster, hosts()).await.unwrap();
    settled(&cluster).await;
    let versions = || {
        let objects = sandbox.dump().into_iter();
        let lasting = objects.filter(|(name, _)| !name.starts_with("Lease ") && !name.starts_with("Event "));
        lasting
            .map(|(name, object)| (name, object["metadata"]["resourceVersion"].clone()))
            .collect::<Vec<_>>()
    };
    let before = versions();
    set_up(&cluster, hosts()).await.unwrap();
    assert_eq!(versions(), before);
}

#[tokio::test]
async fn without_a_resource_it_is_refused_and_made_only_when_asked_for() {
    let (sandbox, cluster) = on(KymaSettings {
        custom_resource: false,
        ..module()
    });
    sandbox
        .put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}))
        .unwrap();
    sandbox.put(&istio("team", "mine", &switched(true))).unwrap();
    let before = dump(&sandbox);
    let error = set_up(&cluster, hosts()).await.unwrap_err();
    assert_eq!(error.code(), ExitCode::Consent);
    let text = format!("{error} {}", error.hints().join(" "));
    for word in [
        "Istio module",
        "kyma-system",
        "Istio team/mine does not count",
        "--create-istio-cr",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let changed = differences(&before, &dump(&sandbox));
    assert!(
        changed.iter().all(|change| change.starts_with("Istio team/mine")),
        "{changed:?}"
    );

    let asked = SetupSettings {
        create_istio_cr: true,
        ..hosts()
    };
    set_up(&cluster, asked).await.unwrap();
    assert!(has_gateway(&sandbox));
    let kept = clean_up(&cluster).await.unwrap();
    assert_eq!(kept, Vec::<String>::new());
    assert!(!sandbox.dump().contains_key(RESOURCE) && !has_gateway(&sandbox));
}

#[tokio::test]
async fn a_resource_that_we_made_stays_while_somebody_uses_istio() {
    let (sandbox, cluster) = on(KymaSettings {
        custom_resource: false,
        ..module()
    });
    let asked = SetupSettings {
        create_istio_cr: true,
        ..hosts()
    };
    set_up(&cluster, asked).await.unwrap();
    sandbox
        .put(
            &json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": "theirs", "namespace": "default"}, "spec": {"hosts": ["x.example"]}}),
        )
        .unwrap();
    let kept = clean_up(&cluster).await.unwrap();
    assert!(
        kept[0].contains("uninstall Istio for VirtualService default/theirs"),
        "{kept:?}"
    );
    assert_eq!(
        resource(&sandbox).at("/metadata/labels/app.kubernetes.io~1managed-by"),
        &Value::Null
    );
}

#[tokio::test]
async fn of_several_the_oldest_is_changed_and_the_others_are_named() {
    let (sandbox, cluster) = on(KymaSettings {
        custom_resource: false,
        ..module()
    });
    sandbox.put(&istio(kyma::NAMESPACE, "zebra", &json!({}))).unwrap();
    // Times of creation have whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    sandbox
        .put(&istio(kyma::NAMESPACE, "default", &json!({})))
        .unwrap();
    let prepared = prepare(&cluster, hosts()).await.unwrap();
    assert!(
        prepared.findings.iter().any(|finding| finding.code == "EGR-204"
            && finding.message.contains("and not Istio kyma-system/default")),
        "{:?}",
        prepared.findings
    );
    set_up(&cluster, hosts()).await.unwrap();
    assert_eq!(switch(&sandbox), Value::Null);
    assert!(has_gateway(&sandbox));
    clean_up(&cluster).await.unwrap();
    assert!(!has_gateway(&sandbox));
}

#[tokio::test]
async fn a_dry_run_asks_and_changes_nothing() {
    let (sandbox, cluster) = on(module());
    somebody_applies(&cluster, false).await;
    let before = dump(&sandbox);
    for dry_run in [DryRun::Client, DryRun::Server] {
        let wanted = SetupSettings { dry_run, ..hosts() };
        let prepared = prepare(&cluster, wanted).await.unwrap();
        setup::dry_run(&cluster, &prepared, &silent()).await.unwrap();
        let first = prepared.manifests().next().unwrap();
        assert_eq!(first.reference.to_string(), RESOURCE);
    }
    assert_eq!(dump(&sandbox), before);
}
