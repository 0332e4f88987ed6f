//! The mesh configuration: YAML in one key of a ConfigMap.

use crate::vocabulary::Object;
use serde_json::Value;

/// `meshConfig` of Istio's ConfigMap (`istio` in the root namespace) as JSON; `None` if it is not YAML.
///
/// Source: Istio's reference of MeshConfig.
pub fn mesh_configuration(map: &Object) -> Option<Value> {
    serde_saphyr::from_str(map.text("/data/mesh")).ok()
}
