//! The egress gateway of a Kyma cluster: which Istio custom resource counts, and the one field of it that a plan sets.
//! Pure.
//!
//! The module follows the oldest resource in kyma-system and no other. The field is applied as
//! `kubectl-egress/NAMESPACE/PLAN`, so that co-ownership counts the plans, and everybody else who wants the gateway:
//!
//! | before | applied | clean-up of the last plan |
//! |---|---|---|
//! | not set | set | not set again; the module removes the gateway |
//! | `true`, by somebody | owned together with them | theirs alone again; the gateway stays |
//! | `true`, by nobody | set | nobody's again, and `true`; the gateway stays |
//! | `false` | taken over, with consent | `false` again, owned by those who owned it before |

use super::GatewayTarget;
use super::field_owner::{FieldOwner, nested, owners_of};
use super::foreign_field::{self, Before};
use super::gateway_workload;
use super::journal::Entry;
use super::ownership::{Manifest, is_our_manager, is_ours, shared};
use crate::istio::{kinds, kyma};
use crate::vocabulary::{Object, ObjectReference, PlanIdentity, names};
use serde_json::{Value, json};

/// Istio custom resources, sorted by whether they count.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Modules {
    /// The one that the module follows.
    pub counted: Option<Object>,
    /// Others in kyma-system.
    pub ignored: Vec<ObjectReference>,
    /// Those in other namespaces.
    pub elsewhere: Vec<ObjectReference>,
}

/// Sorts them: of those in kyma-system the oldest counts. Where two were made in the same second the module's own word
/// decides, and while it has not spoken the later name, as the module goes through them in that order.
pub fn sort(resources: Vec<Object>) -> Modules {
    let kind = kinds::istio_module();
    let (mut inside, elsewhere): (Vec<Object>, Vec<Object>) = resources
        .into_iter()
        .partition(|resource| resource.namespace() == Some(kyma::NAMESPACE));
    let passed_over =
        |resource: &Object| kyma::Status::read(resource.at("/status")).reason() == kyma::OLDER_EXISTS;
    // RFC 3339 in UTC sorts by time.
    inside.sort_by_key(|resource| {
        (
            resource.text("/metadata/creationTimestamp").to_owned(),
            passed_over(resource),
            std::cmp::Reverse(resource.name().to_owned()),
        )
    });
    let references = |resources: &[Object]| {
        resources
            .iter()
            .map(|resource| resource.reference(&kind))
            .collect::<Vec<_>>()
    };
    let ignored = references(inside.get(1..).unwrap_or_default());
    Modules {
        counted: inside.into_iter().next(),
        ignored,
        elsewhere: references(&elsewhere),
    }
}

/// What a plan does to the resource.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleChange {
    /// What is applied.
    pub manifest: Manifest,
    /// What goes into the journal.
    pub entry: Entry,
    /// Set if the field is `false` by somebody else's will: who they are, and consent is needed.
    pub replaces: Option<Vec<FieldOwner>>,
    /// Whether this plan owns the field already, so that its journal knows what was before.
    pub owned: bool,
}

/// The resource itself, where there is none: the module then installs Istio.
pub fn creation(plan: &PlanIdentity) -> ModuleChange {
    let manifest = whole(plan, kyma::DEFAULT_NAME);
    ModuleChange {
        entry: Entry::intends(&manifest),
        manifest,
        replaces: None,
        owned: false,
    }
}

/// The field of the resource that counts. What was there before a plan set it, its note on the resource says.
pub fn change(plan: &PlanIdentity, counted: &Object) -> ModuleChange {
    let owners = owners_of(counted, kyma::GATEWAY_SWITCH);
    let manager = plan.shared_manager();
    let owned = owners.iter().any(|owner| owner.manager == manager);
    // One that a plan made is shared whole, so that the last plan takes it away.
    if is_ours(counted) {
        let manifest = whole(plan, counted.name());
        return ModuleChange {
            entry: Entry::intends(&manifest),
            manifest,
            replaces: None,
            owned,
        };
    }
    let foreign: Vec<FieldOwner> = owners
        .iter()
        .filter(|owner| !is_our_manager(&owner.manager))
        .cloned()
        .collect();
    let live = counted.at(kyma::GATEWAY_SWITCH);
    let off = *live == json!(false);
    let set_by_plans = owners.iter().any(|owner| is_our_manager(&owner.manager));
    let noted = foreign_field::GATEWAY_SWITCH
        .noted(counted)
        .filter(|_| set_by_plans);
    let before = if let Some(noted) = noted {
        noted
    } else if owned || live.is_null() {
        Before::default()
    } else if off {
        Before {
            value: Some(live.clone()),
            owners: foreign.clone(),
        }
    } else if foreign.is_empty() && owners.is_empty() {
        Before {
            value: Some(live.clone()),
            owners: Vec::new(),
        }
    } else {
        Before::default()
    };
    let reference = counted.reference(&kinds::istio_module());
    ModuleChange {
        manifest: {
            let mut manifest = field(reference.clone(), manager.clone());
            foreign_field::GATEWAY_SWITCH.add_note(&mut manifest.object, &before);
            manifest
        },
        entry: Entry::of_field(
            &foreign_field::GATEWAY_SWITCH,
            reference,
            manager,
            before,
            Some(json!(true)),
        ),
        replaces: (off && !owned).then_some(foreign),
        owned,
    }
}

/// The one field, and nothing else.
pub fn field(reference: ObjectReference, manager: String) -> Manifest {
    let mut object = nested(kyma::GATEWAY_SWITCH, json!(true));
    object["apiVersion"] = json!(reference.kind.api_version());
    object["kind"] = json!(reference.kind.kind);
    object["metadata"] = json!({"name": reference.name, "namespace": reference.namespace});
    Manifest {
        object: Object(object),
        reference,
        manager,
        shared: true,
    }
}

fn whole(plan: &PlanIdentity, name: &str) -> Manifest {
    let mut body = nested(kyma::GATEWAY_SWITCH, json!(true));
    body["metadata"] = json!({"labels": {"app.kubernetes.io/name": name}});
    shared(plan, &kinds::istio_module(), kyma::NAMESPACE, name, body)
}

/// The gateway that the module makes, always in istio-system.
pub fn gateway() -> GatewayTarget {
    GatewayTarget {
        service: kyma::GATEWAY.to_owned(),
        created: false,
        ..gateway_workload::target(names::ISTIO_NAMESPACE)
    }
}

/// Whether a gateway is the module's.
pub fn is_modules(target: &GatewayTarget) -> bool {
    target.to_string() == gateway().to_string() && !target.created
}

/// Whether the module's network policies let only labelled pods reach the gateway: the resource asks for them, or one
/// is there for the gateway's pods.
pub fn gateway_wants_label(counted: Option<&Object>, policies: &[Object]) -> bool {
    let asked = counted.is_some_and(|counted| *counted.at("/spec/networkPoliciesEnabled") == json!(true));
    let admits = |from: &Value| {
        from["podSelector"]["matchLabels"][kyma::TO_GATEWAY_LABEL] == json!(kyma::TO_GATEWAY_VALUE)
    };
    asked
        || policies.iter().any(|policy| {
            let rules = policy.items("/spec/ingress").iter();
            rules
                .filter_map(|rule| rule["from"].as_array())
                .flatten()
                .any(admits)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::field_owner::Operation;

    fn plan() -> PlanIdentity {
        PlanIdentity::new("demo", "default").unwrap()
    }

    fn resource(namespace: &str, name: &str, created: &str) -> Object {
        Object(
            json!({"metadata": {"namespace": namespace, "name": name, "creationTimestamp": created}, "spec": {}}),
        )
    }

    fn switched(value: &Value, managers: &[(&str, &str)]) -> Object {
        let mut object = resource(kyma::NAMESPACE, "default", "2026-01-01T00:00:00Z");
        object.0["spec"] = json!({"components": {"egressGateway": {"enabled": value}}});
        let entries: Vec<Value> = managers
            .iter()
            .map(|(manager, operation)| {
                json!({"manager": manager, "operation": operation,
                    "fieldsV1": {"f:spec": {"f:components": {"f:egressGateway": {"f:enabled": {}}}}}})
            })
            .collect();
        object.0["metadata"]["managedFields"] = json!(entries);
        object
    }

    fn before(change: &ModuleChange) -> Before {
        match &change.entry {
            Entry::Field { before, owners, .. } => Before {
                value: before.clone(),
                owners: owners.clone(),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_oldest_in_kyma_system_counts() {
        let sorted = sort(vec![
            resource("kyma-system", "default", "2026-02-01T00:00:00Z"),
            resource("kyma-system", "old", "2026-01-01T00:00:00Z"),
            resource("demo", "older", "2025-01-01T00:00:00Z"),
        ]);
        assert_eq!(sorted.counted.unwrap().name(), "old");
        assert_eq!(sorted.ignored[0].to_string(), "Istio kyma-system/default");
        assert_eq!(sorted.elsewhere[0].to_string(), "Istio demo/older");
        assert_eq!(sort(Vec::new()), Modules::default());
    }

    #[test]
    fn in_the_same_second_the_modules_own_word_decides() {
        let first = resource("kyma-system", "a", "2026-01-01T00:00:00Z");
        let mut second = resource("kyma-system", "b", "2026-01-01T00:00:00Z");
        let both = vec![first.clone(), second.clone()];
        assert_eq!(sort(both).counted.unwrap().name(), "b");
        second.0["status"] =
            json!({"state": "Warning", "conditions": [{"type": "Ready", "reason": "OlderCRExists"}]});
        assert_eq!(sort(vec![first, second]).counted.unwrap().name(), "a");
    }

    #[test]
    fn only_the_one_field_is_applied_and_as_the_plans_own_manager() {
        let change = change(&plan(), &resource("kyma-system", "odd", "x"));
        assert_eq!(change.manifest.manager, "kubectl-egress/demo/default");
        assert_eq!(
            change.manifest.object.0,
            json!({"apiVersion": "operator.kyma-project.io/v1alpha2", "kind": "Istio",
                "metadata": {"name": "odd", "namespace": "kyma-system"},
                "spec": {"components": {"egressGateway": {"enabled": true}}}})
        );
        assert_eq!(before(&change), Before::default());
        assert_eq!(change.replaces, None);
    }

    #[test]
    fn somebody_elses_true_is_shared_and_nobodys_is_remembered() {
        let theirs = change(&plan(), &switched(&json!(true), &[("kyma-cli", "Update")]));
        assert_eq!((before(&theirs), theirs.replaces), (Before::default(), None));
        let nobodys = change(&plan(), &switched(&json!(true), &[]));
        assert_eq!(before(&nobodys).value, Some(json!(true)));
    }

    #[test]
    fn somebody_elses_false_needs_consent_and_goes_back_to_them() {
        let change = change(&plan(), &switched(&json!(false), &[("flux", "Apply")]));
        let flux = FieldOwner {
            manager: "flux".to_owned(),
            operation: Operation::Apply,
        };
        assert_eq!(change.replaces.as_deref(), Some(&[flux.clone()][..]));
        assert_eq!(
            before(&change),
            Before {
                value: Some(json!(false)),
                owners: vec![flux]
            }
        );
    }

    #[test]
    fn a_second_plan_takes_over_what_the_first_knows() {
        let known = Before {
            value: Some(json!(false)),
            owners: Vec::new(),
        };
        for manager in ["kubectl-egress/other/default", "kubectl-egress/demo/default"] {
            let mut live = switched(&json!(true), &[(manager, "Apply")]);
            foreign_field::GATEWAY_SWITCH.add_note(&mut live, &known);
            let change = change(&plan(), &live);
            assert_eq!(before(&change), known);
            // Applied without it, server-side apply would take the note away.
            assert_eq!(
                change.manifest.object.at("/metadata/annotations"),
                live.at("/metadata/annotations")
            );
        }
        let unknown = switched(&json!(true), &[("kubectl-egress/other/default", "Apply")]);
        assert_eq!(before(&change(&plan(), &unknown)), Before::default());
    }

    #[test]
    fn one_that_a_plan_made_is_shared_whole() {
        let made = creation(&plan());
        assert!(matches!(&made.entry, Entry::Object { shared: true, .. }));
        let mut live = made.manifest.object.clone();
        live.0["metadata"]["managedFields"] =
            json!([{"manager": "kubectl-egress/other/x", "operation": "Apply"}]);
        let second = change(&plan(), &live);
        assert_eq!(second.manifest, made.manifest);
    }

    #[test]
    fn the_label_is_wanted_where_policies_are() {
        let mut asked = resource("kyma-system", "default", "x");
        assert!(!gateway_wants_label(Some(&asked), &[]));
        asked.0["spec"]["networkPoliciesEnabled"] = json!(true);
        assert!(gateway_wants_label(Some(&asked), &[]));
        let rule = json!({"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {kyma::TO_GATEWAY_LABEL: "allowed"}}}]});
        let policy = Object(json!({"spec": {"ingress": [{"ports": []}, rule]}}));
        assert!(gateway_wants_label(None, &[policy]));
    }
}
