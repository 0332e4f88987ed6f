//! A plan's life, each command as it stands in it.

use crate::stage::{Stage, quick};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_there_yet() {
    let stage = Stage::new(quick()).await;
    stage.sees("none_status", "status").await;
    stage.sees("none_verify", "verify").await;
    stage.sees("none_lockdown", "lockdown").await;
    stage.sees("none_logs", "logs").await;
    stage.sees("none_check", "check").await;
    stage.sees("none_cleanup", "cleanup").await;
    stage.sees("none_namespace", "setup kyma-project.io").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn set_up_and_looked_at() {
    let stage = Stage::new(quick()).await;
    let set_up = "setup kyma-project.io --create-namespace";
    stage
        .sees("setup_dry_run", &format!("{set_up} --dry-run=client"))
        .await;
    stage.sees("setup", set_up).await;
    stage.sees("setup_again", "setup kyma-project.io").await;
    stage.tells("setup_again", "setup kyma-project.io").await;
    stage.sees("verify", "verify").await;
    stage.tells("verify", "verify").await;
    stage.sees("status", "status").await;
    stage.tells("status", "status").await;
    stage.sees("probe", "probe kyma-project.io").await;
    stage.sees("probe_verbose", "probe kyma-project.io -v").await;
    stage.sees("probe_elsewhere", "probe www.google.com").await;
    stage.tells("probe", "probe kyma-project.io").await;
    stage.sees("diff", "diff edition.cnn.com").await;
    stage.tells("diff", "diff edition.cnn.com").await;
    stage.sees("diff_none", "diff").await;
    stage.sees("render", "render").await;
    stage.tells("render", "render").await;
    stage.sees("explain_host", "explain kyma-project.io").await;
    stage.tells("explain_host", "explain kyma-project.io:443").await;
    stage
        .sees("explain_other_host", "explain www.google.com:443")
        .await;
    stage.sees("check", "check").await;
    stage.tells("check", "check").await;
    stage.sees("learn", "learn --since 1h").await;
    stage.tells("learn", "learn --since 1h").await;
    stage.sees("report", "report").await;
    stage.tells("report", "report").await;
}

/// The only requests are those of the set-up's probe.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_wrote() {
    let stage = Stage::new(quick()).await;
    stage.does("setup kyma-project.io --create-namespace").await;
    stage.sees("logs", "logs --host kyma-project.io").await;
    stage.tells("logs", "logs --host kyma-project.io").await;
    stage.sees("logs_other_host", "logs --host www.example.com").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_step_by_step() {
    let stage = Stage::new(quick()).await;
    stage
        .does("setup kyma-project.io --create-namespace --no-probe")
        .await;
    stage
        .sees(
            "setup_http",
            "setup edition.cnn.com --mode http --mesh-mtls=false",
        )
        .await;
    stage.sees("enable_gateway", "enable-gateway").await;
    stage
        .tells("enable_gateway", "enable-gateway --dry-run=client")
        .await;
    stage.sees("deploy_curl", "deploy-curl").await;
    stage.tells("deploy_curl", "deploy-curl --dry-run=client").await;
    stage
        .tells("route", "route www.example.com --dry-run=client")
        .await;
    stage.sees("route", "route www.example.com").await;
    stage
        .sees("route_remove_asks", "route --remove www.example.com")
        .await;
    stage
        .sees("route_remove", "route --remove www.example.com --yes")
        .await;
    stage.sees("cleanup_dry_run", "cleanup --dry-run=client").await;
    stage.sees("cleanup", "cleanup").await;
    stage.sees("cleanup_verify", "cleanup --verify").await;
    stage.tells("cleanup", "cleanup --verify").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_and_unlocked() {
    let stage = Stage::new(quick()).await;
    stage
        .does("setup kyma-project.io --create-namespace --no-probe")
        .await;
    stage.sees("lockdown_dry_run", "lockdown --dry-run=client").await;
    stage.tells("lockdown_dry_run", "lockdown --dry-run=client").await;
    stage.sees("lockdown_asks", "lockdown").await;
    stage.sees("lockdown", "lockdown --yes").await;
    stage.sees("lockdown_again", "lockdown --yes").await;
    stage.tells("lockdown_again", "lockdown --yes").await;
    stage.sees("verify_locked", "verify").await;
    stage.sees("verify_bypass", "verify --bypass --yes").await;
    stage.sees("unlock_dry_run", "unlock --dry-run=client").await;
    stage.sees("unlock", "unlock").await;
    stage.tells("unlock", "unlock").await;
    stage.sees("unlock_again", "unlock").await;
}

/// What needs no cluster.
#[tokio::test(flavor = "multi_thread")]
async fn explained() {
    let stage = Stage::new(quick()).await;
    stage.sees("explain_code", "explain EGR-101").await;
    stage.tells("explain_code", "explain EGR-101").await;
    stage.sees("explain_exit_code", "explain --exit-code 35").await;
    stage.tells("explain_exit_code", "explain --exit-code 35").await;
    stage.sees("explain_codes", "explain").await;
    stage.sees("version", "version").await;
    stage.tells("version", "version").await;
    stage
        .sees(
            "render_offline",
            "render edition.cnn.com --mode http --gateway istio-system/istio-egressgateway",
        )
        .await;
}
