//! Running a command in a container.
//!
//! kube's `AttachedProcess` hangs its readers after a cut, deadlocks when the status is awaited before the output is
//! drained, and reports success for a session that closed without a status. So the session is read here, frame by
//! frame: one loop, one deadline, and an exit code only if the server sent one.

use super::Cluster;
use super::failure::{Status, Subject};
use super::path;
use super::socket::Socket;
use crate::error::Result;
use crate::istio::kinds;
use crate::vocabulary::{ObjectReference, PodName};
use futures::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use tokio_tungstenite::tungstenite::Message;

/// Output beyond this is not what we run commands for; it ends the session.
const OUTPUT_LIMIT: usize = 64 * 1024 * 1024;
/// Load balancers drop connections that are silent for a minute.
const PING_EVERY: Duration = Duration::from_secs(30);

/// What a command said, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub end: ExecEnd,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecEnd {
    /// With this exit code, as the server reported it.
    Exited(i32),
    /// Unknown: the connection was lost, the deadline passed, or the container's runtime could not start it (then the
    /// text is the runtime's). Never to be taken for success.
    Lost(String),
}

impl Cluster {
    /// Runs a command and collects what it says. A lost session is an [`ExecEnd::Lost`] with the output so far.
    /// The command itself goes on in the container after a deadline: give it a limit of its own too.
    ///
    /// # Errors
    /// If the session cannot be opened: no such pod or container, not allowed, server unreachable.
    pub async fn exec(
        &self,
        pod: &PodName,
        container: Option<&str>,
        command: &[String],
        deadline: Duration,
    ) -> Result<ExecOutput> {
        let end = Instant::now() + deadline;
        let mut query = vec![("stdout", "true"), ("stderr", "true")];
        query.extend(container.map(|container| ("container", container)));
        query.extend(command.iter().map(|word| ("command", word.as_str())));
        let path = path::with_query(format!("{}/exec", pod_path(pod)), &query);
        let mut output = ExecOutput {
            stdout: Vec::new(),
            stderr: Vec::new(),
            end: ExecEnd::Lost(format!("no end within {} s", deadline.as_secs_f32())),
        };
        // Kubernetes 1.35 checks `create` besides `get`; `create` is what a role usually lacks.
        let subject = Subject::pod("create", "pods/exec", "run a command in", pod);
        match timeout_at(end, self.transport().socket(&path)).await {
            Ok(Ok(mut socket)) => output.end = session(&mut socket, &mut output, end).await,
            Ok(Err(failure)) => return Err(self.transport().explain(failure, &subject)),
            Err(_) => {}
        }
        Ok(output)
    }
}

/// The path of a pod.
pub(super) fn pod_path(pod: &PodName) -> String {
    path::object(&ObjectReference::namespaced(
        kinds::pod(),
        &pod.namespace,
        &pod.name,
    ))
}

/// Reads frames until the status, the end of the connection, or the deadline.
async fn session(socket: &mut Socket, output: &mut ExecOutput, end: Instant) -> ExecEnd {
    let deadline = output.end.clone();
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            next = timeout_at(end, socket.next()) => match next {
                Ok(message) => message,
                Err(_) => return deadline,
            },
            _ = pings.tick() => {
                // A ping that cannot be sent shows in the next read.
                let _ = socket.send(Message::Ping(bytes::Bytes::new())).await;
                continue;
            }
        };
        let frame = match message {
            Some(Ok(Message::Binary(frame))) => frame,
            Some(Ok(Message::Close(_))) | None => {
                return ExecEnd::Lost("the connection was closed without an exit status".to_owned());
            }
            Some(Ok(_)) => continue,
            Some(Err(error)) => return ExecEnd::Lost(format!("the connection broke: {error}")),
        };
        // The first byte is the channel; a frame without more announces the channel.
        match frame.split_first() {
            Some((1, data)) => output.stdout.extend_from_slice(data),
            Some((2, data)) => output.stderr.extend_from_slice(data),
            Some((3, data)) if !data.is_empty() => return exit(data),
            _ => {}
        }
        if output.stdout.len() + output.stderr.len() > OUTPUT_LIMIT {
            return ExecEnd::Lost(format!("its output exceeds {} MiB", OUTPUT_LIMIT >> 20));
        }
    }
}

/// The end from the status frame: `Success`, or the code as a text among the causes.
fn exit(data: &[u8]) -> ExecEnd {
    let status: Status = match serde_json::from_slice(data) {
        Ok(status) => status,
        Err(error) => return ExecEnd::Lost(format!("the exit status cannot be read: {error}")),
    };
    if status.outcome.as_deref() == Some("Success") {
        return ExecEnd::Exited(0);
    }
    let code = status
        .causes()
        .iter()
        .find(|cause| cause.reason == "ExitCode")
        .and_then(|cause| cause.message.parse().ok());
    match code {
        Some(code) => ExecEnd::Exited(code),
        None => ExecEnd::Lost(status.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_status_gives_an_exit_code() {
        assert_eq!(exit(br#"{"status":"Success"}"#), ExecEnd::Exited(0));
        let failed = br#"{"status":"Failure","reason":"NonZeroExitCode","message":"command terminated with exit code 35",
            "details":{"causes":[{"reason":"ExitCode","message":"35"}]}}"#;
        assert_eq!(exit(failed), ExecEnd::Exited(35));
        let no_binary = br#"{"status":"Failure","reason":"InternalError","message":"exec: \"curl\": executable file not found"}"#;
        assert!(matches!(exit(no_binary), ExecEnd::Lost(text) if text.contains("not found")));
        assert!(matches!(exit(b"{}"), ExecEnd::Lost(_)));
        assert!(matches!(exit(b"garbage"), ExecEnd::Lost(_)));
    }
}
