//! `logs`: the access log of every gateway pod, decoded, filtered by host.

use super::connection::{connect, or_interrupted};
use super::log_lines::{self, Line};
use crate::cli::{self, Connection};
use crate::cluster::{Cluster, LogEvent, LogStart, PodChange};
use crate::engine::{access_logs, pods, sentinel, verify};
use crate::error::{Error, Result};
use crate::evidence::explanation::without_prefix;
use crate::evidence::{AccessLogLine, LogFormats, line_mentions};
use crate::istio::kinds;
use crate::plan::GatewayTarget;
use crate::report::{Printer, Tone};
use crate::vocabulary::{ClusterCommand, ExitCode, HostName, PodName, names};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;

/// Lines to begin with when following.
const FOLLOW_TAIL: u32 = 10;
/// Lines to begin with otherwise, and of pods that come while others are followed.
const ALL: u32 = u32::MAX >> 1;
/// Without `-f`: after this long without a line everything there was has come.
const QUIET: Duration = Duration::from_millis(700);

/// Prints lines until there are no more, or for ever with `-f`.
pub(super) async fn logs(
    connection: &Connection,
    settings: cli::Logs,
    printer: &Printer,
) -> Result<ExitCode> {
    if let Some(file) = &settings.file {
        return saved(file, &settings, printer);
    }
    let connected = connect(connection, &settings.plan, printer).await?;
    connected.preflight(ClusterCommand::Logs, &[], printer).await?;
    let gateway = verify::stored_plan(&connected.cluster, &connected.plan)
        .await?
        .gateway;
    let (pods, formats) = pods_of(&connected.cluster, &gateway).await?;
    let all = if settings.follow && settings.since.is_none() {
        FOLLOW_TAIL
    } else {
        ALL
    };
    let tail = settings.tail.unwrap_or(all);
    let start = settings
        .since
        .map_or(LogStart::Tail(tail), |age| LogStart::Since(age, tail));
    let (sender, mut receiver) = mpsc::channel::<(PodName, LogEvent)>(256);
    let following = Following {
        cluster: connected.cluster.clone(),
        sender,
    };
    for pod in &pods {
        following.begin(pod.clone(), start);
    }
    if settings.follow {
        tokio::spawn(following.keep_up(gateway.clone(), pods.into_iter().collect()));
    } else {
        drop(following);
    }
    let mut shown = false;
    let printing = async {
        loop {
            let event = if settings.follow {
                receiver.recv().await
            } else {
                tokio::time::timeout(QUIET, receiver.recv()).await.unwrap_or(None)
            };
            match event {
                None => return Ok(()),
                Some((pod, LogEvent::Line(raw))) => {
                    let fate = print_line(&pod.to_string(), &raw, &formats, &settings, printer)?;
                    shown |= fate == Fate::Shown;
                }
                Some((pod, LogEvent::Gap(why))) => {
                    printer.warning(&format!("lines of {pod} may be missing: {why}"));
                }
                Some((_, LogEvent::Forbidden(error) | LogEvent::Failed(error))) => return Err(error),
                Some((_, LogEvent::Opened | LogEvent::Ended)) => {}
            }
            if printer.output_is_closed() {
                return Ok(());
            }
        }
    };
    or_interrupted(printing, &connected.plan).await?;
    match settings.hosts.first() {
        Some(host) if !shown => {
            printer.note(&format!("none of the lines that were read is about {host}"));
            printer.next(&format!("kubectl egress probe {host} -n {}", connected.namespace));
        }
        _ if settings.raw => printer.next("kubectl egress explain --log 'LINE'"),
        // What is shown is a summary of each line; `explain` reads lines as the gateway wrote them.
        _ => {
            let hosts = settings
                .hosts
                .iter()
                .fold(String::new(), |flags, host| flags + " --host " + host.as_str());
            printer.next(&format!(
                "kubectl egress logs --raw{hosts} -n {} | kubectl egress explain --log",
                connected.namespace
            ));
        }
    }
    Ok(ExitCode::Success)
}

/// Logs that are followed, into one channel.
struct Following {
    cluster: Cluster,
    sender: mpsc::Sender<(PodName, LogEvent)>,
}

impl Following {
    /// Follows one pod's log until it ends.
    fn begin(&self, pod: PodName, start: LogStart) {
        let log = self.cluster.follow_log(&pod, names::PROXY_CONTAINER, start);
        tokio::spawn(log.pass_on(pod, self.sender.clone()));
    }

    /// Follows the gateway's pods that come later, from their first line on: a restart replaces all of them.
    async fn keep_up(self, gateway: GatewayTarget, mut followed: BTreeSet<PodName>) {
        let mut changes = self
            .cluster
            .watch_pods(&gateway.namespace, &gateway.label_selector());
        while let Some(change) = changes.recv().await {
            match change {
                // Before its proxy runs there is no log.
                PodChange::Present(pod)
                    if pods::has_begun(&pod, names::PROXY_CONTAINER) && followed.insert(pods::name(&pod)) =>
                {
                    self.begin(pods::name(&pod), LogStart::Tail(ALL));
                }
                PodChange::Present(_) | PodChange::Gone(_) | PodChange::Synced => {}
                PodChange::Failed(error) => {
                    let nobody = PodName::new(&gateway.namespace, &gateway.service);
                    // The printer is gone only when everything ends.
                    let _ = self.sender.send((nobody, LogEvent::Failed(error))).await;
                    return;
                }
            }
        }
    }
}

/// Prints lines of a saved log, in Istio's own formats, whatever kubectl wrote in front of them.
fn saved(file: &Path, settings: &cli::Logs, printer: &Printer) -> Result<ExitCode> {
    let name = file.display();
    let fail = |error: std::io::Error| {
        Error::usage(format!("{name} cannot be read"))
            .because(error.to_string())
            .hint("give a file with lines of an access log; - is standard input")
    };
    let input: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(file).map_err(fail)?)
    };
    let words: Vec<&str> = settings.hosts.iter().map(HostName::as_str).collect();
    let formats = LogFormats::default();
    let mut failed = None;
    log_lines::for_each_line_with(input, &words, |line| {
        let Line::Whole(raw) = line else { return true };
        for (rest, pod) in without_prefix(raw) {
            match print_line(pod.unwrap_or("-"), rest, &formats, settings, printer) {
                Ok(Fate::Shown | Fate::PassedOver) => break,
                Ok(Fate::Unknown) => {}
                Err(error) => {
                    failed = Some(error);
                    return false;
                }
            }
        }
        !printer.output_is_closed()
    })
    .map_err(fail)?;
    failed.map_or(Ok(ExitCode::Success), Err)
}

/// The gateway's pods, and how they lay out their log.
async fn pods_of(cluster: &Cluster, gateway: &GatewayTarget) -> Result<(Vec<PodName>, LogFormats)> {
    let pods = cluster
        .list(
            &kinds::pod(),
            Some(&gateway.namespace),
            Some(&gateway.label_selector()),
        )
        .await?;
    let Some(first) = pods.first() else {
        return Err(Error::usage(format!("the gateway {gateway} has no pods"))
            .hint("`kubectl egress status` shows its state"));
    };
    let formats = access_logs::of_gateway(cluster, gateway, first.at("/metadata/labels")).await;
    Ok((pods.iter().map(pods::name).collect(), formats))
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Shown,
    /// It is of no interest.
    PassedOver,
    /// It is none of an access log.
    Unknown,
}

/// Prints a line if it is wanted; says what became of it.
fn print_line(
    pod: &str,
    raw: &[u8],
    formats: &LogFormats,
    settings: &cli::Logs,
    printer: &Printer,
) -> Result<Fate> {
    // Of a long log most lines are about other hosts: looking for a word is many times cheaper than reading a line.
    // Our own hellos, by which a follower is known to deliver, tell nobody anything else.
    if settings.hosts.is_empty() && !settings.raw && sentinel::is_mentioned(raw) {
        return Ok(Fate::PassedOver);
    }
    let mentioned = |host: &HostName| line_mentions(raw, host.as_str());
    if !settings.hosts.is_empty() && !settings.hosts.iter().any(mentioned) {
        return Ok(Fate::PassedOver);
    }
    let Some(line) = formats.parse(raw) else {
        return Ok(Fate::Unknown);
    };
    if !settings.hosts.is_empty() && !settings.hosts.iter().any(|host| concerns(&line, host)) {
        return Ok(Fate::PassedOver);
    }
    if settings.raw {
        printer.raw_line(raw);
        return Ok(Fate::Shown);
    }
    let document = serde_json::json!({
        "pod": pod,
        "startTime": line.start_time,
        "host": line.requested_server_name.as_ref().or(line.authority.as_ref()),
        "responseCode": line.response_code,
        "responseFlags": line.response_flags,
        "upstreamCluster": line.upstream_cluster.as_ref().map(ToString::to_string),
        "upstreamHost": line.upstream_host,
        "downstreamRemoteAddress": line.downstream_remote_address,
        "bytesReceived": line.bytes_received,
        "bytesSent": line.bytes_sent,
        "durationMilliseconds": line.duration,
        "upstreamTransportFailureReason": line.upstream_transport_failure_reason,
    });
    printer.record(&document, |style| {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let host = line
            .requested_server_name
            .clone()
            .or_else(|| line.authority.clone())
            .unwrap_or_else(|| "-".to_owned());
        let flags = if line.response_flags.is_empty() {
            "ok".to_owned()
        } else {
            line.response_flags.join(",")
        };
        let tone = if line.response_flags.is_empty() {
            Tone::Good
        } else {
            Tone::Bad
        };
        format!(
            "{}  {}  {} {} {}  {}  {} in, {} out, {} ms\n",
            style.paint(Tone::Quiet, &text(&line.start_time)),
            style.paint(Tone::Strong, &host),
            style.paint(Tone::Plain, &text(&line.downstream_remote_address)),
            style.arrow(),
            style.paint(Tone::Plain, &text(&line.upstream_host)),
            style.paint(tone, &flags),
            line.bytes_received,
            line.bytes_sent,
            line.duration,
        )
    })?;
    Ok(Fate::Shown)
}

fn concerns(line: &AccessLogLine, host: &HostName) -> bool {
    let host = host.as_str();
    line.requested_server_name.as_deref() == Some(host)
        || line
            .authority
            .as_deref()
            .is_some_and(|authority| authority.split(':').next() == Some(host))
}
