//! Clusters whose Istio is missing, or too old for what we write: refused before anything is changed.

use crate::served::{Served, serve};
use crate::support::{differences, dump, quick};
use kubectl_egress::sandbox::{Sandbox, SandboxSettings};

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
    let old = SandboxSettings {
        istio_versions: vec!["v1beta1".into(), "v1alpha3".into()],
        istio_version: "1.21.6".into(),
        ..quick()
    };
    let cluster = cluster(old).await;
    refuses(
        &cluster,
        &[
            "this Istio is too old",
            "1.21.6",
            "serves networking.istio.io v1beta1, v1alpha3 but not v1",
            "came with Istio 1.22",
            "hint: upgrade Istio to 1.22 or newer",
        ],
    )
    .await;
}
