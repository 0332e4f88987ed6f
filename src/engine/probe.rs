//! Sends probes: curl in the source's container, many transfers in one exec.

use super::workload::Workload;
use super::{exemption, pods};
use crate::cluster::{Cluster, ExecEnd};
use crate::error::{Error, Result};
use crate::evidence::{
    CurlResult, Interception, ProbeRequest, ProcessEnd, curl_arguments, curl_results, says_no_curl,
};
use crate::istio::kinds;
use crate::plan::source;
use crate::vocabulary::{Object, PodName, names};
use futures::stream::{self, StreamExt};
use std::time::Duration;

/// Bytes of arguments per exec: they travel in the URL of the request.
const ARGUMENT_BYTES: usize = 6_000;
/// Execs side by side per source; curl works through each one's transfers in turn.
const EXECS: usize = 4;
/// What an exec may take longer than its transfers' own limits.
const EXEC_GRACE: Duration = Duration::from_secs(15);

/// A container that probes are sent from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSource {
    /// Its pod.
    pub pod: PodName,
    /// Its name.
    pub container: String,
    /// Addresses of the pod.
    pub addresses: Vec<String>,
    /// Labels of the pod, for policies that select it.
    pub labels: serde_json::Value,
    /// Whether a sidecar carries its traffic.
    pub meshed: bool,
    /// What of its traffic the sidecar gets.
    pub interception: Interception,
    /// The command that switches its sidecar's access log on, if it is not the one for our own source.
    pub log_switch: Option<String>,
}

impl ProbeSource {
    /// A pod's container as source; without a name the first that is not the proxy.
    ///
    /// # Errors
    /// If the pod has no such container.
    pub fn of_pod(pod: &Object, container: Option<&str>) -> Result<Self> {
        let names: Vec<&str> = pod
            .items("/spec/containers")
            .iter()
            .filter_map(|container| container["name"].as_str())
            .filter(|name| *name != names::PROXY_CONTAINER)
            .collect();
        let container = match container {
            Some(wanted) if names.contains(&wanted) => wanted,
            Some(wanted) => {
                return Err(
                    Error::usage(format!("pod {} has no container {wanted}", pods::name(pod)))
                        .hint(format!("it has: {}", names.join(", "))),
                );
            }
            None => names.first().copied().ok_or_else(|| {
                Error::usage(format!("pod {} has no container to probe from", pods::name(pod)))
            })?,
        };
        Ok(Self {
            pod: pods::name(pod),
            container: container.to_owned(),
            addresses: pods::addresses(pod),
            labels: pod.at("/metadata/labels").clone(),
            meshed: pods::has_sidecar(pod),
            interception: exemption::interception(pod),
            log_switch: None,
        })
    }
}

/// Finds a ready pod of our source, or of the workload that `from` names (`deploy/NAME`, `sts/NAME`, `ds/NAME`, `pod/NAME`).
///
/// # Errors
/// If there is none; the hint says how to get one.
pub async fn find_source(
    cluster: &Cluster,
    namespace: &str,
    from: Option<&str>,
    container: Option<&str>,
) -> Result<ProbeSource> {
    let Some(from) = from else {
        let pods = cluster
            .list(&kinds::pod(), Some(namespace), Some(&source::label_selector()))
            .await?;
        let pod = pods.iter().find(|pod| pods::is_ready(pod)).ok_or_else(|| {
            Error::usage(format!("there is no ready source pod in namespace {namespace}"))
                .hint(format!("make one: kubectl egress deploy-curl -n {namespace}; or probe from a workload of yours: --from deploy/NAME"))
        })?;
        return ProbeSource::of_pod(pod, container.or(Some(names::SOURCE)));
    };
    let workload = Workload::find(cluster, namespace, from).await?;
    ProbeSource::of_pod(&workload.ready_pod(cluster).await?, container)
}

/// Sends all probes and gives each its result, in their order. A lost exec is a result, not an error.
pub async fn send(cluster: &Cluster, from: &ProbeSource, probes: &[ProbeRequest]) -> Vec<CurlResult> {
    let batches = batches(probes);
    let results =
        stream::iter(batches.into_iter().map(|batch| send_batch(cluster, from, batch))).buffered(EXECS);
    results.collect::<Vec<_>>().await.into_iter().flatten().collect()
}

async fn send_batch(cluster: &Cluster, from: &ProbeSource, batch: &[ProbeRequest]) -> Vec<CurlResult> {
    let mut command = vec!["curl".to_owned()];
    command.extend(curl_arguments(batch));
    let limit: u64 = batch.iter().map(|probe| u64::from(probe.max_time_seconds)).sum();
    let deadline = Duration::from_secs(limit) + EXEC_GRACE;
    match cluster
        .exec(&from.pod, Some(&from.container), &command, deadline)
        .await
    {
        Ok(output) => {
            let end = match output.end {
                ExecEnd::Exited(code) => ProcessEnd::Exited(code),
                ExecEnd::Lost(why) => ProcessEnd::Lost(why),
            };
            curl_results(batch, &output.stdout, &output.stderr, &end)
        }
        Err(error) => {
            let result = if says_no_curl(&error.to_string()) {
                CurlResult::NoCurl(format!("container {} has no curl", from.container))
            } else {
                CurlResult::Lost(error.to_string())
            };
            vec![result; batch.len()]
        }
    }
}

/// Cuts probes into batches that fit into one request each, and at least [`EXECS`] of them when there are enough, so
/// that one slow host does not hold up all others.
fn batches(probes: &[ProbeRequest]) -> Vec<&[ProbeRequest]> {
    let most = probes.len().div_ceil(EXECS).max(1);
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, probe) in probes.iter().enumerate() {
        let own: usize = curl_arguments(std::slice::from_ref(probe))
            .iter()
            .map(|argument| argument.len() + 12)
            .sum();
        if index > start && (bytes + own > ARGUMENT_BYTES || index - start >= most) {
            batches.push(&probes[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += own;
    }
    if start < probes.len() {
        batches.push(&probes[start..]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Scheme;

    fn probe(id: u32) -> ProbeRequest {
        ProbeRequest {
            id,
            nonce: "n".to_owned(),
            scheme: Scheme::Https,
            host: "a.example".to_owned(),
            port: 443,
            path: "/".to_owned(),
            method: "GET".to_owned(),
            max_time_seconds: 12,
            ca_certificate: None,
            show_headers: false,
            show_body: false,
            resolve: None,
            host_header: None,
            connect_to: None,
            proxy: None,
        }
    }

    #[test]
    fn every_probe_is_in_exactly_one_batch_in_order() {
        for count in [0_u32, 1, 4, 5, 300] {
            let probes: Vec<_> = (0..count).map(probe).collect();
            let batches = batches(&probes);
            let ids: Vec<u32> = batches
                .iter()
                .flat_map(|batch| batch.iter().map(|probe| probe.id))
                .collect();
            assert_eq!(ids, (0..count).collect::<Vec<_>>());
            assert!(
                batches
                    .iter()
                    .all(|batch| curl_arguments(batch).join(" ").len() < 2 * ARGUMENT_BYTES)
            );
        }
        assert_eq!(batches(&[probe(1), probe(2), probe(3), probe(4)]).len(), 4);
    }

    #[test]
    fn the_proxy_is_never_the_source() {
        let pod = Object(serde_json::json!({"metadata": {"namespace": "n", "name": "p"},
            "spec": {"containers": [{"name": "istio-proxy"}, {"name": "app"}]}}));
        let source = ProbeSource::of_pod(&pod, None).unwrap();
        assert_eq!((source.container.as_str(), source.meshed), ("app", true));
        assert!(ProbeSource::of_pod(&pod, Some("other")).unwrap_err().hints()[0].contains("app"));
    }
}
