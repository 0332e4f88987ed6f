//! Keeps the journal in the cluster: one ConfigMap per plan.

use crate::cluster::{ApplyOptions, Cluster};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::journal::{Journal, Salvaged, StoredVersion};
use crate::plan::ownership::{self, Manifest};
use crate::vocabulary::{ExitCode, Object, PlanIdentity, names};
use serde_json::json;

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

/// Writes the journal as the next after the one that it was read as: one request. One that was never stored is created,
/// so that an answer that denies what is there loses nothing.
///
/// # Errors
/// If the cluster refuses; exit 5 if somebody else wrote the journal since it was read.
pub async fn write(cluster: &Cluster, journal: &mut Journal) -> Result<()> {
    let plan = &journal.plan.identity;
    let name = Journal::object_name(plan);
    let mut manifest = ownership::owned(
        plan,
        &kinds::config_map(),
        &plan.namespace,
        &name,
        journal.to_data()?,
    );
    let metadata = &mut manifest.object.0["metadata"];
    metadata["labels"][names::ROLE_LABEL] = json!("journal");
    let Manifest {
        reference,
        manager,
        object,
        ..
    } = &mut manifest;
    let written = if let Some(version) = &journal.stored.0 {
        object.0["metadata"]["resourceVersion"] = json!(version);
        // Nobody else has a say in our journal, so a foreign owner of it is overruled.
        let options = ApplyOptions {
            force: true,
            ..ApplyOptions::new(reference, manager)
        };
        cluster
            .apply(object, &options)
            .await
            .map(|applied| applied.object)
    } else {
        cluster.create(reference, object, false).await
    };
    let stored = match written {
        Ok(stored) => stored,
        Err(error) => written_nevertheless(cluster, journal, error).await?,
    };
    journal.stored = StoredVersion(Some(stored.resource_version().to_owned()));
    Ok(())
}

/// What is stored after a write that failed, if that is what was to be written: its answer was lost, and the second try
/// met the first.
async fn written_nevertheless(cluster: &Cluster, journal: &Journal, error: Error) -> Result<Object> {
    let plan = &journal.plan.identity;
    let Ok(Some(live)) = cluster.get(&Journal::reference_of(plan)).await else {
        return Err(error);
    };
    if Journal::from_object(&live, plan).is_ok_and(|stored| stored == *journal) {
        return Ok(live);
    }
    if error.code() != ExitCode::Consent {
        return Err(error);
    }
    Err(Error::consent(format!(
        "somebody else changed the plan {plan} since this run looked at it"
    ))
    .because(format!(
        "{} was written meanwhile, and this run would undo what it says",
        Journal::reference_of(plan)
    ))
    .hint("nothing of the plan is lost: run the same command again"))
}
