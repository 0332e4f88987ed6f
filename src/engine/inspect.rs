//! Looks at certificates without openssl: those that the gateway's proxy holds, and those that a server shows.

use super::pods;
use super::probe::ProbeSource;
use super::proxy::ProxyAdmin;
use crate::certificate::{Inspected, Trust, covers, inspect_chain, trust_of_pem};
use crate::cluster::{Cluster, ExecEnd};
use crate::error::{Error, Result};
use crate::plan::GatewayTarget;
use crate::vocabulary::PodName;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// A certificate that a proxy holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldCertificate {
    /// Its name at the proxy: `default` is the mesh identity, `ROOTCA` the mesh's CA, `kubernetes://NAME` a Secret's.
    pub name: String,
    /// Itself first, then who issued it.
    pub chain: Vec<Inspected>,
    /// How it stands against the mesh's CA; only for the mesh identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
}

/// What one pod of a gateway holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayCertificates {
    /// The pod.
    pub pod: String,
    /// What it holds, the mesh identity first.
    pub certificates: Vec<HeldCertificate>,
}

/// Reads the certificates of every ready pod of a gateway.
///
/// # Errors
/// If there is no ready pod, or its admin port cannot be read.
pub async fn of_gateway(
    cluster: &Cluster,
    gateway: &GatewayTarget,
    now: Timestamp,
) -> Result<Vec<GatewayCertificates>> {
    let ready = pods::ready(cluster, &gateway.namespace, &gateway.label_selector()).await?;
    if ready.is_empty() {
        return Err(Error::cluster(format!("the gateway {gateway} has no ready pod"))
            .hint("start it: kubectl egress enable-gateway"));
    }
    let read = ready.iter().map(|pod| of_pod(cluster, pod, now));
    futures::future::try_join_all(read).await
}

async fn of_pod(cluster: &Cluster, pod: &PodName, now: Timestamp) -> Result<GatewayCertificates> {
    let dump = ProxyAdmin::new(cluster, pod).secrets().await?;
    Ok(GatewayCertificates {
        pod: pod.to_string(),
        certificates: held(&dump, now)?,
    })
}

/// Reads Envoy's `SecretsConfigDump`.
fn held(dump: &Value, now: Timestamp) -> Result<Vec<HeldCertificate>> {
    let mut pems: Vec<(String, Vec<u8>)> = Vec::new();
    for config in dump["configs"].as_array().map_or(&[][..], Vec::as_slice) {
        let secret = &config["secret"];
        let bytes = [
            "/tls_certificate/certificate_chain/inline_bytes",
            "/validation_context/trusted_ca/inline_bytes",
        ]
        .iter()
        .find_map(|pointer| secret.pointer(pointer))
        .and_then(|value| serde_json::from_value::<ByteString>(value.clone()).ok());
        if let (Some(name), Some(bytes)) = (secret["name"].as_str(), bytes) {
            pems.push((name.to_owned(), bytes.0));
        }
    }
    pems.sort_by_key(|(name, _)| (name != "default", name != "ROOTCA", name.clone()));
    let root = pems
        .iter()
        .find(|(name, _)| name == "ROOTCA")
        .map(|(_, pem)| pem.clone());
    pems.iter()
        .map(|(name, pem)| {
            let trust = match (&root, name.as_str()) {
                (Some(root), "default") => Some(trust_of_pem(pem, root, now)?),
                _ => None,
            };
            Ok(HeldCertificate {
                name: name.clone(),
                chain: inspect_chain(pem)?,
                trust,
            })
        })
        .collect()
}

/// What is asked of a server.
#[derive(Debug, Clone)]
pub struct ServerQuestion {
    /// Whom to connect to.
    pub host: String,
    /// At which port.
    pub port: u16,
    /// Server name to ask for.
    pub server_name: String,
    /// CAs to compare with (PEM); without them the source's own count.
    pub authority: Option<Vec<u8>>,
    /// File with CAs in the source's container.
    pub ca_certificate: Option<String>,
    /// For how many seconds at most.
    pub max_time_seconds: u32,
}

/// What a server showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerCertificates {
    /// Whom the source connected to, `HOST:PORT`.
    pub server: String,
    /// The name that was asked for.
    pub server_name: String,
    /// What it showed, in its order.
    pub chain: Vec<Inspected>,
    /// How the chain stands.
    pub trust: Trust,
    /// Whether the first certificate names the server name.
    pub names_it: bool,
}

/// Stands before what we ask curl to write, so that nothing of a server's can pass for it.
const MARK: &str = "kubectl-egress-certs";

/// Asks a server for its certificates, from the source. Certificates are read whatever they are worth; the verdict is
/// formed beside.
///
/// # Errors
/// If there is no curl of 7.88 or newer, or no TLS connection comes to be.
pub async fn of_server(
    cluster: &Cluster,
    source: &ProbeSource,
    question: &ServerQuestion,
    now: Timestamp,
) -> Result<ServerCertificates> {
    let command = curl(question);
    let deadline = Duration::from_secs(u64::from(question.max_time_seconds) + 15);
    let output = cluster
        .exec(&source.pod, Some(&source.container), &command, deadline)
        .await?;
    let server = format!("{}:{}", question.host, question.port);
    let unasked = |cause: String| {
        Error::cluster(format!(
            "{server} shows no certificate to the source {}",
            source.pod
        ))
        .because(cause)
    };
    if let ExecEnd::Lost(why) = output.end {
        return Err(unasked(why));
    }
    let (text, errors) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    let answer = Answer::read(&text).ok_or_else(|| unasked(errors.trim().to_owned()))?;
    if !answer.certificates.contains("-----BEGIN CERTIFICATE-----") {
        if errors.contains("certs") || answer.exit == "0" {
            return Err(unasked(
                "the source's curl is too old to show certificates; 7.88 or newer can".to_owned(),
            )
            .hint("use our source: kubectl egress deploy-curl"));
        }
        return Err(
            unasked(format!("curl ended with {}: {}", answer.exit, answer.error)).hint(format!(
                "see which way it went: kubectl egress probe https://{server}"
            )),
        );
    }
    let chain = inspect_chain(answer.certificates.as_bytes())?;
    let names_it = chain
        .first()
        .is_some_and(|leaf| covers(&leaf.dns_names, &question.server_name));
    let trust = match &question.authority {
        Some(authority) => trust_of_pem(answer.certificates.as_bytes(), authority, now)?,
        None => of_openssl(answer.verify),
    };
    Ok(ServerCertificates {
        server,
        server_name: question.server_name.clone(),
        chain,
        trust,
        names_it,
    })
}

fn curl(question: &ServerQuestion) -> Vec<String> {
    let ServerQuestion {
        host,
        port,
        server_name,
        ..
    } = question;
    let mut command: Vec<String> = [
        "curl",
        "-q",
        "-sS",
        "-k",
        "--noproxy",
        "*",
        "-o",
        "/dev/null",
        "-m",
    ]
    .map(str::to_owned)
    .into();
    command.push(question.max_time_seconds.to_string());
    if host != server_name {
        command.extend([
            "--connect-to".to_owned(),
            format!("{server_name}:{port}:{host}:{port}"),
        ]);
    }
    if let Some(path) = &question.ca_certificate {
        command.extend(["--cacert".to_owned(), path.clone()]);
    }
    let format = format!(
        "\\n{MARK} exit=%{{exitcode}} verify=%{{ssl_verify_result}} error=%{{errormsg}}\\n{MARK} chain\\n%{{certs}}\\n"
    );
    command.extend(["-w".to_owned(), format, format!("https://{server_name}:{port}/")]);
    command
}

/// What curl wrote.
struct Answer<'text> {
    exit: &'text str,
    /// OpenSSL's verify result; other TLS libraries say 0 or nothing.
    verify: &'text str,
    error: &'text str,
    certificates: &'text str,
}

impl<'text> Answer<'text> {
    fn read(text: &'text str) -> Option<Self> {
        let begin = format!("{MARK} exit=");
        let rest = &text[text.find(&begin)? + begin.len()..];
        let (line, rest) = rest.split_once('\n')?;
        let (exit, line) = line.split_once(" verify=")?;
        let (verify, error) = line.split_once(" error=")?;
        let (_, certificates) = rest.split_once('\n')?;
        Some(Self {
            exit,
            verify,
            error,
            certificates,
        })
    }
}

/// OpenSSL's verify result in words (x509_vfy.h; `man openssl-verification-options`).
fn of_openssl(code: &str) -> Trust {
    let cause = match code {
        "0" => return Trust::Trusted,
        "9" => "a certificate is not valid yet",
        "10" => "a certificate has expired",
        "18" => "the certificate signed itself and is not trusted by the source",
        "19" => "the chain ends in a CA that the source does not trust",
        "20" | "21" => "the CA that issued it is neither in the chain nor trusted by the source",
        "24" => "an issuer is no CA",
        "26" => "a certificate is not for this use",
        _ => return Trust::Refused(format!("OpenSSL's verify result is {code}")),
    };
    Trust::Refused(format!("{cause} (OpenSSL's verify result {code})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::{CertificateRequest, authority};
    use serde_json::json;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn request(common_name: &str) -> CertificateRequest {
        CertificateRequest {
            common_name: common_name.to_owned(),
            organization: None,
            dns_names: Vec::new(),
            valid_days: 90,
            now: now(),
        }
    }

    #[test]
    fn a_dump_gives_the_mesh_identity_first_with_its_trust() {
        let root = authority(&request("mesh")).unwrap();
        let leaf = root.issue_client(&request("gateway")).unwrap();
        let bytes = |text: &str| serde_json::to_value(ByteString(text.as_bytes().to_vec())).unwrap();
        let dump = json!({"configs": [
            {"name": "ROOTCA", "secret": {"name": "ROOTCA", "validation_context": {"trusted_ca": {"inline_bytes": bytes(&root.certificate_pem)}}}},
            {"name": "default", "secret": {"name": "default", "tls_certificate": {
                "certificate_chain": {"inline_bytes": bytes(&leaf.certificate_pem)},
                "private_key": {"inline_bytes": bytes("[redacted]")}}}}]});
        let held = held(&dump, now()).unwrap();
        assert_eq!(held[0].name, "default");
        assert_eq!(held[0].trust, Some(Trust::Trusted));
        assert_eq!(held[1].chain[0].subject, "CN=mesh");
        assert_eq!(held[1].trust, None);
    }

    #[test]
    fn what_curl_wrote_is_read_behind_the_mark_only() {
        let text = format!(
            "kubectl-egress-certs\n{MARK} exit=60 verify=20 error=SSL certificate problem\n{MARK} chain\nSubject:x\n"
        );
        let answer = Answer::read(&text).unwrap();
        assert_eq!((answer.exit, answer.verify), ("60", "20"));
        assert_eq!(answer.error, "SSL certificate problem");
        assert_eq!(answer.certificates, "Subject:x\n");
        assert!(
            matches!(of_openssl(answer.verify), Trust::Refused(cause) if cause.contains("neither in the chain"))
        );
    }

    #[test]
    fn another_server_name_is_asked_for_at_the_same_address() {
        let question = ServerQuestion {
            host: "a.example".to_owned(),
            port: 443,
            server_name: "b.example".to_owned(),
            authority: None,
            ca_certificate: None,
            max_time_seconds: 12,
        };
        let command = curl(&question).join(" ");
        assert!(
            command.contains("--connect-to b.example:443:a.example:443"),
            "{command}"
        );
        assert!(command.ends_with("https://b.example:443/"), "{command}");
    }
}
