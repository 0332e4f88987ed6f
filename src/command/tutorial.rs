//! `tutorial`: the whole story of TLS passthrough, told step by step, with the commands that each step replaces.

use super::connection::{Connected, connect, leads_nowhere, or_interrupted};
use super::embedded;
use super::setup;
use crate::cli::{self, ChangeFlags, Connection, PlanArgument, PlanFlags, ProbeFlags, Tutorial};
use crate::cluster::Cluster;
use crate::engine::lockdown::{self, Decision, LockdownEnd, LockdownSettings};
use crate::engine::prepare::{DryRun, Parts, SetupSettings};
use crate::engine::probe::ProbeSource;
use crate::engine::undo::{self, UndoSettings};
use crate::engine::verify::{self, VerifySettings};
use crate::error::{Error, Result};
use crate::plan::PlannedHost;
use crate::plan::lock::LockSettings;
use crate::report::{Printer, Tone, view};
use crate::sandbox::Sandbox;
use crate::vocabulary::{ExitCode, HostName, PlanIdentity, Verdict, names};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Namespace of the story.
const NAMESPACE: &str = "egress-tutorial";
/// Host of the story, the one of the tutorial that this replaces.
const HOST: &str = "kyma-project.io";
const TIMEOUT: Duration = Duration::from_secs(180);
/// More than the ten seconds after which Envoy gives a connection up.
const MAX_TIME_SECONDS: u32 = 12;

/// Tells it on the sandbox, or on the cluster of the context.
pub(super) async fn tutorial(
    connection: &Connection,
    _settings: Tutorial,
    printer: &Printer,
) -> Result<ExitCode> {
    let started = Instant::now();
    let namespace = connection
        .namespace
        .clone()
        .unwrap_or_else(|| NAMESPACE.to_owned());
    let (cluster, sandbox) = stage(connection, &namespace, printer).await?;
    let connected = Connected {
        cluster,
        plan: identity(&namespace)?,
        namespace,
    };
    let plan = connected.plan.clone();
    let code = or_interrupted(story(&connected, printer), &plan).await?;
    if let Some(sandbox) = &sandbox {
        show_outside(sandbox, printer);
    }
    printer.styled(&format!(
        "\nThat took {:.1} s.\n",
        started.elapsed().as_secs_f64()
    ));
    printer.next(&format!(
        "kubectl egress setup {HOST} -n demo --create-namespace (on a cluster of your own)"
    ));
    Ok(code)
}

/// The cluster that the story is played on: the embedded one if asked for, or if there is no other.
async fn stage(
    connection: &Connection,
    namespace: &str,
    printer: &Printer,
) -> Result<(Cluster, Option<Sandbox>)> {
    let mut connection = Connection {
        namespace: Some(namespace.to_owned()),
        ..connection.clone()
    };
    if !connection.sandbox && leads_nowhere(&connection) {
        connection.sandbox = true;
        printer.note("there is no kubeconfig, so the story is told on a simulated cluster");
    }
    if connection.sandbox {
        let (cluster, sandbox) = embedded::connect(&connection, printer)?;
        return Ok((cluster, Some(sandbox)));
    }
    let flags = PlanFlags {
        plan: argument(names::DEFAULT_PLAN),
        gateway: None,
        timeout: TIMEOUT,
    };
    Ok((connect(&connection, &flags, printer).await?.cluster, None))
}

fn argument(plan: &str) -> PlanArgument {
    PlanArgument {
        namespace: None,
        name: plan.to_owned(),
    }
}

fn identity(namespace: &str) -> Result<PlanIdentity> {
    PlanIdentity::new(namespace, names::DEFAULT_PLAN).map_err(|error| Error::usage(error.to_string()))
}

async fn story(connected: &Connected, printer: &Printer) -> Result<ExitCode> {
    let namespace = connected.plan.namespace.clone();
    tell(
        printer,
        "1. Set up",
        &[
            &format!(
                "Traffic to {HOST} is to leave through the egress gateway. One command makes the namespace, a source"
            ),
            "to send requests from, the access log of both proxies, and four routing objects, side by side, and waits until",
            "both proxies hold the route: a request that is sent too early is a clean 200 that went around the gateway.",
        ],
        &[
            &format!(
                "kubectl create namespace {namespace}; kubectl label namespace {namespace} istio-injection=enabled"
            ),
            "kubectl apply -f telemetry.yaml; kubectl apply -f curl.yaml; kubectl wait …",
            "kubectl apply -f serviceentry.yaml; kubectl apply -f gateway-destinationrule-virtualservice.yaml",
        ],
        &format!("kubectl egress setup {HOST} -n {namespace} --create-namespace"),
    );
    setup::run(connected, wanted(&connected.plan)?, false, printer).await?;

    tell(
        printer,
        "2. Prove it",
        &[
            "A 200 proves nothing, and neither does some line in the gateway's log. Here every probe is followed by its",
            "socket addresses from curl through the sidecar to the gateway, and what should not get out is tried as well.",
        ],
        &[
            &format!(
                "kubectl exec -n {namespace} $SOURCE_POD -c curl -- curl -sSL -o /dev/null -D - https://{HOST}"
            ),
            "kubectl logs -l istio=egressgateway -n istio-system",
        ],
        &format!("kubectl egress verify -n {namespace}"),
    );
    let flags = ProbeFlags {
        max_time: MAX_TIME_SECONDS,
        ..ProbeFlags::default()
    };
    let source = super::source::find(connected, &flags, names::SOURCE_IMAGE, TIMEOUT, printer).await?;
    let settings = VerifySettings {
        bypass: None,
        plan: connected.plan.clone(),
        namespace: connected.namespace.clone(),
        hosts: Vec::new(),
        forbidden: forbidden(),
        without_sidecar: true,
        source: source.clone(),
        ca_certificate: None,
        echo: None,
        max_time_seconds: flags.max_time,
        enforced_required: false,
        timeout: TIMEOUT,
    };
    let verification = verify::verify(&connected.cluster, &settings, &printer.events()).await?;
    printer.styled(&view::verification(&verification, printer.style()));
    tell(
        printer,
        "   What this shows",
        &[
            &format!(
                "The declared host is routed. What is not declared, such as {HOST} on port 80, still leaves directly, and a pod"
            ),
            "without sidecar reaches everything: Istio routes, it does not lock. Only a policy below the mesh does.",
            "The gateway does not see into TLS. In modes that carry HTTP (--mode http, tls-origination) Istio would tell the",
            "host who called: X-Forwarded-Client-Cert holds the workload's own certificate. The routes made here take that",
            "header out, and six more; --keep-headers leaves them in, and `verify --echo PATH` asks the host what it saw.",
        ],
        &[],
        "",
    );

    tell(
        printer,
        "3. Lock it",
        &[
            "The lock lets the namespace's pods reach DNS, istiod and the gateway's pods, and nothing else. Before it is",
            "applied, a Job is armed in the cluster that takes it back unless the proof succeeds, whatever becomes of this",
            "program. The proof comes from pods that started under the lock, with sidecar and without.",
        ],
        &[
            "export KUBE_DNS_ADDRESS=$(kubectl get svc -n kube-system kube-dns -o jsonpath='{.spec.clusterIP}')",
            "kubectl apply -f networkpolicy.yaml (which opens all of istio-system, its ingress gateway included)",
            "kubectl exec … curl https://www.google.com (exit 35, which a sidecar gives without any policy as well)",
        ],
        &format!("kubectl egress lockdown -n {namespace}"),
    );
    let locked = lock(connected, source, printer).await?;

    tell(
        printer,
        "4. Put everything back",
        &["The set-up wrote down what it changed, and what was there before, before it changed it."],
        &["kubectl delete … (some twelve objects and a label, from memory)"],
        &format!("kubectl egress cleanup -n {namespace} --verify"),
    );
    let how = UndoSettings {
        dry_run: DryRun::No,
        keep_namespace: false,
        timeout: TIMEOUT,
    };
    let kept = undo::whole_plan(&connected.cluster, &connected.plan, how, &printer.events()).await?;
    let left = undo::leftovers(&connected.cluster, &connected.plan).await?;
    for text in kept.sentences().iter().chain(&left) {
        printer.warning(text);
    }
    if left.is_empty() {
        printer.styled("Nothing of ours is left.\n");
    }
    Ok(match (verification.verdict, locked, left.is_empty()) {
        (Verdict::Proven, LockdownEnd::Locked, true) => ExitCode::Success,
        (Verdict::Inconclusive, _, true) => ExitCode::Inconclusive,
        _ => ExitCode::Disproven,
    })
}

/// Locks the story's namespace, as `lockdown --yes` does.
async fn lock(connected: &Connected, source: ProbeSource, printer: &Printer) -> Result<LockdownEnd> {
    let wanted = LockdownSettings {
        plan: connected.plan.clone(),
        namespace: connected.namespace.clone(),
        lock: LockSettings::default(),
        confirm_within: TIMEOUT,
        effect_within: crate::engine::lockdown::EFFECT_WITHIN,
        forbidden: forbidden(),
        source,
        ca_certificate: None,
        max_time_seconds: MAX_TIME_SECONDS,
        timeout: TIMEOUT,
    };
    let document = match lockdown::prepare(&connected.cluster, wanted).await? {
        Decision::Unchanged(prepared) => prepared.document(),
        Decision::Lock(prepared) => {
            let never = std::future::pending();
            lockdown::run(&connected.cluster, &prepared, &printer.events(), never).await?
        }
    };
    printer.styled(&view::lockdown(&document, printer.style()));
    Ok(document.end)
}

fn forbidden() -> Vec<HostName> {
    names::DEFAULT_FORBIDDEN_HOST.parse().into_iter().collect()
}

fn wanted(plan: &PlanIdentity) -> Result<SetupSettings> {
    let flags = PlanFlags {
        plan: argument(&plan.name),
        gateway: None,
        timeout: TIMEOUT,
    };
    let change = ChangeFlags {
        dry_run: cli::DryRun::None,
        force_conflicts: false,
    };
    let host = HOST
        .parse()
        .map_err(|error| Error::bug(format!("{HOST}: {error}")))?;
    Ok(SetupSettings {
        hosts: vec![PlannedHost::passthrough(host, 443)],
        create_istio_cr: false,
        create_namespace: true,
        ..setup::wanted(plan, Parts::ALL, &flags, change)
    })
}

/// A heading, prose, what one would type by hand, and the command that does it.
fn tell(printer: &Printer, heading: &str, prose: &[&str], by_hand: &[&str], command: &str) {
    let style = printer.style();
    let mut text = format!("\n{}\n", style.paint(Tone::Strong, heading));
    text.push_str(&style.wrap(&prose.join(" "), 3));
    text.push('\n');
    if !by_hand.is_empty() {
        text.push_str("   by hand:\n");
        for line in by_hand {
            text.push_str(&style.wrap(&style.paint(Tone::Quiet, line), 6));
            text.push('\n');
        }
    }
    if !command.is_empty() {
        let _ = write!(
            text,
            "   here:\n      {}\n\n",
            style.paint(Tone::Literal, command)
        );
    }
    printer.styled(&text);
}

/// The sandbox knows the truth: who really reached the outside.
fn show_outside(sandbox: &Sandbox, printer: &Printer) {
    let mut text = String::from("\nWhat the outside world saw, the ground truth of every verdict above:\n");
    for request in sandbox.outside_log() {
        let scheme = if request.tls { "https" } else { "http" };
        let _ = writeln!(
            text,
            "   {scheme}://{}:{} was asked by {} ({})",
            request.host, request.port, request.peer_pod, request.peer
        );
    }
    printer.styled(&text);
}
