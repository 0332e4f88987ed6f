//! What a run asked of the API server, by the server's own audit log.

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
    pub(crate) fn here(path: &Path) -> Self {
        let from = std::fs::metadata(path).unwrap().len();
        Self {
            path: path.to_owned(),
            from,
        }
    }

    /// What a user changed since then: verb and URI of each request. Dry runs, and questions that are asked by
    /// `create` (access reviews, exec, port-forward), change nothing.
    pub(crate) fn changes_of(&self, user: &str) -> Vec<String> {
        let mut file = File::open(&self.path).unwrap();
        file.seek(SeekFrom::Start(self.from)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let events = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .filter(|event| event["impersonatedUser"]["username"] == user)
            .filter_map(|event| {
                let (verb, uri) = (event["verb"].as_str()?, event["requestURI"].as_str()?);
                let writes = matches!(
                    verb,
                    "create" | "update" | "patch" | "delete" | "deletecollection"
                );
                let asks = uri.contains("dryRun=")
                    || uri.contains("reviews")
                    || uri.contains("/exec")
                    || uri.contains("/portforward");
                (writes && !asks).then(|| format!("{verb} {uri}"))
            })
            .collect()
    }
}
