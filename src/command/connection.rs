//! From what was typed to a connected cluster and the plan that is meant; and how Ctrl-C ends a run.

use super::embedded;
use crate::cli::{Connection, PlanArgument, PlanFile, PlanFlags};
use crate::cluster::{Cluster, ConnectionSettings, Notice, Observer};
use crate::engine::{Event, permissions};
use crate::error::{Error, Result};
use crate::plan::{self, Plan};
use crate::report::{Printer, interruption};
use crate::vocabulary::{Circumstance, ClusterCommand, PlanIdentity};
use std::io::Read as _;
use std::sync::Arc;

/// A connected cluster, the plan that the flags name in it, and the namespace that the command works in.
pub(super) struct Connected {
    pub(super) cluster: Cluster,
    /// `--plan NAMESPACE/NAME`; without a namespace, the plan of the namespace that the command works in.
    pub(super) plan: PlanIdentity,
    /// `--namespace`, else the context's: the namespace that is probed and locked.
    pub(super) namespace: String,
}

/// Connects, and finds out which namespace and plan are meant.
pub(super) async fn connect(
    connection: &Connection,
    flags: &PlanFlags,
    printer: &Printer,
) -> Result<Connected> {
    let cluster = cluster(connection, printer).await?;
    let namespace = connection
        .namespace
        .clone()
        .unwrap_or_else(|| cluster.default_namespace().to_owned());
    let plan = plan_of(&namespace, &flags.plan)?;
    Ok(Connected {
        cluster,
        plan,
        namespace,
    })
}

impl Connected {
    /// Asks what the command needs to be allowed to do, before it changes anything; what is only useful is warned of.
    pub(super) async fn preflight(
        &self,
        command: ClusterCommand,
        circumstances: &[Circumstance],
        printer: &Printer,
    ) -> Result<()> {
        let (plan, namespace) = (&self.plan, &self.namespace);
        let remarks = permissions::check_command(&self.cluster, command, plan, namespace, circumstances);
        for remark in remarks.await? {
            printer.warning(&remark);
        }
        Ok(())
    }
}

/// The cluster that was named, or the embedded one.
pub(super) async fn cluster(connection: &Connection, printer: &Printer) -> Result<Cluster> {
    if connection.sandbox {
        return Ok(embedded::connect(connection, printer)?.0);
    }
    refuse_faults(connection)?;
    Cluster::connect(&settings(connection), observer(printer)).await
}

/// The same for commands that work in the plan's own namespace: `--namespace` cannot name another one.
pub(super) async fn connect_to_plan(
    connection: &Connection,
    flags: &PlanFlags,
    printer: &Printer,
) -> Result<Connected> {
    refuse_other_namespace(connection, &flags.plan)?;
    let connected = connect(connection, flags, printer).await?;
    Ok(Connected {
        namespace: connected.plan.namespace.clone(),
        ..connected
    })
}

/// The plan that `--plan` names from a namespace.
pub(super) fn plan_of(namespace: &str, typed: &PlanArgument) -> Result<PlanIdentity> {
    let namespace = typed.namespace.as_deref().unwrap_or(namespace);
    PlanIdentity::new(namespace, &typed.name).map_err(|error| Error::usage(error.to_string()))
}

pub(super) fn refuse_other_namespace(connection: &Connection, typed: &PlanArgument) -> Result<()> {
    match (&connection.namespace, &typed.namespace) {
        (Some(flag), Some(own)) if flag != own => Err(Error::usage(format!(
            "the plan {typed} is of namespace {own}, but --namespace says {flag}"
        ))
        .hint(format!(
            "leave --namespace out; only verify, probe, status, lockdown and unlock look at {flag} with a plan of {own}"
        ))),
        _ => Ok(()),
    }
}

/// Faults happen in the embedded cluster only.
fn refuse_faults(connection: &Connection) -> Result<()> {
    match connection.sandbox_faults.first() {
        Some(fault) => Err(Error::usage(format!("--sandbox-fault {fault} needs --sandbox"))
            .hint("nothing is broken on purpose in a real cluster")),
        None => Ok(()),
    }
}

/// Whether neither a flag, nor a kubeconfig, nor a pod's own account leads to a cluster.
pub(super) fn leads_nowhere(connection: &Connection) -> bool {
    Cluster::none_is_configured(&settings(connection))
}

/// Flags as the client takes them.
pub(super) fn settings(connection: &Connection) -> ConnectionSettings {
    ConnectionSettings {
        kubeconfig: connection.kubeconfig.clone(),
        context: connection.context.clone(),
        cluster: connection.cluster.clone(),
        user: connection.user.clone(),
        namespace: connection.namespace.clone(),
        impersonate_user: connection.impersonate_user.clone(),
        impersonate_groups: connection.impersonate_groups.clone(),
        impersonate_uid: connection.impersonate_uid.clone(),
        server: connection.server.clone(),
        token: connection.token.clone(),
        certificate_authority: connection.certificate_authority.clone(),
        tls_server_name: connection.tls_server_name.clone(),
        insecure_skip_tls_verify: connection.insecure_skip_tls_verify,
        request_timeout: connection.request_timeout,
    }
}

/// Client notices become events of the screen.
pub(super) fn observer(printer: &Printer) -> Observer {
    let events = printer.events();
    Arc::new(move |notice| match notice {
        Notice::Retrying { method, path, reason } => {
            events(Event::Retrying(format!("{method} {path}: {reason}")));
        }
        Notice::Requested {
            method,
            path,
            answer,
            elapsed,
        } => {
            let elapsed = elapsed.as_millis();
            events(Event::Requested(format!(
                "{method} {path}: {answer} ({elapsed} ms)"
            )));
        }
        Notice::Warning(text) => events(Event::Warning(format!("the API server warns: {text}"))),
        Notice::Away { who, patience } => events(Event::Warning(format!(
            "{who} is away: trying again for {} s",
            patience.as_secs()
        ))),
        Notice::CredentialPluginStarts(_) => events(Event::ScreenPaused),
        Notice::CredentialPluginEnds => events(Event::ScreenResumed),
        Notice::Reconnected { what } => events(Event::Retrying(format!("reconnected {what}"))),
    })
}

/// Reads a plan file, or standard input.
pub(super) fn read_plan(file: &PlanFile, connection: &Connection, default_namespace: &str) -> Result<Plan> {
    let (name, text) = match file {
        PlanFile::StandardInput => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            ("standard input".to_owned(), read.map(|_| text))
        }
        PlanFile::Path(path) => (path.display().to_string(), std::fs::read_to_string(path)),
    };
    let text = text.map_err(|error| {
        Error::usage(format!("the plan file {name} cannot be read")).because(error.to_string())
    })?;
    plan::from_file(&name, &text, connection.namespace.as_deref(), default_namespace)
}

/// Runs work until it is done or the user presses Ctrl-C. Dropping the work leaves what it changed in the journal.
pub(super) async fn or_interrupted<T>(
    work: impl Future<Output = Result<T>>,
    plan: &PlanIdentity,
) -> Result<T> {
    tokio::select! {
        result = work => result,
        () = interruption() => Err(interrupted(plan)),
    }
}

fn interrupted(plan: &PlanIdentity) -> Error {
    Error::interrupted()
        .because("what was changed by then is in the plan's journal")
        .hint(format!(
            "go on: run the same command again; take it back: kubectl egress cleanup -n {} --plan {}",
            plan.namespace, plan.name
        ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::ExitCode;

    fn typed(namespace: Option<&str>) -> PlanArgument {
        PlanArgument {
            namespace: namespace.map(str::to_owned),
            name: "p".to_owned(),
        }
    }

    #[test]
    fn a_plan_without_a_namespace_is_of_the_one_that_is_worked_in() {
        assert_eq!(plan_of("here", &typed(None)).unwrap().to_string(), "here/p");
        assert_eq!(
            plan_of("here", &typed(Some("there"))).unwrap().to_string(),
            "there/p"
        );
    }

    #[test]
    fn changes_to_a_plan_are_made_where_it_is() {
        let with = |flag: Option<&str>, own: Option<&str>| {
            let connection = Connection {
                namespace: flag.map(str::to_owned),
                ..Connection::default()
            };
            refuse_other_namespace(&connection, &typed(own))
        };
        for (flag, own) in [
            (None, None),
            (Some("a"), None),
            (None, Some("a")),
            (Some("a"), Some("a")),
        ] {
            with(flag, own).unwrap();
        }
        let error = with(Some("b"), Some("a")).unwrap_err();
        assert_eq!(error.code(), ExitCode::Usage);
        assert_eq!(
            error.message(),
            "the plan a/p is of namespace a, but --namespace says b"
        );
    }
}
