//! Certificates that an earlier run has put into both clusters: used again as long as they fit together, so that running
//! a command twice changes nothing.

use crate::certificate::{self, Bundle, Use};
use crate::cluster::Cluster;
use crate::engine::journal_store;
use crate::error::Result;
use crate::finding::{Finding, Severity};
use crate::istio::kinds;
use crate::plan::journal::{Entry, TargetRecord};
use crate::plan::ownership;
use crate::plan::secrets::{self, Credential, value_of};
use crate::vocabulary::{HostName, ObjectReference, PlanIdentity};
use jiff::Timestamp;
use secrecy::ExposeSecret;

/// The server's certificate with the CA of its clients, and the client's with the CA of the server.
#[derive(Debug)]
pub struct BothEnds {
    /// For the target.
    pub server: Credential,
    /// For the cluster with the egress gateway.
    pub client: Credential,
}

/// What both clusters hold of this plan; `None` where anything is missing or does not fit any more.
///
/// # Errors
/// If a cluster cannot be asked.
pub async fn both_ends(
    here: &Cluster,
    target: &Cluster,
    plan: &PlanIdentity,
    host: &HostName,
    now: Timestamp,
) -> Result<Option<BothEnds>> {
    let server = held(
        target,
        plan,
        secrets::SERVER_CREDENTIAL,
        ["cert", "key", "cacert"],
    );
    let client = held(
        here,
        plan,
        secrets::CLIENT_CREDENTIAL,
        ["tls.crt", "tls.key", "ca.crt"],
    );
    let (Some(server), Some(client)) = futures::future::try_join(server, client).await? else {
        return Ok(None);
    };
    let fits = fits(&server, &client, Use::Server { host }, now) && fits(&client, &server, Use::Client, now);
    Ok(fits.then_some(BothEnds { server, client }))
}

/// Whether one end can be used, and the other end would believe it.
fn fits(one: &Credential, other: &Credential, purpose: Use<'_>, now: Timestamp) -> bool {
    let bundle = Bundle {
        certificate: one.certificate.as_bytes(),
        key: Some(one.key.expose_secret().as_bytes()),
        authority: other.authority.as_deref().map(str::as_bytes),
    };
    let error = |finding: &Finding| finding.severity == Severity::Error;
    other.authority.is_some() && !certificate::check(&bundle, purpose, now).iter().any(error)
}

async fn held(
    cluster: &Cluster,
    plan: &PlanIdentity,
    name: &str,
    keys: [&str; 3],
) -> Result<Option<Credential>> {
    let Some(journal) = journal_store::read(cluster, plan).await? else {
        return Ok(None);
    };
    let references = journal.entries.iter().map(Entry::reference);
    let secret: Option<ObjectReference> = references
        .into_iter()
        .find(|reference| reference.kind == kinds::secret() && reference.name == name);
    let Some(reference) = secret else {
        return Ok(None);
    };
    let live = cluster.get(&reference).await?;
    let Some(live) = live.filter(|live| ownership::plan_of(live).as_ref() == Some(plan)) else {
        return Ok(None);
    };
    let [certificate, key, authority] = keys.map(|key| {
        let bytes = value_of(&live, key)?;
        String::from_utf8(bytes).ok()
    });
    Ok(certificate.zip(key).map(|(certificate, key)| Credential {
        certificate,
        key: key.into(),
        authority,
    }))
}

/// Notes in the plan's journal which other cluster it works with, if the plan has a journal.
///
/// # Errors
/// If it cannot be written.
pub async fn remember(cluster: &Cluster, plan: &PlanIdentity, target: TargetRecord) -> Result<()> {
    match journal_store::read(cluster, plan).await? {
        Some(mut journal) if journal.target.as_ref() != Some(&target) => {
            journal.target = Some(target);
            journal_store::write(cluster, &mut journal).await
        }
        _ => Ok(()),
    }
}
