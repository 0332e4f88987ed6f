//! The pods that are tried from: made side by side, taken away whatever happens.

use super::BypassSettings;
use crate::cluster::Cluster;
use crate::engine::ephemeral_container::{self, PROXY_USER};
use crate::engine::event::{Event, Events};
use crate::engine::probe::ProbeSource;
use crate::engine::probe_pod::{ProbePod, make_probe_pod, remove_probe_pod};
use crate::evidence::{Shown, is_refused_by_admission};
use crate::plan::journal::Journal;
use crate::plan::source::Evasion;
use crate::vocabulary::{AttemptFrom, StoppedBy};
use futures::future::{join, join_all};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const EXCLUDED_PORTS: &str = "traffic.sidecar.istio.io/excludeOutboundPorts";
const EXCLUDED_RANGES: &str = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
const INCLUDED_RANGES: &str = "traffic.sidecar.istio.io/includeOutboundIPRanges";
/// A namespace that every cluster has.
const OTHER_NAMESPACE: &str = "default";

/// Pods to be made, by where an attempt starts, and the container to be put into the source's.
pub(in crate::engine) struct Pods {
    own: Vec<(AttemptFrom, String, ProbePod)>,
    /// The pod of a named workload, if a container may be put into it; or why not.
    workload: Result<ProbeSource, Shown>,
    image: String,
    /// The container that was put into it, to be ended.
    container: Mutex<Option<ProbeSource>>,
}

/// What came of them.
pub(in crate::engine) type Made = BTreeMap<AttemptFrom, Result<ProbeSource, Shown>>;

impl Pods {
    /// One of each kind that the settings allow. `labels`: what the lock selects by.
    pub(in crate::engine) fn new(
        settings: &BypassSettings,
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
        let workload = match settings.into_workload {
            None => Err(Shown::not_tried(
                "only with --from WORKLOAD, whose pod it is put into",
            )),
            Some(false) => Err(Shown::not_tried("not without your word: --yes")),
            Some(true) if !source.meshed => Err(Shown::not_tried("the workload has no sidecar")),
            Some(true) => Ok(source.clone()),
        };
        Self {
            own: pods,
            workload,
            image: settings.image.clone(),
            container: Mutex::default(),
        }
    }

    /// Makes all of them, and says of each that could not be made why.
    pub(in crate::engine) async fn make(
        &self,
        cluster: &Cluster,
        journal: &Journal,
        timeout: Duration,
        events: &Events,
    ) -> Made {
        let making = self.own.iter().map(|(from, namespace, pod)| async move {
            let made = make_probe_pod(cluster, journal, namespace, pod, timeout, events).await;
            (
                *from,
                made.map_err(|error| not_made(&error))
                    .and_then(|made| fits(*from, made)),
            )
        });
        let (made, put) = join(join_all(making), self.put(cluster, timeout)).await;
        made.into_iter()
            .chain([(AttemptFrom::IntoWorkload, put)])
            .collect()
    }

    /// Puts the container into the workload's pod.
    async fn put(&self, cluster: &Cluster, timeout: Duration) -> Result<ProbeSource, Shown> {
        let workload = self.workload.as_ref().map_err(Clone::clone)?;
        let put = ephemeral_container::add_as_proxy_user(cluster, workload, &self.image, timeout).await;
        let source = put.map_err(|error| not_put(&error))?;
        *self.container() = Some(source.clone());
        Ok(source)
    }

    fn container(&self) -> MutexGuard<'_, Option<ProbeSource>> {
        self.container.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all of them away.
    pub(in crate::engine) async fn remove(&self, cluster: &Cluster, events: &Events) {
        let removing = self
            .own
            .iter()
            .map(|(_, namespace, pod)| remove_probe_pod(cluster, namespace, pod, events));
        let ending = async {
            let put = self.container().take();
            let Some(put) = put else { return };
            if let Err(error) = ephemeral_container::end(cluster, &put).await {
                events(Event::Warning(format!(
                    "container {} in pod {} runs for up to five minutes more: it could not be ended: {error}",
                    put.container, put.pod
                )));
            }
        };
        join(join_all(removing), ending).await;
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

fn not_put(error: &crate::error::Error) -> Shown {
    let why = error.to_string();
    if is_refused_by_admission(&why) {
        return Shown::blocked(StoppedBy::Admission, why);
    }
    Shown::not_tried(format!(
        "the container could not be put into the workload's pod: {why}"
    ))
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
