//! Clusters whose Istio is missing, or too old for what we write: refused before anything is changed.

use crate::served::{Served, serve};
use crate::support::{differences, dump, quick};
use kubectl_egress::sandbox::{Sandbox, SandboxSettings};
use std::collections::BTreeSet;

/// Commands that would change something, and those that only ask.
const COMMANDS: &[&str] = &[
    "setup kyma-project.io -n demo --create-namespace --yes",
    "setup kyma-project.io -n demo --create-namespace --yes --create-gateway",
    "setup kyma-project.io -n demo --create-namespace --dry-run=client",
    "route kyma-project.io -n demo",
    "enable-gateway -n demo --yes",
    "deploy-curl -n demo --create-namespace",
];

async fn cluster(settings: SandboxSettings) -> Served {
    serve(Sandbox::new(settings)).await
}

/// Every command ends with exit code 4 and these words on standard error, and has sent nothing but questions.
async fn refuses(cluster: &Served, words: &[&str]) {
    for command in COMMANDS {
        let before = dump(&cluster.sandbox);
        let sent = cluster.sandbox.requests().len();
        let run = cluster.run(command).await.exits(4);
        for word in words {
            assert!(
                run.stderr.contains(word),
                "`{command}` does not say `{word}`: {}",
                run.stderr
            );
        }
        assert_eq!(run.stdout, "", "`{command}`");
        let nothing_to_undo = !run.stderr.contains("cleanup");
        assert!(nothing_to_undo, "`{command}`: {}", run.stderr);
        assert_eq!(
            differences(&before, &dump(&cluster.sandbox)),
            Vec::<String>::new(),
            "`{command}`"
        );
        let requests = cluster.sandbox.requests();
        let writes: Vec<String> = requests[sent..]
            .iter()
            .filter(|sent| !is_question(&sent.method, &sent.path))
            .map(|sent| format!("{} {}", sent.method, sent.path))
            .collect();
        assert_eq!(writes, Vec::<String>::new(), "`{command}`");
    }
}

/// Reviews are created to be answered, and stored nowhere.
fn is_question(method: &str, path: &str) -> bool {
    method == "GET" || path.contains("selfsubject")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_istio_it_is_named_with_what_to_install() {
    let without = SandboxSettings {
        istio: false,
        egress_gateway: false,
        ..quick()
    };
    let cluster = cluster(without).await;
    refuses(
        &cluster,
        &[
            "this cluster has no Istio",
            "networking.istio.io is not served",
            "hint: install Istio first (`istioctl install`",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_istio_that_is_too_old_is_named_with_the_version_that_is_needed() {
    for (served, version) in [("v1alpha3", "1.4.10"), ("v1beta1", "1.20.8")] {
        let old = SandboxSettings {
            istio_versions: vec![served.into()],
            istio_version: version.into(),
            ..quick()
        };
        let cluster = cluster(old).await;
        refuses(
            &cluster,
            &[
                "this Istio is too old",
                version,
                &format!("serves networking.istio.io {served}"),
                "hint: upgrade Istio to 1.21 or newer",
            ],
        )
        .await;
    }
}

/// Versions in which Istio's objects are asked for, by group.
fn asked_versions(cluster: &Served) -> BTreeSet<String> {
    let requests = cluster.sandbox.requests();
    let paths = requests.iter().map(|sent| sent.path.as_str());
    paths
        .filter_map(|path| {
            let mut parts = path.strip_prefix("/apis/")?.split('/');
            let (group, version) = (parts.next()?, parts.next()?);
            group.ends_with(".istio.io").then(|| format!("{group}/{version}"))
        })
        .collect()
}

/// The whole story on an Istio that serves `v1` of some of its kinds, and on one that does not.
#[tokio::test(flavor = "multi_thread")]
async fn objects_are_written_in_the_version_that_the_cluster_serves() {
    for (served, expected) in [
        (
            ["v1", "v1beta1"].as_slice(),
            ["networking.istio.io/v1", "telemetry.istio.io/v1"],
        ),
        (
            &["v1beta1", "v1alpha3"],
            ["networking.istio.io/v1beta1", "telemetry.istio.io/v1alpha1"],
        ),
    ] {
        let settings = SandboxSettings {
            istio_versions: served.iter().map(|version| (*version).to_owned()).collect(),
            istio_version: "1.21.6".into(),
            ..quick()
        };
        let cluster = cluster(settings).await;
        let before = cluster.steady_dump().await;
        let setup = "setup kyma-project.io -n demo --create-namespace --yes";
        let announced = cluster.run(&format!("{setup} --dry-run=client -o json")).await;
        for object in announced.exits(0).json()["items"].as_array().unwrap() {
            let version = object["apiVersion"].as_str().unwrap();
            let of_istio = version.contains(".istio.io/");
            assert!(!of_istio || expected.contains(&version), "{object}");
        }
        cluster.run(setup).await.exits(0);
        let rendered = cluster.run("render -n demo -o json").await.exits(0).json();
        for object in rendered["items"].as_array().unwrap() {
            assert_eq!(object["apiVersion"], expected[0], "{object}");
        }
        for command in ["setup -n demo --yes", "status -n demo", "verify -n demo"] {
            cluster.run(command).await.exits(0);
        }
        cluster.run("cleanup -n demo --yes").await.exits(0);
        let asked: Vec<String> = asked_versions(&cluster).into_iter().collect();
        for version in &asked {
            let other_group = !version.starts_with("networking.") && !version.starts_with("telemetry.");
            assert!(other_group || expected.contains(&version.as_str()), "{asked:?}");
        }
        let after = cluster.steady_dump().await;
        assert_eq!(differences(&before, &after), Vec::<String>::new());
    }
}
