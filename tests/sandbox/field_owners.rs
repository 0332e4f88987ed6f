//! Server-side apply: the laws of field ownership, and the words of a conflict.

use super::common::{api, apply, apply_as, config_map, curl_deployment, quick, sandbox, status, with};
use kube::api::{Patch, PatchParams};
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::SandboxSettings;
use serde_json::{Value, json};

#[tokio::test]
async fn an_unchanged_apply_keeps_the_resource_version() {
    let (_sandbox, client) = sandbox();
    let object = config_map(&json!({"a": "1"}));
    let first = apply(&client, &kinds::config_map(), "one", &object)
        .await
        .unwrap();
    let second = apply(&client, &kinds::config_map(), "one", &object)
        .await
        .unwrap();
    assert_eq!(first, second);
    let changed = apply(
        &client,
        &kinds::config_map(),
        "one",
        &config_map(&json!({"a": "2"})),
    )
    .await
    .unwrap();
    assert_ne!(
        first["metadata"]["resourceVersion"],
        changed["metadata"]["resourceVersion"]
    );
}

#[tokio::test]
async fn a_conflict_names_the_field_and_its_owner_as_the_real_server_does() {
    let (_sandbox, client) = sandbox();
    let kind = kinds::config_map();
    apply(&client, &kind, "kubectl", &config_map(&json!({"a": "1"})))
        .await
        .unwrap();
    let refused = apply(&client, &kind, "other", &config_map(&json!({"a": "2", "b": "3"})))
        .await
        .unwrap_err();
    let refused = status(refused);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"kubectl\": .data.a"
    );
    let causes = refused.details.unwrap().causes;
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0].reason, "FieldManagerConflict");
    assert_eq!(causes[0].field, ".data.a");
    assert_eq!(causes[0].message, "conflict with \"kubectl\"");
}

#[tokio::test]
async fn a_conflict_with_an_update_names_its_version() {
    let (_sandbox, client) = sandbox();
    let kind = kinds::config_map();
    apply(&client, &kind, "one", &config_map(&json!({"a": "1"})))
        .await
        .unwrap();
    let parameters = PatchParams {
        field_manager: Some("kubectl-edit".into()),
        ..PatchParams::default()
    };
    api(&client, &kind, "default")
        .patch(
            "x",
            &parameters,
            &Patch::Merge(json!({"data": {"a": "2", "c": "9"}})),
        )
        .await
        .unwrap();
    let refused = status(
        apply(&client, &kind, "one", &config_map(&json!({"a": "1", "c": "1"})))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        refused.message,
        "Apply failed with 2 conflicts: conflicts with \"kubectl-edit\" using v1:\n- .data.a\n- .data.c"
    );
    let forced = apply_as(
        &client,
        &kind,
        &PatchParams::apply("one").force(),
        &config_map(&json!({"a": "1", "c": "1"})),
    )
    .await
    .unwrap();
    let managers: Vec<_> = forced["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["manager"].as_str().unwrap())
        .collect();
    assert_eq!(managers, ["one"], "whoever lost every field has no entry left");
}

#[tokio::test]
async fn two_managers_own_a_field_together_and_the_last_one_takes_it_away() {
    let (_sandbox, client) = sandbox();
    let kind = kinds::config_map();
    let both = config_map(&json!({"shared": "1"}));
    apply(&client, &kind, "one", &both).await.unwrap();
    apply(&client, &kind, "two", &both).await.unwrap();
    let nothing =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "default"}});
    let after_one = apply(&client, &kind, "one", &nothing).await.unwrap();
    assert_eq!(after_one["data"], json!({"shared": "1"}));
    let after_two = apply(&client, &kind, "two", &nothing).await.unwrap();
    assert_eq!(after_two["data"], Value::Null);
}

#[tokio::test]
async fn items_of_lists_merge_by_their_keys() {
    let (_sandbox, client) = sandbox();
    let kind = kinds::service();
    let service = |ports: Value| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "namespace": "default"},
            "spec": {"ports": ports},
        })
    };
    apply(
        &client,
        &kind,
        "one",
        &service(json!([{"port": 443, "name": "tls"}])),
    )
    .await
    .unwrap();
    let merged = apply(
        &client,
        &kind,
        "two",
        &service(json!([{"port": 80, "name": "http"}])),
    )
    .await
    .unwrap();
    let ports: Vec<_> = merged["spec"]["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port["port"].as_u64().unwrap())
        .collect();
    assert_eq!(ports, [443, 80]);
    let owned = &merged["metadata"]["managedFields"][1]["fieldsV1"];
    assert_eq!(
        *owned,
        json!({"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}}}}})
    );
    let refused = status(
        apply(
            &client,
            &kind,
            "two",
            &service(json!([{"port": 443, "name": "other"}])),
        )
        .await
        .unwrap_err(),
    );
    let causes = refused.details.unwrap().causes;
    assert_eq!(causes[0].field, ".spec.ports[port=443,protocol=\"TCP\"].name");
}

#[tokio::test]
async fn a_container_of_somebody_else_stays() {
    let (_sandbox, client) = sandbox();
    let kind = kinds::deployment();
    let deployment = curl_deployment("default");
    apply(&client, &kind, "one", &deployment).await.unwrap();
    let mut other = deployment.clone();
    other["spec"]["template"]["spec"] = json!({"containers": [{"name": "second", "image": "curl"}]});
    let both = apply(&client, &kind, "two", &other).await.unwrap();
    assert_eq!(
        both["spec"]["template"]["spec"]["containers"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(both["metadata"]["generation"], 2);
}

/// A map of few keys and values, so that managers meet.
fn some_data() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    proptest::collection::btree_map("[a-c]", "[1-2]", 0..3).prop_map(|map| json!(map))
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Applying twice is applying once; applying nothing takes away exactly what nobody else owns.
    #[test]
    fn laws_of_apply(one in some_data(), two in some_data()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_sandbox, client) = with(SandboxSettings { istio: false, ..quick() });
            let kind = kinds::config_map();
            let force = |manager: &str| PatchParams::apply(manager).force();
            apply_as(&client, &kind, &force("one"), &config_map(&one)).await.unwrap();
            let once = apply_as(&client, &kind, &force("two"), &config_map(&two)).await.unwrap();
            let twice = apply_as(&client, &kind, &force("two"), &config_map(&two)).await.unwrap();
            assert_eq!(once, twice);
            let without = apply_as(&client, &kind, &force("two"), &config_map(&json!({}))).await.unwrap();
            let data = without["data"].as_object().cloned().unwrap_or_default();
            for (key, value) in one.as_object().unwrap() {
                let taken = two.get(key).is_some_and(|other| other != value);
                let left = if taken { None } else { Some(value) };
                assert_eq!(data.get(key), left, "{key}: one applied {one}, two applied {two}");
            }
            assert!(data.keys().all(|key| one.get(key).is_some()));
        });
    }
}
