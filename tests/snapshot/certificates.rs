//! `certs` and `secrets`.

use crate::stage::{Stage, quick};

#[tokio::test(flavor = "multi_thread")]
async fn made_looked_at_and_stored() {
    let stage = Stage::new(quick()).await;
    stage
        .does("setup kyma-project.io --create-namespace --no-probe")
        .await;
    stage
        .sees("certs", "certs partner.example.com --out {folder}/certs")
        .await;
    stage
        .tells("certs", "certs partner.example.com --out {folder}/others")
        .await;
    stage
        .sees("certs_again", "certs partner.example.com --out {folder}/certs")
        .await;
    stage
        .sees(
            "certs_inspect",
            "certs inspect {folder}/certs/partner.example.com.crt",
        )
        .await;
    stage
        .tells(
            "certs_inspect",
            "certs inspect {folder}/certs/partner.example.com.crt",
        )
        .await;
    stage
        .sees("certs_inspect_gateway", "certs inspect --gateway")
        .await;
    let secrets = "secrets --cert {folder}/certs/client.crt --key {folder}/certs/client.key --ca {folder}/certs/root.crt";
    stage
        .tells("secrets", &format!("{secrets} --dry-run=client"))
        .await;
    stage.sees("secrets", secrets).await;
}
