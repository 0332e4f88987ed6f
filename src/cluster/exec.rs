//! Runs a command in a container over WebSocket. A lost connection is never success, and never a hang.

use super::{Cluster, failure};
use crate::error::{Error, Result};
use crate::vocabulary::PodName;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What a command wrote and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub end: ExecEnd,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecEnd {
    /// With this exit code.
    Exited(i32),
    /// Nobody knows: no status came; why.
    Lost(String),
}

/// Output that is still on its way when the status arrives has this long. A reader whose connection was cut never
/// ends by itself (libraries.md 1.1).
const READER_GRACE: Duration = Duration::from_secs(2);
/// Buffer of kube's own; at its default of 1 KiB large outputs are twelve times slower.
const BUFFER: usize = 65_536;

impl Cluster {
    /// Runs a command to its end, at most `deadline`.
    ///
    /// # Errors
    /// If the server refuses to start it. What goes wrong later is [`ExecEnd::Lost`].
    pub async fn exec(&self, pod: &PodName, container: Option<&str>, command: &[String], deadline: Duration) -> Result<ExecOutput> {
        let doing = format!("run {} in pod {pod}", command.first().map_or("a command", String::as_str));
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace);
        let mut parameters = AttachParams::default().stdin(false).stdout(true).stderr(true).max_stdout_buf_size(BUFFER).max_stderr_buf_size(BUFFER);
        if let Some(container) = container {
            parameters = parameters.container(container);
        }
        let starting = api.exec(&pod.name, command, &parameters);
        let mut process = match tokio::time::timeout(self.shared.deadline, starting).await {
            Ok(Ok(process)) => process,
            Ok(Err(error)) => return Err(failure::of_transport(self, &doing, &error)),
            Err(_) => return Err(Error::timed_out(format!("could not {doing}: no answer within {} s", self.shared.deadline.as_secs()))),
        };
        let status = process.take_status();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err) = (process.stdout(), process.stderr());
        let ended = async {
            let mut reading = Box::pin(async { tokio::join!(drain(out, &mut stdout), drain(err, &mut stderr)) });
            let mut status = Box::pin(async { match status { Some(status) => status.await, None => None } });
            tokio::select! {
                status = &mut status => {
                    let _ = tokio::time::timeout(READER_GRACE, reading).await;
                    status
                }
                _ = &mut reading => status.await,
            }
        };
        let end = match tokio::time::timeout(deadline, ended).await {
            Ok(Some(status)) => end_of(&status),
            Ok(None) => ExecEnd::Lost("the connection ended before the command's status came".to_owned()),
            Err(_) => ExecEnd::Lost(format!("it did not end within {} s", deadline.as_secs())),
        };
        process.abort();
        if let ExecEnd::Lost(why) = &end
            && (why.contains("executable file not found") || why.contains("container not found"))
        {
            return Err(Error::cluster(format!("could not {doing}")).because(why.clone()));
        }
        Ok(ExecOutput { stdout, stderr, end })
    }
}

async fn drain(reader: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) {
    if let Some(mut reader) = reader {
        // A cut shows in the status; what came until then is kept.
        let _ = reader.read_to_end(into).await;
    }
}

fn end_of(status: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Status) -> ExecEnd {
    if status.status.as_deref() == Some("Success") {
        return ExecEnd::Exited(0);
    }
    let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
    let code = causes.filter(|cause| cause.reason.as_deref() == Some("ExitCode")).find_map(|cause| cause.message.as_ref()?.parse().ok());
    code.map_or_else(|| ExecEnd::Lost(status.message.clone().unwrap_or_else(|| "the command could not be started".to_owned())), ExecEnd::Exited)
}
