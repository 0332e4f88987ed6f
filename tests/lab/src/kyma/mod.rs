//! Kyma's Istio module, played: its operator is not to be had here, so a process of the lab does what it does.
//!
//! What it writes, and when, follows the module's own source (`kyma-project/istio`, release 1.30), its reasons and
//! messages word by word, because users and our tool read them:
//!
//! - `options`: what `up` may be asked for.
//! - `definitions.yaml`: the kinds `Istio` and `APIRule`.
//! - `condition`, `situation`: what is written into an Istio CR's status, and which CR counts. Pure.
//! - `operator`: what is given to Istio's installer for a CR. `resources`: what the module applies besides. `users`:
//!   what users made. Pure.
//! - `client`: the API server. `installer`: Istio's. `record`: what is kept on the CR.
//! - `watch` and `queue`: which CR is looked at, and when. `module`: the process.
//! - `api_rule`: what Kyma's other module, API Gateway, makes of an `APIRule`; pure. `api_gateway`: the process that
//!   plays it, in the cluster that is reached from outside.

mod api_gateway;
mod api_rule;
mod client;
mod condition;
mod installer;
mod module;
mod operator;
mod options;
mod queue;
mod record;
mod resources;
mod situation;
mod users;
mod watch;

pub(crate) use api_gateway::{ApiGatewayArguments, serve as serve_api_gateway};
use client::Client;
pub(crate) use module::serve;
pub(crate) use operator::wants_gateway;
pub use options::{KymaProfile, Platform};
pub(crate) use options::{PlatformArguments, ServeArguments};

/// The kind, with its group: so kubectl does not confuse it with another `istios`.
pub(crate) const ISTIOS: &str = "istios.operator.kyma-project.io";
/// The one namespace in which an Istio CR counts.
pub(crate) const NAMESPACE: &str = "kyma-system";
/// Where Istio itself is installed.
pub(crate) const ISTIO_NAMESPACE: &str = "istio-system";
/// Custom resource definitions that a cluster with Kyma has.
pub(crate) const DEFINITIONS: &str = include_str!("definitions.yaml");
/// Lets a test fail the next installations: the annotation's value becomes the error, an empty one the module's own
/// words. The module looks at it when it installs, not when it changes.
pub(crate) const FAIL_ANNOTATION: &str = "kubectl-egress-lab/fail-installation";
