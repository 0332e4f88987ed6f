//! In which version an Istio kind is asked for: inside this program every kind has one, on the wire there are two.

use super::Cluster;
use crate::istio::kinds;
use crate::vocabulary::{Kind, ObjectReference};

impl Cluster {
    /// The kind in the version that this server serves. Istio's kinds have `v1` since 1.22, with the same fields as the
    /// version before; which of the two it is is asked once for all of them. Other kinds come back as they are.
    ///
    /// Where the server does not say (no Istio yet, no answer), it is the catalogue's version, and nothing is
    /// remembered: Istio may be installed meanwhile.
    pub async fn served_kind(&self, kind: &Kind) -> Kind {
        let Some(older) = kinds::before_v1(kind) else {
            return kind.clone();
        };
        let ask = || async {
            let versions = self.served_versions(kinds::NETWORKING).await.map_err(|_| ())?;
            if versions.is_empty() {
                return Err(());
            }
            Ok(versions.iter().all(|version| version != "v1"))
        };
        match self.0.istio_before_v1.get_or_try_init(ask).await {
            Ok(true) => older,
            Ok(false) | Err(()) => kind.clone(),
        }
    }

    /// The same for one object.
    pub(super) async fn served(&self, reference: &ObjectReference) -> ObjectReference {
        ObjectReference {
            kind: self.served_kind(&reference.kind).await,
            ..reference.clone()
        }
    }
}
