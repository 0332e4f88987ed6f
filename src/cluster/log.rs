//! Following a container's log through cuts, rotation and idle time-outs, without loss and without duplicates.
//!
//! kube's log stream does not reopen, rounds `sinceTime` up (skipping lines), and fails on one byte that is not UTF-8.

use super::Cluster;
use super::exec::pod_path;
use super::failure::{Failure, Subject};
use super::lines::{End, Lines};
use super::path;
use super::replay::{Replay, Verdict};
use super::settings::Notice;
use super::transport::Call;
use super::watch::Backoff;
use crate::error::Error;
use crate::istio::kinds;
use crate::vocabulary::{ObjectReference, PodName};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::sync::mpsc;

/// Bytes of a line that are handed out; the rest of a longer line is dropped. An access-log line is a few kilobytes.
pub(super) const LINE_LIMIT: usize = 256 * 1024;
/// The server compares whole seconds, so a reopened log begins a second early and what is known is left out.
const MARGIN: SignedDuration = SignedDuration::from_secs(1);

/// Where following begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStart {
    /// With what is written from now on.
    Now,
    /// With so many lines that are there already.
    Tail(u32),
    /// With what was written within this time, as far as the node still has it, and of that at most so many lines.
    Since(Duration, u32),
}

/// What a follower tells.
#[derive(Debug)]
pub enum LogEvent {
    /// The server accepted the follow. Told once; later openings are [`Notice::Reconnected`].
    Opened,
    /// A line, as bytes, without timestamp and line break. Lines beyond 256 KiB are cut there.
    Line(Vec<u8>),
    /// Lines may be missing here, and why.
    Gap(String),
    /// We may not read it (403); final.
    Forbidden(Error),
    /// The log cannot be followed for another reason; final.
    Failed(Error),
    /// The pod is gone or has ended; final.
    Ended,
}

/// Follows one log; ends when dropped.
pub struct LogFollower(mpsc::Receiver<LogEvent>);

impl LogFollower {
    /// Passes everything on under a name, up to the final event, or until nobody listens any more.
    pub async fn pass_on<Name: Clone>(mut self, name: Name, listener: mpsc::Sender<(Name, LogEvent)>) {
        loop {
            let event = self.next().await;
            let is_final = matches!(
                event,
                LogEvent::Forbidden(_) | LogEvent::Failed(_) | LogEvent::Ended
            );
            if listener.send((name.clone(), event)).await.is_err() || is_final {
                return;
            }
        }
    }

    /// The next event. Nothing is lost if this is cancelled. After the final event it is `Ended` for ever.
    pub async fn next(&mut self) -> LogEvent {
        self.0.recv().await.unwrap_or(LogEvent::Ended)
    }
}

impl Cluster {
    /// Follows a container's log, reopening it by itself.
    pub fn follow_log(&self, pod: &PodName, container: &str, from: LogStart) -> LogFollower {
        let (sender, receiver) = mpsc::channel(1024);
        let following = Following {
            cluster: self.clone(),
            pod: pod.clone(),
            container: container.to_owned(),
            from,
            opened: false,
            opened_at: None,
            replay: Replay::default(),
            interrupted: false,
            sender: sender.clone(),
        };
        tokio::spawn(async move {
            tokio::select! {
                () = sender.closed() => {}
                () = following.run() => {}
            }
        });
        LogFollower(receiver)
    }
}

struct Following {
    cluster: Cluster,
    pod: PodName,
    container: String,
    from: LogStart,
    /// Whether the follow was ever accepted.
    opened: bool,
    /// The server's clock when it was, if it told the time.
    opened_at: Option<Timestamp>,
    replay: Replay,
    interrupted: bool,
    sender: mpsc::Sender<LogEvent>,
}

impl Following {
    async fn run(mut self) {
        let mut backoff = Backoff::new();
        loop {
            match self.open().await {
                Ok(lines) => {
                    if self.read(lines).await {
                        backoff = Backoff::new();
                    }
                }
                Err(failure) if is_waiting_to_start(&failure) => {}
                Err(failure) if failure.is_absent_object() => return self.tell(LogEvent::Ended).await,
                Err(failure) if failure.is_transient() => self.interrupted = true,
                Err(failure) => {
                    let forbidden = failure.code() == Some(403);
                    let error = self.cluster.transport().explain(failure, &self.subject());
                    let event = if forbidden {
                        LogEvent::Forbidden(error)
                    } else {
                        LogEvent::Failed(error)
                    };
                    return self.tell(event).await;
                }
            }
            if self.sender.is_closed() {
                return;
            }
            backoff.pause().await;
            if self.opened && self.pod_has_ended().await {
                return self.tell(LogEvent::Ended).await;
            }
        }
    }

    fn subject(&self) -> Subject {
        Subject::pod("get", "pods/log", "read the log of", &self.pod)
    }

    async fn tell(&self, event: LogEvent) {
        // The task ends by itself when nobody listens.
        let _ = self.sender.send(event).await;
    }

    /// Opens the log where it was left.
    async fn open(&mut self) -> Result<Lines, Failure> {
        let since = self.since().map(|since| since.to_string());
        let (tail, seconds) = match self.from {
            LogStart::Now => (0, None),
            LogStart::Tail(lines) => (lines, None),
            LogStart::Since(age, lines) => (lines, Some(age.as_secs().max(1).to_string())),
        };
        let tail = tail.to_string();
        let mut query = vec![
            ("container", self.container.as_str()),
            ("follow", "true"),
            ("timestamps", "true"),
        ];
        if let Some(since) = &since {
            query.push(("sinceTime", since));
        } else {
            query.push(("tailLines", &tail));
            query.extend(seconds.iter().map(|seconds| ("sinceSeconds", seconds.as_str())));
        }
        let path = path::with_query(format!("{}/log", pod_path(&self.pod)), &query);
        let call = Call::get(path, self.subject());
        let response = self.cluster.transport().stream(&call).await?;
        if self.opened {
            self.replay.begin();
            if std::mem::take(&mut self.interrupted) {
                let what = format!("log of {}", self.pod);
                (self.cluster.transport().observer)(Notice::Reconnected { what });
            }
        } else {
            self.opened = true;
            self.opened_at = self.cluster.server_time();
            self.tell(LogEvent::Opened).await;
        }
        Ok(Lines::new(response.into_body(), LINE_LIMIT))
    }

    /// From when to read again: the last line's second, or the opening's if there was no line; a second earlier.
    fn since(&self) -> Option<Timestamp> {
        let from = self.replay.last_time().or(self.opened_at)?;
        let whole = Timestamp::from_second(from.as_second()).ok()?;
        whole.checked_sub(MARGIN).ok()
    }

    /// Reads until the stream ends; whether it brought a new line.
    async fn read(&mut self, mut lines: Lines) -> bool {
        let mut any = false;
        loop {
            match lines.next().await {
                Ok(line) => any |= self.take(&line).await,
                Err(End::Clean(rest)) => {
                    // A last line without a line break comes again, whole, when the log is reopened.
                    self.replay.hold(rest);
                    return any;
                }
                Err(End::Cut(_)) => {
                    self.interrupted = true;
                    return any;
                }
            }
            if self.sender.is_closed() {
                return any;
            }
        }
    }

    async fn take(&mut self, line: &[u8]) -> bool {
        match self.replay.judge(line) {
            Verdict::Known => false,
            Verdict::New(text) => {
                self.tell(LogEvent::Line(text)).await;
                true
            }
            Verdict::AfterGap(why, text) => {
                self.tell(LogEvent::Gap(why)).await;
                self.tell(LogEvent::Line(text)).await;
                true
            }
            Verdict::NoLogLine(text) => {
                self.tell(LogEvent::Gap(format!(
                    "the node answered instead of the log: {text}"
                )))
                .await;
                false
            }
        }
    }

    /// Whether the pod is gone or has ended, which the end of its log alone does not tell.
    async fn pod_has_ended(&mut self) -> bool {
        if self.interrupted {
            return false;
        }
        let reference = ObjectReference::namespaced(kinds::pod(), &self.pod.namespace, &self.pod.name);
        let ended = match self.cluster.get(&reference).await {
            Ok(Some(pod)) => matches!(pod.text("/status/phase"), "Succeeded" | "Failed"),
            Ok(None) => true,
            // Whoever may read logs but not pods goes on reopening.
            Err(_) => false,
        };
        if ended && let Some(text) = self.replay.take_held() {
            self.tell(LogEvent::Line(text)).await;
        }
        ended
    }
}

/// The kubelet answers 400 until the container runs.
fn is_waiting_to_start(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused(status, _)
        if status.code == 400 && (status.message.contains("waiting to start") || status.message.contains("not available")))
}
