//! Kyma's Istio module: its kinds, the process that plays it, and the Istio CR by which it installs Istio.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Cluster, apply, istio, kubectl, kubectl_command, own_program, text};
use crate::kyma::{DEFINITIONS, ISTIOS, NAMESPACE, wants_gateway};
use crate::layout::ClusterLayout;
use crate::shell::output_with_input;
use crate::state::Options;
use crate::wait::{Look, until};

/// The hidden command that plays the module.
pub(crate) const COMMAND: &str = "serve-kyma";

/// The hidden command that plays the API Gateway module.
pub(crate) const API_GATEWAY_COMMAND: &str = "serve-api-gateway";

/// The name that everybody gives to the one Istio CR.
const CR: &str = "default";

/// Starts the module and waits until it has installed Istio.
///
/// # Errors
/// It cannot be started, or ends, or does not come to be ready.
pub(crate) fn install(cluster: &mut Cluster) -> Result<()> {
    let layout = cluster.layout.clone();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    apply(&layout, &format!("{DEFINITIONS}\n---\n{namespace}"))?;
    let established = ["wait", "--for=condition=Established", "--timeout=30s"];
    let definitions = [
        "crd/istios.operator.kyma-project.io",
        "crd/apirules.gateway.kyma-project.io",
    ];
    kubectl(&layout, &[&established[..], &definitions].concat())?;
    let options = cluster.state.options;
    // A copy, so that a new build of the lab does not replace a running program's file.
    let program = layout.state_dir().join("kyma-module");
    std::fs::copy(std::env::current_exe()?, &program)?;
    let arguments = vec![
        COMMAND.to_owned(),
        "--kubeconfig".into(),
        text(layout.kubeconfig()),
        "--istioctl".into(),
        text(&cluster.binaries.istioctl),
        "--folder".into(),
        text(layout.state_dir()),
        "--profile".into(),
        options.kyma_profile.as_str().into(),
    ];
    cluster.start("kyma", &program, arguments)?;
    ask(&layout, options)?;
    cluster.wait("the Kyma module", PATIENCE, || settled(&layout))
}

/// Starts Kyma's other module, which a cluster that is reached from outside has too.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start_api_gateway(cluster: &mut Cluster) -> Result<()> {
    let program = own_program(&cluster.layout)?;
    let arguments = vec![
        API_GATEWAY_COMMAND.to_owned(),
        "--kubeconfig".into(),
        text(cluster.layout.kubeconfig()),
    ];
    cluster.start("kyma-api-gateway", &program, arguments)
}

/// The module itself waits for two and a half minutes, and then tries again.
const PATIENCE: Duration = Duration::from_secs(240);

/// Brings the Istio CR of a running lab to other options, or back, and waits until the module has followed.
///
/// # Errors
/// The module does not come to be ready.
pub(crate) fn adjust(layout: &ClusterLayout, options: Options) -> Result<()> {
    ask(layout, options)?;
    until("the Kyma module", PATIENCE, || settled(layout))
}

/// Applies the Istio CR as Kyma's own lifecycle manager does: it is somebody else's object for everybody.
fn ask(layout: &ClusterLayout, options: Options) -> Result<()> {
    let mut spec = json!({"config": {}});
    if layout.is_target() {
        // The ingress gateway's log is to name who really asked.
        spec["config"]["gatewayExternalTrafficPolicy"] = json!("Local");
    }
    if options.egress_gateway {
        spec["components"] = json!({"egressGateway": {"enabled": true}});
    }
    let cr = json!({
        "apiVersion": "operator.kyma-project.io/v1alpha2",
        "kind": "Istio",
        "metadata": {"name": CR, "namespace": NAMESPACE, "labels": {
            "app.kubernetes.io/name": CR, "kyma-project.io/module": "istio"}},
        "spec": spec,
    });
    let words = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=lifecycle-manager",
        "-f",
        "-",
    ];
    output_with_input(kubectl_command(layout).args(words), &cr.to_string()).map(|_| ())
}

/// Whether the module has done what the CR says.
fn settled(layout: &ClusterLayout) -> Result<Look<()>> {
    let text = kubectl(layout, &["-n", NAMESPACE, "get", ISTIOS, CR, "-o", "json"])?;
    let cr: Value = serde_json::from_str(&text).context("the Istio CR")?;
    let [state, description] = ["state", "description"].map(|field| {
        let text = cr.pointer(&format!("/status/{field}"))?.as_str()?;
        Some(text.to_owned())
    });
    let state = state.unwrap_or_default();
    if !matches!(state.as_str(), "Ready" | "Warning") {
        let description = description.unwrap_or_default();
        return Ok(Look::NotYet(format!("it is {state:?}: {description}")));
    }
    let (has, wants) = (istio::has_gateway(layout)?, wants_gateway(&cr));
    Ok(if has == wants {
        Look::Done(())
    } else {
        Look::NotYet(format!("the egress gateway is there: {has}, asked for: {wants}"))
    })
}

/// Whether Istio is as healthy as the module is to keep it: where nobody asks for Istio there is none.
///
/// # Errors
/// The API server does not answer.
pub(crate) fn is_ready(layout: &ClusterLayout) -> Result<bool> {
    Ok(istio::is_ready(layout)? || !is_asked_for(layout)?)
}

/// Whether there is any Istio CR where it counts.
///
/// # Errors
/// The API server does not answer.
pub(crate) fn is_asked_for(layout: &ClusterLayout) -> Result<bool> {
    let names = kubectl(
        layout,
        &[
            "-n",
            NAMESPACE,
            "get",
            ISTIOS,
            "-o",
            "name",
            "--request-timeout=5s",
        ],
    )?;
    Ok(!names.trim().is_empty())
}
