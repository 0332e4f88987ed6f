//! The embedded cluster as commands use it: made as flags say, with what is to go wrong in it.

use super::connection::observer;
use crate::cli::{Connection, Platform, SandboxFault};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::report::Printer;
use crate::sandbox::{Denial, Fault, FaultKind, KymaSettings, Sandbox, SandboxSettings};
use crate::vocabulary::names;
use serde_json::json;
use std::sync::OnceLock;
use std::time::Duration;

/// How long a pod takes to start otherwise: seen to be waited for, and the whole tutorial within a second.
const QUICK: Duration = Duration::from_millis(60);

/// How long a pod of the fault `slow-rollout` takes to start.
const SLOW: Duration = Duration::from_secs(20);

/// Namespace of the fault `quota`, unless another is worked in: that of the examples.
const EXAMPLE: &str = "demo";

/// Says, before anything else and whatever the screen is told, that nothing of this is real.
pub(super) fn announce(printer: &Printer) {
    printer.announce("sandbox: simulated cluster");
}

/// Makes a cluster.
///
/// # Errors
/// If what is to go wrong cannot be prepared, which is a bug.
pub(super) fn make(platform: Platform, faults: &[SandboxFault], namespace: Option<&str>) -> Result<Sandbox> {
    let has = |fault| faults.contains(&fault);
    let mut settings = SandboxSettings {
        kyma: (platform == Platform::Kyma).then(KymaSettings::default),
        pod_start: QUICK,
        ..SandboxSettings::default()
    };
    if has(SandboxFault::SlowRollout) {
        settings.pod_start = SLOW;
    }
    if has(SandboxFault::ImagePull) {
        settings.missing_images.push(names::SOURCE_IMAGE.to_owned());
    }
    if has(SandboxFault::Denied) {
        let denied = |verb| Denial::new(verb, "networking.istio.io", "virtualservices");
        settings.denials.extend(["create", "patch"].map(denied));
    }
    let sandbox = Sandbox::new(settings);
    if has(SandboxFault::DroppedStream) {
        for stream in ["WATCH", "LOG", "EXEC", "FORWARD"] {
            sandbox.inject(Fault::new("", FaultKind::CutAfterBytes(1)).method(stream));
        }
    }
    if has(SandboxFault::Quota) {
        let namespace = namespace.unwrap_or(EXAMPLE);
        sandbox.put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))?;
        sandbox.put(&json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "sandbox", "namespace": namespace},
            "spec": {"hard": {"pods": "0"}},
        }))?;
    }
    Ok(sandbox)
}

/// The embedded clusters, by the names of their contexts.
#[derive(Clone)]
pub(super) struct Clusters {
    /// The one that is worked with.
    pub(super) sandbox: Sandbox,
    /// The other end of two-cluster mTLS.
    pub(super) target: Sandbox,
}

/// Name of the first one's context.
pub(super) const CONTEXT: &str = "sandbox";
/// Name of the other one's context.
pub(super) const TARGET_CONTEXT: &str = "target";

/// Makes both: what the target's ingress gateway serves is outside of the first one. Faults happen in the first one.
///
/// # Errors
/// As [`make`].
pub(super) fn make_both(
    platform: Platform,
    faults: &[SandboxFault],
    namespace: Option<&str>,
) -> Result<Clusters> {
    let sandbox = make(platform, faults, namespace)?;
    let settings = SandboxSettings {
        pod_start: QUICK,
        ..SandboxSettings::default()
    };
    let target = Sandbox::new(settings.target());
    sandbox.lead_to(&target);
    Ok(Clusters { sandbox, target })
}

/// The clusters of `--sandbox`: fresh in this process, and the same for all of one command.
static CLUSTERS: OnceLock<Clusters> = OnceLock::new();

tokio::task_local! {
    /// Clusters that somebody else made for the commands of this task.
    static GIVEN: Clusters;
}

/// Does work whose `--sandbox` means these clusters.
pub(super) async fn within<Work: Future>(clusters: Clusters, work: Work) -> Work::Output {
    GIVEN.scope(clusters, work).await
}

/// The cluster of `--sandbox`, or with `--context target` the other one.
///
/// # Errors
/// If another flag names a cluster or a user as well, or there is no such context.
pub(super) fn connect(connection: &Connection, printer: &Printer) -> Result<(Cluster, Sandbox)> {
    refuse_other_clusters(connection)?;
    let context = connection.context.as_deref().unwrap_or(CONTEXT);
    if ![CONTEXT, TARGET_CONTEXT].contains(&context) {
        return Err(
            Error::usage(format!("--sandbox has no context {context}")).hint(format!(
                "choose --context {CONTEXT} or --context {TARGET_CONTEXT}"
            )),
        );
    }
    let namespace = connection.namespace.as_deref();
    let Clusters { sandbox, target } = clusters(connection, printer)?;
    let sandbox = if context == CONTEXT { sandbox } else { target };
    let namespace = namespace.unwrap_or("default");
    let cluster = Cluster::over_service(sandbox.service(), namespace, context, observer(printer));
    Ok((cluster, sandbox))
}

/// Those that were given, else those of this process, which are made where there are none yet.
fn clusters(connection: &Connection, printer: &Printer) -> Result<Clusters> {
    if let Ok(given) = GIVEN.try_with(Clone::clone) {
        return Ok(given);
    }
    if CLUSTERS.get().is_none() {
        announce(printer);
        let namespace = connection.namespace.as_deref();
        let made = make_both(Platform::Istio, &connection.sandbox_faults, namespace)?;
        // Commands connect one after the other.
        let _ = CLUSTERS.set(made);
    }
    let made = CLUSTERS.get().cloned();
    made.ok_or_else(|| Error::bug("there is no embedded cluster"))
}

fn refuse_other_clusters(connection: &Connection) -> Result<()> {
    let given = [
        ("--kubeconfig", connection.kubeconfig.is_some()),
        ("--cluster", connection.cluster.is_some()),
        ("--server", connection.server.is_some()),
        ("--user", connection.user.is_some()),
        ("--token", connection.token.is_some()),
        ("--as", connection.impersonate_user.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(Error::usage(format!("--sandbox is a cluster of its own, and {flag} is of another"))
            .hint("leave one of the two out; `kubectl egress sandbox` serves a simulated cluster to which --kubeconfig can lead")),
        None => Ok(()),
    }
}
