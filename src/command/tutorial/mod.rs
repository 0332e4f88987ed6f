//! `tutorial`: stories told step by step, with the commands that each step replaces. One file per story.

mod istio;
mod mtls;
mod passthrough;
mod section;
mod work;

use super::connection::{Connected, connect, leads_nowhere};
use super::embedded;
use super::two_clusters::connect_to_target;
use crate::cli::{Connection, PlanArgument, PlanFlags, Story, TargetCluster, Tutorial};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::report::{Printer, Tone, interruption};
use crate::sandbox::Sandbox;
use crate::vocabulary::{ExitCode, PlanIdentity, names};
use section::{Section, Work};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Namespace of the stories.
const NAMESPACE: &str = "egress-tutorial";
const TIMEOUT: Duration = Duration::from_secs(180);

/// Tells a story on the sandbox, or on the cluster of the context.
pub(super) async fn tutorial(
    connection: &Connection,
    settings: Tutorial,
    printer: &Printer,
) -> Result<ExitCode> {
    let (prerequisites, all) = match settings.story {
        Story::Passthrough => (passthrough::PREREQUISITES, passthrough::SECTIONS),
        Story::Istio => (istio::PREREQUISITES, istio::SECTIONS),
        Story::Mtls => (mtls::PREREQUISITES, mtls::SECTIONS),
    };
    if settings.list {
        printer.data(&all.iter().fold(String::new(), |text, section| {
            text + &format!("{:<18} {}\n", section.name, section.title)
        }));
        let story = settings.story;
        printer.next(&format!("kubectl egress tutorial {story} --only SECTION"));
        return Ok(ExitCode::Success);
    }
    if settings.pause && !printer.is_interactive() {
        return Err(Error::usage("--pause waits for Enter, and there is no terminal")
            .hint("leave --pause out, or --only one section at a time"));
    }
    let chosen = chosen(all, settings.only.as_deref())?;
    let started = Instant::now();
    let namespace = connection
        .namespace
        .clone()
        .unwrap_or_else(|| NAMESPACE.to_owned());
    let Stage {
        connection,
        cluster,
        sandbox,
    } = stage(connection, &namespace, printer).await?;
    let target = match settings.story {
        Story::Mtls => Some(other_cluster(&connection, &settings.target, &namespace, printer).await?),
        Story::Passthrough | Story::Istio => None,
    };
    let teller = Teller {
        connected: Connected {
            cluster,
            plan: plan_in(&namespace)?,
            namespace,
        },
        connection,
        target,
        printer,
        simulated: sandbox.is_some(),
        pause: settings.pause,
    };
    teller.prerequisites(prerequisites);
    let code = teller.all(all, &chosen).await?;
    if let Some(sandbox) = &sandbox {
        show_outside(sandbox, printer);
    }
    printer.styled(&format!(
        "\nThat took {:.1} s.\n",
        started.elapsed().as_secs_f64()
    ));
    printer
        .next("kubectl egress setup kyma-project.io -n demo --create-namespace (on a cluster of your own)");
    Ok(code)
}

/// Which sections are told; of those before them that they need, only the work is done.
fn chosen(all: &'static [Section], only: Option<&str>) -> Result<Vec<&'static Section>> {
    let Some(only) = only else {
        return Ok(all.iter().collect());
    };
    let found = all.iter().find(|section| section.name == only);
    found.map(|section| vec![section]).ok_or_else(|| {
        let there: Vec<&str> = all.iter().map(|section| section.name).collect();
        Error::usage(format!("this story has no section {only}"))
            .because(format!("its sections are {}", there.join(", ")))
            .hint("see them: kubectl egress tutorial STORY --list")
    })
}

/// What the story is played on.
struct Stage {
    /// How it was reached.
    connection: Connection,
    cluster: Cluster,
    /// The embedded cluster, if it is that.
    sandbox: Option<Sandbox>,
}

fn plan_in(namespace: &str) -> Result<PlanIdentity> {
    PlanIdentity::new(namespace, names::DEFAULT_PLAN).map_err(|error| Error::usage(error.to_string()))
}

/// The cluster that the story is played on: the embedded one if asked for, or if there is no other.
async fn stage(connection: &Connection, namespace: &str, printer: &Printer) -> Result<Stage> {
    let mut connection = Connection {
        namespace: Some(namespace.to_owned()),
        ..connection.clone()
    };
    let nowhere = !connection.sandbox && leads_nowhere(&connection);
    if nowhere || connection.sandbox {
        connection.sandbox = true;
        let (cluster, sandbox) = embedded::connect(&connection, printer)?;
        if nowhere {
            printer.note(
                "there is no kubeconfig, so the story is told on an embedded cluster, as with --sandbox",
            );
        }
        return Ok(Stage {
            connection,
            cluster,
            sandbox: Some(sandbox),
        });
    }
    let cluster = connect(&connection, &flags(), printer).await?.cluster;
    Ok(Stage {
        connection,
        cluster,
        sandbox: None,
    })
}

/// The flags of the story's plan.
fn flags() -> PlanFlags {
    PlanFlags {
        plan: PlanArgument {
            namespace: None,
            name: names::DEFAULT_PLAN.to_owned(),
        },
        gateway: None,
        timeout: TIMEOUT,
    }
}

/// The cluster that the story's requests arrive in, with its context.
async fn other_cluster(
    connection: &Connection,
    named: &TargetCluster,
    namespace: &str,
    printer: &Printer,
) -> Result<Target> {
    let usual = connection.sandbox.then(|| embedded::TARGET_CONTEXT.to_owned());
    let Some(context) = named.target_context.clone().or(usual) else {
        return Err(
            Error::usage("this story is about two clusters, and only one is named")
                .hint("name the other one: --target-context NAME; or without clusters: --sandbox"),
        );
    };
    let named = TargetCluster {
        target_context: Some(context.clone()),
        target_kubeconfig: named.target_kubeconfig.clone(),
    };
    let connected = connect_to_target(connection, &named, &flags(), printer).await?;
    let connected = Connected {
        plan: plan_in(namespace)?,
        namespace: namespace.to_owned(),
        ..connected
    };
    Ok(Target { connected, context })
}

/// The other cluster.
struct Target {
    connected: Connected,
    context: String,
}

/// Who tells, and where.
struct Teller<'printer> {
    connected: Connected,
    connection: Connection,
    /// In a story of two clusters.
    target: Option<Target>,
    printer: &'printer Printer,
    /// On the embedded cluster.
    simulated: bool,
    /// Waits for Enter between sections.
    pause: bool,
}

impl Teller<'_> {
    fn prerequisites(&self, lines: &[&str]) {
        let style = self.printer.style();
        let mut text = style.paint(Tone::Strong, "Before you begin");
        text.push_str(if self.simulated {
            " (here it is simulated; on a machine of yours it is up to you)\n"
        } else {
            " (up to you; nothing of it is done here)\n"
        });
        for line in lines {
            let line = self.filled(line);
            text.push_str(&style.wrap_painted(Tone::Quiet, &line, 6));
            text.push('\n');
        }
        self.printer.styled(&text);
    }

    /// Tells sections, and puts everything back at the end, also after an error or Ctrl-C.
    async fn all(&self, all: &'static [Section], chosen: &[&'static Section]) -> Result<ExitCode> {
        let mut told = Ok(ExitCode::Success);
        let mut dirty = false;
        for (number, section) in all.iter().enumerate() {
            let is_told = chosen.iter().any(|one| one.name == section.name);
            let is_needed = chosen.len() == 1 && !is_told && needed(all, number, chosen[0]);
            if !is_told && !is_needed {
                continue;
            }
            if is_told {
                self.tell(number + 1, section);
                if self.pause && !self.enter().await {
                    told = Err(interrupted());
                    break;
                }
            }
            dirty = !section.work.contains(&Work::CleanUp);
            let done = self.section(section).await;
            told = match (told, done) {
                (Ok(before), Ok(now)) => Ok(worse(before, now)),
                (_, Err(error)) | (Err(error), _) => Err(error),
            };
            if told.is_err() {
                break;
            }
            if is_told && !section.shows.is_empty() {
                self.say("   What this shows", section.shows);
            }
            let goes_on = all.get(number + 1).is_some_and(|next| next.continues);
            if !goes_on && dirty {
                told = told.and(self.put_back().await);
                dirty = false;
            }
        }
        if dirty {
            let put_back = self.put_back().await;
            told = match (told, put_back) {
                (Err(error), _) | (_, Err(error)) => Err(error),
                (Ok(before), Ok(now)) => Ok(worse(before, now)),
            };
        }
        told
    }

    /// A heading, prose, what one would type by hand, and the command that does it.
    fn tell(&self, number: usize, section: &Section) {
        let style = self.printer.style();
        self.say(&format!("{number}. {}", section.title), section.prose);
        let mut text = String::from("   by hand:\n");
        for line in section.by_hand {
            text.push_str(&style.wrap_painted(Tone::Quiet, &self.filled(line), 6));
            text.push('\n');
        }
        let command = style.paint(Tone::Literal, &self.filled(section.command));
        let _ = write!(text, "   here:\n{}\n\n", style.wrap(&command, 6));
        self.printer.styled(&text);
    }

    /// A text of the story with the names of this one.
    fn filled(&self, text: &str) -> String {
        let context = self.target.as_ref().map_or("", |target| target.context.as_str());
        let text = text.replace("NAMESPACE", &self.connected.namespace);
        text.replace("CONTEXT", context)
    }

    fn say(&self, heading: &str, prose: &str) {
        let style = self.printer.style();
        let heading = style.paint(Tone::Strong, heading);
        self.printer
            .styled(&format!("\n{heading}\n{}\n", style.wrap(prose, 3)));
    }

    /// Waits for Enter. `false`: Ctrl-C, or nobody is there any more.
    async fn enter(&self) -> bool {
        let interrupted = interruption();
        self.printer
            .announce("   Enter goes on, Ctrl-C puts everything back");
        let line = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
        tokio::select! {
            read = line => matches!(read, Ok(Ok(1..))),
            () = interrupted => false,
        }
    }
}

/// Whether a section must be done for another to make sense: it is one that the other goes on from.
fn needed(all: &[Section], number: usize, wanted: &Section) -> bool {
    let at = all.iter().position(|section| section.name == wanted.name);
    let since = at.is_some_and(|at| number < at && all[number + 1..=at].iter().all(|one| one.continues));
    // Clean-up and lock need the set-up, but not each other.
    since
        && all[number]
            .work
            .iter()
            .any(|work| matches!(work, Work::SetUp(_) | Work::TwoClusters(_)))
}

fn worse(before: ExitCode, now: ExitCode) -> ExitCode {
    if before == ExitCode::Success { now } else { before }
}

fn interrupted() -> Error {
    Error::interrupted().because("what the story had changed was put back")
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
