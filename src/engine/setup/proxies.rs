//! Waiting until both proxies have the route.

use super::Run;
use crate::engine::graph::StepEnd;
use crate::engine::pods;
use crate::engine::proxy::{ProxyAdmin, ProxyConfiguration};
use crate::error::{Error, Result};
use crate::plan::source;
use crate::vocabulary::{ExitCode, PodName};
use futures::future::try_join_all;
use std::time::Duration;
use tokio::time::Instant;

/// Pause between two reads of a proxy's configuration, which cannot be watched. One read takes 7 ms.
const READ_PAUSE: Duration = Duration::from_millis(100);
/// The same as a multiple of the time that the read took: with a thousand hosts it holds up the very thread of Envoy that
/// takes the new configuration in.
const READ_PAUSES: u32 = 3;

impl Run<'_> {
    pub(super) async fn proxies(self) -> Result<StepEnd> {
        let (plan, gateway) = (&self.prepared.plan, &self.prepared.gateway);
        let mut source_pods = match self.rolled_out.get() {
            Some(pods) => pods.clone(),
            None => pods::ready(self.cluster, &plan.identity.namespace, &source::label_selector()).await?,
        };
        if let Some(witnessed) = &self.prepared.witnessed {
            source_pods.extend(witnessed.workload.meshed_pods(self.cluster).await?);
        }
        let gateway_pods = pods::ready(self.cluster, &gateway.namespace, &gateway.label_selector()).await?;
        let sidecar = |configuration: &ProxyConfiguration| configuration.missing_at_sidecar(plan, gateway);
        let router = |configuration: &ProxyConfiguration| configuration.missing_at_gateway(plan, gateway);
        let sidecars = source_pods.iter().map(|pod| self.proxy_has(pod, &sidecar));
        let routers = gateway_pods.iter().map(|pod| self.proxy_has(pod, &router));
        match futures::future::try_join(try_join_all(sidecars), try_join_all(routers)).await {
            Ok(_) => Ok(StepEnd::Done(None)),
            // Reading a proxy is a convenience: without it the probe alone decides.
            Err(error) if error.code() == ExitCode::Cluster => {
                Ok(StepEnd::Skipped(format!("{error}; the probe decides")))
            }
            Err(error) => Err(error),
        }
    }

    async fn proxy_has(
        self,
        pod: &PodName,
        missing: &(dyn Fn(&ProxyConfiguration) -> Option<String> + Sync),
    ) -> Result<()> {
        let started = Instant::now();
        let mut admin = ProxyAdmin::new(self.cluster, pod);
        let mut last = String::new();
        loop {
            let asked = Instant::now();
            let configuration = admin.configuration().await?;
            let pause = READ_PAUSE.max(asked.elapsed() * READ_PAUSES);
            let Some(awaited) = missing(&configuration) else {
                return Ok(());
            };
            if started.elapsed() > self.prepared.settings.timeout {
                return Err(Error::timed_out(format!("waited {} s for {awaited}", started.elapsed().as_secs()))
                    .hint("`kubectl egress status` shows the objects; `istioctl analyze` and istiod's log may say why"));
            }
            if last != awaited {
                self.progress("proxies")(&awaited);
                last = awaited;
            }
            tokio::time::sleep(pause).await;
        }
    }
}
