//! What set-ups cost the API server, counted where it is embedded.

use super::{Measured, Unmeasured};
use crate::bench::Bench;
use crate::manifests::hosts;
use crate::process::Rival;
use crate::row::Row;
use crate::served::{Counted, Served};
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;

/// How many more requests than objects a set-up may make.
const MORE: u64 = 12;

pub(super) fn measure(bench: &Bench) -> Measured {
    let mut rows = Vec::new();
    for count in [1, 10, 100, 1_000] {
        let mut served = Served::start(bench.folder(), 0)?;
        let [first, again, proven] = thrice(bench, &mut served, count)?;
        let objects = objects(served.kubeconfig(), bench)?;
        for (name, counted) in [("set-up", first), ("unchanged re-run", again)] {
            let bar = format!("{objects} objects + {MORE}");
            rows.push(row(name, count, counted).judged(bar, counted.requests <= objects + MORE));
        }
        rows.push(row("unchanged re-run with its proof", count, proven));
    }
    Ok(rows)
}

/// In words.
pub(super) fn of_hosts(count: usize) -> String {
    match count {
        1 => "1 host".to_owned(),
        many => format!("{many} hosts"),
    }
}

fn row(name: &str, count: usize, counted: Counted) -> Row {
    let told = format!("{} and {} streams", counted.requests, counted.streams);
    Row::new(format!("requests, {name}, {}", of_hosts(count)), told)
}

/// Sets hosts up in an empty cluster, once more, and once more with a probe each.
fn thrice(bench: &Bench, served: &mut Served, count: usize) -> Result<[Counted; 3], Unmeasured> {
    let mut once = |proof| {
        let before = served.counted()?;
        set_up(bench, served.kubeconfig(), count, proof).run()?;
        Ok::<_, anyhow::Error>(served.counted()?.since(before))
    };
    Ok([once(false)?, once(false)?, once(true)?])
}

/// A set-up of so many hosts, with one probe each.
pub(super) fn setup<'run>(bench: &'run Bench, kubeconfig: &Path, count: usize) -> Rival<'run> {
    set_up(bench, kubeconfig, count, true)
}

fn set_up<'run>(bench: &'run Bench, kubeconfig: &Path, count: usize, proof: bool) -> Rival<'run> {
    let kubeconfig = kubeconfig.to_owned();
    Rival::new(move || {
        let mut command = bench.command(
            &kubeconfig,
            ["setup", "-n", "demo", "--create-namespace", "--yes"],
        );
        if !proof {
            command.arg("--no-probe");
        }
        command.args(hosts(count));
        Ok(command)
    })
}

/// How many objects the set-up made or changed, as its journal says.
fn objects(kubeconfig: &Path, bench: &Bench) -> Result<u64> {
    let mut command = bench.command(kubeconfig, ["status", "-n", "demo", "-o", "json"]);
    let output = command.output().context("status cannot be run")?;
    let status: Value = serde_json::from_slice(&output.stdout).context("status prints no JSON")?;
    let listed = status["objects"].as_array().context("status names no objects")?;
    Ok(listed.len() as u64)
}
