//! On the lab, for as long as is asked for: `logs -f`, `status -w` and `learn` while the gateway restarts and pods are
//! replaced, then while nothing happens.

use super::lab::{Place, kubectl, lab, ours, words};
use super::{Measured, Unmeasured};
use crate::bench::Bench;
use crate::row::Row;
use crate::spread::{Spread, Unit};
use crate::watched::Watched;
use anyhow::Result;
use kubectl_egress_lab::Lab;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Plain HTTP, so that a line tells which request it is about.
const HOST: &str = "edition.cnn.com";
const GATEWAY: &str = "deployment/istio-egressgateway";
/// Requests that one curl sends.
const BATCH: usize = 20;
/// How often requests are sent, and what the commands take is looked at.
const PACE: Duration = Duration::from_secs(5);
/// How often something restarts.
const CHURN: Duration = Duration::from_secs(60);
/// Memory may differ by so much between the first and the last look: allocators keep what they had.
const SLACK: f64 = 2.0 * 1024.0 * 1024.0;

pub(super) fn measure(bench: &Bench) -> Measured {
    let lab = lab(bench)?;
    let place = Place::new(lab, "long");
    let line = format!(
        "setup {HOST} --mode http --create-namespace --yes -n {}",
        place.name
    );
    ours(bench, lab, words(&line)).run()?;
    let measured = under_churn(bench, lab, &place);
    // The gateway's share of the plan's Telemetry is in another namespace.
    ours(bench, lab, words(&format!("cleanup --yes -n {}", place.name))).run()?;
    measured
}

fn under_churn(bench: &Bench, lab: &Lab, place: &Place<'_>) -> Measured {
    // The last fifth is quiet.
    let (all, busy) = (bench.long, bench.long * 4 / 5);
    let commands = [
        format!("logs -f --raw -n {}", place.name),
        format!("status -w -n {}", place.name),
        format!("learn --for {}s -n {}", all.as_secs(), place.name),
    ];
    let mark = lab.world().mark()?;
    let mut watched = Vec::new();
    for line in &commands {
        watched.push(Watched::start(bench.command(&lab.kubeconfig(), words(line)))?);
    }
    let begin = Instant::now();
    let (mut sent, mut restarts) = (0, 0);
    let mut next_restart = begin + CHURN;
    while begin.elapsed() < busy {
        send(lab, &place.name, sent);
        sent += BATCH;
        if Instant::now() >= next_restart {
            restart(lab, &place.name, restarts)?;
            restarts += 1;
            next_restart += CHURN;
        }
        look(&mut watched)?;
        std::thread::sleep(PACE);
    }
    kubectl(lab, &["rollout", "status", GATEWAY, "-n", "istio-system"]).run()?;
    // What the last requests cause has come by then.
    std::thread::sleep(PACE * 3);
    let quiet = Instant::now();
    watched.iter_mut().for_each(Watched::quiet);
    while begin.elapsed() < all.saturating_sub(PACE) {
        look(&mut watched)?;
        std::thread::sleep(PACE);
    }
    let quiet = quiet.elapsed();
    watched.iter_mut().for_each(Watched::quiet_is_over);

    let mut rows = Vec::new();
    let mut said = Vec::new();
    for (line, mut command) in commands.iter().zip(watched) {
        let name = words(line)
            .into_iter()
            .take_while(|word| word != "-n")
            .collect::<Vec<_>>();
        let name = name.join(" ");
        rows.extend(rows_of(&name, &command, quiet));
        // `learn` ends by itself; the others at Ctrl-C.
        said.push(command.end(Duration::from_secs(30))?);
    }
    let arrived: BTreeSet<String> = (lab.world().since(mark)?.into_iter())
        .filter_map(|event| event.path)
        .filter(|path| path.starts_with(PATH))
        .collect();
    let told = paths(&said[0]);
    let lost: Vec<&String> = arrived.difference(&told).collect();
    if !lost.is_empty() {
        crate::output::note(&format!("requests that `logs -f` did not tell of: {lost:?}"));
    }
    let what = format!(
        "lines that `logs -f` lost, of {} requests that the outside saw in {} minutes with {restarts} restarts of the gateway and of pods",
        arrived.len(),
        all.as_secs() / 60,
    );
    rows.insert(
        0,
        Row::new(what, lost.len()).judged("0", lost.is_empty() && !arrived.is_empty()),
    );
    let learned = String::from_utf8_lossy(&said[2]).contains(HOST);
    rows.push(
        Row::new(
            "`learn` names the host at its end",
            if learned { "yes" } else { "no" },
        )
        .judged("yes", learned),
    );
    Ok(rows)
}

/// What a request's path begins with.
const PATH: &str = "/long-";

/// Sends requests with a number each. That some fail while pods are replaced is what happens then.
fn send(lab: &Lab, namespace: &str, first: usize) {
    let address = format!("http://{HOST}{PATH}[{first}-{}]", first + BATCH - 1);
    let arguments = [
        "exec",
        "deployment/curl",
        "-n",
        namespace,
        "-c",
        "curl",
        "--",
        "curl",
        "-sS",
        "-m",
        "20",
        "-o",
        "/dev/null",
        &address,
    ];
    let _ = kubectl(lab, &arguments).run();
}

/// The gateway and the source in turn.
fn restart(lab: &Lab, namespace: &str, number: usize) -> Result<(), Unmeasured> {
    if number.is_multiple_of(2) {
        kubectl(lab, &["rollout", "restart", GATEWAY, "-n", "istio-system"]).run()?;
    } else {
        kubectl(lab, &["delete", "pods", "--all", "--wait=false", "-n", namespace]).run()?;
    }
    Ok(())
}

fn look(watched: &mut [Watched]) -> Result<()> {
    watched.iter_mut().try_for_each(Watched::look)
}

/// The paths of our requests in lines of a log.
fn paths(log: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(log);
    let words = text.split([' ', '"']).filter(|word| word.starts_with(PATH));
    words.map(str::to_owned).collect()
}

fn rows_of(name: &str, command: &Watched, quiet: Duration) -> [Row; 2] {
    let (first, last) = command.memory();
    let idle = command.idle().as_secs_f64() / quiet.as_secs_f64() * 100.0;
    [
        Row::new(
            format!("`{name}`: memory in the first and the last quarter"),
            format!("{first}, then {last}"),
        )
        .judged("no growth", last.median <= first.median + SLACK),
        Row::new(
            format!("`{name}`: processor while nothing happens"),
            format!(
                "{idle:.2} % of one, for {}",
                Spread::single(Unit::Seconds, quiet.as_secs_f64())
            ),
        )
        .judged("1 %", idle <= 1.0),
    ]
}
