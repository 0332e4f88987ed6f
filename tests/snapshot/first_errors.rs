//! What somebody reads who has only just begun: help, and never a stack.

use crate::normal::{assert_stored, normal};
use crate::stage::{Served, Stage, quick, run};
use kubectl_egress::report::ReportSettings;
use kubectl_egress::sandbox::{Denial, Fault, FaultKind, SandboxSettings};

const SET_UP: &str = "setup kyma-project.io --create-namespace";

/// A command that needs no sandbox, at 80 columns.
async fn says(name: &str, typed: &str) {
    let words = std::iter::once("kubectl-egress").chain(typed.split_whitespace());
    let said = run(words.map(str::to_owned).collect(), ReportSettings::default(), 80).await;
    let text = format!(
        "$ kubectl egress {typed}\n{}{}[exit {}]\n",
        said.error, said.output, said.code
    );
    assert_stored(name, &normal(&text));
    assert!(said.error.contains("hint: "), "{}", said.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_istio() {
    let stage = Stage::new(SandboxSettings {
        istio: false,
        ..quick()
    })
    .await;
    stage.sees("first_no_istio", SET_UP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_gateway() {
    let stage = Stage::new(SandboxSettings {
        egress_gateway: false,
        ..quick()
    })
    .await;
    stage.sees("first_no_gateway", SET_UP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn something_is_not_permitted() {
    let denied = |verb| Denial::new(verb, "networking.istio.io", "virtualservices");
    let stage = Stage::new(SandboxSettings {
        denials: ["create", "patch"].map(denied).to_vec(),
        ..quick()
    })
    .await;
    stage.sees("first_no_permission", SET_UP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credentials_have_expired() {
    let stage = Stage::new(quick()).await;
    stage.each(|served| {
        served
            .sandbox
            .inject(Fault::new("", FaultKind::Status(401, None)).times(1_000));
    });
    stage.sees("first_expired", "verify").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_cannot_be_pulled() {
    let stage = Stage::new(SandboxSettings {
        missing_images: vec![kubectl_egress::vocabulary::names::SOURCE_IMAGE.to_owned()],
        ..quick()
    })
    .await;
    stage.sees("first_no_image", SET_UP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kubeconfig_is_of_no_use() {
    let served = Served::new(quick()).await;
    let file = |name: &str, text: &str| {
        let path = served.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = served.kubeconfig().display().to_string();
    says(
        "first_wrong_context",
        &format!("verify --kubeconfig {good} --context prod"),
    )
    .await;
    let broken = file("broken", "clusters: [");
    says(
        "first_broken_kubeconfig",
        &format!("verify --kubeconfig {broken}"),
    )
    .await;
    says("first_no_such_kubeconfig", "verify --kubeconfig /nowhere/config").await;
    // Port 1 is nobody's.
    let away = std::fs::read_to_string(served.kubeconfig()).unwrap();
    let port = away
        .split("127.0.0.1:")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    let away = file("away", &away.replace(port, "1"));
    says("first_unreachable", &format!("verify --kubeconfig {away}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_is_not_right() {
    says("first_no_host", "probe").await;
    says("first_bad_host", "setup https://kyma-project.io/path").await;
    says("first_bad_from", "verify --from shop").await;
}
