//! Access logs of a gibibyte: filtered against `grep -F`, and explained whole.

use super::Measured;
use crate::access_log::{self, Format, WANTED};
use crate::bench::Bench;
use crate::process::{Rival, Usages, alone, paired};
use crate::row::Row;
use crate::spread::{Spread, Unit};
use std::fs::File;
use std::process::Command;

const MEBI: f64 = 1024.0 * 1024.0;

pub(super) fn measure(bench: &Bench) -> Measured {
    let mut rows = Vec::new();
    for (format, name) in [(Format::Text, "text"), (Format::Json, "JSON")] {
        let file = bench.file(&format!("access-{name}.log"));
        let size = access_log::write(&file, format, bench.log_size)?;
        let log = file.display().to_string();
        let arguments = ["logs", "--file", &log, "--host", WANTED, "--raw"];
        let ours = bench.ours(arguments);
        let grep = Rival::new(|| {
            let mut command = Command::new("grep");
            // As it is where nobody says otherwise, and in bytes, which is its fastest.
            command.args(["-a", "-F", WANTED]).arg(&file).env("LC_ALL", "C");
            Ok(command)
        });
        let (ours, theirs) = paired(bench.runs, &ours, &grep)?;
        let ratio = theirs.ratio(&ours);
        let met = ratio.median >= 0.5;
        rows.push(
            Row::new(format!("lines of one host in a log, {name}"), speed(size, &ours))
                .beside("`grep -F`", speed(size, &theirs), ratio)
                .judged("0.5 x `grep -F`", met),
        );
        rows.push(Row::at_most(
            "the same, memory",
            ours.peak(),
            25.0 * MEBI,
            "constant, below 25 MiB",
        ));
        let whole = Rival::new(|| {
            let mut command = bench.command(
                &bench.file("no-kubeconfig"),
                ["explain", "--log", "-", "--offline"],
            );
            command.stdin(File::open(&file)?);
            Ok(command)
        });
        let whole = alone(bench.runs.min(3), &whole)?;
        rows.push(Row::new(
            format!("a log explained, every line parsed, {name}"),
            speed(size, &whole),
        ));
        rows.push(Row::new("the same, memory", whole.peak()));
        std::fs::remove_file(&file)?;
    }
    Ok(rows)
}

#[expect(clippy::cast_precision_loss, reason = "a log is smaller than that")]
fn speed(size: u64, usages: &Usages) -> Spread {
    let figures = usages
        .0
        .iter()
        .map(|usage| size as f64 / usage.wall.as_secs_f64());
    Spread::new(Unit::Speed, figures)
}
