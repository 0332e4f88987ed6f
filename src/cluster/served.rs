//! What the server serves. API groups are asked for once, all at a time; a kind of Istio is then asked for in the version
//! that this server has.

use super::Cluster;
use super::failure::Subject;
use super::objects::not_asked_for;
use super::transport::Call;
use crate::error::Result;
use crate::istio::kinds;
use crate::vocabulary::{Kind, Object, ObjectReference};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The API groups of a server (`GET /apis`), each with its versions, the preferred one first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiGroups(BTreeMap<String, Vec<String>>);

impl ApiGroups {
    /// The versions of a group, the preferred one first; none if it is not served.
    pub fn versions(&self, group: &str) -> &[String] {
        self.0.get(group).map_or(&[], Vec::as_slice)
    }

    /// Whether a group is served in any version.
    pub fn has(&self, group: &str) -> bool {
        !self.versions(group).is_empty()
    }

    /// Reads an `APIGroupList`.
    fn read(list: &Object) -> Self {
        let groups = list.items("/groups").iter().map(|group| {
            let group = Object(group.clone());
            let preferred = group.text("/preferredVersion/version");
            let mut versions: Vec<String> = group
                .items("/versions")
                .iter()
                .filter_map(|version| version.get("version").and_then(Value::as_str))
                .map(str::to_owned)
                .collect();
            // The sort is stable: the server's own order stays behind the preferred one.
            versions.sort_by_key(|version| version != preferred);
            (group.text("/name").to_owned(), versions)
        });
        Self(groups.collect())
    }
}

impl Cluster {
    /// The server's API groups. Asked once, by whoever is first; without Istio nothing is remembered, as it may be
    /// installed meanwhile.
    ///
    /// One answer for all of them, because every API server has this path: that a group is missing is then said by a
    /// server that knows the question. Asked for alone, a missing group is a 404, which any proxy can say.
    ///
    /// # Errors
    /// If the server is unreachable or refuses.
    pub async fn api_groups(&self) -> Result<Arc<ApiGroups>> {
        let ask = || async {
            match self.ask_for_api_groups().await {
                Ok(groups) if groups.has(kinds::NETWORKING) => Ok(Arc::new(groups)),
                Ok(groups) => Err(Ok(groups)),
                Err(error) => Err(Err(error)),
            }
        };
        match self.0.api_groups.get_or_try_init(ask).await {
            Ok(groups) => Ok(Arc::clone(groups)),
            Err(without_istio) => without_istio.map(Arc::new),
        }
    }

    async fn ask_for_api_groups(&self) -> Result<ApiGroups> {
        let call = Call::get("/apis".into(), Subject::path("/apis"));
        let reply = self.transport().plain_explained(&call).await?;
        let list = self.read(&call, &reply)?;
        // Taken for a list without groups, it would say that nothing is served.
        if list.text("/kind") != "APIGroupList" {
            return Err(self.transport().explain(not_asked_for(), &call.subject));
        }
        Ok(ApiGroups::read(&list))
    }

    /// The kind in the version that this server serves. Istio's kinds have `v1` since 1.22, with the same fields as the
    /// version before; which of the two it is is asked once for all of them. Other kinds come back as they are.
    ///
    /// Where the server does not say (no Istio yet, no answer), it is the catalogue's version.
    pub async fn served_kind(&self, kind: &Kind) -> Kind {
        let Some(older) = kinds::before_v1(kind) else {
            return kind.clone();
        };
        let is_new = |groups: &ApiGroups| {
            let versions = groups.versions(kinds::NETWORKING);
            versions.is_empty() || versions.iter().any(|version| version == "v1")
        };
        match self.api_groups().await {
            Ok(groups) if !is_new(&groups) => older,
            Ok(_) | Err(_) => kind.clone(),
        }
    }

    /// The same for one object.
    pub(super) async fn served(&self, reference: &ObjectReference) -> ObjectReference {
        ObjectReference {
            kind: self.served_kind(&reference.kind).await,
            ..reference.clone()
        }
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
