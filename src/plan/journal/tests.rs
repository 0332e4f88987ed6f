//! What the journal keeps, undoes and refuses.

use super::*;
use crate::istio::kyma;
use crate::plan::foreign_field::INJECTION;
use crate::plan::{PlanSettings, PlannedHost, gateway_workload, routing};
use crate::vocabulary::names;
use serde_json::Value;

fn journal() -> Journal {
    let identity = PlanIdentity::new("demo", "default").unwrap();
    let host = PlannedHost::passthrough("kyma-project.io".parse().unwrap(), 443);
    let plan = Plan::new(identity, PlanSettings::default(), vec![host]).unwrap();
    let gateway = gateway_workload::target("istio-system");
    let mut journal = Journal::new(plan.clone(), gateway.clone(), "image".to_owned());
    journal.record(Entry::Namespace {
        name: "demo".to_owned(),
        uid: "u".to_owned(),
    });
    for manifest in routing::objects(&plan, &gateway) {
        journal.record(Entry::intends(&manifest));
    }
    journal
}

fn stored(journal: &Journal) -> Object {
    let mut object = journal.to_data().unwrap();
    let labels = crate::plan::ownership::plan_labels(&journal.plan.identity);
    object["metadata"] = json!({"labels": labels, "managedFields": [{"manager": names::MANAGER}]});
    Object(object)
}

#[test]
fn survives_the_way_through_the_cluster() {
    let journal = journal();
    assert_eq!(
        Journal::from_object(&stored(&journal), &journal.plan.identity).unwrap(),
        journal
    );
}

#[test]
fn undoes_in_the_reverse_of_the_safe_order() {
    let waves = journal().undo();
    let kinds: Vec<Vec<String>> = waves
        .iter()
        .map(|wave| wave.iter().map(|entry| entry.reference().kind.kind).collect())
        .collect();
    assert_eq!(
        kinds,
        [
            vec!["ServiceEntry"],
            vec!["VirtualService"],
            vec!["Gateway", "DestinationRule"],
            vec!["Namespace"]
        ]
    );
}

#[test]
fn the_oldest_entry_knows_what_was_before() {
    let mut journal = journal();
    let field = |before: Option<&str>| Entry::Field {
        reference: ObjectReference::cluster(kinds::namespace(), "demo"),
        manager: "kubectl-egress/demo/default".to_owned(),
        pointer: INJECTION.pointer.to_owned(),
        before: before.map(|value| json!(value)),
        owners: Vec::new(),
        set: Some(json!("enabled")),
    };
    journal.record(field(Some("disabled")));
    journal.record(field(Some("enabled")));
    assert!(journal.entries.contains(&field(Some("disabled"))));
    assert!(!journal.entries.contains(&field(Some("enabled"))));
}

fn switch(namespace: &str, pointer: &str, before: Option<Value>) -> Entry {
    Entry::Field {
        reference: ObjectReference::namespaced(kinds::istio_module(), namespace, "default"),
        manager: "kubectl-egress/demo/default".to_owned(),
        pointer: pointer.to_owned(),
        before,
        owners: Vec::new(),
        set: Some(json!(true)),
    }
}

#[test]
fn the_switch_of_the_module_with_its_value_survives_the_way_through_the_cluster() {
    let mut journal = journal();
    journal.record(switch("kyma-system", kyma::GATEWAY_SWITCH, Some(json!(false))));
    let plan = journal.plan.identity.clone();
    assert_eq!(Journal::from_object(&stored(&journal), &plan).unwrap(), journal);
    journal.record_anew(switch("kyma-system", kyma::GATEWAY_SWITCH, None));
    assert_eq!(
        journal.entries.last(),
        Some(&switch("kyma-system", kyma::GATEWAY_SWITCH, None))
    );
}

#[test]
fn an_edited_journal_cannot_reach_further() {
    let plan = journal().plan.identity;
    let evil = [
        Entry::Object {
            reference: ObjectReference::namespaced(kinds::secret(), "kube-system", "x"),
            manager: names::MANAGER.to_owned(),
            shared: false,
            uid: None,
        },
        Entry::Namespace {
            name: "kube-system".to_owned(),
            uid: "u".to_owned(),
        },
        Entry::Field {
            reference: ObjectReference::cluster(kinds::namespace(), "demo"),
            manager: names::MANAGER.to_owned(),
            pointer: "/metadata/labels/pod-security.kubernetes.io~1enforce".to_owned(),
            before: None,
            owners: Vec::new(),
            set: None,
        },
        switch("kyma-system", "/spec/components/proxy", None),
        switch("demo", kyma::GATEWAY_SWITCH, None),
        switch("kyma-system", kyma::GATEWAY_SWITCH, Some(json!({"a": "b"}))),
        Entry::Object {
            reference: ObjectReference::namespaced(kinds::istio_module(), "demo", "default"),
            manager: names::MANAGER.to_owned(),
            shared: true,
            uid: None,
        },
        Entry::Object {
            reference: ObjectReference::namespaced(kinds::deployment(), "demo", "curl"),
            manager: "kubectl".to_owned(),
            shared: false,
            uid: None,
        },
        // What is one plan's alone would be judged by less than its plan's labels.
        Entry::Object {
            reference: ObjectReference::namespaced(kinds::deployment(), "victim", "curl"),
            manager: names::MANAGER.to_owned(),
            shared: true,
            uid: None,
        },
        Entry::Object {
            reference: ObjectReference::namespaced(kinds::deployment(), "demo", "\u{1b}[2J"),
            manager: names::MANAGER.to_owned(),
            shared: false,
            uid: None,
        },
        Entry::Object {
            reference: ObjectReference::cluster(
                crate::vocabulary::Kind::new(
                    "rbac.authorization.k8s.io",
                    "v1",
                    "ClusterRole",
                    "clusterroles",
                    false,
                ),
                "admin",
            ),
            manager: names::MANAGER.to_owned(),
            shared: false,
            uid: None,
        },
    ];
    for entry in evil {
        let mut journal = journal();
        let honest = journal.entries.len();
        journal.entries.push(entry.clone());
        assert!(
            Journal::from_object(&stored(&journal), &plan).is_err(),
            "{entry:?}"
        );
        let salvaged = Journal::salvage(&stored(&journal), &plan).unwrap();
        assert_eq!(
            salvaged.journal.entries,
            journal.entries[..honest],
            "what is honest is kept"
        );
        let [refused] = salvaged.refused.as_slice() else {
            panic!("{entry:?}: {:?}", salvaged.refused);
        };
        assert!(
            refused.starts_with(&format!("entry {}: it ", honest + 1)),
            "{refused}"
        );
        assert!(!refused.contains('\u{1b}'), "{refused}");
    }
}

#[test]
fn a_journal_that_is_none_is_refused_whole_and_a_newer_one_changes_nothing() {
    let (honest, plan) = (journal(), journal().plan.identity);
    let with = |text: String| {
        let mut object = stored(&honest);
        object.0["data"]["journal"] = json!(text);
        Journal::salvage(&object, &plan)
    };
    let text = |change: &dyn Fn(&mut Value)| {
        let mut said = serde_json::to_value(&honest).unwrap();
        change(&mut said);
        said.to_string()
    };
    let cases = [
        ("{".to_owned(), "no JSON"),
        ("x".repeat(1 << 20), "no JSON"),
        (String::new(), "no JSON"),
        ("[]".to_owned(), "version null"),
        (text(&|said| said["version"] = json!("1")), "version \"1\""),
        (
            text(&|said| said["entries"] = json!("none")),
            "no list of entries",
        ),
        (
            text(&|said| said["plan"]["identity"]["namespace"] = json!("kube-system")),
            "of plan",
        ),
    ];
    for (text, why) in cases {
        let salvaged = with(text).unwrap();
        assert_eq!(salvaged.journal.entries, []);
        assert!(salvaged.refused[0].contains(why), "{:?}", salvaged.refused);
        assert!(salvaged.refused[0].len() < 300, "{:?}", salvaged.refused);
    }
    let newer = with(text(&|said| said["version"] = json!(VERSION + 1))).unwrap_err();
    assert!(newer.to_string().contains("nothing was changed"), "{newer}");
    let many = with(text(&|said| said["entries"] = json!(vec!["junk"; 5000]))).unwrap();
    assert!(many.refused.len() < 30, "{}", many.refused.len());
    let mut foreign = stored(&honest);
    foreign.0["metadata"]["labels"] = json!({});
    let salvaged = Journal::salvage(&foreign, &plan).unwrap();
    assert_eq!((salvaged.journal.entries.len(), salvaged.refused.len()), (0, 1));
}

#[test]
fn what_a_live_object_bears_decides_and_not_what_the_entry_says() {
    let plan = PlanIdentity::new("demo", "default").unwrap();
    let live = |labels: Value, manager: &str| {
        Object(json!({"metadata": {"uid": "u", "labels": labels, "managedFields": [{"manager": manager}]}}))
    };
    let mine = json!({names::MANAGED_BY_LABEL: names::MANAGER, names::PLAN_LABEL: "default", names::PLAN_NAMESPACE_LABEL: "demo"});
    let mut victims = mine.clone();
    victims[names::PLAN_NAMESPACE_LABEL] = json!("victim");
    let object = |shared: bool, uid: &str| Entry::Object {
        reference: ObjectReference::namespaced(kinds::deployment(), "victim", "x"),
        manager: if shared {
            plan.shared_manager()
        } else {
            names::MANAGER.to_owned()
        },
        shared,
        uid: Some(uid.to_owned()),
    };
    let is = |entry: &Entry, object: &Object| standing(&plan, entry, object);
    let refused = |standing: Standing| matches!(standing, Standing::NotOurs(_));
    assert_eq!(
        is(&object(false, "u"), &live(mine.clone(), names::MANAGER)),
        Standing::Alone
    );
    assert!(refused(is(
        &object(false, "u"),
        &live(victims.clone(), names::MANAGER)
    )));
    assert!(refused(is(&object(false, "u"), &live(mine.clone(), "kubectl"))));
    assert!(refused(is(&object(false, "u"), &live(json!({}), names::MANAGER))));
    assert!(refused(is(
        &object(false, "other"),
        &live(mine.clone(), names::MANAGER)
    )));
    assert!(refused(is(
        &object(true, "u"),
        &live(mine, &plan.shared_manager())
    )));
    let shared = json!({names::MANAGED_BY_LABEL: names::MANAGER});
    assert_eq!(
        is(&object(true, "u"), &live(shared.clone(), &plan.shared_manager())),
        Standing::Alone
    );
    assert_eq!(
        is(&object(true, "u"), &live(shared.clone(), names::MANAGER)),
        Standing::Released
    );
    let mut both = live(shared, &plan.shared_manager());
    both.0["metadata"]["managedFields"] =
        json!([{"manager": plan.shared_manager()}, {"manager": "kubectl-egress/x/y"}]);
    assert_eq!(is(&object(true, "u"), &both), Standing::Shared);
}

#[test]
fn a_newer_journal_is_refused() {
    let mut newer = journal();
    newer.version = VERSION + 1;
    let error = Journal::from_object(&stored(&newer), &newer.plan.identity).unwrap_err();
    assert!(error.to_string().contains("version"), "{error}");
}

fn lock_record(namespace: &str, name: &str) -> LockRecord {
    LockRecord {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: "u".to_owned(),
        settings: crate::plan::lock::LockSettings::default(),
        spec: json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": []}),
        reached_before: Vec::new(),
        confirmed: true,
        resolv_conf: String::new(),
    }
}

fn entry(kind: crate::vocabulary::Kind, namespace: &str, name: &str) -> Entry {
    Entry::Object {
        reference: ObjectReference::namespaced(kind, namespace, name),
        manager: names::MANAGER.to_owned(),
        shared: false,
        uid: None,
    }
}

#[test]
fn a_lock_of_another_namespace_goes_after_the_routing_and_before_what_its_switch_needs() {
    let mut journal = journal();
    for kind in [
        kinds::config_map(),
        kinds::role(),
        kinds::job(),
        kinds::network_policy(),
    ] {
        journal.record(entry(kind, "locked", "kubectl-egress-lock-abc"));
    }
    let lock = lock_record("locked", "kubectl-egress-lock-abc");
    journal.record_lock(lock_record("locked", "kubectl-egress-lock-abc"));
    journal.record_lock(lock.clone());
    assert_eq!(journal.lock_of("locked"), Some(&lock));
    assert_eq!(journal.lock_of("demo"), None);
    let read = Journal::from_object(&stored(&journal), &journal.plan.identity).unwrap();
    assert_eq!(read, journal);
    let kinds: Vec<Vec<String>> = read
        .undo()
        .iter()
        .skip(3)
        .map(|wave| wave.iter().map(|entry| entry.reference().kind.kind).collect())
        .collect();
    assert_eq!(
        kinds,
        [
            vec!["Job", "NetworkPolicy"],
            vec!["ConfigMap", "Role"],
            vec!["Namespace"]
        ]
    );
    journal.forget(&lock.reference());
    assert!(journal.locks.is_empty());
}

#[test]
fn an_edited_journal_cannot_reach_policies_of_others() {
    let plan = journal().plan.identity;
    let kinds = [
        kinds::network_policy(),
        kinds::job(),
        kinds::role(),
        kinds::role_binding(),
    ];
    for kind in kinds {
        let mut journal = journal();
        journal.entries.push(entry(kind.clone(), "demo", "default-deny"));
        let error = Journal::from_object(&stored(&journal), &plan).unwrap_err();
        assert!(error.to_string().contains("default-deny"), "{kind:?}: {error}");
    }
    for lock in [
        lock_record("demo", "default-deny"),
        lock_record("Demo", "kubectl-egress-lock-abc"),
    ] {
        let mut journal = journal();
        journal.locks.push(lock.clone());
        assert!(
            Journal::from_object(&stored(&journal), &plan).is_err(),
            "{lock:?}"
        );
    }
}
