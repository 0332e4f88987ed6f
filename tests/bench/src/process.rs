//! Runs commands as whole processes, and asks the kernel what they took.

use crate::spread::{Spread, Unit};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{Read, Seek};
use std::process::Command;
use std::time::{Duration, Instant};
use wait4::Wait4;

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// Most memory that was resident, in bytes; at least that of the process that started it.
    pub(crate) peak: u64,
}

/// A command that can be run again and again.
pub(crate) struct Rival<'run> {
    make: Box<dyn Fn() -> Result<Command> + 'run>,
    /// Exit codes that are what was expected.
    codes: &'run [i32],
}

impl<'run> Rival<'run> {
    /// A command that succeeds.
    pub(crate) fn new(make: impl Fn() -> Result<Command> + 'run) -> Self {
        Self {
            make: Box::new(make),
            codes: &[0],
        }
    }

    /// One that ends with one of these codes.
    pub(crate) fn ending(mut self, codes: &'run [i32]) -> Self {
        self.codes = codes;
        self
    }

    /// Runs it once. What it prints is thrown away, unless it ends otherwise than expected.
    pub(crate) fn run(&self) -> Result<Usage> {
        Ok(self.run_into_files()?.0)
    }

    /// Runs it once, and gives what it said.
    pub(crate) fn run_aloud(&self) -> Result<(Usage, Said)> {
        let (usage, mut output, mut errors) = self.run_into_files()?;
        let mut said = Said::default();
        output.rewind()?;
        output.read_to_end(&mut said.output)?;
        errors.rewind()?;
        errors.read_to_string(&mut said.errors)?;
        Ok((usage, said))
    }

    /// Runs it with files for standard output and standard error.
    fn run_into_files(&self) -> Result<(Usage, File, File)> {
        let mut command = (self.make)()?;
        // GNU grep ends at the first line that matches when its output is /dev/null.
        let output = tempfile::tempfile().context("a file for what the command prints")?;
        let mut errors = tempfile::tempfile().context("a file for what the command says")?;
        command.stdout(output.try_clone()?).stderr(errors.try_clone()?);
        let begin = Instant::now();
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let ended = child.wait4().with_context(|| format!("{command:?}"))?;
        let wall = begin.elapsed();
        if !ended.status.code().is_some_and(|code| self.codes.contains(&code)) {
            let mut text = String::new();
            errors.rewind()?;
            errors.read_to_string(&mut text)?;
            bail!("{command:?} ended with {}:\n{text}", ended.status);
        }
        let usage = Usage {
            wall,
            cpu: ended.rusage.utime + ended.rusage.stime,
            peak: ended.rusage.maxrss,
        };
        Ok((usage, output, errors))
    }
}

/// What a command said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// On standard output.
    pub(crate) output: Vec<u8>,
    /// On standard error.
    pub(crate) errors: String,
}

/// What all runs of a command took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usages(pub(crate) Vec<Usage>);

impl Usages {
    pub(crate) fn wall(&self) -> Spread {
        Spread::seconds(self.0.iter().map(|usage| usage.wall))
    }

    pub(crate) fn cpu(&self) -> Spread {
        Spread::seconds(self.0.iter().map(|usage| usage.cpu))
    }

    pub(crate) fn peak(&self) -> Spread {
        #[expect(
            clippy::cast_precision_loss,
            reason = "memory is far below what a float counts exactly"
        )]
        Spread::new(Unit::Bytes, self.0.iter().map(|usage| usage.peak as f64))
    }

    /// How many times longer these took than those, pair by pair.
    pub(crate) fn ratio(&self, those: &Self) -> Spread {
        let pairs = self.0.iter().zip(&those.0);
        Spread::new(
            Unit::Ratio,
            pairs.map(|(one, other)| one.wall.as_secs_f64() / other.wall.as_secs_f64()),
        )
    }
}

/// Runs a command so many times, after one run that does not count.
pub(crate) fn alone(runs: usize, command: &Rival<'_>) -> Result<Usages> {
    command.run()?;
    Ok(Usages((0..runs).map(|_| command.run()).collect::<Result<_>>()?))
}

/// Runs two commands in turn, so that both meet the same machine.
pub(crate) fn paired(runs: usize, ours: &Rival<'_>, theirs: &Rival<'_>) -> Result<(Usages, Usages)> {
    ours.run()?;
    theirs.run()?;
    let mut both = (Usages::default(), Usages::default());
    for _ in 0..runs {
        both.0.0.push(ours.run()?);
        both.1.0.push(theirs.run()?);
    }
    Ok(both)
}
