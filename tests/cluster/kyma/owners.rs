//! Who owns the field before, meanwhile and after.

use super::*;

#[test]
fn a_second_plan_keeps_the_gateway_until_it_is_cleaned_up_as_well() {
    let mut stage = open!(on_kyma);
    let module = Module::of(&stage);
    let other = stage.another_namespace();
    stage.egress(SETUP).exits(0);
    stage
        .egress_in(
            &other,
            &format!("setup {} --create-namespace --no-probe", stage.host),
        )
        .exits(0);
    assert_eq!(owners(&module).len(), 2);
    stage.egress_in(&other, "cleanup --verify").exits(0);
    stage
        .probe("https://kyma-project.io")
        .is("routed", &stage.gateway_addresses());
    stage.egress("cleanup --verify").exits(0);
    assert!(!module.has_gateway() && module.switch().is_null());
}

#[test]
fn a_gateway_that_somebody_else_wants_stays() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    module.somebody_applies(&switched(true));
    stage.rolled_out("istio-system", "istio-egressgateway");
    let run = stage.egress(SETUP);
    run.exits(0);
    assert_eq!(owners(&module).len(), 2);
    stage.egress("cleanup --verify").exits(0);
    assert_eq!(owners(&module), ["somebody-else Apply"]);
    assert!(module.has_gateway() && module.switch() == json!(true));
}

#[test]
fn false_by_somebody_else_is_replaced_with_consent_and_given_back() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    module.somebody_applies(&switched(false));
    let refused = stage.changes_nothing(SETUP);
    refused
        .exits(5)
        .says(&["egressGateway.enabled: false", "somebody-else", "--yes"]);
    stage.egress(&format!("{SETUP} --yes")).exits(0);
    assert_eq!(
        owners(&module),
        [format!("kubectl-egress/{}/default Apply", stage.namespace)]
    );
    stage.egress("cleanup --verify").exits(0);
    assert_eq!(module.switch(), json!(false));
    assert_eq!(owners(&module), ["somebody-else Apply"]);
    assert_eq!(
        module.read()["spec"]["compatibilityMode"],
        false,
        "what is theirs stays"
    );
    assert!(!module.has_gateway());
    // Their next apply meets no conflict, and takes away what it leaves out.
    module.somebody_applies(&json!({}));
    assert_eq!(module.switch(), Value::Null);
}

#[test]
fn an_empty_map_of_somebody_elses_around_the_field_is_left_as_it_was() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    for spec in [
        json!({"components": {}}),
        json!({"components": {"egressGateway": {}}}),
    ] {
        module.somebody_applies(&spec);
        let before = module.read()["spec"].clone();
        stage.egress(&format!("{SETUP} --no-probe")).exits(0);
        stage.egress("cleanup --verify").exits(0);
        assert_eq!(module.read()["spec"], before);
        assert!(!module.has_gateway());
    }
}
