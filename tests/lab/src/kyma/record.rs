//! What the module keeps on an Istio CR beside its status: a finalizer, and what it applied last.
//! Source: `internal/reconciliations/istio/finalizer.go` and `configuration/configuration.go` of the module.

use anyhow::Result;
use serde_json::{Value, json};

use super::Client;
use super::watch::key;
use crate::image::TAG;

/// Holds a deleted CR until Istio is gone.
const FINALIZER: &str = "istios.operator.kyma-project.io/istio-installation";
/// The annotation with the spec that was applied last.
const LAST_APPLIED: &str = "operator.kyma-project.io/lastAppliedConfiguration";

/// Sets the finalizer where it is not yet. The module writes the whole object for that, and its serializer always
/// writes `config`: a CR without it has it from then on, and a new generation.
pub(super) fn hold(client: &Client, istio: &Value) -> Result<()> {
    let mut held = finalizers(istio);
    if held.iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(());
    }
    held.push(json!(FINALIZER));
    patch(
        client,
        istio,
        &json!({"metadata": {"finalizers": held}, "spec": {"config": {}}}),
    )
}

/// Takes the finalizer away.
pub(super) fn release(client: &Client, istio: &Value) -> Result<()> {
    let mut held = finalizers(istio);
    held.retain(|finalizer| finalizer != FINALIZER);
    patch(client, istio, &json!({"metadata": {"finalizers": held}}))
}

/// Writes down what was applied.
pub(super) fn remember(client: &Client, istio: &Value) -> Result<()> {
    let mut spec = istio["spec"].as_object().cloned().unwrap_or_default();
    spec.insert("IstioTag".to_owned(), json!(TAG));
    let text = Value::Object(spec).to_string();
    patch(
        client,
        istio,
        &json!({"metadata": {"annotations": {LAST_APPLIED: text}}}),
    )
}

/// The spec that was applied last; null where there is none.
pub(super) fn applied(istio: &Value) -> Value {
    let annotations = istio.pointer("/metadata/annotations");
    let text = annotations.and_then(|annotations| annotations.get(LAST_APPLIED)?.as_str());
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn finalizers(istio: &Value) -> Vec<Value> {
    let held = istio.pointer("/metadata/finalizers").and_then(Value::as_array);
    held.cloned().unwrap_or_default()
}

fn patch(client: &Client, istio: &Value, patch: &Value) -> Result<()> {
    let (namespace, name) = key(istio);
    client.patch(&namespace, &name, patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kyma::resources::policies_wanted;

    #[test]
    fn what_was_applied_last_is_read_from_the_annotation() {
        let istio = |text: &str| json!({"metadata": {"annotations": {LAST_APPLIED: text}}});
        let with = applied(&istio(r#"{"networkPoliciesEnabled":true,"IstioTag":"1.31.0"}"#));
        assert!(policies_wanted(&with));
        for without in [istio(r#"{"IstioTag":"1.31.0"}"#), istio("nonsense"), json!({})] {
            assert!(!policies_wanted(&applied(&without)), "{without}");
        }
    }
}
