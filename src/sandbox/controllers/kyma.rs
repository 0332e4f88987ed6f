//! Kyma's Istio module: reacts to the generation of its custom resource, makes and removes the egress gateway, and says
//! in `status` how it stands, in the order of the real one (measured with module 1.30).

use super::{Timer, time_text};
use crate::istio::{kinds, kyma};
use crate::sandbox::api;
use crate::sandbox::seed;
use crate::sandbox::state::{Inner, State};
use crate::sandbox::store::Key;
use serde_json::{Value, json};
use std::time::Duration;

/// How far the module is with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It installs.
    Install,
    /// The autoscaler has its say, and the module is done.
    Finish,
}

/// Status and reason of the condition Ready while nothing is known.
const UNKNOWN: [&str; 2] = ["Unknown", "ReconcileUnknown"];

fn resources(state: &State) -> Vec<(Key, Value)> {
    let kind = kinds::istio_module();
    let all = state.store.list(&kind.group, &kind.plural, None);
    all.map(|(key, object)| (key.clone(), object.clone())).collect()
}

/// The oldest in its own namespace; of two of the same second the later in the list.
fn counted(state: &State) -> Option<Key> {
    let inside = resources(state)
        .into_iter()
        .rev()
        .filter(|(key, _)| key.namespace == kyma::NAMESPACE);
    inside
        .min_by_key(|(_, object)| object["metadata"]["creationTimestamp"].to_string())
        .map(|(key, _)| key)
}

/// Begins with every generation that it has not seen.
pub(super) fn reconcile(inner: &Inner, state: &mut State) {
    let Some(settings) = &inner.settings.kyma else {
        return;
    };
    if counted(state).is_none() {
        remove_gateway(inner, state);
    }
    for (key, object) in resources(state) {
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let generation = object["metadata"]["generation"].as_u64().unwrap_or(1);
        if state.modules.insert(uid, generation) == Some(generation) {
            continue;
        }
        // What it refuses at first sight it never calls Processing.
        if objection(state, &key, &object).is_none() {
            say(inner, state, &key, "Processing", "Reconciling Istio", UNKNOWN);
        }
        state
            .timers
            .push(Timer::module(settings.reconcile, key, Stage::Install));
    }
}

/// Why a resource is refused at first sight: state, description, and the condition Ready.
fn objection(state: &State, key: &Key, object: &Value) -> Option<(&'static str, String, [&'static str; 2])> {
    if !object["spec"]["experimental"].is_null() {
        let why = "Experimental features are not supported in this image flavour";
        return Some(("Error", why.to_owned(), UNKNOWN));
    }
    if key.namespace != kyma::NAMESPACE {
        let why = "Stopped Istio CR reconciliation: istio CR is not in kyma-system namespace";
        return Some(("Error", why.to_owned(), ["False", "ReconcileFailed"]));
    }
    let counted = counted(state).filter(|counted| counted != key)?;
    let why = format!(
        "Stopped Istio CR reconciliation: only Istio CR {} in kyma-system reconciles the module",
        counted.name
    );
    Some(("Warning", why, ["False", kyma::OLDER_EXISTS]))
}

/// Goes on with a change.
pub(super) fn go_on(inner: &Inner, key: &Key, stage: Stage) {
    let object = {
        let mut state = inner.lock();
        let Some(object) = state.store.get(key).cloned() else {
            return;
        };
        if let Some((word, why, ready)) = objection(&state, key, &object) {
            say(inner, &mut state, key, word, &why, ready);
            return;
        }
        object
    };
    match stage {
        Stage::Install => {
            install(inner, &object);
            let mut state = inner.lock();
            let autoscale = inner
                .settings
                .kyma
                .as_ref()
                .map_or(Duration::ZERO, |kyma| kyma.autoscale);
            let after = inner.settings.pod_start + autoscale;
            state
                .timers
                .push(Timer::module(after, key.clone(), Stage::Finish));
        }
        Stage::Finish => finish(inner, key),
    }
}

fn install(inner: &Inner, resource: &Value) {
    let wanted = resource.pointer(kyma::GATEWAY_SWITCH) == Some(&json!(true));
    let mut objects = Vec::new();
    if wanted {
        objects.extend(seed::egress_gateway(inner));
        objects.push(autoscaler(inner));
    } else {
        remove_gateway(inner, &mut inner.lock());
    }
    if resource["spec"]["networkPoliciesEnabled"] == true {
        objects.push(policy());
    } else {
        let key = Key::new("networking.k8s.io", "networkpolicies", "istio-system", POLICY);
        api::remove_object(inner, &mut inner.lock(), &key, None);
    }
    for object in objects {
        // One that the store refuses would be a bug that every test would show.
        let made = api::put_from_outside(inner, &object);
        debug_assert!(made.is_ok(), "{made:?}");
    }
}

const POLICY: &str = "kyma-project.io--istio-egressgateway";

/// What the module lets reach the gateway: labelled pods, and scrapers.
fn policy() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {
            "name": POLICY, "namespace": "istio-system",
            "labels": {kyma::MODULE_LABEL: kyma::MODULE, "kyma-project.io/managed-by": "kyma"},
        },
        "spec": {
            "podSelector": {"matchLabels": {"app": kyma::GATEWAY, "istio": "egressgateway"}},
            "policyTypes": ["Egress", "Ingress"],
            "egress": [{}],
            "ingress": [{"from": [{
                "namespaceSelector": {},
                "podSelector": {"matchLabels": {kyma::TO_GATEWAY_LABEL: kyma::TO_GATEWAY_VALUE}},
            }]}],
        },
    })
}

fn autoscaler(inner: &Inner) -> Value {
    let least = inner.settings.kyma.as_ref().map_or(1, |kyma| kyma.least_replicas);
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": kyma::GATEWAY, "namespace": "istio-system"},
        "spec": {
            "minReplicas": least, "maxReplicas": 10,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": kyma::GATEWAY},
        },
    })
}

fn remove_gateway(inner: &Inner, state: &mut State) {
    let account = format!("{}-service-account", kyma::GATEWAY);
    for (group, plural, name) in [
        ("apps", "deployments", kyma::GATEWAY),
        ("", "services", kyma::GATEWAY),
        ("", "serviceaccounts", &account),
        ("autoscaling", "horizontalpodautoscalers", kyma::GATEWAY),
        ("discovery.k8s.io", "endpointslices", kyma::GATEWAY),
    ] {
        let key = Key::new(group, plural, "istio-system", name);
        api::remove_object(inner, state, &key, None);
    }
}

fn finish(inner: &Inner, key: &Key) {
    let mut state = inner.lock();
    let least = inner.settings.kyma.as_ref().map_or(1, |kyma| kyma.least_replicas);
    let deployment = Key::new("apps", "deployments", "istio-system", kyma::GATEWAY);
    if let Some(mut live) = state.store.get(&deployment).cloned()
        && live["spec"]["replicas"].as_u64() < Some(u64::from(least))
    {
        live["spec"]["replicas"] = json!(least);
        let generation = live["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
        live["metadata"]["generation"] = json!(generation);
        state.store.put(deployment, live);
    }
    let filters = state.store.list("networking.istio.io", "envoyfilters", None);
    let filter = filters
        .map(|(filter, _)| format!("{}/{}", filter.namespace, filter.name))
        .next();
    match filter {
        Some(filter) => {
            let why = format!("Resources targeting Istio Ingress Gateway found: EnvoyFilter {filter}");
            say(
                inner,
                &mut state,
                key,
                "Warning",
                &why,
                ["True", "ReconcileSucceeded"],
            );
        }
        None => say(
            inner,
            &mut state,
            key,
            "Ready",
            "Reconciliation succeeded",
            ["True", "ReconcileSucceeded"],
        ),
    }
}

/// Writes the status; `ready` is status and reason of the condition Ready.
fn say(inner: &Inner, state: &mut State, key: &Key, word: &str, description: &str, ready: [&str; 2]) {
    let Some(mut object) = state.store.get(key).cloned() else {
        return;
    };
    let [status, reason] = ready;
    let known = &object["status"]["conditions"][0];
    let since = if known["status"] == status {
        known["lastTransitionTime"].clone()
    } else {
        json!(time_text(inner.now()))
    };
    object["status"] = json!({
        "state": word, "description": description,
        "conditions": [{
            "type": "Ready", "status": status, "reason": reason, "message": description,
            "lastTransitionTime": since,
        }],
    });
    state.store.put(key.clone(), object);
}
