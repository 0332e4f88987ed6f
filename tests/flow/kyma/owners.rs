//! Who owns the field before, meanwhile and after.

use super::*;

#[tokio::test]
async fn a_gateway_that_somebody_else_wanted_stays() {
    let (sandbox, cluster) = on(module());
    somebody_applies(&cluster, true).await;
    assert!(has_gateway(&sandbox));
    let before = dump(&sandbox);
    set_up(&cluster, hosts()).await.unwrap();
    assert_eq!(owners_of(&resource(&sandbox), kyma::GATEWAY_SWITCH).len(), 2);
    nothing_is_left(&sandbox, &cluster, &before).await;
    assert!(has_gateway(&sandbox));
}

#[tokio::test]
async fn a_gateway_that_nobody_owns_stays_too() {
    let (sandbox, cluster) = on(module());
    somebody_applies(&cluster, true).await;
    let orphan = json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": [{}]},
    ]);
    cluster.json_patch(&reference(), &orphan, "x").await.unwrap();
    assert_eq!(owners_of(&resource(&sandbox), kyma::GATEWAY_SWITCH), []);
    let before = dump(&sandbox);
    set_up(&cluster, hosts()).await.unwrap();
    nothing_is_left(&sandbox, &cluster, &before).await;
    assert!(has_gateway(&sandbox));
    assert_eq!(owners_of(&resource(&sandbox), kyma::GATEWAY_SWITCH), []);
}

#[tokio::test]
async fn false_is_replaced_with_consent_and_given_back_to_its_owner() {
    let (sandbox, cluster) = on(module());
    somebody_applies(&cluster, false).await;
    let owned = |sandbox: &Sandbox| {
        let object = resource(sandbox);
        (
            owners_of(&object, kyma::GATEWAY_SWITCH),
            owners_of(&object, "/spec/config/numTrustedProxies"),
        )
    };
    let (before, owners) = (dump(&sandbox), owned(&sandbox));
    assert_eq!(owners.0[0].manager, "flux");
    let prepared = prepare(&cluster, hosts()).await.unwrap();
    assert!(
        prepared.consents[0].contains("enabled: false, set by flux"),
        "{:?}",
        prepared.consents
    );
    set_up(&cluster, hosts()).await.unwrap();
    assert_eq!(switch(&sandbox), json!(true));
    nothing_is_left(&sandbox, &cluster, &before).await;
    assert_eq!(switch(&sandbox), json!(false));
    assert_eq!(
        owned(&sandbox),
        owners,
        "its owner can change it without a conflict"
    );
}

#[tokio::test]
async fn where_apply_cannot_take_the_field_away_it_is_removed() {
    let (sandbox, cluster) = on(module());
    let before = dump(&sandbox);
    set_up(&cluster, hosts()).await.unwrap();
    // As a real server answers where somebody owns an empty map around the field.
    let refused = Fault::new(
        "/istios/default?fieldManager=kubectl-egress%2Fdemo%2Fdefault&force=false",
        FaultKind::Status(422, None),
    );
    sandbox.inject(refused.method("PATCH"));
    nothing_is_left(&sandbox, &cluster, &before).await;
    assert!(!has_gateway(&sandbox));
}

#[tokio::test]
async fn a_second_plan_keeps_the_gateway_and_the_last_one_gives_false_back() {
    let (sandbox, cluster) = on(module());
    somebody_applies(&cluster, false).await;
    set_up(&cluster, hosts()).await.unwrap();
    let prepared = prepare(&cluster, elsewhere()).await.unwrap();
    assert_eq!(prepared.consents, Vec::<String>::new(), "it is asked for once");
    set_up(&cluster, elsewhere()).await.unwrap();
    clean_up(&cluster).await.unwrap();
    assert_eq!(switch(&sandbox), json!(true));
    assert!(has_gateway(&sandbox));
    clean_up_plan(&cluster, &other()).await.unwrap();
    assert_eq!(switch(&sandbox), json!(false));
    assert!(!has_gateway(&sandbox));
    assert_eq!(
        owners_of(&resource(&sandbox), kyma::GATEWAY_SWITCH)[0].manager,
        "flux"
    );
}

#[tokio::test]
async fn a_clean_up_that_was_cut_at_the_resource_is_continued_by_the_next() {
    for nth in 1..=6 {
        let (sandbox, cluster) = on(module());
        somebody_applies(&cluster, false).await;
        let before = dump(&sandbox);
        set_up(&cluster, hosts()).await.unwrap();
        settled(&cluster).await;
        sandbox.inject(Fault::new("/istios/default", FaultKind::Status(403, None)).nth(nth));
        // It may fail or not; the other requests are the business of the tests of faults.
        let _ = clean_up(&cluster).await;
        sandbox.mend();
        nothing_is_left(&sandbox, &cluster, &before).await;
        let owners = owners_of(&resource(&sandbox), kyma::GATEWAY_SWITCH);
        assert_eq!(owners[0].manager, "flux", "cut at request {nth}");
    }
}

#[tokio::test]
async fn a_failure_of_each_request_about_the_resource_is_survived() {
    let about = |sandbox: &Sandbox| {
        let requests = sandbox.requests().into_iter();
        requests
            .filter(|request| request.path.contains("/istios") && request.stream.is_none())
            .count()
    };
    let number = {
        let (sandbox, cluster) = on(module());
        set_up(&cluster, hosts()).await.unwrap();
        about(&sandbox)
    };
    assert!(number >= 2, "it is listed and applied");
    for kind in [
        FaultKind::Status(500, None),
        FaultKind::Cut,
        FaultKind::CutAfterWork,
    ] {
        for nth in 1..=u32::try_from(number).unwrap() {
            let (sandbox, cluster) = on(module());
            let before = dump(&sandbox);
            sandbox.inject(Fault::new("/istios", kind.clone()).nth(nth));
            let _ = set_up(&cluster, hosts()).await;
            sandbox.mend();
            set_up(&cluster, hosts()).await.unwrap();
            assert!(has_gateway(&sandbox), "{kind:?} at request {nth}");
            nothing_is_left(&sandbox, &cluster, &before).await;
        }
    }
}

/// Kyma's module comes to a cluster between two runs on it: the gateway that we had made serves on, and goes with the rest.
#[tokio::test]
async fn where_the_module_came_after_our_gateway_ours_is_kept_and_cleaned_up() {
    let (sandbox, cluster) = on(module());
    let before = dump(&sandbox);
    let groups = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": kinds::NETWORKING,
        "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}}]});
    sandbox.inject(Fault::new("/apis", FaultKind::Reply(200, groups.to_string())));
    set_up(&client(&sandbox), hosts()).await.unwrap();
    sandbox.mend();
    assert!(has_gateway(&sandbox));
    let prepared = prepare(&cluster, hosts()).await.unwrap();
    assert_eq!(prepared.consents, Vec::<String>::new());
    set_up(&cluster, hosts()).await.unwrap();
    assert_eq!(switch(&sandbox), Value::Null, "the module is not needed");
    nothing_is_left(&sandbox, &cluster, &before).await;
}

/// "No such path" decides nothing while the server says that it serves the kind: who owns the gateway hangs on it.
#[tokio::test]
async fn that_the_kind_is_not_there_is_believed_only_if_discovery_says_so_too() {
    let (sandbox, cluster) = on(module());
    let before = dump(&sandbox);
    sandbox.inject(Fault::new(
        "/istios",
        FaultKind::Reply(404, "404 page not found".into()),
    ));
    let error = set_up(&cluster, hosts()).await.unwrap_err();
    assert_eq!(error.code(), ExitCode::Cluster);
    assert!(
        error.message().contains("serves istios.operator.kyma-project.io"),
        "{error}"
    );
    assert_eq!(differences(&before, &dump(&sandbox)), Vec::<String>::new());
}
