//! The last lines of gateway and istiod about our hosts.
//!
//! Of an access-log line only fields are taken that hold no secret: a format of the user's may hold any header, and a
//! path any token.

use super::Bundle;
use crate::cluster::{Cluster, LogReach};
use crate::engine::{access_logs, pods};
use crate::error::Result;
use crate::evidence::{AccessLogLine, LogFormats, line_mentions};
use crate::istio::kinds;
use crate::plan::GatewayTarget;
use crate::vocabulary::{PodName, names};
use serde_json::json;
use std::collections::VecDeque;

/// So many lines of each log are read,
const READ: u32 = 5_000;
/// and of those about our hosts so many kept.
const KEPT: usize = 300;

/// What a line must speak of.
pub(super) struct Words(pub(super) Vec<String>);

impl Words {
    fn are_in(&self, line: &[u8]) -> bool {
        self.0.iter().any(|word| line_mentions(line, word))
    }
}

/// The gateway's logs.
pub(super) async fn of_gateway(
    cluster: &Cluster,
    gateway: &GatewayTarget,
    words: &Words,
    bundle: &mut Bundle,
) {
    let selector = gateway.label_selector();
    let found = match cluster
        .list(&kinds::pod(), Some(&gateway.namespace), Some(&selector))
        .await
    {
        Ok(found) => found,
        Err(error) => return bundle.not_read("pods of the gateway", &error),
    };
    for pod in &found {
        let formats = access_logs::of_gateway(cluster, gateway, pod.at("/metadata/labels")).await;
        of_pod(
            cluster,
            &pods::name(pod),
            names::PROXY_CONTAINER,
            words,
            Some(&formats),
            bundle,
        )
        .await;
    }
}

/// istiod's logs.
pub(super) async fn of_istiod(cluster: &Cluster, words: &Words, bundle: &mut Bundle) {
    let (kind, namespace) = (kinds::pod(), Some(names::ISTIO_NAMESPACE));
    match cluster.list(&kind, namespace, Some("app=istiod")).await {
        Ok(found) => {
            for pod in &found {
                of_pod(cluster, &pods::name(pod), "discovery", words, None, bundle).await;
            }
        }
        Err(error) => bundle.not_read("pods of istiod", &error),
    }
}

async fn of_pod(
    cluster: &Cluster,
    pod: &PodName,
    container: &str,
    words: &Words,
    formats: Option<&LogFormats>,
    bundle: &mut Bundle,
) {
    let file = format!("logs/{}-{}-{container}.log", pod.namespace, pod.name);
    match read(cluster, pod, container, words).await {
        Ok(lines) => {
            let lines: Vec<String> = lines
                .iter()
                .map(|line| clean(&file, line, formats, bundle))
                .collect();
            bundle.lines(&file, &lines);
        }
        Err(error) => bundle.not_read(&format!("the log of {pod}"), &error),
    }
}

async fn read(cluster: &Cluster, pod: &PodName, container: &str, words: &Words) -> Result<VecDeque<Vec<u8>>> {
    let mut kept: VecDeque<Vec<u8>> = VecDeque::new();
    let keep = |line: &[u8]| {
        if words.are_in(line) {
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(line.to_vec());
        }
    };
    cluster
        .read_log(pod, container, LogReach::Tail(READ), keep)
        .await?;
    Ok(kept)
}

fn clean(file: &str, line: &[u8], formats: Option<&LogFormats>, bundle: &mut Bundle) -> String {
    match formats.and_then(|formats| formats.parse(line)) {
        Some(read) => {
            bundle
                .redactor
                .note(file, "text", "paths and headers of access-log lines");
            bundle.redactor.text(file, &fields(&read))
        }
        None => bundle.redactor.text(file, &String::from_utf8_lossy(line)),
    }
}

fn fields(line: &AccessLogLine) -> String {
    let cluster = line.upstream_cluster.as_ref().map(ToString::to_string);
    json!({
        "startTime": line.start_time, "method": line.method, "protocol": line.protocol,
        "responseCode": line.response_code, "responseFlags": line.response_flags,
        "responseCodeDetails": line.response_code_details,
        "connectionTerminationDetails": line.connection_termination_details,
        "upstreamTransportFailureReason": line.upstream_transport_failure_reason,
        "bytesReceived": line.bytes_received, "bytesSent": line.bytes_sent, "duration": line.duration,
        "authority": line.authority, "requestedServerName": line.requested_server_name,
        "upstreamHost": line.upstream_host, "upstreamCluster": cluster,
        "upstreamLocalAddress": line.upstream_local_address,
        "downstreamLocalAddress": line.downstream_local_address,
        "downstreamRemoteAddress": line.downstream_remote_address, "routeName": line.route_name,
    })
    .to_string()
}
