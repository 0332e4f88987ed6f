//! The client's Secret: checked before anything is applied, read where a gateway will look for it.

use crate::certificate::{self, Bundle, Use};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::finding::{Finding, Severity, catalogue};
use crate::istio::kinds;
use crate::plan::ownership::{self, Manifest};
use crate::plan::secrets::{self, Credential, SecretManifest, value_of};
use crate::plan::{GatewayTarget, Plan};
use crate::vocabulary::{ExitCode, Object, ObjectReference, PlanIdentity};
use jiff::Timestamp;
use secrecy::ExposeSecret;

/// A Secret that a run is to make.
#[derive(Debug, Clone)]
pub struct SecretWish {
    /// Whose.
    pub user: SecretUser,
    /// Its name.
    pub name: String,
    /// What is in it.
    pub content: SecretContent,
}

/// What a Secret is made of.
#[derive(Debug, Clone)]
pub enum SecretContent {
    /// A client's certificate, its key, and the CA of the server.
    Client(Credential),
    /// The CA of the server alone (PEM); for a gateway.
    Authority(String),
}

/// Who uses a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretUser {
    /// The egress gateway.
    Gateway,
    /// Our source.
    Curl,
}

/// What a Secret that a route names must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Certificate, key, and the CA of the server.
    Client,
    /// The CA of the server alone.
    Authority,
}

/// What a run does about Secrets.
#[derive(Debug, Default)]
pub struct SecretChanges {
    /// Secrets to apply.
    pub secrets: Vec<SecretManifest>,
    /// What lets the gateway's account read them; applied before them.
    pub readers: Vec<Manifest>,
    /// What the user should know.
    pub findings: Vec<Finding>,
    /// Secrets that are there already, with the same content.
    pub remarks: Vec<String>,
}

impl SecretChanges {
    /// Everything that is applied, with masks in place of private data.
    pub fn shown(&self) -> Vec<Manifest> {
        let secrets = self.secrets.iter().map(SecretManifest::masked);
        self.readers.iter().cloned().chain(secrets).collect()
    }
}

/// Checks the wishes and what is there, and decides what is applied.
///
/// # Errors
/// If a certificate or key is not usable; if a Secret of that name is somebody else's (exit 5), or of a wrong type.
pub(super) async fn prepare(
    cluster: &Cluster,
    plan: &Plan,
    gateway: &GatewayTarget,
    wishes: &[SecretWish],
    routing: bool,
    now: Timestamp,
) -> Result<SecretChanges> {
    let mut changes = SecretChanges::default();
    // A run that touches no route has no say in what routes name.
    let named = if routing {
        named_by(plan, wishes)
    } else {
        Vec::new()
    };
    let of_gateway = wishes.iter().any(|wish| wish.user == SecretUser::Gateway);
    let plan = &plan.identity;
    if gateway.created && (of_gateway || !named.is_empty()) {
        changes.readers = secrets::reader(plan, gateway);
    }
    let findings = client_secret_findings(cluster, &gateway.namespace, &plan.namespace, &named, now).await?;
    refuse_errors("a Secret that the plan names cannot be used", &findings)?;
    changes.findings.extend(findings);
    for wish in wishes {
        let findings = match &wish.content {
            SecretContent::Client(credential) => credential_findings(credential, wish.user, now),
            SecretContent::Authority(text) => certificate::check_authorities(text.as_bytes(), now),
        };
        refuse_errors(
            &format!("what is given for the Secret {} cannot be used", wish.name),
            &findings,
        )?;
        changes.findings.extend(findings);
        let secret = manifest(plan, gateway, wish);
        let reference = &secret.manifest().reference;
        match cluster.get(reference).await? {
            Some(live) if !is_of(&live, plan, secret.manifest()) => {
                if !secret.is_in(&live) {
                    return Err(somebody_elses(reference));
                }
                changes.remarks.push(format!(
                    "{reference} is there already, with the same content; it stays as it is"
                ));
            }
            Some(live) if live.text("/type") != "Opaque" => {
                return Err(Error::usage(format!(
                    "{reference} is of type {}, which cannot be changed",
                    live.text("/type")
                ))
                .hint("give the Secret another name: --name NAME"));
            }
            live => {
                // What the gateway holds open was judged by the former content (seen: tests/cluster, row 3).
                let changed = live.is_some_and(|live| !secret.is_in(&live));
                if changed && wish.user == SecretUser::Gateway {
                    let message = format!(
                        "{reference} changes; connections that the gateway has open stay as they are"
                    );
                    let finding = Finding::new(&catalogue::SECRET_CHANGED, message);
                    changes.findings.push(finding.about(reference));
                }
                changes.secrets.push(secret);
            }
        }
    }
    Ok(changes)
}

fn manifest(plan: &PlanIdentity, gateway: &GatewayTarget, wish: &SecretWish) -> SecretManifest {
    let (namespace, name) = (&gateway.namespace, &wish.name);
    match (&wish.content, wish.user) {
        (SecretContent::Client(credential), SecretUser::Gateway) => {
            secrets::client_credential(plan, namespace, name, credential)
        }
        (SecretContent::Client(credential), SecretUser::Curl) => secrets::curl_secret(plan, name, credential),
        (SecretContent::Authority(authority), _) => {
            secrets::server_authority(plan, namespace, name, authority)
        }
    }
}

/// The Secrets that routes of the plan name, but for those that this run makes.
fn named_by<'plan>(plan: &'plan Plan, wishes: &[SecretWish]) -> Vec<(&'plan str, Holds)> {
    let mut named = Vec::new();
    for planned in plan.hosts.iter().filter(|planned| planned.how.through_gateway()) {
        let holds = if planned.how.client_certificate.is_some() {
            Holds::Client
        } else {
            Holds::Authority
        };
        let made = |name: &str| {
            wishes
                .iter()
                .any(|wish| wish.user == SecretUser::Gateway && wish.name == name)
        };
        if let Some(name) = planned.how.credential_name()
            && !made(name)
            && !named.contains(&(name, holds))
        {
            named.push((name, holds));
        }
    }
    named
}

/// Whether a live Secret is the plan's, or one that it shares.
fn is_of(live: &Object, plan: &PlanIdentity, wanted: &Manifest) -> bool {
    if wanted.shared {
        ownership::is_ours(live)
    } else {
        ownership::plan_of(live).as_ref() == Some(plan)
    }
}

fn somebody_elses(reference: &ObjectReference) -> Error {
    Error::consent(format!("{reference} is there already, with another content"))
        .because("it is not this plan's, so it is left as it is")
        .hint("give the Secret another name: --name NAME; or look at it: kubectl egress certs inspect --gateway")
}

/// What is wrong with certificate, key and CA.
pub fn credential_findings(credential: &Credential, user: SecretUser, now: Timestamp) -> Vec<Finding> {
    let authority = credential.authority.as_deref().map(str::as_bytes);
    let mut findings = of_parts(
        credential.certificate.as_bytes(),
        credential.key.expose_secret().as_bytes(),
        authority,
        now,
    );
    if authority.is_none() && user == SecretUser::Gateway {
        findings.push(
            Finding::new(
                &catalogue::SECRET_LACKS_KEYS,
                "no CA is given for the client's Secret",
            )
            .fixed_by("give the CA of the server's certificate: --ca FILE (of setup: --server-ca FILE)"),
        );
    }
    findings
}

fn of_parts(certificate: &[u8], key: &[u8], authority: Option<&[u8]>, now: Timestamp) -> Vec<Finding> {
    let bundle = Bundle {
        certificate,
        key: Some(key),
        authority,
    };
    let mut findings = certificate::check(&bundle, Use::Client, now);
    for finding in &mut findings {
        if finding.code == catalogue::FOREIGN_AUTHORITY.code {
            // The CA is there for the server's certificate; which clients the server trusts, only the server knows.
            finding.severity = Severity::Warning;
            "nothing, if the server trusts clients of another CA than its own".clone_into(&mut finding.fix);
        }
    }
    findings.extend(authority.map_or_else(Vec::new, |text| certificate::check_authorities(text, now)));
    findings.dedup();
    findings
}

/// The errors among findings as one error, each with its code; the first one's fix is the hint.
///
/// # Errors
/// If there is any.
pub fn refuse_errors(message: &str, findings: &[Finding]) -> Result<()> {
    let mut errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .peekable();
    let Some(first) = errors.peek() else {
        return Ok(());
    };
    let hint = first.fix.clone();
    let refused = errors.fold(Error::usage(message), |error, finding| {
        error.because(format!("{} {}", finding.code, finding.message))
    });
    Err(refused.hint(hint))
}

/// What is wrong with Secrets that routes name, before anything is applied: each must be in the namespace of the
/// gateway's pods, of a type and with keys that istiod reads, and hold a client's certificate that can be used.
///
/// `elsewhere` is the application's namespace, where Secrets are often put by mistake.
///
/// # Errors
/// If the cluster cannot be asked. A refusal to show Secrets is a finding.
pub async fn client_secret_findings(
    cluster: &Cluster,
    gateway_namespace: &str,
    elsewhere: &str,
    names: &[(&str, Holds)],
    now: Timestamp,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (name, holds) in names {
        let reference = ObjectReference::namespaced(kinds::secret(), gateway_namespace, *name);
        match read(cluster, &reference).await? {
            Looked::Refused => findings.push(
                Finding::new(
                    &catalogue::SECRET_UNREAD,
                    format!("you may not read {reference}, so it was not checked"),
                )
                .about(&reference),
            ),
            Looked::Found(secret) => {
                findings.extend(of_secret(cluster, &reference, &secret, *holds, now).await?);
            }
            Looked::Missing => findings.push(missing(cluster, &reference, elsewhere).await?),
        }
    }
    Ok(findings)
}

enum Looked {
    Found(Object),
    Missing,
    Refused,
}

async fn read(cluster: &Cluster, reference: &ObjectReference) -> Result<Looked> {
    match cluster.get(reference).await {
        Ok(Some(secret)) => Ok(Looked::Found(secret)),
        Ok(None) => Ok(Looked::Missing),
        Err(error) if error.code() == ExitCode::Cluster => {
            let namespace = reference.namespace.as_deref();
            if cluster.may("get", "", "secrets", namespace).await? {
                Err(error)
            } else {
                Ok(Looked::Refused)
            }
        }
        Err(error) => Err(error),
    }
}

async fn missing(cluster: &Cluster, reference: &ObjectReference, elsewhere: &str) -> Result<Finding> {
    let namespace = reference.namespace.as_deref().unwrap_or_default();
    if namespace != elsewhere {
        let there = ObjectReference::namespaced(kinds::secret(), elsewhere, &reference.name);
        if let Looked::Found(_) = read(cluster, &there).await? {
            let message = format!(
                "{there} is in the application's namespace; the gateway reads only those of its own, {namespace}"
            );
            return Ok(Finding::new(&catalogue::SECRET_ELSEWHERE, message).about(&there));
        }
    }
    let message = format!("{reference}, which the route names, does not exist");
    Ok(Finding::new(&catalogue::SECRET_MISSING, message).about(reference))
}

/// Certificate, key and CA under the names that istiod knows (Istio, pilot/pkg/credentials/kube/secrets.go).
const NAMES: [[&str; 3]; 2] = [["cert", "key", "cacert"], ["tls.crt", "tls.key", "ca.crt"]];

async fn of_secret(
    cluster: &Cluster,
    reference: &ObjectReference,
    secret: &Object,
    holds: Holds,
    now: Timestamp,
) -> Result<Vec<Finding>> {
    let kind = secret.text("/type");
    if !["Opaque", "kubernetes.io/tls"].contains(&kind) {
        let message = format!("{reference} is of type {kind}");
        return Ok(vec![
            Finding::new(&catalogue::SECRET_WRONG_TYPE, message).about(reference),
        ]);
    }
    let authority = match NAMES.iter().find_map(|names| value_of(secret, names[2])) {
        Some(authority) => Some(authority),
        None => companion(cluster, reference).await?,
    };
    if holds == Holds::Authority {
        let findings = match &authority {
            Some(text) => certificate::check_authorities(text, now),
            None => return Ok(vec![lacks(reference, secret, "ca.crt")]),
        };
        return Ok(findings
            .into_iter()
            .map(|finding| of(reference, finding))
            .collect());
    }
    let has = |name: &&str| value_of(secret, name).is_some_and(|value| !value.is_empty());
    let Some([certificate, key, _]) = NAMES.iter().find(|names| names[..2].iter().all(has)) else {
        return Ok(vec![lacks(reference, secret, "tls.crt and tls.key")]);
    };
    let findings = of_parts(
        &value_of(secret, certificate).unwrap_or_default(),
        &value_of(secret, key).unwrap_or_default(),
        authority.as_deref(),
        now,
    );
    let mut findings: Vec<Finding> = findings
        .into_iter()
        .map(|finding| of(reference, finding))
        .collect();
    if authority.is_none() {
        findings.push(lacks(reference, secret, "ca.crt"));
    }
    Ok(findings)
}

fn of(reference: &ObjectReference, finding: Finding) -> Finding {
    let message = format!("{reference}: {}", finding.message);
    Finding { message, ..finding }.about(reference)
}

/// `NAME-cacert`, where the CA may be instead.
async fn companion(cluster: &Cluster, reference: &ObjectReference) -> Result<Option<Vec<u8>>> {
    let beside = ObjectReference {
        name: format!("{}-cacert", reference.name),
        ..reference.clone()
    };
    Ok(match read(cluster, &beside).await? {
        Looked::Found(secret) => NAMES.iter().find_map(|names| value_of(&secret, names[2])),
        Looked::Missing | Looked::Refused => None,
    })
}

fn lacks(reference: &ObjectReference, secret: &Object, wanted: &str) -> Finding {
    let keys: Vec<&str> = secret
        .at("/data")
        .as_object()
        .map(|data| data.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let has = if keys.is_empty() {
        "nothing".to_owned()
    } else {
        keys.join(", ")
    };
    let message = format!("{reference} has no {wanted}; it has {has}");
    Finding::new(&catalogue::SECRET_LACKS_KEYS, message).about(reference)
}
