//! `check` and `explain` over objects in files: 1,000, 10,000 and 100,000 of them.

use super::Measured;
use crate::bench::Bench;
use crate::manifests;
use crate::process::alone;
use crate::row::Row;
use std::fs::File;
use std::io::BufWriter;

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
    }
    Ok(rows)
}
