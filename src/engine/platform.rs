//! What decides about the egress gateway: on Kyma the Istio custom resource of the Kyma module, elsewhere whoever
//! installed Istio.

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::finding::{Finding, catalogue};
use crate::istio::{kinds, kyma};
use crate::plan::istio_module::{self, ModuleChange, Modules};
use crate::vocabulary::{Object, PlanIdentity, names};
use std::collections::BTreeMap;

/// The platform of a cluster.
#[derive(Debug, Clone)]
pub enum Platform {
    /// Istio, installed by Helm, istioctl or otherwise.
    Istio,
    /// Kyma: the module installs Istio, and its egress gateway if the resource says so.
    Kyma(Box<Kyma>),
}

/// A cluster with the Istio module.
#[derive(Debug, Clone)]
pub struct Kyma {
    /// Its Istio custom resources.
    pub modules: Modules,
    /// Why they could not be read, if that is so.
    pub unreadable: Option<Error>,
    /// Whether only labelled pods reach the gateway.
    pub gateway_wants_label: bool,
}

impl Platform {
    /// Asks the cluster: nothing more than its API groups, and on Kyma two requests for the module's resources and network
    /// policies.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub async fn detect(cluster: &Cluster) -> Result<Self> {
        let (modules, unreadable) = match list(cluster).await? {
            Listed::NotServed => return Ok(Self::Istio),
            Listed::Resources(resources) => (istio_module::sort(resources), None),
            Listed::Refused(error) => (Modules::default(), Some(error)),
        };
        let counted = modules.counted.as_ref();
        let gateway_wants_label = istio_module::gateway_wants_label(counted, &[]) || {
            let policies = kinds::network_policy();
            // Without permission to list them there is only the resource's own word.
            let found = cluster
                .list_as_permitted(&policies, Some(names::ISTIO_NAMESPACE), None)
                .await?;
            istio_module::gateway_wants_label(counted, &found)
        };
        Ok(Self::Kyma(Box::new(Kyma {
            modules,
            unreadable,
            gateway_wants_label,
        })))
    }

    /// The Kyma module, if there is one.
    pub fn kyma(&self) -> Option<&Kyma> {
        match self {
            Self::Istio => None,
            Self::Kyma(kyma) => Some(kyma),
        }
    }

    /// Labels that a pod needs to reach the gateway.
    pub fn client_labels(&self) -> BTreeMap<String, String> {
        let wanted = self.kyma().is_some_and(|kyma| kyma.gateway_wants_label);
        let label = (
            kyma::TO_GATEWAY_LABEL.to_owned(),
            kyma::TO_GATEWAY_VALUE.to_owned(),
        );
        wanted.then_some(label).into_iter().collect()
    }
}

/// What a list of the module's resources gave.
pub(super) enum Listed {
    /// The module is not there.
    NotServed,
    /// The resources.
    Resources(Vec<Object>),
    /// It is there, and we may not list them.
    Refused(Error),
}

/// Lists them in all namespaces; where that is not allowed, in the one that counts.
///
/// That there are none of the kind decides who owns the gateway, so it takes two answers that agree: no such group, or
/// a group (other modules have their kinds in it) whose list of kinds goes without this one.
///
/// # Errors
/// If the server cannot be reached, or contradicts itself.
pub(super) async fn list(cluster: &Cluster) -> Result<Listed> {
    let kind = kinds::istio_module();
    if !cluster.api_groups().await?.has(&kind.group) {
        return Ok(Listed::NotServed);
    }
    let refused = match cluster.list_if_served(&kind, None, None).await {
        Ok(Some(resources)) => return Ok(Listed::Resources(resources)),
        Ok(None) => None,
        Err(error) => Some(error),
    };
    if !cluster.serves(&kind).await? {
        return Ok(Listed::NotServed);
    }
    let Some(refused) = refused else {
        return Err(Error::cluster(format!(
            "the API server serves {}.{}, and knows no such path when they are listed",
            kind.plural, kind.group
        ))
        .because("the kind is being installed or removed, or something between answers in the server's place")
        .hint("run the same command again"));
    };
    Ok(match cluster.list(&kind, Some(kyma::NAMESPACE), None).await {
        Ok(resources) => Listed::Resources(resources),
        Err(_) => Listed::Refused(refused),
    })
}

impl Kyma {
    /// What a plan does to the resource that counts, or to make it, if that is allowed.
    ///
    /// # Errors
    /// If there is none and it may not be made (exit 5), if it cannot be read, or is being deleted.
    pub(super) fn change(&self, plan: &PlanIdentity, may_create: bool) -> Result<ModuleChange> {
        if let Some(error) = &self.unreadable {
            return Err(error.clone().hint(format!(
                "the Istio module's custom resource decides about the egress gateway; ask for get and patch on istios.{} in {}",
                kinds::istio_module().group,
                kyma::NAMESPACE
            )));
        }
        let Some(counted) = &self.modules.counted else {
            return if may_create {
                Ok(istio_module::creation(plan))
            } else {
                Err(self.missing())
            };
        };
        if !counted.at("/metadata/deletionTimestamp").is_null() {
            let reference = counted.reference(&kinds::istio_module());
            return Err(
                Error::cluster(format!("{reference} is being deleted, and Istio with it"))
                    .because(kyma::Status::read(counted.at("/status")).to_string())
                    .hint("wait until it is gone, then add the module again"),
            );
        }
        Ok(istio_module::change(plan, counted))
    }

    fn missing(&self) -> Error {
        let mut error = Error::consent(format!(
            "the Istio module is not set up: namespace {} has no Istio custom resource",
            kyma::NAMESPACE
        ))
        .because("without one the module installs neither Istio nor its egress gateway");
        for other in &self.modules.elsewhere {
            error = error.because(format!("{other} does not count, as it is in another namespace"));
        }
        error
            .hint("add it as the module is added: kyma module add istio --default-cr (or in Kyma dashboard)")
            .hint("or let it be made, and Istio be installed: --create-istio-cr")
    }

    /// What the user should know of the resources.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(counted) = &self.modules.counted {
            let reference = counted.reference(&kinds::istio_module());
            for other in &self.modules.ignored {
                let message = format!("the module follows {reference}, which is older, and not {other}");
                findings.push(Finding::new(&catalogue::ISTIO_CR_IGNORED, message).about(other));
            }
            for other in &self.modules.elsewhere {
                let message = format!(
                    "{other} does not count: the module follows {reference}, and only namespace {}",
                    kyma::NAMESPACE
                );
                findings.push(Finding::new(&catalogue::ISTIO_CR_IGNORED, message).about(other));
            }
            let status = kyma::Status::read(counted.at("/status"));
            if matches!(status.state, kyma::State::Warning | kyma::State::Error) {
                let message = format!("{reference} is in state {status}");
                findings.push(Finding::new(&catalogue::MODULE_TROUBLED, message).about(reference));
            }
        }
        findings
    }
}

/// Why Istio is not served although the module is there: what the module says of it.
pub(super) fn not_installed_yet(counted: &Object) -> Error {
    let reference = counted.reference(&kinds::istio_module());
    Error::cluster(format!("Istio is not installed: {reference} is not done"))
        .because(kyma::Status::read(counted.at("/status")).to_string())
        .hint(format!(
            "wait until it is Ready: kubectl get istio {} -n {} -w",
            reference.name,
            kyma::NAMESPACE
        ))
}
