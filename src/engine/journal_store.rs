//! Keeps the journal in the cluster: one ConfigMap per plan.

use crate::cluster::{ApplyOptions, Cluster};
use crate::error::Result;
use crate::istio::kinds;
use crate::plan::journal::{Journal, Salvaged};
use crate::plan::ownership;
use crate::vocabulary::{PlanIdentity, names};

/// Reads the journal of a plan.
///
/// # Errors
/// If it is there but cannot be used, or the cluster refuses.
pub async fn read(cluster: &Cluster, plan: &PlanIdentity) -> Result<Option<Journal>> {
    let object = cluster.get(&Journal::reference_of(plan)).await?;
    object
        .map(|object| Journal::from_object(&object, plan))
        .transpose()
}

/// Reads what can be undone of the journal of a plan; `None` if there is none.
///
/// # Errors
/// If a newer version of this program wrote it, or the cluster refuses.
pub async fn salvage(cluster: &Cluster, plan: &PlanIdentity) -> Result<Option<Salvaged>> {
    let object = cluster.get(&Journal::reference_of(plan)).await?;
    object.map(|object| Journal::salvage(&object, plan)).transpose()
}

/// Writes the journal: one request.
///
/// # Errors
/// If the cluster refuses.
pub async fn write(cluster: &Cluster, journal: &Journal) -> Result<()> {
    let plan = &journal.plan.identity;
    let name = Journal::object_name(plan);
    let mut manifest = ownership::owned(
        plan,
        &kinds::config_map(),
        &plan.namespace,
        &name,
        journal.to_data()?,
    );
    manifest.object.0["metadata"]["labels"][names::ROLE_LABEL] = serde_json::json!("journal");
    // Nobody else has a say in our journal, so a foreign edit of it is overwritten.
    let options = ApplyOptions {
        force: true,
        ..ApplyOptions::new(&manifest.reference, &manifest.manager)
    };
    cluster.apply(&manifest.object, &options).await.map(drop)
}
