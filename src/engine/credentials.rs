//! The Secrets that a plan's gateway needs, looked at before anything is changed.
//!
//! A gateway that is switched to a Secret that is not there goes on for about 15 s with what it had (truth.md, surprise
//! 12), so a probe right after the change would pass. Only names of keys are read here, never what they hold.

use crate::cluster::Cluster;
use crate::error::Result;
use crate::finding::{Finding, catalogue};
use crate::istio::kinds;
use crate::plan::{GatewayTarget, Plan};
use crate::vocabulary::{ExitCode, Mode, Object, ObjectReference};
use std::collections::BTreeMap;

/// What is to be said about a plan's Secrets.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    /// What is wrong with them.
    pub(super) findings: Vec<Finding>,
    /// What needs the user's word.
    pub(super) questions: Vec<String>,
    /// What could not be looked at.
    pub(super) remarks: Vec<String>,
}

/// Looks at each Secret that a host of the plan names.
///
/// # Errors
/// If the cluster cannot be asked; that it refuses is a remark.
pub(super) async fn check(cluster: &Cluster, plan: &Plan, gateway: &GatewayTarget) -> Result<Credentials> {
    let mut wanted: BTreeMap<&str, bool> = BTreeMap::new();
    for planned in &plan.hosts {
        if let Some(name) = planned.how.credential_name() {
            *wanted.entry(name).or_default() |= planned.how.mode == Mode::MtlsOrigination;
        }
    }
    let mut credentials = Credentials::default();
    for (name, mutual) in wanted {
        let reference = ObjectReference::namespaced(kinds::secret(), &gateway.namespace, name);
        let secret = match cluster.get(&reference).await {
            Ok(secret) => secret,
            Err(error) if error.code() == ExitCode::Cluster => {
                let remark = format!("whether {reference} is there and complete could not be read: {error}");
                credentials.remarks.push(remark);
                continue;
            }
            Err(error) => return Err(error),
        };
        // Istio also takes the authority from a Secret of its own, named after the first.
        let authority = ObjectReference::namespaced(
            kinds::secret(),
            &gateway.namespace,
            &format!("{}-cacert", name.trim_end_matches("-cacert")),
        );
        let authority = cluster.get(&authority).await.unwrap_or_default();
        if let Some(fault) = fault(secret.as_ref(), authority.as_ref(), mutual) {
            let message = format!("{reference} {fault}");
            let finding = Finding::new(&catalogue::SECRET_NOT_SUPPLIED, &message).about(&reference);
            credentials.findings.push(finding);
            credentials.questions.push(format!(
                "{message}, so requests that need it will fail. Set it up all the same?"
            ));
        }
    }
    Ok(credentials)
}

/// What Istio would miss, by the keys that it knows (its reference of `credentialName`).
fn fault(secret: Option<&Object>, authority: Option<&Object>, mutual: bool) -> Option<String> {
    let Some(secret) = secret else {
        return Some("is not there".to_owned());
    };
    let has = |object: &Object, keys: &[&str]| {
        let data = object.at("/data");
        keys.iter().all(|key| data.get(key).is_some())
    };
    let knows_authority = |object: &Object| has(object, &["ca.crt"]) || has(object, &["cacert"]);
    let mut missing = Vec::new();
    if mutual && !has(secret, &["tls.crt", "tls.key"]) && !has(secret, &["cert", "key"]) {
        missing.push("tls.crt and tls.key");
    }
    if !knows_authority(secret) && !authority.is_some_and(knows_authority) {
        missing.push("ca.crt");
    }
    (!missing.is_empty()).then(|| format!("has no {}", missing.join(", nor ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_is_complete_by_its_keys() {
        let secret = |keys: &[&str]| {
            let data: serde_json::Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), json!(""))).collect();
            Object(json!({ "data": data }))
        };
        let whole = secret(&["tls.crt", "tls.key", "ca.crt"]);
        assert_eq!(fault(Some(&whole), None, true), None);
        assert_eq!(fault(Some(&secret(&["cert", "key", "cacert"])), None, true), None);
        let pair = secret(&["tls.crt", "tls.key"]);
        assert_eq!(fault(Some(&pair), Some(&secret(&["ca.crt"])), true), None);
        assert_eq!(fault(Some(&pair), None, true).as_deref(), Some("has no ca.crt"));
        assert_eq!(fault(Some(&secret(&["ca.crt"])), None, false), None);
        assert_eq!(
            fault(Some(&secret(&["a", "b"])), None, true).as_deref(),
            Some("has no tls.crt and tls.key, nor ca.crt")
        );
        assert_eq!(fault(None, None, false).as_deref(), Some("is not there"));
    }
}
