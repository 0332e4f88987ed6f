//! What the target saw of a request that went through the egress gateway: the certificate that came with it, and who
//! opened the connection.

use super::proof::{forwarded_certificates, forwarded_fault, header_values};
use crate::cluster::Cluster;
use crate::engine::pods;
use crate::engine::probe::{ProbeSource, send};
use crate::error::{Error, Result};
use crate::evidence::{CurlResult, ProbeRequest};
use crate::istio::kinds;
use crate::plan::GatewayTarget;
use crate::plan::target_workload::ECHO_PATH;
use crate::vocabulary::{HostName, Scheme};
use schemars::JsonSchema;
use serde::Serialize;

/// The header in which an ingress gateway tells who opened the connection to it.
const ASKED_BY: &str = "X-Envoy-External-Address";

/// What the workload of the target was told of a request through the egress gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThroughProof {
    /// The request's status; 0: there was no answer.
    pub status: u16,
    /// `X-Forwarded-Client-Cert`.
    pub forwarded: Vec<String>,
    /// Address from which the target's ingress gateway was asked.
    pub asked_by: Option<String>,
    /// Whether that is the egress gateway's own. Behind a NAT it is not, and that proves nothing against it.
    pub asked_by_gateway: bool,
    /// What does not hold; empty: proven.
    pub faults: Vec<String>,
}

/// Sends one request from the source and reads what the workload was told.
///
/// # Errors
/// If the gateway's pods cannot be listed, or the request was lost.
pub async fn through(
    cluster: &Cluster,
    source: &ProbeSource,
    gateway: &GatewayTarget,
    host: &HostName,
    client_certificate: &str,
    max_time_seconds: u32,
) -> Result<ThroughProof> {
    let request = ProbeRequest {
        id: 0,
        nonce: "target".to_owned(),
        scheme: Scheme::Http,
        host: host.to_string(),
        port: 80,
        path: ECHO_PATH.to_owned(),
        method: "GET".to_owned(),
        max_time_seconds,
        ca_certificate: None,
        show_headers: false,
        show_body: true,
        resolve: None,
        host_header: None,
        connect_to: None,
        proxy: None,
    };
    let selector = gateway.label_selector();
    let pods = cluster
        .list(&kinds::pod(), Some(&gateway.namespace), Some(&selector))
        .await?;
    let addresses: Vec<String> = pods.iter().flat_map(pods::addresses).collect();
    let (status, body) = match send(cluster, source, &[request]).await.into_iter().next() {
        Some(CurlResult::Report(report)) => (report.http_code, report.body.unwrap_or_default()),
        Some(CurlResult::Lost(why) | CurlResult::NoCurl(why)) => {
            // Nobody knows whether it was sent, so it says nothing about the way.
            return Err(Error::cluster(format!(
                "what {host} saw of a request through the egress gateway is not known"
            ))
            .because(why)
            .hint("run the same command again"));
        }
        None => (0, String::new()),
    };
    let forwarded = forwarded_certificates(&body);
    let asked_by = header_values(&body, ASKED_BY).into_iter().next();
    let status_fault = (status != 200).then(|| match status {
        0 => "the request through the egress gateway got no answer".to_owned(),
        status => format!("the request through the egress gateway was answered with {status}"),
    });
    let certificate_fault = || forwarded_fault(&forwarded, client_certificate);
    Ok(ThroughProof {
        status,
        asked_by_gateway: asked_by
            .as_ref()
            .is_some_and(|address| addresses.contains(address)),
        asked_by,
        faults: status_fault.or_else(certificate_fault).into_iter().collect(),
        forwarded,
    })
}
