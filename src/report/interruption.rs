//! Being told to end: Ctrl-C; SIGTERM, with which Kubernetes ends a container; SIGHUP, when the terminal is closed; on
//! Windows Ctrl-C, Ctrl-Break, and a console window that is closed (which leaves five seconds).
//!
//! A SIGHUP that whoever started us had ignored, as `nohup` does, stays ignored where that can be seen (Linux).

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// How many [`Interruption`]s there are in this process.
static LISTENING: AtomicUsize = AtomicUsize::new(0);
/// A signal so soon after another is the same wish: a key that was hit twice, a shell that passes on what we have heard.
const SAME_WISH: Duration = Duration::from_millis(500);

/// Ends when somebody wants this program to end. Whoever has one takes back what is half done, and answers for the time
/// that takes: until it is dropped, [`unheard`] leaves the first wish to it.
pub struct Interruption {
    arrival: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Listens from now on; nobody else of this process is ended by these signals from then on.
///
/// # Panics
/// Outside of a runtime.
pub fn interruption() -> Interruption {
    LISTENING.fetch_add(1, Ordering::SeqCst);
    let mut signals = Signals::listen();
    Interruption {
        arrival: Box::pin(async move {
            signals.next().await;
        }),
    }
}

impl Future for Interruption {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.arrival.as_mut().poll(context)
    }
}

impl Drop for Interruption {
    fn drop(&mut self) {
        LISTENING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Ends when the program is to end and nobody listens, or when whoever listened still takes back and somebody insists.
/// To be looked at before whatever may listen, as who has heard a signal stops listening.
///
/// # Panics
/// Outside of a runtime.
pub async fn unheard() {
    let mut signals = Signals::listen();
    let mut heard: Option<Instant> = None;
    loop {
        let wish = signals.next().await;
        let insists = wish == Wish::Typed && heard.is_some_and(|at| at.elapsed() > SAME_WISH);
        if insists || LISTENING.load(Ordering::SeqCst) == 0 {
            return;
        }
        heard.get_or_insert_with(Instant::now);
    }
}

/// Who wants it to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Somebody who can say it again.
    Typed,
    /// The terminal is gone: shell and kernel may both say so.
    Closed,
}

/// The signals of this system; those that cannot be listened for never come: then they end the program by themselves.
#[cfg(unix)]
struct Signals {
    interrupt: Option<tokio::signal::unix::Signal>,
    terminate: Option<tokio::signal::unix::Signal>,
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        // Looked at before the first handler is there, which would hide it.
        static OBEYS_HANGUP: std::sync::LazyLock<bool> = std::sync::LazyLock::new(obeys_hangup);
        Self {
            hangup: OBEYS_HANGUP.then(|| signal(SignalKind::hangup()).ok()).flatten(),
            terminate: signal(SignalKind::terminate()).ok(),
            interrupt: signal(SignalKind::interrupt()).ok(),
        }
    }

    async fn next(&mut self) -> Wish {
        async fn received(signal: &mut Option<tokio::signal::unix::Signal>) {
            match signal {
                Some(signal) => {
                    signal.recv().await;
                }
                None => std::future::pending().await,
            }
        }
        tokio::select! {
            () = received(&mut self.interrupt) => Wish::Typed,
            () = received(&mut self.terminate) => Wish::Typed,
            () = received(&mut self.hangup) => Wish::Closed,
        }
    }
}

#[cfg(windows)]
struct Signals {
    pressed: Option<tokio::signal::windows::CtrlC>,
    broken: Option<tokio::signal::windows::CtrlBreak>,
    closed: Option<tokio::signal::windows::CtrlClose>,
}

#[cfg(windows)]
impl Signals {
    fn listen() -> Self {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
        Self {
            pressed: ctrl_c().ok(),
            broken: ctrl_break().ok(),
            closed: ctrl_close().ok(),
        }
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            Some(()) = async { self.pressed.as_mut()?.recv().await } => Wish::Typed,
            Some(()) = async { self.broken.as_mut()?.recv().await } => Wish::Typed,
            Some(()) = async { self.closed.as_mut()?.recv().await } => Wish::Closed,
            else => std::future::pending().await,
        }
    }
}

/// proc(5): `SigIgn` is a mask of ignored signals, of which SIGHUP is the first.
#[cfg(unix)]
fn obeys_hangup() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return false;
    };
    ignored(&status).is_some_and(|mask| mask & 1 == 0)
}

#[cfg(unix)]
fn ignored(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_process() {
        assert_eq!(
            ignored("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n"),
            Some(0x1001)
        );
        assert_eq!(ignored("Name:\tx\n"), None);
    }
}
