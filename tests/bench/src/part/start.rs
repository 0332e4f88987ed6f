//! How fast the program starts, how large it is, how much memory it takes.

use super::Measured;
use crate::bench::Bench;
use crate::manifests::host;
use crate::process::{Rival, alone};
use crate::row::Row;
use crate::served::Served;
use crate::spread::{Spread, Unit};

const MEBI: f64 = 1024.0 * 1024.0;

pub(super) fn measure(bench: &Bench) -> Measured {
    // Milliseconds: more runs than of what takes seconds.
    let runs = bench.runs * 4;
    let version = alone(runs, &bench.ours(["version"]))?;
    let completion = alone(runs, &bench.ours(["__complete", "verify", "--"]))?;
    let hosts = alone(runs, &bench.ours(["__complete", "setup", "ky"]))?;
    let tutorial = alone(bench.runs, &bench.ours(["tutorial", "--sandbox"]))?;
    #[expect(clippy::cast_precision_loss, reason = "a program is smaller than that")]
    let size = std::fs::metadata(&bench.program)?.len() as f64;

    let served = Served::start(bench.folder(), 0)?;
    let namespaces = std::cell::Cell::new(0);
    let setup = Rival::new(|| {
        // Each run has a namespace and a host of its own, so that there is something to do.
        namespaces.set(namespaces.get() + 1);
        let (namespace, host) = (format!("demo-{}", namespaces.get()), host(namespaces.get()));
        let arguments = ["setup", &host, "--create-namespace", "--yes", "-n", &namespace];
        Ok(bench.command(served.kubeconfig(), arguments))
    });
    let setup = alone(bench.runs, &setup)?;
    Ok(vec![
        Row::at_most("`version`, whole process", version.wall(), 0.005, "5 ms"),
        Row::at_most(
            "completion of a flag, no cluster",
            completion.wall(),
            0.05,
            "50 ms",
        ),
        Row::at_most("completion of a host, no cluster", hosts.wall(), 0.05, "50 ms"),
        Row::at_most(
            "size of the program",
            Spread::single(Unit::Bytes, size),
            12.0 * MEBI,
            "12 MiB",
        ),
        Row::at_most(
            "memory of a set-up of one host (embedded cluster, another process)",
            setup.peak(),
            25.0 * MEBI,
            "25 MiB",
        ),
        Row::new("the same, processor time", setup.cpu()),
        Row::at_most(
            "`tutorial --sandbox`, the whole story",
            tutorial.wall(),
            1.0,
            "1 s",
        ),
    ])
}
