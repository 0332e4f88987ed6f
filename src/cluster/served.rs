//! In which version an Istio kind is asked for: inside this program every kind has one, on the wire there are two.

use super::Cluster;
use crate::error::Result;
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
        match self.istio_versions().await {
            Ok(versions) if !versions.is_empty() && versions.iter().all(|version| version != "v1") => older,
            Ok(_) | Err(_) => kind.clone(),
        }
    }

    /// The versions of Istio's networking kinds, the preferred one first; empty without Istio. Asked once, by whoever is
    /// first; that there is no Istio is not remembered.
    ///
    /// # Errors
    /// If the server is unreachable or refuses.
    pub async fn istio_versions(&self) -> Result<&[String]> {
        let ask = || async {
            match self.served_versions(kinds::NETWORKING).await {
                Ok(versions) if versions.is_empty() => Err(None),
                Ok(versions) => Ok(versions),
                Err(error) => Err(Some(error)),
            }
        };
        match self.0.istio_versions.get_or_try_init(ask).await {
            Ok(versions) => Ok(versions),
            Err(None) => Ok(&[]),
            Err(Some(error)) => Err(error),
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
