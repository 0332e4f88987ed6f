//! Faults on request: which request fails, and how.

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// A fault that is waiting for its request.
#[derive(Debug, Clone)]
pub struct Fault {
    /// HTTP method, or any. `EXEC`, `LOG`, `FORWARD` and `WATCH` name those streams.
    pub method: Option<String>,
    /// Text that path and query contain; empty for any.
    pub path_contains: String,
    /// Which matching request fails, counted from 1; each match before it lowers the number.
    pub nth: u32,
    /// How many matching requests fail from then on; `u32::MAX` for all.
    pub times: u32,
    /// How it fails.
    pub kind: FaultKind,
}

/// How a request fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Answered with this status code, and `Retry-After` in seconds.
    Status(u16, Option<u32>),
    /// Answered with this status code and this body, whatever was asked for.
    Reply(u16, String),
    /// The connection is cut before an answer, and so many connections after it are refused: the server starts anew.
    /// On a socket they are opened and closed at once.
    Refused(u32),
    /// The connection is cut before an answer, and before anything is done.
    Cut,
    /// The work is done, but the connection is cut before the answer.
    CutAfterWork,
    /// The connection is cut after so many bytes of the answer's body (of output, for exec and port-forward).
    CutAfterBytes(usize),
    /// There is never an answer.
    Hang,
    /// So many bytes of the body (of output) arrive, and then nothing.
    HangAfterBytes(usize),
    /// exec ends cleanly, but without its exit status.
    NoStatus,
    /// These bytes come before the body (the output).
    Before(Bytes),
    /// The body (the output) comes byte by byte, with such a pause before each.
    Trickle(Duration),
    /// The body's first block comes behind the second; of exec the exit status comes first, and standard error before
    /// standard output.
    Reordered,
    /// Nothing is wrong with it, but it has to wait at the gate before anything is done: what others do meanwhile is as
    /// between two requests of one client.
    Held(Gate),
}

/// Where a request is held back until it is let go. Copies are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    arrivals: Arc<Semaphore>,
    leave: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self {
            arrivals: closed(),
            leave: closed(),
        }
    }
}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.arrivals, &other.arrivals)
    }
}

impl Eq for Gate {}

impl Gate {
    /// Waits until a request stands at the gate.
    pub async fn arrived(&self) {
        // Nobody closes a gate.
        let _ = self.arrivals.acquire().await;
    }

    /// Lets go what stands at the gate, and what comes later.
    pub fn open(&self) {
        self.leave.add_permits(1);
    }

    /// Stands at the gate until it is opened.
    pub(super) async fn pass(&self) {
        self.arrivals.add_permits(1);
        let _ = self.leave.acquire().await;
    }
}

impl Fault {
    /// The first request whose path contains the text fails once.
    pub fn new(path_contains: &str, kind: FaultKind) -> Self {
        Self {
            method: None,
            path_contains: path_contains.into(),
            nth: 1,
            times: 1,
            kind,
        }
    }

    /// Only requests with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.into());
        self
    }

    /// The nth matching request, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u32) -> Self {
        self.nth = nth;
        self
    }

    /// So many matching requests in a row.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Whether this request is the one. Counts it.
    fn strikes(&mut self, method: &str, stream: Option<&str>, path: &str) -> bool {
        let named = self
            .method
            .as_deref()
            .is_none_or(|wanted| wanted == method || Some(wanted) == stream);
        if self.times == 0 || !named || !path.contains(&self.path_contains) {
            return false;
        }
        if self.nth > 1 {
            self.nth -= 1;
            return false;
        }
        if self.times != u32::MAX {
            self.times -= 1;
        }
        true
    }
}

/// The fault that strikes this request, if one does.
pub(super) fn strike(
    faults: &mut Vec<Fault>,
    method: &str,
    stream: Option<&str>,
    path: &str,
) -> Option<FaultKind> {
    let struck = faults
        .iter_mut()
        .find_map(|fault| fault.strikes(method, stream, path).then(|| fault.kind.clone()));
    faults.retain(|fault| fault.times > 0);
    struck
}
