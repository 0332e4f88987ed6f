//! What the server is.

use super::Cluster;
use super::failure::{Failure, Subject};
use super::transport::Call;
use crate::error::Result;

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
}
