//! What the server is.

use super::Cluster;
use super::failure::{Failure, Subject};
use super::transport::Call;
use crate::error::Result;
use crate::vocabulary::{Kind, Object};
use serde_json::Value;

/// The server's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVersion {
    /// 1.
    pub major: u32,
    /// For example 34.
    pub minor: u32,
    /// For example `v1.34.4+k3s1`.
    pub git_version: String,
}

impl Cluster {
    /// The server's version (`GET /version`).
    ///
    /// # Errors
    /// If the server is unreachable or refuses.
    pub async fn version(&self) -> Result<ServerVersion> {
        let call = Call::get("/version".into(), Subject::path("/version"));
        let reply = self.transport().plain_explained(&call).await?;
        let version = self.read(&call, &reply)?;
        // Some providers append to the minor version: `34+`.
        let number = |pointer| {
            let digits: String = version
                .text(pointer)
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            digits.parse().ok()
        };
        let (Some(major), Some(minor)) = (number("/major"), number("/minor")) else {
            let failure = Failure::Garbled("the server's answer is not a Kubernetes version".into());
            return Err(self.transport().explain(failure, &call.subject));
        };
        Ok(ServerVersion {
            major,
            minor,
            git_version: version.text("/gitVersion").to_owned(),
        })
    }

    /// The versions of an API group that the server serves, the preferred one first; none if it does not know the group.
    ///
    /// # Errors
    /// If the server is unreachable or refuses.
    pub async fn served_versions(&self, group: &str) -> Result<Vec<String>> {
        let path = format!("/apis/{group}");
        let call = Call::get(path.clone(), Subject::path(&path));
        let reply = match self.transport().plain(&call).await {
            Ok(reply) => reply,
            Err(failure) if failure.code() == Some(404) => return Ok(Vec::new()),
            Err(failure) => return Err(self.transport().explain(failure, &call.subject)),
        };
        let group: Object = self.read(&call, &reply)?;
        let preferred = group.text("/preferredVersion/version").to_owned();
        let mut versions: Vec<String> = group
            .items("/versions")
            .iter()
            .filter_map(|version| version.get("version").and_then(Value::as_str))
            .map(str::to_owned)
            .collect();
        // The sort is stable: the server's own order stays behind the preferred one.
        versions.sort_by_key(|version| *version != preferred);
        Ok(versions)
    }

    /// Whether the server serves a kind; everybody who is logged in may ask that.
    ///
    /// # Errors
    /// If the server is unreachable or refuses.
    pub async fn serves(&self, kind: &Kind) -> Result<bool> {
        let path = format!("/apis/{}", kind.api_version());
        let call = Call::get(path.clone(), Subject::path(&path));
        let reply = match self.transport().plain(&call).await {
            Ok(reply) => reply,
            Err(failure) if failure.code() == Some(404) => return Ok(false),
            Err(failure) => return Err(self.transport().explain(failure, &call.subject)),
        };
        let resources: Object = self.read(&call, &reply)?;
        Ok(resources
            .items("/resources")
            .iter()
            .any(|resource| resource["name"] == kind.plural.as_str()))
    }
}
