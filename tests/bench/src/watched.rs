//! A command that runs on, and what it takes meanwhile, by the kernel's own books (proc(5)).

use crate::spread::{Spread, Unit};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Clock ticks in a second, in which the kernel tells processor time to programs (`USER_HZ`, the same everywhere).
const TICKS: u64 = 100;

/// The command.
pub(crate) struct Watched {
    child: Child,
    output: File,
    errors: File,
    /// Resident memory, look by look, in bytes.
    resident: Vec<f64>,
    /// Processor time at the beginning and at the end of the quiet.
    quiet: (Duration, Duration),
}

impl Watched {
    /// Starts it.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let output = tempfile::tempfile()?;
        let errors = tempfile::tempfile()?;
        command.stdout(output.try_clone()?).stderr(errors.try_clone()?);
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        Ok(Self {
            child,
            output,
            errors,
            resident: Vec::new(),
            quiet: (Duration::ZERO, Duration::ZERO),
        })
    }

    /// Notes how much memory it has now.
    pub(crate) fn look(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "a command that was to run on ended with {status}:\n{}",
                self.errors()?
            );
        }
        let status = self.proc("status")?;
        let field = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = field.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        self.resident.push(kibibytes.context("no VmRSS")? * 1024.0);
        Ok(())
    }

    /// From now on nothing happens that it would have to do with.
    pub(crate) fn quiet(&mut self) {
        self.quiet.0 = self.processor().unwrap_or_default();
    }

    /// Until now.
    pub(crate) fn quiet_is_over(&mut self) {
        self.quiet.1 = self.processor().unwrap_or_default();
    }

    /// Processor time that it took in the quiet.
    pub(crate) fn idle(&self) -> Duration {
        self.quiet.1.saturating_sub(self.quiet.0)
    }

    /// Its memory in the first and in the last quarter of the looks; the first minute, in which it starts, is left out.
    pub(crate) fn memory(&self) -> (Spread, Spread) {
        let looks = self.resident.get(12..).unwrap_or(&self.resident);
        let quarter = (looks.len() / 4).max(1).min(looks.len());
        let of = |part: &[f64]| Spread::new(Unit::Bytes, part.iter().copied());
        (of(&looks[..quarter]), of(&looks[looks.len() - quarter..]))
    }

    /// Waits until it ends, at last by Ctrl-C; what it printed.
    pub(crate) fn end(&mut self, patience: Duration) -> Result<Vec<u8>> {
        let begin = Instant::now();
        let mut asked = false;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            // What ends by itself has a moment for it.
            if !asked && begin.elapsed() > patience / 2 {
                Command::new("kill")
                    .args(["-INT", &self.child.id().to_string()])
                    .status()?;
                asked = true;
            }
            if begin.elapsed() > patience {
                bail!("it did not end at Ctrl-C");
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        if !matches!(status.code(), Some(0 | 130)) {
            bail!("it ended with {status}:\n{}", self.errors()?);
        }
        let mut printed = Vec::new();
        self.output.rewind()?;
        self.output.read_to_end(&mut printed)?;
        Ok(printed)
    }

    /// Processor time so far, of all its threads.
    fn processor(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        // The name, in parentheses, may hold anything; utime and stime are the 12th and 13th field behind it.
        let (_, fields) = stat.rsplit_once(')').context("no name")?;
        let fields: Vec<u64> = (fields.split_whitespace().skip(11).take(2))
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        Ok(Duration::from_millis(fields.iter().sum::<u64>() * 1000 / TICKS))
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&path).context(path)
    }

    fn errors(&mut self) -> Result<String> {
        let mut text = String::new();
        self.errors.rewind()?;
        self.errors.read_to_string(&mut text)?;
        Ok(text)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Where a measurement failed, nothing of it runs on.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
