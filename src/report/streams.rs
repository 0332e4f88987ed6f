//! Standard output and standard error, or buffers in their place.

use crate::error::{Error, Result};
use crate::vocabulary::ExitCode;
use std::io::{ErrorKind, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Sink = Box<dyn Write + Send>;

/// The two streams. Writing never fails towards the caller: a reader that left is no fault, and any other failure
/// is kept for [`Streams::finish`].
pub(super) struct Streams {
    output: Mutex<Output>,
    error: Mutex<Sink>,
}

struct Output {
    sink: Sink,
    failed: Option<std::io::Error>,
}

impl Streams {
    pub(super) fn new(output: Sink, error: Sink) -> Self {
        Self {
            output: Mutex::new(Output {
                sink: output,
                failed: None,
            }),
            error: Mutex::new(error),
        }
    }

    /// Writes data and flushes it, so that a reader at the other end of a pipe sees each piece at once.
    pub(super) fn write_output(&self, bytes: &[u8]) {
        let mut output = lock(&self.output);
        if output.failed.is_none()
            && let Err(error) = output.sink.write_all(bytes).and_then(|()| output.sink.flush())
        {
            output.failed = Some(error);
        }
    }

    /// Writes to standard error. Where that is impossible nobody can be told.
    pub(super) fn write_error(&self, text: &str) {
        let mut error = lock(&self.error);
        let _ = error.write_all(text.as_bytes()).and_then(|()| error.flush());
    }

    /// Whether standard output takes no more, for whatever reason.
    pub(super) fn output_is_closed(&self) -> bool {
        lock(&self.output).failed.is_some()
    }

    /// Whether everything was written; a reader that left early wanted no more and is no failure.
    pub(super) fn finish(&self) -> Result<()> {
        match &lock(&self.output).failed {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::new(
                ExitCode::Inconclusive,
                "cannot write to standard output",
            )
            .because(error.to_string())
            .hint("run the command again with its output going elsewhere")),
            _ => Ok(()),
        }
    }
}

/// A panic elsewhere must not keep the last error from being printed.
pub(super) fn lock<Value>(mutex: &Mutex<Value>) -> MutexGuard<'_, Value> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer that can be read while it is written.
#[derive(Clone, Default)]
pub(super) struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.0)).into_owned()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
