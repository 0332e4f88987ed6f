//! The pods that are tried from: made side by side, taken away whatever happens.

use super::BypassSettings;
use crate::cluster::Cluster;
use crate::engine::event::Events;
use crate::engine::probe::ProbeSource;
use crate::engine::probe_pod::{ProbePod, make_probe_pod, remove_probe_pod};
use crate::evidence::{Shown, is_refused_by_admission};
use crate::plan::journal::Journal;
use crate::plan::source::Evasion;
use crate::vocabulary::{AttemptFrom, StoppedBy};
use futures::future::join_all;
use std::collections::BTreeMap;
use std::time::Duration;

/// The user that Istio's proxies run as, and whose traffic is not redirected (Istio documentation, Application
/// Requirements).
const PROXY_USER: u32 = 1337;
const EXCLUDED_PORTS: &str = "traffic.sidecar.istio.io/excludeOutboundPorts";
const EXCLUDED_RANGES: &str = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
const INCLUDED_RANGES: &str = "traffic.sidecar.istio.io/includeOutboundIPRanges";
/// A namespace that every cluster has.
const OTHER_NAMESPACE: &str = "default";

/// Pods to be made, by where an attempt starts.
pub(in crate::engine) struct Pods(Vec<(AttemptFrom, String, ProbePod)>);

/// What came of them.
pub(in crate::engine) type Made = BTreeMap<AttemptFrom, Result<ProbeSource, Shown>>;

impl Pods {
    /// One of each kind that the settings allow. `labels`: what the lock selects by.
    pub(in crate::engine) fn new(
        settings: BypassSettings,
        namespace: &str,
        labels: &BTreeMap<String, String>,
        source: &ProbeSource,
    ) -> Self {
        let mut pods = Vec::new();
        if source.meshed {
            for (from, title, evasion) in past_sidecar() {
                let pod = ProbePod::meshed(labels.clone(), source).evading(title, evasion);
                pods.push((from, namespace.to_owned(), pod));
            }
        }
        if settings.all {
            let on_host = Evasion {
                host_network: true,
                ..Evasion::default()
            };
            let pod = ProbePod::unmeshed(labels.clone()).evading("pod on the host's network", on_host);
            pods.push((AttemptFrom::HostNetwork, namespace.to_owned(), pod));
            if namespace != OTHER_NAMESPACE {
                let pod = ProbePod::unmeshed(BTreeMap::new())
                    .evading("pod in another namespace", Evasion::default());
                pods.push((AttemptFrom::OtherNamespace, OTHER_NAMESPACE.to_owned(), pod));
            }
        }
        Self(pods)
    }

    /// Makes all of them, and says of each that could not be made why.
    pub(in crate::engine) async fn make(
        &self,
        cluster: &Cluster,
        journal: &Journal,
        timeout: Duration,
        events: &Events,
    ) -> Made {
        let making = self.0.iter().map(|(from, namespace, pod)| async move {
            let made = make_probe_pod(cluster, journal, namespace, pod, timeout, events).await;
            (
                *from,
                made.map_err(|error| not_made(&error))
                    .and_then(|made| fits(*from, made)),
            )
        });
        join_all(making).await.into_iter().collect()
    }

    /// Takes all of them away.
    pub(in crate::engine) async fn remove(&self, cluster: &Cluster, events: &Events) {
        let removing = self
            .0
            .iter()
            .map(|(_, namespace, pod)| remove_probe_pod(cluster, namespace, pod, events));
        join_all(removing).await;
    }
}

fn past_sidecar() -> [(AttemptFrom, &'static str, Evasion); 4] {
    let annotated = |name: &str, value: &str| Evasion {
        annotations: [(name.to_owned(), value.to_owned())].into(),
        ..Evasion::default()
    };
    [
        (
            AttemptFrom::ProxyUser,
            "pod with sidecar, as the proxy's user",
            Evasion {
                user: Some(PROXY_USER),
                ..Evasion::default()
            },
        ),
        (
            AttemptFrom::ExcludedPorts,
            "pod with sidecar that leaves ports out",
            annotated(EXCLUDED_PORTS, "80,443"),
        ),
        (
            AttemptFrom::ExcludedRanges,
            "pod with sidecar that leaves addresses out",
            annotated(EXCLUDED_RANGES, "0.0.0.0/0"),
        ),
        (
            AttemptFrom::NoIncludedRanges,
            "pod with sidecar that includes no address",
            annotated(INCLUDED_RANGES, ""),
        ),
    ]
}

fn not_made(error: &crate::error::Error) -> Shown {
    let why = error.to_string();
    if is_refused_by_admission(&why) {
        return Shown::blocked(StoppedBy::Admission, why);
    }
    Shown::not_tried(format!("its pod could not be made: {why}"))
}

/// A pod that was to have a sidecar and got none would try something else.
fn fits(from: AttemptFrom, made: ProbeSource) -> Result<ProbeSource, Shown> {
    if from.is_past_sidecar() && !made.meshed {
        return Err(Shown::not_tried("its pod got no sidecar"));
    }
    Ok(made)
}
