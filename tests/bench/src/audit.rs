//! How many requests a program made, by the API server's own audit log.

use anyhow::{Context, Result};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A place in the audit log.
pub(crate) struct Audit {
    path: PathBuf,
    from: u64,
}

impl Audit {
    /// The log's end as it is now.
    pub(crate) fn here(path: &Path) -> Result<Self> {
        let from = std::fs::metadata(path).context("the audit log")?.len();
        Ok(Self {
            path: path.to_owned(),
            from,
        })
    }

    /// Requests that have ended since then, of programs whose name in `User-Agent` begins so; streams are not counted.
    pub(crate) fn requests_of(&self, program: &str) -> Result<usize> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(count(&text, program))
    }
}

fn count(text: &str, program: &str) -> usize {
    let events = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let counts = |event: &Value| {
        let agent = event["userAgent"].as_str().unwrap_or_default();
        let uri = event["requestURI"].as_str().unwrap_or_default();
        let streams = ["/exec", "/log?", "/portforward"]
            .iter()
            .any(|word| uri.contains(word));
        event["stage"] == "ResponseComplete"
            && event["verb"] != "watch"
            && !streams
            && (agent == program || agent.starts_with(&format!("{program}/")))
    };
    events.filter(counts).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ended_requests_of_the_program_that_are_no_streams_count() {
        let line = |agent: &str, verb: &str, uri: &str, stage: &str| {
            format!(r#"{{"userAgent":"{agent}","verb":"{verb}","requestURI":"{uri}","stage":"{stage}"}}"#)
        };
        let text = [
            line("kubectl/v1", "get", "/api/v1/pods", "ResponseComplete"),
            line("kubectl/v1", "get", "/api/v1/pods", "RequestReceived"),
            line("kubectl/v1", "watch", "/api/v1/pods", "ResponseComplete"),
            line(
                "kubectl/v1",
                "get",
                "/api/v1/pods/a/log?follow=true",
                "ResponseComplete",
            ),
            line("kubectl-egress/0", "get", "/api/v1/pods", "ResponseComplete"),
            "cut off {".to_owned(),
        ]
        .join("\n");
        assert_eq!((count(&text, "kubectl"), count(&text, "kubectl-egress")), (1, 1));
    }
}
