//! Reading what a container's log holds now, to its end, line by line.

use super::Cluster;
use super::exec::pod_path;
use super::failure::Subject;
use super::lines::{End, Lines};
use super::log::LINE_LIMIT;
use super::path;
use super::transport::Call;
use crate::error::{Error, Result};
use crate::vocabulary::PodName;
use std::time::Duration;

/// How far back a log is read. The node has only what it has not rotated away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogReach {
    /// What was written in the last so long, in whole seconds, at least one.
    Since(Duration),
    /// The last so many lines.
    Tail(u32),
}

impl Cluster {
    /// Hands out the lines that are there, as bytes without line break; lines beyond 256 KiB are cut there. Nothing is
    /// kept, so that a log of any length takes the memory of one line.
    ///
    /// # Errors
    /// If the log cannot be read, or broke off: what had come until then was handed out.
    pub async fn read_log(
        &self,
        pod: &PodName,
        container: &str,
        reach: LogReach,
        mut each: impl FnMut(&[u8]) + Send,
    ) -> Result<()> {
        let (name, value) = match reach {
            LogReach::Since(since) => ("sinceSeconds", since.as_secs().max(1).to_string()),
            LogReach::Tail(lines) => ("tailLines", lines.to_string()),
        };
        let query = [("container", container), (name, &value)];
        let path = path::with_query(format!("{}/log", pod_path(pod)), &query);
        let subject = || Subject::pod("get", "pods/log", "read the log of", pod);
        let call = Call::get(path, subject());
        let response = self.transport().stream(&call).await;
        let response = response.map_err(|failure| self.transport().explain(failure, &subject()))?;
        let mut lines = Lines::new(response.into_body(), LINE_LIMIT);
        let patience = self.transport().request_timeout;
        let broke_off = |why: String| Error::cluster(format!("the log of {pod} broke off")).because(why);
        loop {
            // What is there already needs no time; a connection that hangs, or drips, would keep us for ever.
            let Ok(line) = tokio::time::timeout(patience, lines.next()).await else {
                let seconds = patience.as_secs_f32();
                return Err(broke_off(format!("no whole line came within {seconds} s")));
            };
            match line {
                Ok(line) => each(&line),
                Err(End::Clean(rest)) => {
                    if !rest.is_empty() {
                        each(&rest);
                    }
                    return Ok(());
                }
                Err(End::Cut(why)) => return Err(broke_off(why)),
            }
        }
    }
}
