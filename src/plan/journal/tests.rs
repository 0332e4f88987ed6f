//! What the journal keeps, undoes and refuses.

use super::*;
use crate::istio::kyma;
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
    Object(journal.to_data().unwrap())
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
        manager: names::MANAGER.to_owned(),
        pointer: RESTORABLE_FIELDS[0].to_owned(),
        before: before.map(|value| json!(value)),
        owners: Vec::new(),
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
    ];
    for entry in evil {
        let mut journal = journal();
        journal.entries.push(entry.clone());
        assert!(
            Journal::from_object(&stored(&journal), &plan).is_err(),
            "{entry:?}"
        );
    }
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
