//! What can be typed: `cargo measure [PART…]`.

use crate::bench::Bench;
use crate::part::{Part, Unmeasured};
use crate::{output, page, served};
use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use kubectl_egress_lab::DEFAULT_NAME;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Measures kubectl-egress against its bars, each beside its rival, and prints a table.
#[derive(Parser)]
#[command(
    name = "cargo measure",
    bin_name = "cargo measure",
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    hidden: Option<Hidden>,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Subcommand)]
enum Hidden {
    /// Serve the embedded cluster, and count.
    #[command(name = served::COMMAND, hide = true)]
    Serve {
        #[arg(long)]
        kubeconfig: PathBuf,
        #[arg(long)]
        pods: usize,
    },
}

#[derive(Args)]
struct Measure {
    /// What to measure [default: everything but `long`].
    #[arg(value_parser = part, value_name = "PART")]
    parts: Vec<Part>,
    /// Runs of each command that count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    runs: u16,
    /// Keep the table in the README.
    #[arg(long)]
    write: bool,
    /// A program that is built already.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Which lab, for the parts that need one.
    #[arg(long, env = "LAB_NAME", default_value = DEFAULT_NAME)]
    lab: String,
    /// Mebibytes of each access log.
    #[arg(long, default_value_t = 1024)]
    log_size: u64,
    /// Minutes that `long` takes.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(2..))]
    minutes: u64,
}

fn part(name: &str) -> Result<Part, String> {
    Part::named(name).ok_or_else(|| {
        let all: Vec<String> = Part::ALL.iter().map(ToString::to_string).collect();
        format!("parts are {}", all.join(", "))
    })
}

/// Runs what was typed.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.hidden {
        Some(Hidden::Serve { kubeconfig, pods }) => serve(&kubeconfig, pods),
        None => measure(&cli.measure),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn serve(kubeconfig: &Path, pods: usize) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("the runtime does not start")?;
    runtime.block_on(served::serve(kubeconfig, pods))
}

fn measure(settings: &Measure) -> Result<()> {
    let log_size = settings.log_size * 1024 * 1024;
    let bench = Bench::new(
        settings.program.clone(),
        settings.runs.into(),
        log_size,
        Duration::from_secs(settings.minutes * 60),
        &settings.lab,
    )?;
    let day = jiff::Zoned::now().date().to_string();
    let mut lines = page::Lines::new();
    for part in Part::ALL {
        let wanted = if settings.parts.is_empty() {
            part.is_measured_unnamed()
        } else {
            settings.parts.contains(part)
        };
        if !wanted {
            continue;
        }
        output::note(&format!("{part}: {}", part.says()));
        match part.measure(&bench) {
            Ok(rows) => {
                lines.insert(*part, page::lines(*part, &rows, &day));
            }
            Err(Unmeasured::Skipped(why)) => output::note(&format!("skipped: {part}: {why}")),
            // What was measured before is not lost by what fails later.
            Err(Unmeasured::Failed(error)) => {
                output::error(&error.context(format!("{part} cannot be measured")));
            }
        }
    }
    let machine = machine();
    output::data(&page::table(&lines, &machine));
    if settings.write {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
        page::write(&page, &lines, &machine)?;
    }
    Ok(())
}

/// What it was measured on.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (processors, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = field(&processors, "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kibibytes: u64 = field(&memory, "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or(0);
    let gibibytes = kibibytes.div_ceil(1024 * 1024);
    format!("Measured last on {count} processors ({model}, shared with others), {gibibytes} GiB.")
}
