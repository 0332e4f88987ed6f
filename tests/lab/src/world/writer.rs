//! Writes the log: a line is in the file before the answer that it tells of leaves.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};

use super::event::WorldEvent;

/// The log, shared by all connections.
#[derive(Debug)]
pub(super) struct Writer(Mutex<File>);

impl Writer {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self(Mutex::new(file)))
    }

    /// Writes one line in one system call.
    pub(super) fn write(&self, event: &WorldEvent) -> Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        let mut file = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(&line).context("cannot write the world's log")
    }
}
