//! On the lab: a set-up of one host, against the tutorial as a script of kubectl commands.

use super::Measured;
use super::lab::{Place, lab, ours, words};
use crate::audit::Audit;
use crate::bench::Bench;
use crate::process::{Rival, Usages};
use crate::row::Row;
use crate::spread::{Spread, Unit};
use anyhow::Context;
use kubectl_egress::vocabulary::names;
use std::path::Path;
use std::process::Command;

const HOST: &str = "kyma-project.io";

pub(super) fn measure(bench: &Bench) -> Measured {
    let lab = lab(bench)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/tutorial.sh");
    let (mut tool, mut without_proof, mut tutorial) =
        (Usages::default(), Usages::default(), Usages::default());
    let (mut asked, mut asked_by_script) = (Vec::new(), Vec::new());
    let mut added = Vec::new();
    // The first pair only warms up.
    for run in 0..=bench.runs {
        let place = Place::new(lab, &format!("tool-{run}"));
        let line = format!("setup {HOST} --create-namespace --yes -n {}", place.name);
        let cleanup = || ours(bench, lab, words(&format!("cleanup --yes -n {}", place.name))).run();
        let audit = Audit::here(&lab.audit_log())?;
        let usage = ours(bench, lab, words(&line)).run()?;
        let requests = audit.requests_of("kubectl-egress")?;
        cleanup()?;
        let (unproven, said) = ours(bench, lab, words(&format!("{line} --no-probe"))).run_aloud()?;
        cleanup()?;
        drop(place);

        let place = Place::new(lab, &format!("script-{run}"));
        let audit = Audit::here(&lab.audit_log())?;
        let other = Rival::new(|| {
            let mut command = Command::new(&script);
            command.args([&place.name, HOST, names::SOURCE_IMAGE]);
            command.env("KUBECONFIG", lab.kubeconfig());
            Ok(command)
        })
        .run()?;
        if run > 0 {
            tool.0.push(usage);
            let start =
                source_start(&said.errors).context("the set-up does not say how long its source took")?;
            added.push(unproven.wall.as_secs_f64() - start);
            without_proof.0.push(unproven);
            tutorial.0.push(other);
            asked.push(requests);
            asked_by_script.push(audit.requests_of("kubectl")?);
        }
    }
    let counts = |counts: &[usize]| {
        #[expect(clippy::cast_precision_loss, reason = "requests are few")]
        Spread::new(Unit::Count, counts.iter().map(|count| *count as f64))
    };
    let name = "`tests/lab/tutorial.sh`";
    Ok(vec![
        Row::new("set-up of one host, lab, proven", tool.wall()).beside(
            name,
            tutorial.wall(),
            tool.ratio(&tutorial),
        ),
        Row::new("the same without its proof", without_proof.wall()),
        Row::at_most(
            "what that adds to the source pod's start",
            Spread::new(Unit::Seconds, added),
            0.5,
            "0.5 s",
        ),
        Row::new(
            "set-up with its proof, processor time",
            format!("{}; {name}: {}", tool.cpu(), tutorial.cpu()),
        ),
        Row::new(
            "the same, requests without streams",
            format!("{}; {name}: {}", counts(&asked), counts(&asked_by_script)),
        ),
        Row::new("the same, memory", tool.peak()),
    ])
}

/// Seconds that the source pod took from its Deployment's creation on, by the closing line of that step
/// (`✔ source demo/curl  pod …  4.2s`).
fn source_start(said: &str) -> Option<f64> {
    let line = said.lines().find(|line| line.starts_with("✔ source "))?;
    line.split_whitespace()
        .next_back()?
        .strip_suffix('s')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_start_of_the_source_is_read() {
        let said =
            "… source demo/curl\n✔ sidecar injection in demo  0.0s\n✔ source demo/curl  pod curl-1  4.2s\n";
        assert_eq!(super::source_start(said), Some(4.2));
        assert_eq!(super::source_start("… source demo/curl\n"), None);
    }
}
