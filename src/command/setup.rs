//! `setup`, `enable-gateway`, `deploy-curl`: the same run with all or some of its parts.

use super::connection::{Connected, connect_to_plan, or_interrupted, read_plan};
use super::hosts::{self, planned};
use super::{secrets, source, two_clusters};
use crate::cli::{self, ChangeFlags, Connection, GatewayFlags, Inject, PlanFlags, SourceFlags};
use crate::cluster::Cluster;
use crate::engine::client_secret::SecretWish;
use crate::engine::completion;
use crate::engine::prepare::{DryRun, Parts, Prepared, SetupSettings, prepare};
use crate::engine::probe::ProbeSource;
use crate::engine::undo::{self, UndoSettings};
use crate::engine::verify::{self, Enforced, VerifySettings};
use crate::engine::{Event, manifests, setup as engine};
use crate::error::{Error, Result};
use crate::evidence::Verification;
use crate::plan::gateway_workload::GatewaySettings;
use crate::plan::{Plan, PlanSettings};
use crate::report::{Printer, interruption, view};
use crate::vocabulary::{ExitCode, OutputFormat, PlanIdentity, Verdict, names};
use serde_json::json;

/// `setup`: everything, waited for, and one probe per host.
pub(super) async fn setup(
    connection: &Connection,
    mut settings: cli::Setup,
    printer: &Printer,
) -> Result<ExitCode> {
    if settings.target.cluster.target_context.is_some() {
        return two_clusters::setup(connection, settings, printer).await;
    }
    secrets::name(&mut settings.mode, &settings.client_files);
    let connected = connect_to_plan(connection, &settings.plan, printer).await?;
    let verification = in_one_cluster(connection, &connected, &settings, Vec::new(), printer).await?;
    verification.map_or(Ok(ExitCode::Success), |verification| {
        conclude(&verification, printer)
    })
}

/// Sets up and probes what leaves this cluster, with more Secrets than the user's files give. `None`: a dry run, or no
/// probe was wanted.
pub(super) async fn in_one_cluster(
    connection: &Connection,
    connected: &Connected,
    settings: &cli::Setup,
    more_secrets: Vec<SecretWish>,
    printer: &Printer,
) -> Result<Option<Verification>> {
    let mut wanted = wanted(&connected.plan, Parts::ALL, &settings.plan, settings.change);
    add_gateway(&mut wanted, &settings.gateway);
    add_source(&mut wanted, &settings.source);
    wanted.from = settings.probe.from.first().map(ToString::to_string);
    wanted.exclude_ranges.clone_from(&settings.exclude_ranges);
    if let Some(file) = &settings.file {
        let plan = read_plan(file, connection, connected.cluster.default_namespace())?;
        from_plan(&mut wanted, plan);
    } else {
        wanted.hosts = planned(&settings.hosts, &settings.mode);
        wanted.plan_settings = hosts::settings(&wanted.plan_settings, &settings.mode);
    }
    wanted.secrets = secrets::of_setup(&settings.client_files, &wanted.hosts)?;
    wanted.secrets.extend(more_secrets);
    let plan = wanted.plan.clone();
    // What is refused here has changed nothing but the source, so there is nothing to take back.
    let deciding = async {
        if completion::needs_source(&wanted.hosts) && wanted.dry_run == DryRun::No {
            source_first(connected, &wanted, printer).await?;
        }
        decide(connected, wanted, settings.gateway.create_gateway, printer).await
    };
    let Some(prepared) = or_interrupted(deciding, &plan).await? else {
        return Ok(None);
    };
    let events = printer.events();
    let prepared = match or_interrupted(engine::run(&connected.cluster, *prepared, &events), &plan).await {
        Ok(prepared) => prepared,
        Err(error) if settings.atomic => {
            return Err(take_back(connected, &plan, &settings.plan, error, printer).await);
        }
        Err(error) => return Err(add_way_out(error, &plan)),
    };
    if settings.no_probe {
        printer.next(&format!("kubectl egress verify -n {}", plan.namespace));
        return Ok(None);
    }
    let proving = async {
        let image = settings.source.image.as_deref().unwrap_or(names::SOURCE_IMAGE);
        // A plan file names its own namespace, which need not be the one that is worked in.
        let of_plan = Connected {
            cluster: connected.cluster.clone(),
            plan: plan.clone(),
            namespace: plan.namespace.clone(),
        };
        let source = source::find(&of_plan, &settings.probe, image, settings.plan.timeout, printer).await?;
        let events = printer.events();
        verify::verify_fresh(
            &connected.cluster,
            prepared.journal,
            &probe_settings(&plan, settings, source),
            &events,
        )
        .await
    };
    or_interrupted(proving, &plan).await.map(Some)
}

/// The source alone: names are looked up in it, where they will be used.
async fn source_first(connected: &Connected, wanted: &SetupSettings, printer: &Printer) -> Result<bool> {
    let parts = Parts {
        gateway: false,
        source: true,
        routing: false,
    };
    let source = SetupSettings {
        parts,
        hosts: Vec::new(),
        whole: false,
        secrets: Vec::new(),
        exclude_ranges: Vec::new(),
        ..wanted.clone()
    };
    run(connected, source, false, printer).await
}

/// `enable-gateway`: the gateway and its access log.
pub(super) async fn enable_gateway(
    connection: &Connection,
    settings: cli::EnableGateway,
    printer: &Printer,
) -> Result<ExitCode> {
    let connected = connect_to_plan(connection, &settings.plan, printer).await?;
    let parts = Parts {
        gateway: true,
        source: false,
        routing: false,
    };
    let mut wanted = wanted(&connected.plan, parts, &settings.plan, settings.change);
    add_gateway(&mut wanted, &settings.gateway);
    let plan = wanted.plan.clone();
    let work = run(&connected, wanted, settings.gateway.create_gateway, printer);
    if or_interrupted(work, &plan).await? {
        printer.next(&format!("kubectl egress deploy-curl -n {}", plan.namespace));
    }
    Ok(ExitCode::Success)
}

/// `deploy-curl`: the source, its injection and its access log.
pub(super) async fn deploy_curl(
    connection: &Connection,
    settings: cli::DeployCurl,
    printer: &Printer,
) -> Result<ExitCode> {
    let connected = connect_to_plan(connection, &settings.plan, printer).await?;
    let parts = Parts {
        gateway: false,
        source: true,
        routing: false,
    };
    let mut wanted = wanted(&connected.plan, parts, &settings.plan, settings.change);
    add_source(&mut wanted, &settings.source);
    let plan = wanted.plan.clone();
    if or_interrupted(run(&connected, wanted, false, printer), &plan).await? {
        printer.next(&format!("kubectl egress route HOST -n {}", plan.namespace));
    }
    Ok(ExitCode::Success)
}

/// A plan file is the whole plan; what is typed beside it goes before it.
pub(super) fn from_plan(wanted: &mut SetupSettings, plan: Plan) {
    wanted.plan = plan.identity;
    wanted.hosts = plan.hosts;
    wanted.plan_settings = plan.settings.merged(std::mem::take(&mut wanted.plan_settings));
    wanted.whole = true;
}

/// What a run wants before its own flags are added.
pub(super) fn wanted(
    plan: &PlanIdentity,
    parts: Parts,
    flags: &PlanFlags,
    change: ChangeFlags,
) -> SetupSettings {
    SetupSettings {
        plan: plan.clone(),
        hosts: Vec::new(),
        whole: false,
        plan_settings: PlanSettings {
            gateway: flags.gateway.as_ref().map(ToString::to_string),
            ..PlanSettings::default()
        },
        gateway_settings: GatewaySettings::default(),
        create_istio_cr: false,
        create_namespace: false,
        inject_pod_only: false,
        image: names::SOURCE_IMAGE.to_owned(),
        secret: None,
        from: None,
        exclude_ranges: Vec::new(),
        secrets: Vec::new(),
        parts,
        dry_run: dry_run(change),
        force_conflicts: change.force_conflicts,
        timeout: flags.timeout,
    }
}

/// The engine's word for `--dry-run`.
pub(super) fn dry_run(change: ChangeFlags) -> DryRun {
    match change.dry_run {
        cli::DryRun::None => DryRun::No,
        cli::DryRun::Client => DryRun::Client,
        cli::DryRun::Server => DryRun::Server,
    }
}

fn add_gateway(wanted: &mut SetupSettings, flags: &GatewayFlags) {
    wanted.create_istio_cr = flags.create_istio_cr;
    wanted.gateway_settings.node_selector = flags
        .node_selectors
        .iter()
        .map(|selector| (selector.key.clone(), selector.value.clone()))
        .collect();
    wanted.gateway_settings.tolerations = flags
        .tolerations
        .iter()
        .map(|toleration| {
            let mut object = json!({"key": toleration.key, "operator": "Exists"});
            if let Some(value) = &toleration.value {
                object["operator"] = json!("Equal");
                object["value"] = json!(value);
            }
            if let Some(effect) = &toleration.effect {
                object["effect"] = json!(effect.to_string());
            }
            object
        })
        .collect();
}

fn add_source(wanted: &mut SetupSettings, flags: &SourceFlags) {
    wanted.create_namespace = flags.create_namespace;
    wanted.inject_pod_only = flags.inject == Inject::Pod;
    if let Some(image) = &flags.image {
        wanted.image.clone_from(image);
    }
    wanted.secret.clone_from(&flags.curl_secret);
}

/// Prepares, asks, runs. `false`: it was a dry run.
pub(super) async fn run(
    connected: &Connected,
    wanted: SetupSettings,
    may_create_gateway: bool,
    printer: &Printer,
) -> Result<bool> {
    let Some(prepared) = decide(connected, wanted, may_create_gateway, printer).await? else {
        return Ok(false);
    };
    engine::run(&connected.cluster, *prepared, &printer.events()).await?;
    Ok(true)
}

/// Prepares and asks; changes nothing. `None`: it was a dry run.
async fn decide(
    connected: &Connected,
    wanted: SetupSettings,
    may_create_gateway: bool,
    printer: &Printer,
) -> Result<Option<Box<Prepared>>> {
    let prepared = prepare(&connected.cluster, wanted).await?;
    let events = printer.events();
    for finding in &prepared.findings {
        events(Event::Found(finding.clone()));
    }
    for remark in &prepared.remarks {
        events(Event::Warning(remark.clone()));
    }
    if prepared.settings.dry_run != DryRun::No {
        show_manifests(&connected.cluster, &prepared, printer).await?;
        engine::dry_run(&connected.cluster, &prepared, &events).await?;
        printer.note("dry run: nothing was changed");
        printer.next("the same command without --dry-run");
        return Ok(None);
    }
    for question in &prepared.consents {
        let agreed = (may_create_gateway && question.starts_with("There is no egress gateway"))
            || printer.confirm(question).await?;
        if !agreed {
            return Err(Error::consent("nothing was changed, as you did not agree").because(question.clone()));
        }
    }
    Ok(Some(Box::new(prepared)))
}

/// With `-o yaml` or `-o json`, a dry run prints what would be applied.
async fn show_manifests(cluster: &Cluster, prepared: &Prepared, printer: &Printer) -> Result<()> {
    if printer.settings().output == OutputFormat::Text {
        return Ok(());
    }
    let namespace = prepared
        .facts
        .namespace
        .is_none()
        .then(|| prepared.namespace_manifest());
    let secrets = prepared.secrets.shown();
    let shown = namespace.iter().chain(prepared.manifests()).chain(&secrets);
    let objects = manifests::as_applied(cluster, shown).await;
    printer.document(
        &json!({"apiVersion": "v1", "kind": "List", "items": objects}),
        |_| String::new(),
    )
}

fn probe_settings(plan: &PlanIdentity, settings: &cli::Setup, source: ProbeSource) -> VerifySettings {
    VerifySettings {
        bypass: None,
        plan: plan.clone(),
        namespace: plan.namespace.clone(),
        hosts: Vec::new(),
        forbidden: Vec::new(),
        without_sidecar: false,
        source,
        ca_certificate: settings.probe.ca_certificate.clone(),
        echo: None,
        max_time_seconds: settings.probe.max_time,
        enforced: Enforced::Unasked,
        timeout: settings.plan.timeout,
    }
}

fn conclude(verification: &Verification, printer: &Printer) -> Result<ExitCode> {
    printer.document(verification, |style| view::verification(verification, style))?;
    let namespace = &verification.namespace;
    match verification.verdict {
        Verdict::Proven => {
            printer.next(&format!("kubectl egress verify -n {namespace}"));
            Ok(ExitCode::Success)
        }
        Verdict::Disproven => {
            printer.next(&view::next_after_verification(verification));
            Ok(ExitCode::Disproven)
        }
        Verdict::Inconclusive => {
            printer.next(&view::next_after_verification(verification));
            Ok(ExitCode::Inconclusive)
        }
    }
}

fn add_way_out(mut error: Error, plan: &PlanIdentity) -> Error {
    if error
        .causes()
        .iter()
        .any(|cause| cause.contains("cannot be pulled"))
    {
        error = error.hint("another image, or yours from a mirror: the same command with --image IMAGE");
    }
    match error.code() {
        ExitCode::Cluster | ExitCode::TimedOut => error.hint(format!(
            "what was set up stays; take it back: kubectl egress cleanup -n {} --plan {}",
            plan.namespace, plan.name
        )),
        _ => error,
    }
}

/// `--atomic`: a failed set-up is undone; the error stays the error.
async fn take_back(
    connected: &Connected,
    plan: &PlanIdentity,
    flags: &PlanFlags,
    error: Error,
    printer: &Printer,
) -> Error {
    // Whoever closed the terminal may say so twice; who presses Ctrl-C once more means it.
    let _answers = interruption();
    let settings = UndoSettings {
        dry_run: DryRun::No,
        keep_namespace: false,
        timeout: flags.timeout,
    };
    match undo::whole_plan(&connected.cluster, plan, settings, &printer.events()).await {
        Ok(remains) if remains.is_empty() => error.hint("everything was taken back (--atomic)"),
        Ok(remains) => error.hint(format!(
            "taken back (--atomic), but for: {}",
            remains.sentences().join("; ")
        )),
        Err(undone) => error.hint(format!(
            "taking it back failed too ({undone}); again: kubectl egress cleanup -n {} --plan {}",
            plan.namespace, plan.name
        )),
    }
}
