//! What is told and made beside a plan's life: stories, the other cluster, completion, and the sandbox as a server.

use crate::stage::{Stage, quick};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_story() {
    let stage = Stage::new(quick()).await;
    stage.sees("tutorial_list", "tutorial --list").await;
    stage
        .sees("tutorial_no_such_section", "tutorial --only nosuch")
        .await;
    stage.sees("tutorial", "tutorial --yes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn istios_own_story() {
    let stage = Stage::new(quick()).await;
    stage.sees("tutorial_istio_list", "tutorial istio --list").await;
    stage.sees("tutorial_istio", "tutorial istio --yes").await;
    stage
        .sees("tutorial_istio_section", "tutorial istio --only http --yes")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_of_two_clusters() {
    let stage = Stage::new(quick()).await;
    stage.sees("tutorial_mtls_list", "tutorial mtls --list").await;
    stage
        .sees("tutorial_mtls", "tutorial mtls --target-context target --yes")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_cluster() {
    let stage = Stage::new(quick()).await;
    let deploy =
        "deploy-target partner.example.com --certs {folder}/certs --context target --create-namespace";
    stage.sees("deploy_target_no_files", deploy).await;
    stage.does("certs partner.example.com --out {folder}/certs").await;
    stage
        .sees("deploy_target_dry_run", &format!("{deploy} --dry-run=client"))
        .await;
    stage.sees("deploy_target", deploy).await;
    stage.tells("deploy_target", deploy).await;
    stage
        .sees(
            "setup_two_clusters",
            "setup target.example.com --target-context target --plan both --create-namespace --yes",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_for_shells_and_for_kubectl() {
    let stage = Stage::new(quick()).await;
    for shell in ["bash", "zsh", "fish"] {
        stage
            .sees(&format!("completion_{shell}"), &format!("completion {shell}"))
            .await;
    }
    let install = "completion install --directory {folder}";
    stage.sees("completion_install", install).await;
    stage
        .sees(
            "completion_install_nowhere",
            "completion install --directory {folder}/nowhere",
        )
        .await;
}
