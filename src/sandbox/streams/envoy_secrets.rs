//! Certificates that a proxy holds, as its admin port tells them: keys are never among them.

use crate::istio::kinds;
use crate::sandbox::ingress::is_gateway;
use crate::sandbox::network::origination::hold;
use crate::sandbox::network::telling::identity;
use crate::sandbox::state::{Inner, State};
use crate::vocabulary::PodName;
use k8s_openapi::ByteString;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The entries of `config_dump?resource=dynamic_active_secrets` of a pod.
pub(super) fn secrets(inner: &Inner, state: &mut State, pod: &PodName) -> Vec<Value> {
    let object = state.object("", "pods", &pod.namespace, &pod.name);
    let own = object.map(identity).unwrap_or_default();
    let mut all = vec![
        certificate("default", &inner.mesh.identity(&own)),
        authorities("ROOTCA", &inner.mesh.certificate()),
    ];
    if !object.is_some_and(is_gateway) {
        // A sidecar without a selector in the rule gets none of its Secrets.
        return all;
    }
    for name in named(state) {
        let Some(held) = hold(state, pod, &name) else {
            continue;
        };
        let (chain, trusted) = (held.certificate(), held.authorities());
        all.extend(chain.map(|chain| certificate(&format!("kubernetes://{name}"), chain)));
        all.extend(trusted.map(|trusted| authorities(&format!("kubernetes://{name}-cacert"), trusted)));
    }
    all
}

/// Secrets that DestinationRules name.
fn named(state: &State) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let kind = kinds::destination_rule();
    for (_, rule) in state.store.list(&kind.group, &kind.plural, None) {
        gather(&rule["spec"], &mut found);
    }
    found
}

/// TLS settings stand in the rule, its ports and its subsets.
fn gather(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inside) in fields {
                match inside.as_str() {
                    Some(secret) if name == "credentialName" => {
                        found.insert(secret.to_owned());
                    }
                    _ => gather(inside, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        _ => {}
    }
}

fn certificate(name: &str, chain: &str) -> Value {
    entry(
        name,
        "tls_certificate",
        &json!({"certificate_chain": bytes(chain), "private_key": bytes("[redacted]")}),
    )
}

fn authorities(name: &str, trusted: &str) -> Value {
    entry(name, "validation_context", &json!({"trusted_ca": bytes(trusted)}))
}

fn bytes(text: &str) -> Value {
    json!({"inline_bytes": ByteString(text.as_bytes().to_vec())})
}

fn entry(name: &str, of: &str, held: &Value) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump.DynamicSecret",
        "name": name,
        "secret": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": name, of: held,
        },
    })
}
