//! Secrets with certificates, where a gateway or our source finds them; and what makes a gateway's account read them.

use super::GatewayTarget;
use super::gateway_workload;
use super::ownership::{Manifest, owned, shared};
use crate::istio::kinds;
use crate::vocabulary::{Object, PlanIdentity, names};
use k8s_openapi::ByteString;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// Name of the client's Secret in the gateway's namespace, unless the user gives another.
pub const CLIENT_CREDENTIAL: &str = "client-credential";
/// Name of the Secret with the CA of hosts to which the gateway shows no certificate, unless the user gives another.
pub const SERVER_AUTHORITY: &str = "server-authority";
/// Name of the Secret that is mounted into our source.
pub const CURL_SECRET: &str = "curl-secret";
/// Name of the server's Secret on the target's side.
pub const SERVER_CREDENTIAL: &str = "kyma-mtls-certs";
/// Stands where private data would be shown.
const MASK: &str = "***";

/// A certificate with its key and the CA that the other side is compared with, as PEM.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Certificate, with intermediate ones behind it.
    pub certificate: String,
    /// Its private key.
    pub key: SecretString,
    /// CAs of the other side.
    pub authority: Option<String>,
}

/// A Secret to apply. Neither `Debug` nor [`Self::masked`] shows its data.
#[derive(Clone)]
pub struct SecretManifest(Manifest);

impl fmt::Debug for SecretManifest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("SecretManifest")
            .field(&self.masked().object)
            .finish()
    }
}

impl SecretManifest {
    /// What is sent to the API server; for nothing else.
    pub fn manifest(&self) -> &Manifest {
        &self.0
    }

    /// The same with a mask in place of each value, for screens and diffs.
    pub fn masked(&self) -> Manifest {
        Manifest {
            object: masked(&self.0.object),
            ..self.0.clone()
        }
    }

    /// Whether a live Secret holds exactly this data.
    pub fn is_in(&self, live: &Object) -> bool {
        self.0.object.at("/data") == live.at("/data")
    }
}

/// A Secret with a mask in place of each value.
pub fn masked(secret: &Object) -> Object {
    let mut value = secret.0.clone();
    if let Some(data) = value["data"].as_object_mut() {
        for value in data.values_mut() {
            *value = json!(MASK);
        }
    }
    Object(value)
}

/// What the egress gateway shows to a server (`credentialName`): in the namespace of its pods, nowhere else.
pub fn client_credential(
    plan: &PlanIdentity,
    namespace: &str,
    name: &str,
    credential: &Credential,
) -> SecretManifest {
    let body = body(credential, ["tls.crt", "tls.key", "ca.crt"]);
    SecretManifest(owned(plan, &kinds::secret(), namespace, name, body))
}

/// The CA that the egress gateway compares servers' certificates with, where it shows none itself.
pub fn server_authority(plan: &PlanIdentity, namespace: &str, name: &str, authority: &str) -> SecretManifest {
    let body = json!({"type": "Opaque", "data": {"ca.crt": bytes(authority)}});
    SecretManifest(owned(plan, &kinds::secret(), namespace, name, body))
}

/// What an ingress gateway of the target shows, with the CA of the clients that it lets in (seed 001).
pub fn server_credential(
    plan: &PlanIdentity,
    namespace: &str,
    name: &str,
    credential: &Credential,
) -> SecretManifest {
    let body = body(credential, ["cert", "key", "cacert"]);
    SecretManifest(owned(plan, &kinds::secret(), namespace, name, body))
}

/// What our source mounts at /etc/curl/tls. Plans of a namespace share the source, and so this.
pub fn curl_secret(plan: &PlanIdentity, name: &str, credential: &Credential) -> SecretManifest {
    let body = body(credential, ["tls.crt", "tls.key", "ca.crt"]);
    SecretManifest(shared(plan, &kinds::secret(), &plan.namespace, name, body))
}

fn body(credential: &Credential, keys: [&str; 3]) -> Value {
    let mut data = BTreeMap::from([
        (keys[0], bytes(&credential.certificate)),
        (keys[1], bytes(credential.key.expose_secret())),
    ]);
    if let Some(authority) = &credential.authority {
        data.insert(keys[2], bytes(authority));
    }
    json!({"type": "Opaque", "data": data})
}

fn bytes(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}

/// What a key of a Secret holds.
pub fn value_of(secret: &Object, key: &str) -> Option<Vec<u8>> {
    let value = secret.at("/data").get(key)?;
    serde_json::from_value::<ByteString>(value.clone())
        .ok()
        .map(|bytes| bytes.0)
}

/// Lets a gateway of our own read Secrets of its namespace, as istiod asks on its behalf (truth.md 11). Gateways of
/// istioctl, Helm and Kyma come with such a Role. It must be there before the Secret is asked for: istiod does not try
/// again.
pub fn reader(plan: &PlanIdentity, gateway: &GatewayTarget) -> Vec<Manifest> {
    let name = format!("{}{}", names::SECRET_READER_PREFIX, gateway.service);
    let namespace = &gateway.namespace;
    let rules =
        json!({"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "watch", "list"]}]});
    let binding = json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": gateway_workload::NAME, "namespace": namespace}],
    });
    vec![
        shared(plan, &kinds::role(), namespace, &name, rules),
        shared(plan, &kinds::role_binding(), namespace, &name, binding),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> PlanIdentity {
        PlanIdentity::new("demo", "default").unwrap()
    }

    fn credential() -> Credential {
        Credential {
            certificate: "CERTIFICATE".to_owned(),
            key: "PRIVATE".to_owned().into(),
            authority: Some("CA".to_owned()),
        }
    }

    #[test]
    fn private_data_is_in_what_is_sent_and_nowhere_else() {
        let secret = client_credential(&plan(), "istio-system", CLIENT_CREDENTIAL, &credential());
        let sent = &secret.manifest().object;
        assert_eq!(value_of(sent, "tls.key").as_deref(), Some(&b"PRIVATE"[..]));
        assert_eq!(sent.text("/data/tls.crt"), "Q0VSVElGSUNBVEU=");
        assert_eq!(sent.text("/metadata/namespace"), "istio-system");
        let encoded = sent.text("/data/tls.key").to_owned();
        for shown in [
            format!("{secret:?}"),
            secret.masked().object.0.to_string(),
            format!("{:?}", credential()),
        ] {
            assert!(!shown.contains(&encoded) && !shown.contains("PRIVATE"), "{shown}");
        }
        assert!(secret.is_in(sent));
    }

    #[test]
    fn the_target_has_the_keys_that_seed_001_has() {
        let secret = server_credential(&plan(), "istio-system", SERVER_CREDENTIAL, &credential());
        let data = secret.manifest().object.at("/data").as_object().unwrap();
        assert_eq!(data.keys().collect::<Vec<_>>(), ["cacert", "cert", "key"]);
    }

    #[test]
    fn the_role_is_for_our_gateways_account() {
        let manifests = reader(&plan(), &gateway_workload::target("egress"));
        assert_eq!(
            manifests[1].object.text("/subjects/0/name"),
            gateway_workload::NAME
        );
        assert_eq!(
            manifests[0].object.name(),
            manifests[1].object.text("/roleRef/name")
        );
        assert!(manifests.iter().all(|manifest| manifest.shared));
    }
}
