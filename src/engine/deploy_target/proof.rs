//! Proves the target by requests from this machine: without a client certificate refused, with it let in, and the
//! workload was told of exactly that certificate.

use super::PreparedTarget;
use super::direct::{self, ClientIdentity, DirectAnswer, DirectRequest, Stage};
use super::ingress::Ingress;
use crate::certificate::{Inspected, inspect_chain};
use crate::cluster::Cluster;
use crate::engine::event::{Event, Events};
use crate::error::{Error, Result};
use crate::plan::target_workload::ECHO_PATH;
use crate::vocabulary::HostName;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// Pause between two tries of what cannot be watched: whether the ingress gateway has what was applied.
const PAUSE: Duration = Duration::from_millis(300);
/// The header in which a proxy tells who showed which certificate.
const FORWARDED: &str = "X-Forwarded-Client-Cert";

/// What the direct requests showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetProof {
    /// The host that was asked for.
    pub host: String,
    /// The ingress gateway, `NAMESPACE/SERVICE`.
    pub ingress: String,
    /// What it is known by outside; the host must lead there.
    pub addresses: Vec<String>,
    /// SHA-256 of the server's certificate.
    pub server_certificate: String,
    /// SHA-256 of the client's certificate.
    pub client_certificate: String,
    /// The request without a client certificate.
    pub without_certificate: DirectAnswer,
    /// The request with it.
    pub with_certificate: DirectAnswer,
    /// `X-Forwarded-Client-Cert`, as the workload saw it on the request with the certificate.
    pub forwarded: Vec<String>,
    /// What does not hold; empty: proven.
    pub faults: Vec<String>,
}

impl TargetProof {
    /// Whether everything holds.
    pub fn is_proven(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Waits until the ingress gateway answers with the right certificate, then asks without and with a client certificate.
///
/// # Errors
/// If there is no answer in time, or the pod cannot be forwarded to.
pub async fn prove(
    cluster: &Cluster,
    prepared: &PreparedTarget,
    client: &ClientIdentity,
    events: &Events,
) -> Result<TargetProof> {
    let started = Instant::now();
    let id = "target-proof";
    events(Event::StepStarted {
        id: id.to_owned(),
        title: "target: requests from here, without and with a client certificate".to_owned(),
    });
    let credential = &prepared.settings.credential;
    let asker = Asker {
        cluster,
        ingress: &prepared.ingress,
        host: &prepared.settings.host,
        authority: credential.authority.as_deref().unwrap_or_default(),
    };
    let fingerprints = (
        leaf(&credential.certificate)?.fingerprint_sha256,
        leaf(&client.certificate)?.fingerprint_sha256,
    );
    let with_certificate = asker
        .until_it_serves(client, &fingerprints.0, prepared.settings.timeout, |on| {
            events(Event::StepWaiting {
                id: id.to_owned(),
                on,
            });
        })
        .await?;
    let without_certificate = asker.ask(None).await?;
    let proof = judge(prepared, fingerprints, without_certificate, with_certificate);
    events(Event::StepFinished {
        id: id.to_owned(),
        detail: None,
        elapsed: started.elapsed(),
    });
    Ok(proof)
}

struct Asker<'run> {
    cluster: &'run Cluster,
    ingress: &'run Ingress,
    host: &'run HostName,
    authority: &'run str,
}

impl Asker<'_> {
    async fn ask(&self, client: Option<&ClientIdentity>) -> Result<DirectAnswer> {
        let pod = self.ingress.pod(self.cluster).await?;
        let request = DirectRequest {
            host: self.host,
            path: ECHO_PATH,
            authority: self.authority,
            client,
        };
        direct::ask(self.cluster, &pod, self.ingress.target.tls_target_port, &request).await
    }

    /// An answer of the workload, under the certificate that was applied: an earlier one may be served for a moment.
    async fn until_it_serves(
        &self,
        client: &ClientIdentity,
        server_certificate: &str,
        timeout: Duration,
        waiting: impl Fn(String),
    ) -> Result<DirectAnswer> {
        let end = Instant::now() + timeout;
        loop {
            let answer = self.ask(Some(client)).await?;
            let why = match &answer {
                DirectAnswer::Answered {
                    status: 200,
                    server_certificate: shown,
                    ..
                } if shown == server_certificate => return Ok(answer),
                DirectAnswer::Answered { status: 200, .. } => {
                    "the ingress gateway to show the new certificate".to_owned()
                }
                DirectAnswer::Answered { status, .. } => {
                    format!("the ingress gateway to answer 200, it answers {status}")
                }
                // The kubelet's words about a port that nothing listens at are long, and name its own files.
                DirectAnswer::Refused {
                    stage: Stage::Connection,
                    ..
                } => "the ingress gateway to listen".to_owned(),
                DirectAnswer::Refused { reason, .. } => {
                    format!("the ingress gateway to let the client in: {reason}")
                }
            };
            if Instant::now() >= end {
                return Err(Error::timed_out(format!("waited {} s for {why}", timeout.as_secs())).hint(
                    "`istioctl analyze` and the log of the ingress gateway in the target cluster may say why",
                ));
            }
            waiting(why);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn leaf(certificate: &str) -> Result<Inspected> {
    let chain = inspect_chain(certificate.as_bytes())?;
    chain
        .into_iter()
        .next()
        .ok_or_else(|| Error::usage("there is no certificate in the PEM text"))
}

fn judge(
    prepared: &PreparedTarget,
    (server_certificate, client_certificate): (String, String),
    without_certificate: DirectAnswer,
    with_certificate: DirectAnswer,
) -> TargetProof {
    let forwarded = match &with_certificate {
        DirectAnswer::Answered { body, .. } => forwarded_certificates(body),
        DirectAnswer::Refused { .. } => Vec::new(),
    };
    let faults = [
        without_fault(&without_certificate),
        forwarded_fault(&forwarded, &client_certificate),
    ];
    TargetProof {
        host: prepared.settings.host.to_string(),
        ingress: prepared.ingress.target.to_string(),
        addresses: prepared.ingress.addresses.clone(),
        server_certificate,
        client_certificate,
        without_certificate,
        with_certificate,
        forwarded,
        faults: faults.into_iter().flatten().collect(),
    }
}

fn without_fault(answer: &DirectAnswer) -> Option<String> {
    match answer {
        DirectAnswer::Answered { status, .. } => Some(format!(
            "a request without client certificate was answered with {status}: the gateway does not demand one"
        )),
        DirectAnswer::Refused { stage, reason } if *stage == Stage::Connection => Some(format!(
            "the request without client certificate did not come to TLS ({reason}), so nothing is known of it"
        )),
        DirectAnswer::Refused { reason, .. } if !answer.demands_client_certificate() => Some(format!(
            "the request without client certificate was refused, but not for that: {reason}"
        )),
        DirectAnswer::Refused { .. } => None,
    }
}

pub(super) fn forwarded_fault(forwarded: &[String], client_certificate: &str) -> Option<String> {
    let seen = hashes(forwarded);
    if seen.iter().any(|hash| hash == client_certificate) {
        return None;
    }
    Some(if seen.is_empty() {
        format!("the workload saw no {FORWARDED}")
    } else {
        format!(
            "{FORWARDED} names other certificates than the client's: {}",
            seen.join(", ")
        )
    })
}

/// The values of `X-Forwarded-Client-Cert` in the JSON with which httpbin answers, as one string or as several.
pub fn forwarded_certificates(body: &str) -> Vec<String> {
    header_values(body, FORWARDED)
}

/// The values of a header in that JSON.
pub(super) fn header_values(body: &str, wanted: &str) -> Vec<String> {
    let Ok(answer) = serde_json::from_str::<Value>(body) else {
        return Vec::new();
    };
    let headers = answer["headers"].as_object().into_iter().flatten();
    let of_name = headers.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
    of_name
        .flat_map(|(_, value)| match value {
            Value::String(text) => vec![text.clone()],
            Value::Array(texts) => texts
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        })
        .collect()
}

/// The SHA-256 of each certificate that the header's values name: `Hash=…`, elements by comma, parts by semicolon.
pub fn hashes(forwarded: &[String]) -> Vec<String> {
    let elements = forwarded.iter().flat_map(|value| value.split([',', ';']));
    elements
        .filter_map(|part| part.trim().strip_prefix("Hash="))
        .map(str::to_ascii_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(stage: Stage, reason: &str) -> DirectAnswer {
        DirectAnswer::Refused {
            stage,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn the_header_is_found_in_both_forms_of_httpbin() {
        let body = r#"{"headers": {"X-Forwarded-Client-Cert": ["Hash=AB;Subject=\"CN=client\",By=spiffe://x;Hash=cd"]}}"#;
        assert_eq!(hashes(&forwarded_certificates(body)), ["ab", "cd"]);
        let old = r#"{"headers": {"x-forwarded-client-cert": "By=x;Hash=ef"}}"#;
        assert_eq!(hashes(&forwarded_certificates(old)), ["ef"]);
        assert!(forwarded_certificates("<html>").is_empty());
    }

    #[test]
    fn only_our_own_certificate_counts() {
        let seen = ["Hash=ab;Subject=x".to_owned()];
        assert_eq!(forwarded_fault(&seen, "ab"), None);
        assert!(forwarded_fault(&seen, "cd").unwrap().contains("ab"));
        assert!(
            forwarded_fault(&[], "cd")
                .unwrap()
                .contains("no X-Forwarded-Client-Cert")
        );
    }

    #[test]
    fn an_answer_without_certificate_disproves_and_silence_proves_nothing() {
        let answered = DirectAnswer::Answered {
            status: 200,
            server_certificate: String::new(),
            body: String::new(),
        };
        assert!(without_fault(&answered).is_some());
        assert!(without_fault(&refused(Stage::Connection, "nothing listens")).is_some());
        let late = refused(Stage::AfterHandshake, "received fatal alert: CertificateRequired");
        assert_eq!(without_fault(&late), None);
        let reset = refused(Stage::AfterHandshake, "connection reset by peer");
        assert!(without_fault(&reset).unwrap().contains("not for that"));
    }
}
