//! On the lab: 1, 10, 100 and 1,000 hosts, against kubectl with the tutorial's four objects for each.

use super::lab::{Place, kubectl, lab, ours, words};
use super::requests::of_hosts;
use super::{Measured, Unmeasured};
use crate::bench::Bench;
use crate::manifests;
use crate::process::{Rival, Usages};
use crate::row::Row;
use kubectl_egress_lab::Lab;

/// How many hosts, and how often: kubectl takes minutes for many.
const SIZES: [(usize, usize); 4] = [(1, 3), (10, 3), (100, 2), (1_000, 1)];
/// kubectl's deletion of more takes a quarter of an hour; their namespace is deleted instead.
const MOST_DELETED: usize = 100;

pub(super) fn measure(bench: &Bench) -> Measured {
    let lab = lab(bench)?;
    let mut rows = Vec::new();
    for (count, runs) in SIZES {
        let mut times = Times::default();
        for _ in 0..runs.min(bench.runs) {
            of_tool(bench, lab, count, &mut times)?;
            of_kubectl(bench, lab, count, &mut times)?;
        }
        rows.extend(times.rows(count));
    }
    Ok(rows)
}

#[derive(Default)]
struct Times {
    setup: Usages,
    again: Usages,
    cleanup: Usages,
    verify: Usages,
    apply: Usages,
    apply_again: Usages,
    apply_server_side: Usages,
    delete: Usages,
    rendered: Usages,
}

fn of_tool(bench: &Bench, lab: &Lab, count: usize, times: &mut Times) -> Result<(), Unmeasured> {
    let place = Place::new(lab, &format!("hosts-{count}"));
    let tool = |line: &str| ours(bench, lab, words(&format!("{line} --yes -n {}", place.name)));
    // The source is there before: a pod takes as long for one host as for many, and kubectl starts none.
    tool("deploy-curl --create-namespace").run()?;
    let setup = || {
        let line = format!("setup --no-probe --yes -n {}", place.name);
        let all = words(&line).into_iter().chain(manifests::hosts(count));
        ours(bench, lab, all.collect())
    };
    times.setup.0.push(setup().run()?);
    times.again.0.push(setup().run()?);
    let verify: Rival<'_> = tool("verify").ending(&[0, 1, 3]);
    times.verify.0.push(verify.run()?);
    times.cleanup.0.push(tool("cleanup").run()?);
    Ok(())
}

fn of_kubectl(bench: &Bench, lab: &Lab, count: usize, times: &mut Times) -> Result<(), Unmeasured> {
    for server_side in [false, true] {
        let place = Place::new(lab, &format!("kubectl-{count}"));
        kubectl(lab, &["create", "namespace", &place.name]).run()?;
        let file = bench.file("hosts.yaml");
        std::fs::write(&file, manifests::of_hosts(count, &place.name))?;
        let file = file.display().to_string();
        if server_side {
            times
                .apply_server_side
                .0
                .push(kubectl(lab, &["apply", "--server-side", "-f", &file]).run()?);
            continue;
        }
        times.apply.0.push(kubectl(lab, &["apply", "-f", &file]).run()?);
        times
            .apply_again
            .0
            .push(kubectl(lab, &["apply", "-f", &file]).run()?);
        if count <= MOST_DELETED {
            times.delete.0.push(kubectl(lab, &["delete", "-f", &file]).run()?);
        }
    }
    rendered(bench, lab, count, times)
}

/// Our own objects through kubectl: what is left of the difference is not their number.
fn rendered(bench: &Bench, lab: &Lab, count: usize, times: &mut Times) -> Result<(), Unmeasured> {
    let place = Place::new(lab, &format!("rendered-{count}"));
    kubectl(lab, &["create", "namespace", &place.name]).run()?;
    let line = format!(
        "render --gateway istio-system/istio-egressgateway -n {}",
        place.name
    );
    let all = words(&line).into_iter().chain(manifests::hosts(count)).collect();
    let (_, rendered) = ours(bench, lab, all).run_aloud()?;
    let file = bench.file("rendered.yaml");
    std::fs::write(&file, rendered.output)?;
    let file = file.display().to_string();
    times
        .rendered
        .0
        .push(kubectl(lab, &["apply", "--server-side", "-f", &file]).run()?);
    Ok(())
}

impl Times {
    fn rows(&self, count: usize) -> Vec<Row> {
        let hosts = of_hosts(count);
        let (faster, name) = if self.apply.wall().median < self.apply_server_side.wall().median {
            (&self.apply, "`kubectl apply`")
        } else {
            (&self.apply_server_side, "`kubectl apply --server-side`")
        };
        let five_times = |row: Row, ratio: f64| {
            if count >= 100 {
                row.judged("5 x faster", ratio <= 0.2)
            } else {
                row
            }
        };
        let (first, again) = (self.setup.ratio(faster), self.again.ratio(&self.apply_again));
        let mut rows = vec![
            five_times(
                Row::new(
                    format!("set-up of {hosts}, lab, both proxies have the last one"),
                    self.setup.wall(),
                )
                .beside(name, faster.wall(), first),
                first.median,
            ),
            five_times(
                Row::new(format!("the same again, unchanged, {hosts}"), self.again.wall()).beside(
                    "`kubectl apply`",
                    self.apply_again.wall(),
                    again,
                ),
                again.median,
            ),
        ];
        let what = format!("cleanup of {hosts}, until the namespace and its source pod are gone as well");
        let cleanup = Row::new(what, self.cleanup.wall());
        rows.push(if self.delete.0.is_empty() {
            cleanup
        } else {
            let ratio = self.cleanup.ratio(&self.delete);
            let row = cleanup.beside("`kubectl delete -f`", self.delete.wall(), ratio);
            if count >= 100 {
                row.judged("10 x faster", ratio.median <= 0.1)
            } else {
                row
            }
        });
        rows.push(Row::new(
            format!("`kubectl apply --server-side` of what `render` prints, {hosts}, without waiting"),
            self.rendered.wall(),
        ));
        let verify = format!("`verify` of {hosts}, lab");
        rows.push(if count == 1_000 {
            Row::at_most(verify, self.verify.wall(), 60.0, "60 s")
        } else {
            Row::new(verify, self.verify.wall())
        });
        let memory = self.setup.peak().maximum.max(self.verify.peak().maximum) / (1024.0 * 1024.0);
        let row = Row::new(
            format!("memory of set-up and `verify`, {hosts}"),
            format!("{memory:.1} MiB"),
        );
        rows.push(if count == 1_000 {
            row.judged("64 MiB", memory <= 64.0)
        } else {
            row
        });
        rows
    }
}
