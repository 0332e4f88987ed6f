//! `setup --target-context`: both ends of mTLS between two clusters, and one report with what each of them saw.

use super::connection::{Connected, connect_to_plan, or_interrupted};
use super::deploy_target::deploy;
use super::document::{self, Document};
use super::setup::{dry_run, in_one_cluster};
use super::source;
use crate::certificate::{self, CertificateRequest};
use crate::cli::{self, Connection, PlanFlags, TargetCluster};
use crate::engine::Event;
use crate::engine::client_secret::{SecretContent, SecretUser, SecretWish};
use crate::engine::deploy_target::TargetSettings;
use crate::engine::deploy_target::direct::ClientIdentity;
use crate::engine::deploy_target::proof::TargetProof;
use crate::engine::deploy_target::standing::{self, BothEnds};
use crate::engine::deploy_target::through::{ThroughProof, through};
use crate::engine::journal_store;
use crate::error::{Error, Result};
use crate::evidence::Verification;
use crate::istio::kinds;
use crate::plan::journal::TargetRecord;
use crate::plan::secrets::{CLIENT_CREDENTIAL, Credential};
use crate::plan::target_workload;
use crate::report::{Printer, Style, view};
use crate::vocabulary::{ExitCode, HostName, Mode, ObjectReference, Verdict, names};
use jiff::Timestamp;

/// For how long certificates that we make are valid, in days.
const VALID_DAYS: u32 = 365;

/// What both clusters showed.
pub(super) struct BothShown {
    pub(super) target: TargetProof,
    pub(super) verification: Verification,
    pub(super) through: ThroughProof,
}

/// Both clusters as the flags name them, and one report.
pub(super) async fn setup(
    connection: &Connection,
    settings: cli::Setup,
    printer: &Printer,
) -> Result<ExitCode> {
    only_host(&settings)?;
    let here = connect_to_plan(connection, &settings.plan, printer).await?;
    let target = connect_to_target(connection, &settings.target.cluster, &settings.plan, printer).await?;
    match between(connection, (&here, &target), settings, printer).await? {
        None => Ok(ExitCode::Success),
        Some(shown) => conclude(&shown, printer),
    }
}

/// The target first, then this cluster, then a request through all of it. `None`: a dry run, or no probe was wanted.
pub(super) async fn between(
    connection: &Connection,
    (here, target): (&Connected, &Connected),
    mut settings: cli::Setup,
    printer: &Printer,
) -> Result<Option<BothShown>> {
    let host = only_host(&settings)?;
    // Only what the gateway adds the certificate to: the application's own HTTPS has none, and the target refuses it.
    for typed in &mut settings.hosts {
        typed.port = Some(Mode::MtlsOrigination.default_port());
    }
    settings.mode.mode = Some(Mode::MtlsOrigination);
    settings.mode.client_secret = Some(CLIENT_CREDENTIAL.to_owned());
    refuse_one_cluster(here, target).await?;
    let ends = both_ends(here, target, &host, &settings.target.client_name).await?;
    let client = ClientIdentity {
        certificate: ends.client.certificate.clone(),
        key: ends.client.key.clone(),
    };
    let wanted = wanted_there(target, &settings, &host, ends.server);
    let work = deploy(&target.cluster, wanted, &client, printer);
    let context = settings.target.cluster.target_context.clone().unwrap_or_default();
    let proof = or_interrupted(work, &target.plan)
        .await
        .map_err(|error| match error.code() {
            // What is refused has changed nothing.
            ExitCode::Usage | ExitCode::Consent => error,
            _ => error.hint(take_back_there(target, &context)),
        })?;
    printer.events()(Event::Warning(format!(
        "only http://{host} is routed: HTTPS that an application makes itself has no client certificate, and the target refuses it"
    )));
    let wish = SecretWish {
        user: SecretUser::Gateway,
        name: CLIENT_CREDENTIAL.to_owned(),
        content: SecretContent::Client(ends.client),
    };
    let done = in_one_cluster(connection, here, &settings, vec![wish], printer).await;
    if proof.is_some() {
        // Also after a failure: `cleanup` is to find both.
        let namespace = ObjectReference::cluster(kinds::namespace(), &target.plan.namespace);
        let live = target.cluster.get(&namespace).await?;
        let record = TargetRecord {
            context,
            namespace_uid: live.map(|live| live.uid().to_owned()),
        };
        standing::remember(&here.cluster, &here.plan, record).await?;
    }
    let (Some(proof), Some(verification)) = (proof, done?) else {
        return Ok(None);
    };
    let through = ask_through(here, &settings, &host, &proof, printer).await?;
    Ok(Some(BothShown {
        target: proof,
        verification,
        through,
    }))
}

/// The one host; everything else that contradicts a target is named.
fn only_host(settings: &cli::Setup) -> Result<HostName> {
    let refuse = |message: &str| {
        Error::usage(message.to_owned())
            .hint("for example: kubectl egress setup partner.example.com --target-context NAME")
    };
    if settings.file.is_some() {
        return Err(refuse("a plan file cannot be combined with --target-context"));
    }
    if settings
        .mode
        .mode
        .is_some_and(|mode| mode != Mode::MtlsOrigination)
    {
        return Err(refuse("a target cluster goes with --mode mtls-origination only"));
    }
    match settings.hosts.as_slice() {
        [only] if only.port.is_none_or(|port| port == 80) && !only.host.is_wildcard() => {
            Ok(only.host.clone())
        }
        [only] => Err(refuse(&format!(
            "`{only}` cannot lead to a target cluster: give a plain host"
        ))),
        _ => Err(refuse("a target cluster goes with exactly one host")),
    }
}

/// Connects to the target, with its context and, where it has one of its own, its kubeconfig.
pub(super) async fn connect_to_target(
    connection: &Connection,
    target: &TargetCluster,
    plan: &PlanFlags,
    printer: &Printer,
) -> Result<Connected> {
    if connection.sandbox && target.target_kubeconfig.is_some() {
        return Err(Error::usage(
            "--sandbox has a target cluster of its own, and --target-kubeconfig is of another",
        )
        .hint("leave it out: --target-context target"));
    }
    let of_target = Connection {
        sandbox: connection.sandbox,
        namespace: connection.namespace.clone(),
        context: target.target_context.clone(),
        kubeconfig: target
            .target_kubeconfig
            .clone()
            .or_else(|| connection.kubeconfig.clone()),
        request_timeout: connection.request_timeout,
        ..Connection::default()
    };
    connect_to_plan(&of_target, plan, printer)
        .await
        .map_err(|error| error.while_doing("connecting to the target cluster"))
}

/// A plan has one journal per cluster, so both ends cannot be in the same.
async fn refuse_one_cluster(here: &Connected, target: &Connected) -> Result<()> {
    if here.plan != target.plan {
        return Err(Error::usage(format!(
            "the plan is {} here and {} in the target cluster",
            here.plan, target.plan
        ))
        .hint("name the namespace: -n NAMESPACE"));
    }
    let identity = ObjectReference::cluster(kinds::namespace(), "kube-system");
    let (one, other) =
        futures::future::try_join(here.cluster.get(&identity), target.cluster.get(&identity)).await?;
    match (one, other) {
        (Some(one), Some(other)) if one.uid() == other.uid() => {
            Err(Error::usage("--target-context names this very cluster")
                .hint("choose the context of another one: kubectl config get-contexts"))
        }
        _ => Ok(()),
    }
}

/// Certificates of an earlier run where they still fit; else new ones. The CA's key is not kept anywhere.
async fn both_ends(
    here: &Connected,
    target: &Connected,
    host: &HostName,
    client_name: &str,
) -> Result<BothEnds> {
    let now = Timestamp::now();
    if let Some(ends) = standing::both_ends(&here.cluster, &target.cluster, &here.plan, host, now).await? {
        return Ok(ends);
    }
    let request = |common_name: String, dns_names: Vec<HostName>| CertificateRequest {
        common_name,
        organization: None,
        dns_names,
        valid_days: VALID_DAYS,
        now,
    };
    let root = certificate::authority(&request(format!("{host} root"), Vec::new()))?;
    let server = root.issue_server(&request(host.to_string(), vec![host.clone()]))?;
    let client = root.issue_client(&request(client_name.to_owned(), Vec::new()))?;
    let credential = |issued: certificate::Issued| Credential {
        certificate: issued.certificate_pem,
        key: issued.key_pem,
        authority: Some(root.certificate_pem.clone()),
    };
    Ok(BothEnds {
        server: credential(server),
        client: credential(client),
    })
}

fn wanted_there(
    target: &Connected,
    settings: &cli::Setup,
    host: &HostName,
    credential: Credential,
) -> TargetSettings {
    let flags = &settings.target;
    let image = flags.target_image.as_deref().unwrap_or(target_workload::IMAGE);
    TargetSettings {
        plan: target.plan.clone(),
        host: host.clone(),
        ingress: flags.ingress_gateway.as_ref().map(ToString::to_string),
        image: image.to_owned(),
        credential,
        create_namespace: settings.source.create_namespace,
        dry_run: dry_run(settings.change),
        force_conflicts: settings.change.force_conflicts,
        timeout: settings.plan.timeout,
    }
}

/// The command that undoes the target alone.
pub(super) fn take_back_there(target: &Connected, context: &str) -> String {
    format!(
        "what is in the target cluster stays; take it back: kubectl egress cleanup --context {context} -n {} --plan {}",
        target.plan.namespace, target.plan.name
    )
}

async fn ask_through(
    here: &Connected,
    settings: &cli::Setup,
    host: &HostName,
    proof: &TargetProof,
    printer: &Printer,
) -> Result<ThroughProof> {
    let image = settings.source.image.as_deref().unwrap_or(names::SOURCE_IMAGE);
    let source = source::find(here, &settings.probe, image, settings.plan.timeout, printer).await?;
    let journal = journal_store::read(&here.cluster, &here.plan)
        .await?
        .ok_or_else(|| Error::cluster(format!("the journal of the plan {} is gone", here.plan)))?;
    let (gateway, limit) = (&journal.gateway, settings.probe.max_time);
    through(
        &here.cluster,
        &source,
        gateway,
        host,
        &proof.client_certificate,
        limit,
    )
    .await
}

impl BothShown {
    /// What that comes to.
    pub(super) fn code(&self) -> ExitCode {
        if !self.target.is_proven() || !self.through.faults.is_empty() {
            return ExitCode::Disproven;
        }
        match self.verification.verdict {
            Verdict::Proven => ExitCode::Success,
            Verdict::Disproven => ExitCode::Disproven,
            Verdict::Inconclusive => ExitCode::Inconclusive,
        }
    }

    /// For people.
    pub(super) fn text(&self, style: &Style) -> String {
        view::two_clusters(&self.target, &self.verification, &self.through, style)
    }
}

fn conclude(shown: &BothShown, printer: &Printer) -> Result<ExitCode> {
    let document = Document::new(document::TwoClusters {
        target: &shown.target,
        verification: &shown.verification,
        through: &shown.through,
    });
    printer.document(&document, |style| shown.text(style))?;
    let code = shown.code();
    if code == ExitCode::Success {
        printer.next(&format!(
            "kubectl egress verify -n {}",
            shown.verification.namespace
        ));
    }
    Ok(code)
}
