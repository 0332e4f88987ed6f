//! Being told to end.

/// Listens from now on; the future ends when somebody wants this program to end: Ctrl-C; SIGTERM, with which Kubernetes ends
/// a container; or SIGHUP, when the terminal is closed. Whoever waits for it takes back what is half done; nobody else of
/// this process is ended by these signals from then on.
///
/// A SIGHUP that whoever started us had ignored, as `nohup` does, stays ignored where that can be seen (Linux).
///
/// # Panics
/// Outside of a runtime.
#[cfg(unix)]
pub fn interruption() -> impl Future<Output = ()> + Send {
    use tokio::signal::unix::{SignalKind, signal};
    // Looked at before the first handler is there, which would hide it.
    static OBEYS_HANGUP: std::sync::LazyLock<bool> = std::sync::LazyLock::new(obeys_hangup);
    let hangup = OBEYS_HANGUP.then(|| signal(SignalKind::hangup()).ok()).flatten();
    let terminate = signal(SignalKind::terminate()).ok();
    let interrupt = signal(SignalKind::interrupt()).ok();
    async move {
        tokio::select! {
            () = received(interrupt) => {}
            () = received(terminate) => {}
            () = received(hangup) => {}
        }
    }
}

/// The same on Windows: Ctrl-C, Ctrl-Break, and a console window that is closed (which leaves five seconds).
#[cfg(windows)]
pub fn interruption() -> impl Future<Output = ()> + Send {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
    let (pressed, broken, closed) = (ctrl_c(), ctrl_break(), ctrl_close());
    async move {
        tokio::select! {
            // What cannot be listened for never comes: then it ends the program by itself.
            Some(()) = async { pressed.ok()?.recv().await } => {}
            Some(()) = async { broken.ok()?.recv().await } => {}
            Some(()) = async { closed.ok()?.recv().await } => {}
            else => std::future::pending().await,
        }
    }
}

/// Waits for the signal; for ever, if it cannot be listened for: then it ends the program by itself.
#[cfg(unix)]
async fn received(signal: Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(mut signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
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
