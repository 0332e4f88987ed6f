//! A set-up where 20,000 pods of others are: what is asked for must not grow with them.

use super::Measured;
use super::requests::setup;
use crate::bench::Bench;
use crate::row::Row;
use crate::served::Served;
use crate::spread::{Spread, Unit};

const PODS: usize = 20_000;
const MEBI: f64 = 1024.0 * 1024.0;

pub(super) fn measure(bench: &Bench) -> Measured {
    let mut rows = Vec::new();
    let mut alone = None;
    for pods in [0, PODS] {
        let mut served = Served::start(bench.folder(), pods)?;
        let before = served.counted()?;
        let usage = setup(bench, served.kubeconfig(), 1).run()?;
        let counted = served.counted()?.since(before);
        let (told, peak) = cost(counted.requests, counted.received, usage.peak);
        let row = Row::new(format!("set-up of one host among {pods} pods of others"), told);
        rows.push(match alone {
            None => row,
            Some(requests) => row.judged(
                "as many requests, 25 MiB",
                counted.requests == requests && peak.median <= 25.0 * MEBI,
            ),
        });
        alone = Some(counted.requests);
        for (name, arguments) in [
            ("check", ["check", "-n", "demo"].as_slice()),
            ("verify", &["verify", "-n", "demo"]),
            ("status", &["status", "-n", "demo"]),
            ("explain", &["explain", "kyma-project.io", "-n", "demo"]),
            ("cleanup", &["cleanup", "-n", "demo", "--yes"]),
        ] {
            let before = served.counted()?;
            let kubeconfig = served.kubeconfig().to_owned();
            let run = crate::process::Rival::new(|| Ok(bench.command(&kubeconfig, arguments)))
                .ending(&[0, 1, 3])
                .run()?;
            let counted = served.counted()?.since(before);
            let (told, _) = cost(counted.requests, counted.received, run.peak);
            rows.push(Row::new(format!("`{name}` among {pods} pods of others"), told));
        }
    }
    Ok(rows)
}

/// What a run cost, in words, and the most memory that it had.
#[expect(clippy::cast_precision_loss, reason = "far below what a float counts exactly")]
fn cost(requests: u64, received: u64, peak: u64) -> (String, Spread) {
    let bytes = Spread::single(Unit::Bytes, received as f64);
    let peak = Spread::single(Unit::Bytes, peak as f64);
    let told = format!("{requests} requests, {bytes} received, {peak} of memory");
    (told, peak)
}
