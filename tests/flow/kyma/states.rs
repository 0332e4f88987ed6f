//! States of the module, its profiles and its network policies.

use super::*;

#[tokio::test]
async fn a_warning_that_is_not_ours_stops_nobody() {
    let (sandbox, cluster) = on(module());
    sandbox
        .put(
            &json!({"apiVersion": "networking.istio.io/v1", "kind": "EnvoyFilter",
            "metadata": {"name": "theirs", "namespace": "istio-system"}, "spec": {}}),
        )
        .unwrap();
    set_up(&cluster, hosts()).await.unwrap();
    settled(&cluster).await;
    assert_eq!(resource(&sandbox).text("/status/state"), "Warning");
    let prepared = prepare(&cluster, hosts()).await.unwrap();
    let told = prepared.findings.iter().find(|finding| finding.code == "EGR-205");
    assert!(told.is_some_and(|finding| finding.message.contains("EnvoyFilter istio-system/theirs")));
    let rows = status::read(&cluster, &plan()).await.unwrap().objects;
    let row = rows.iter().find(|row| row.object == RESOURCE).unwrap();
    assert!(
        row.health == Health::Good && row.detail.contains("Warning"),
        "{row:?}"
    );
    clean_up(&cluster).await.unwrap();
    assert!(!has_gateway(&sandbox));
}

#[tokio::test]
async fn an_error_of_the_module_is_shown_with_its_description_and_ends_the_wait() {
    let (sandbox, cluster) = on(module());
    let spec = json!({"experimental": {"pilot": {}}});
    sandbox.put(&istio(kyma::NAMESPACE, "default", &spec)).unwrap();
    settled(&cluster).await;
    let error = set_up(&cluster, hosts()).await.unwrap_err();
    assert_eq!(error.code(), ExitCode::Cluster);
    let text = error.to_string();
    assert!(
        text.contains("Error (ReconcileUnknown): Experimental features"),
        "{text}"
    );
    assert!(
        error
            .hints()
            .iter()
            .any(|hint| hint.contains("kubectl describe istio default"))
    );
    // Repaired, it goes on.
    sandbox
        .put(&istio(kyma::NAMESPACE, "default", &json!({"experimental": null})))
        .unwrap();
    set_up(&cluster, hosts()).await.unwrap();
    assert!(has_gateway(&sandbox));
}

#[tokio::test]
async fn the_production_profile_is_waited_for_until_all_replicas_are_there() {
    let (sandbox, cluster) = on(KymaSettings {
        least_replicas: 3,
        autoscale: Duration::from_secs(1),
        ..module()
    });
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearer = Arc::clone(&heard);
    let events: Events = Arc::new(move |event| match event {
        Event::StepWaiting { id, on } if id == "gateway" => hearer.lock().unwrap().push(on),
        Event::StepFinished { id, detail, .. } if id == "gateway" => {
            hearer.lock().unwrap().extend(detail);
        }
        _ => {}
    });
    let prepared = prepare(&cluster, hosts()).await.unwrap();
    setup::run(&cluster, prepared, &events).await.unwrap();
    let live = Object(sandbox.dump()[GATEWAY].clone());
    assert_eq!(live.at("/status/availableReplicas"), 3);
    let heard = heard.lock().unwrap().join("\n");
    for word in [RESOURCE, "Processing", "3 pods ready"] {
        assert!(heard.contains(word), "{word} in {heard}");
    }
}

#[tokio::test]
async fn under_the_modules_network_policies_our_pods_carry_its_label() {
    let (sandbox, cluster) = on(module());
    set_up(&cluster, hosts()).await.unwrap();
    let label = |sandbox: &Sandbox| {
        let pod = Object(sandbox.dump()["Deployment demo/curl"].clone());
        pod.at("/spec/template/metadata/labels/networking.kyma-project.io~1to-egressgateway")
            .clone()
    };
    assert_eq!(label(&sandbox), Value::Null);
    let spec = json!({"networkPoliciesEnabled": true});
    sandbox.put(&istio(kyma::NAMESPACE, "default", &spec)).unwrap();
    set_up(&cluster, hosts()).await.unwrap();
    assert_eq!(label(&sandbox), json!("allowed"));
}
