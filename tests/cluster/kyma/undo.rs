//! The Istio CR is given back exactly, also under adversity.

use super::*;
use crate::undo::{tamper, without_journal};

/// Name of the annotation by which the resource notes what the switch was.
const NOTE: &str = "kubectl-egress.dev/before-egress-gateway";

/// Somebody changes fields of the resource as with `kubectl edit`.
fn somebody_patches(stage: &Stage, fields: &Value) {
    let fields = fields.to_string();
    let mut arguments: Vec<&str> = ["patch"].into_iter().chain(RESOURCE.split(' ')).collect();
    arguments.extend(["--type=merge", "-p", &fields]);
    stage.kubectl.with(&arguments);
}

#[test]
fn the_switch_comes_back_while_somebody_changes_other_fields() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    module.somebody_applies(&switched(false));
    // The module notes there what it applied.
    let names = || {
        let annotations = module.read()["metadata"]["annotations"].clone();
        let names = annotations.as_object().into_iter().flatten();
        names.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    let annotations = names();
    stage.egress(&format!("{SETUP} --yes --no-probe")).exits(0);
    let note = module.read()["metadata"]["annotations"][NOTE].clone();
    assert!(note.as_str().unwrap().contains("somebody-else"), "{note}");
    // A second run leaves the note as it is.
    stage.egress(&format!("{SETUP} --yes --no-probe")).exits(0);
    assert_eq!(module.read()["metadata"]["annotations"][NOTE], note);
    somebody_patches(
        &stage,
        &json!({"metadata": {"labels": {"somebody": "else"}}, "spec": {"config": {"numTrustedProxies": 3}, "compatibilityMode": true}}),
    );
    module.settled();
    let cleanup = stage.egress("cleanup --verify");
    cleanup.exits(0);
    assert!(!cleanup.stderr.contains("warning"), "{cleanup}");
    let after = module.read();
    assert_eq!(
        after["spec"],
        json!({"components": {"egressGateway": {"enabled": false}}, "compatibilityMode": true,
            "config": {"numTrustedProxies": 3}})
    );
    assert_eq!(after["metadata"]["labels"]["somebody"], "else");
    assert_eq!(names(), annotations);
    assert_eq!(owners(&module), ["somebody-else Apply"]);
    assert!(!after.to_string().contains("kubectl-egress"), "{after}");
    stage.kubectl.run(&format!("label {RESOURCE} somebody-"));
}

#[test]
fn a_switch_that_somebody_changed_is_told_and_left() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    stage.egress(&format!("{SETUP} --no-probe")).exits(0);
    somebody_patches(&stage, &json!({"spec": switched(false)}));
    module.settled();
    stage.egress("cleanup --verify").exits(0).says(&[
        "spec.components.egressGateway.enabled of Istio kyma-system/default was changed meanwhile",
        "it is false now by kubectl",
        "this plan had set true",
        "before the plan it was not set",
    ]);
    assert_eq!(module.switch(), json!(false));
}

#[test]
fn without_the_journal_the_switch_comes_back_by_its_note_and_never_by_a_tenants_word() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    module.somebody_applies(&switched(false));
    let setup = format!("{SETUP} --yes --no-probe");
    stage.egress(&setup).exits(0);
    without_journal(&stage);
    stage.egress("cleanup --verify").exits(0);
    assert_eq!(
        (module.switch(), owners(&module)),
        (json!(false), vec!["somebody-else Apply".to_owned()])
    );

    stage.egress(&setup).exits(0);
    tamper(&stage, |journal| {
        for entry in journal["entries"].as_array_mut().unwrap() {
            if entry["type"] == "field" && entry["reference"]["kind"]["kind"] == "Istio" {
                entry["before"] = json!(true);
                entry["owners"] = json!([]);
            }
        }
    });
    stage.egress("cleanup --verify").exits(0).says(&[
        "the journal says that it was true before, the note on the object says false: the note counts",
    ]);
    assert_eq!(
        (module.switch(), owners(&module)),
        (json!(false), vec!["somebody-else Apply".to_owned()])
    );
    assert!(!module.has_gateway());

    // The namespace goes, and the journal with it.
    stage.egress(&setup).exits(0);
    stage
        .kubectl
        .run(&format!("delete namespace {} --timeout=60s", stage.namespace));
    stage.egress("cleanup --verify").exits(0);
    assert_eq!(
        (module.switch(), owners(&module)),
        (json!(false), vec!["somebody-else Apply".to_owned()])
    );
    assert!(!module.has_gateway());
}
