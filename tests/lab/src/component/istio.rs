//! Istio, by its real installer: istiod, and the egress gateway where it is asked for.
//!
//! Envoy is the stock one, which lacks Istio's own filters: what would use them is switched off.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{apply, kubectl, rollout};
use crate::build::Binaries;
use crate::image::{HUB, TAG};
use crate::layout::ClusterLayout;
use crate::shell::{inside, output};
use crate::state::{Options, OutboundPolicy};
use crate::wait::{Look, until};

const NAMESPACE: &str = "istio-system";
/// The ingress gateway's Deployment and Service.
const INGRESS: &str = "istio-ingressgateway";

/// A target is reached through an ingress gateway, which sees who asks, as behind a load balancer that keeps addresses.
fn operator(layout: &ClusterLayout, options: Options) -> Value {
    let requests = json!({"requests": {"cpu": "10m", "memory": "40Mi"}});
    json!({
        "apiVersion": "install.istio.io/v1alpha1",
        "kind": "IstioOperator",
        "spec": {
            "profile": "minimal",
            "hub": HUB,
            "tag": TAG,
            "meshConfig": {"outboundTrafficPolicy": {"mode": options.outbound_policy.as_str()}},
            "components": {
                "pilot": {"k8s": {"resources": requests}},
                "ingressGateways": [{
                    "name": INGRESS,
                    "enabled": layout.is_target(),
                    "k8s": {"resources": requests},
                }],
                "egressGateways": [{
                    "name": "istio-egressgateway",
                    "enabled": options.egress_gateway,
                    "k8s": {"resources": requests},
                }],
            },
            "values": {
                "global": {
                    "imagePullPolicy": "IfNotPresent",
                    "proxy": {"resources": requests},
                    "proxy_init": {"resources": requests},
                },
                "gateways": {
                    "istio-egressgateway": {"autoscaleEnabled": false},
                    INGRESS: {"autoscaleEnabled": false, "externalTrafficPolicy": "Local"},
                },
                "pilot": {
                    "autoscaleEnabled": false,
                    "env": {
                        "PILOT_ENABLE_ALPN_FILTER": "false",
                        "PILOT_ENABLE_METADATA_EXCHANGE": "false",
                    },
                },
                "telemetry": {"v2": {"enabled": false}},
            },
        },
    })
}

/// Installs Istio, or brings the installed one to other options, and waits until it is ready.
///
/// # Errors
/// The installer fails, or something is not ready in time.
pub(crate) fn install(layout: &ClusterLayout, binaries: &Binaries, options: Options) -> Result<()> {
    let path = layout.state_dir().join("istio.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&operator(layout, options))?)?;
    let mut istioctl = inside(&layout.node_namespace(), &binaries.istioctl);
    istioctl
        .env("HOME", layout.state_dir())
        .arg("--kubeconfig")
        .arg(layout.kubeconfig());
    istioctl
        .args([
            "install",
            "--skip-confirmation",
            "--readiness-timeout",
            "150s",
            "--filename",
        ])
        .arg(&path);
    let log = output(&mut istioctl)?;
    std::fs::write(layout.logs().join("istioctl.log"), log)?;
    rollout(layout, NAMESPACE, "deployment/istiod", 60)?;
    if layout.is_target() {
        rollout(layout, NAMESPACE, &format!("deployment/{INGRESS}"), 60)?;
    }
    if options.egress_gateway {
        rollout(layout, NAMESPACE, "deployment/istio-egressgateway", 60)
    } else {
        remove_gateway(layout)
    }
}

fn remove_gateway(layout: &ClusterLayout) -> Result<()> {
    let kinds = "deployments,services,serviceaccounts,roles,rolebindings,poddisruptionbudgets";
    let arguments = [
        "-n",
        NAMESPACE,
        "delete",
        kinds,
        "-l",
        "istio=egressgateway",
        "--wait=true",
    ];
    kubectl(layout, &arguments).map(|_| ())
}

/// Says whether istiod is available. The gateway is not asked for: tests take it away and bring it back.
///
/// # Errors
/// The API server does not answer.
pub(crate) fn is_ready(layout: &ClusterLayout) -> Result<bool> {
    is_available(layout, "istiod")
}

/// Says whether the egress gateway is available.
///
/// # Errors
/// The API server does not answer.
pub(crate) fn has_gateway(layout: &ClusterLayout) -> Result<bool> {
    is_available(layout, "istio-egressgateway")
}

/// Gives the ingress gateway its address outside, as a cloud's load balancer does: kube-proxy does the rest.
///
/// # Errors
/// There is no ingress gateway.
pub(crate) fn publish_ingress(layout: &ClusterLayout) -> Result<()> {
    let address = ClusterLayout::ingress_address();
    let patch = json!({"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}).to_string();
    let words = [
        "-n",
        NAMESPACE,
        "patch",
        "service",
        INGRESS,
        "--subresource=status",
        "--type=merge",
        "--patch",
        &patch,
    ];
    kubectl(layout, &words).map(|_| ())
}

fn is_available(layout: &ClusterLayout, deployment: &str) -> Result<bool> {
    let path = r#"jsonpath={range .items[?(@.status.availableReplicas>0)]}{.metadata.name}{"\n"}{end}"#;
    let arguments = [
        "-n",
        NAMESPACE,
        "get",
        "deployments",
        "-o",
        path,
        "--request-timeout=5s",
    ];
    let available = kubectl(layout, &arguments)?;
    Ok(available.lines().any(|line| line == deployment))
}

/// Switches the outbound policy of a running mesh and waits until istiod has it.
///
/// # Errors
/// The API server refuses, or istiod does not take it within half a minute.
pub(crate) fn set_outbound_policy(layout: &ClusterLayout, policy: OutboundPolicy) -> Result<()> {
    let mesh = kubectl(
        layout,
        &[
            "-n",
            NAMESPACE,
            "get",
            "configmap",
            "istio",
            "-o",
            "jsonpath={.data.mesh}",
        ],
    )?;
    let mesh = with_outbound_policy(&mesh, policy);
    let manifest = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "istio", "namespace": NAMESPACE},
        "data": {"mesh": mesh},
    });
    apply(layout, &manifest.to_string())?;
    until("istiod's outbound policy", Duration::from_secs(30), || {
        let text = kubectl(
            layout,
            &[
                "-n",
                NAMESPACE,
                "exec",
                "deploy/istiod",
                "--",
                "/usr/local/bin/pilot-discovery",
                "request",
                "GET",
                "/debug/mesh",
            ],
        )?;
        let debug: Value = serde_json::from_str(&text).context("istiod's mesh configuration")?;
        let mode = debug
            .pointer("/outboundTrafficPolicy/mode")
            .and_then(Value::as_str)
            .unwrap_or("REGISTRY_ONLY");
        Ok(if mode == policy.as_str() {
            Look::Done(())
        } else {
            Look::NotYet(format!("it has {mode}"))
        })
    })
}

/// Puts the policy into the mesh configuration's YAML, whose other lines stay as they are.
fn with_outbound_policy(mesh: &str, policy: OutboundPolicy) -> String {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in mesh.lines() {
        if line.starts_with("outboundTrafficPolicy:") {
            inside = true;
        } else if !line.starts_with(' ') {
            inside = false;
        }
        if !inside {
            lines.push(line.to_owned());
        }
    }
    lines.push("outboundTrafficPolicy:".to_owned());
    lines.push(format!("  mode: {}", policy.as_str()));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_policy_changes_in_the_mesh_configuration() {
        let mesh =
            "defaultConfig:\n  a: b\noutboundTrafficPolicy:\n  mode: ALLOW_ANY\ntrustDomain: cluster.local\n";
        assert_eq!(
            with_outbound_policy(mesh, OutboundPolicy::RegistryOnly),
            "defaultConfig:\n  a: b\ntrustDomain: cluster.local\noutboundTrafficPolicy:\n  mode: REGISTRY_ONLY\n"
        );
        assert!(with_outbound_policy("a: b\n", OutboundPolicy::AllowAny).ends_with("  mode: ALLOW_ANY\n"));
    }
}
