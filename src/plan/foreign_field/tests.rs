//! The table of `foreign_field`, line by line.

use super::*;
use crate::plan::field_owner::Operation;

const OURS: &str = "kubectl-egress/demo/default";

fn owner(manager: &str) -> FieldOwner {
    FieldOwner {
        manager: manager.to_owned(),
        operation: Operation::Update,
    }
}

fn note(value: &str) -> Before {
    Before {
        value: Some(json!(value)),
        owners: vec![owner("kubectl-label")],
    }
}

/// A namespace with the label as these managers own it, and a note if there is one.
fn namespace(label: Option<&str>, managers: &[&str], note: Option<&Before>) -> Object {
    let mut labels = json!({});
    if let Some(label) = label {
        labels["istio-injection"] = json!(label);
    }
    let entries: Vec<Value> = managers
        .iter()
        .map(|manager| json!({"manager": manager, "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {"f:istio-injection": {}}}}}))
        .collect();
    let mut object =
        Object(json!({"metadata": {"name": "demo", "labels": labels, "managedFields": entries}}));
    if let Some(note) = note {
        INJECTION.add_note(&mut object, note);
    }
    object
}

fn decide(live: &Object, before: Option<&str>) -> Decision {
    let (reference, before, set) = (
        ObjectReference::cluster(kinds::namespace(), "demo"),
        before.map(|before| json!(before)),
        json!("enabled"),
    );
    let claim = Claim {
        field: &INJECTION,
        reference: &reference,
        manager: OURS,
        before: before.as_ref(),
        set: Some(&set),
    };
    claim.decide(live)
}

fn quiet(what: GivingBack) -> Decision {
    Decision {
        what,
        left: None,
        contradicted: None,
    }
}

#[test]
fn a_field_that_is_ours_alone_goes_or_gets_its_value_back() {
    let set_by_us = namespace(Some("enabled"), &[OURS], None);
    assert_eq!(decide(&set_by_us, None), quiet(GivingBack::LetGo));
    let known = note("disabled");
    let replaced = namespace(Some("enabled"), &[OURS], Some(&known));
    assert_eq!(
        decide(&replaced, Some("disabled")),
        quiet(GivingBack::Write(known))
    );
}

#[test]
fn a_value_that_no_note_confirms_is_refused_and_one_that_the_note_contradicts_is_not_written() {
    let live = namespace(Some("enabled"), &[OURS], None);
    let GivingBack::Refuse(why) = decide(&live, Some("evil")).what else {
        panic!("it would be written");
    };
    for words in [
        "label istio-injection of Namespace demo",
        "\"evil\"",
        "kubectl label namespace demo --overwrite istio-injection=VALUE",
    ] {
        assert!(why.contains(words), "{why}");
    }
    let known = note("disabled");
    let live = namespace(Some("enabled"), &[OURS], Some(&known));
    for said in [Some("evil"), None] {
        let decision = decide(&live, said);
        assert_eq!(decision.what, GivingBack::Write(known.clone()));
        assert!(decision.contradicted.unwrap().contains("the note counts"));
    }
}

#[test]
fn what_somebody_changed_is_told_with_all_three_values_and_left() {
    let known = note("disabled");
    for (label, managers) in [(Some("mine"), &["flux"][..]), (None, &[])] {
        let decision = decide(&namespace(label, managers, Some(&known)), Some("disabled"));
        assert_eq!(decision.what, GivingBack::LetGo);
        let left = decision.left.unwrap();
        let found = label.map_or_else(
            || "it is not set now".to_owned(),
            |label| format!("it is \"{label}\" now by flux"),
        );
        for words in [
            "label istio-injection of Namespace demo",
            &found,
            "this plan had set \"enabled\"",
            "before the plan it was \"disabled\"",
        ] {
            assert!(left.contains(words), "{left}");
        }
    }
    let new = decide(&namespace(Some("mine"), &["flux"], None), None);
    assert!(new.left.unwrap().contains("before the plan it was not set"));
}

#[test]
fn what_is_as_it_was_before_is_not_worth_a_word() {
    let known = note("disabled");
    let back = namespace(Some("disabled"), &["flux"], Some(&known));
    assert_eq!(decide(&back, Some("disabled")), quiet(GivingBack::LetGo));
    assert_eq!(
        decide(&namespace(None, &[], None), None),
        quiet(GivingBack::LetGo)
    );
}

#[test]
fn others_who_want_it_keep_it() {
    let known = note("disabled");
    let both = namespace(
        Some("enabled"),
        &[OURS, "kubectl-egress/demo/other"],
        Some(&known),
    );
    assert_eq!(decide(&both, Some("disabled")), quiet(GivingBack::LetGo));
    let theirs_too = namespace(Some("enabled"), &[OURS, "flux"], None);
    assert_eq!(decide(&theirs_too, None), quiet(GivingBack::LetGo));
    let they_came_later = decide(
        &namespace(Some("enabled"), &[OURS, "flux"], Some(&known)),
        Some("disabled"),
    );
    assert_eq!(they_came_later.what, GivingBack::LetGo);
    assert!(they_came_later.left.unwrap().contains("by flux"));
}

#[test]
fn without_managed_fields_the_note_still_gives_the_value_back() {
    let known = note("disabled");
    let stripped = namespace(Some("enabled"), &[], Some(&known));
    assert_eq!(
        decide(&stripped, Some("disabled")),
        quiet(GivingBack::Write(known))
    );
    assert_eq!(
        decide(&namespace(Some("enabled"), &[], None), None).what,
        GivingBack::LetGo
    );
}

#[test]
fn a_note_that_this_program_never_writes_is_none() {
    for text in [
        "",
        "disabled",
        "{\"value\": 7}",
        "{\"value\": \"a\\nb\"}",
        "{\"value\": null}",
        "{\"evil\": 1}",
    ] {
        let mut live = namespace(Some("enabled"), &[OURS], None);
        live.0["metadata"]["annotations"] = json!({INJECTION.note(): text});
        assert_eq!(INJECTION.noted(&live), None, "{text}");
    }
    let known = note("disabled");
    assert_eq!(INJECTION.noted(&namespace(None, &[], Some(&known))), Some(known));
}

#[test]
fn only_the_plans_own_namespace_the_counted_module_and_its_own_workloads_have_such_fields() {
    let plan = PlanIdentity::new("demo", "default").unwrap();
    let number = |reference: &ObjectReference| fields_of(reference, &plan).len();
    assert_eq!(number(&ObjectReference::cluster(kinds::namespace(), "demo")), 2);
    assert_eq!(
        number(&ObjectReference::cluster(kinds::namespace(), "kube-system")),
        0
    );
    assert_eq!(
        number(&ObjectReference::namespaced(
            kinds::istio_module(),
            "kyma-system",
            "x"
        )),
        1
    );
    assert_eq!(
        number(&ObjectReference::namespaced(kinds::istio_module(), "demo", "x")),
        0
    );
    assert_eq!(
        number(&ObjectReference::namespaced(kinds::deployment(), "demo", "x")),
        1
    );
    assert_eq!(
        number(&ObjectReference::namespaced(kinds::deployment(), "other", "x")),
        0
    );
}
