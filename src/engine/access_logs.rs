//! Whether the proxies that are to be witnesses write an access log at all, and how it is laid out, read from the mesh configuration and the
//! Telemetry resources before anybody waits for a line.

use crate::cluster::Cluster;
use crate::evidence::LogFormats;
use crate::istio::access_log::LogTemplate;
use crate::istio::kinds;
use crate::istio::mesh_configuration;
use crate::plan::GatewayTarget;
use crate::plan::access_log::{self, Workload};
use crate::vocabulary::{Object, ObjectReference, names};
use serde_json::Value;

/// What decides on access logs; what could not be read leaves it open.
#[derive(Debug, Default)]
pub(super) struct AccessLogs(Option<Known>);

#[derive(Debug)]
struct Known {
    telemetries: Vec<Object>,
    mesh: Value,
}

impl AccessLogs {
    /// Reads what decides in these namespaces and in the root namespace.
    pub(super) async fn read(cluster: &Cluster, namespaces: &[&str]) -> Self {
        let mesh = ObjectReference::namespaced(kinds::config_map(), names::ISTIO_NAMESPACE, "istio");
        let (mesh, telemetries) = tokio::join!(cluster.get(&mesh), telemetries(cluster, namespaces));
        let known = mesh.ok().flatten().zip(telemetries);
        Self(known.and_then(|(mesh, telemetries)| {
            let mesh = mesh_configuration(&mesh)?;
            Some(Known { telemetries, mesh })
        }))
    }

    /// How the log of a pod is laid out. None at all: nothing that is known switches it on; some switch it on in ways
    /// that are not read here (an `EnvoyFilter`, the configuration of another revision), so that this is a reason to wait
    /// less, not to look away. Not known: Istio's own.
    pub(super) fn formats(&self, namespace: &str, labels: &Value) -> LogFormats {
        let Some(Known { telemetries, mesh }) = &self.0 else {
            return LogFormats::new(&[LogTemplate::Default]);
        };
        let root = mesh["rootNamespace"].as_str().unwrap_or(names::ISTIO_NAMESPACE);
        let workload = Workload { namespace, labels };
        LogFormats::new(&access_log::templates(&workload, telemetries, root, mesh))
    }
}

/// How the pods of a gateway lay out their log; `labels` are those of any of them.
pub async fn of_gateway(cluster: &Cluster, gateway: &GatewayTarget, labels: &Value) -> LogFormats {
    let logs = AccessLogs::read(cluster, &[&gateway.namespace]).await;
    logs.formats(&gateway.namespace, labels)
}

/// Of all namespaces, or where that is not allowed of those that count.
async fn telemetries(cluster: &Cluster, namespaces: &[&str]) -> Option<Vec<Object>> {
    let kind = kinds::telemetry();
    if let Ok(all) = cluster.list(&kind, None, None).await {
        return Some(all);
    }
    let mut counting = vec![names::ISTIO_NAMESPACE];
    counting.extend(namespaces);
    counting.sort_unstable();
    counting.dedup();
    let lists = counting
        .iter()
        .map(|namespace| cluster.list(&kind, Some(namespace), None));
    let lists = futures::future::try_join_all(lists).await.ok()?;
    Some(lists.into_iter().flatten().collect())
}
