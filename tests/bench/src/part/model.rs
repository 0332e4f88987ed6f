//! `check` and `explain` over objects in files: 1,000, 10,000 and 100,000 of them.

use super::Measured;
use crate::bench::Bench;
use crate::manifests;
use crate::process::alone;
use crate::row::Row;
use crate::spread::Spread;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::BufWriter;
use std::time::Duration;

pub(super) fn measure(bench: &Bench) -> Measured {
    let mut rows = Vec::new();
    for (count, name) in [(1_000, "1,000"), (10_000, "10,000"), (100_000, "100,000")] {
        let file = bench.file(&format!("objects-{count}.yaml"));
        manifests::write_cluster(BufWriter::new(File::create(&file)?), count)?;
        let path = file.display().to_string();
        let runs = if count > 10_000 { 1 } else { bench.runs };
        let check = bench.ours(["check", "-f", &path]).ending(&[0, 1]);
        let check = alone(runs, &check)?;
        let what = format!("`check -f`, {name} objects of YAML, loading included");
        rows.push(match count {
            10_000 => Row::at_most(what, check.wall(), 1.0, "1 s"),
            _ => Row::new(what, check.wall()),
        });
        let host = manifests::host(count / 10 - 1);
        let explain = bench.ours(["explain", &host, "-f", &path, "-n", "team-0", "-vv"]);
        let milliseconds = (0..runs)
            .map(|_| following(&explain.run_aloud()?.1.errors))
            .collect::<Result<Vec<f64>>>()?;
        let following = Spread::seconds(
            milliseconds
                .into_iter()
                .map(|time| Duration::from_secs_f64(time / 1000.0)),
        );
        let what = format!("`explain` of a host among {name} objects, after loading");
        rows.push(match count {
            // Beyond the bar's, to see that it grows no faster than they do.
            100_000 => Row::new(what, following),
            _ => Row::at_most(what, following, 0.05, "50 ms"),
        });
    }
    Ok(rows)
}

/// Milliseconds that following the requests took, by what `-vv` says of it.
fn following(said: &str) -> Result<f64> {
    let line = said
        .lines()
        .find(|line| line.contains("requests followed through"));
    let time = line.and_then(|line| line.rsplit_once('(')?.1.strip_suffix(" ms)")?.parse().ok());
    time.context("explain does not say how long it took")
}
