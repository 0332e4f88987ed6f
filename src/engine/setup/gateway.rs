//! The gateway: made by us, by Kyma's module, or there already.

use super::{Run, count};
use crate::engine::graph::StepEnd;
use crate::engine::module::Follower;
use crate::engine::{gateway_choice, pods};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::istio_module::ModuleChange;
use crate::plan::ownership::Manifest;
use crate::vocabulary::ObjectReference;

impl Run<'_> {
    /// The resource that we make, and what the module makes of it.
    pub(super) async fn istio(self) -> Result<StepEnd> {
        let (prepared, progress) = (self.prepared, self.progress("istio"));
        let Some(module) = &prepared.module else {
            return Err(Error::bug("there is no Istio, and nothing that would install it"));
        };
        let applied = self.apply_one("istio", &module.manifest).await?;
        let timeout = prepared.settings.timeout;
        Follower::of(self.cluster, None, &applied.object, timeout, &progress)
            .installed()
            .await?;
        Ok(StepEnd::Done(None))
    }

    /// Has the Kyma module make the gateway. What the gateway needs besides is applied meanwhile.
    async fn module_gateway(self, module: &ModuleChange) -> Result<()> {
        let (prepared, gateway) = (self.prepared, &self.prepared.gateway);
        let applied = self.apply_one("gateway", &module.manifest).await?;
        let (timeout, progress) = (prepared.settings.timeout, self.progress("gateway"));
        let kyma = prepared.facts.platform.kyma();
        let before = kyma.and_then(|kyma| kyma.modules.counted.as_ref());
        let follower = Follower::of(self.cluster, before, &applied.object, timeout, &progress);
        let selector = gateway.label_selector();
        if !follower.changes_something
            && !pods::ready(self.cluster, &gateway.namespace, &selector)
                .await?
                .is_empty()
        {
            return Ok(());
        }
        follower.gateway(prepared.gateway_was_there).await?;
        if prepared.gateway_was_there {
            return Ok(());
        }
        gateway_choice::confirm(self.cluster, gateway).await
    }

    pub(super) async fn gateway(self) -> Result<StepEnd> {
        let (prepared, timeout) = (self.prepared, self.prepared.settings.timeout);
        let objects: Vec<&Manifest> = prepared.gateway_objects.iter().collect();
        let module = async {
            match &prepared.module {
                Some(module) => self.module_gateway(module).await,
                None => Ok(()),
            }
        };
        futures::future::try_join(self.apply_all("gateway", &objects), module).await?;
        let gateway = &prepared.gateway;
        if gateway.created {
            let deployment =
                ObjectReference::namespaced(kinds::deployment(), &gateway.namespace, &gateway.service);
            self.cluster
                .wait_rollout(&deployment, timeout, false, &self.progress("gateway"))
                .await?;
        }
        let what = format!("a ready pod of the gateway {gateway}");
        let ready = pods::wait_ready(
            self.cluster,
            &gateway.namespace,
            &gateway.label_selector(),
            &what,
            timeout,
            &self.progress("gateway"),
        )
        .await?;
        Ok(StepEnd::Done(Some(format!(
            "{} ready",
            count(ready.len(), "pod")
        ))))
    }
}
