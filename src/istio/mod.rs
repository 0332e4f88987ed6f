//! Typed structs of the Istio objects that we write and read, and the kinds with their request paths.
//!
//! Only the fields that we set; unknown fields of live objects are skipped on reading. A fixture test
//! checks what we write against Istio's own CRD schemas.

pub mod access_log;
pub mod kinds;
pub mod kyma;
pub mod log_merge;
mod mesh_configuration;
mod networking;

pub use mesh_configuration::mesh_configuration;
pub use networking::*;
