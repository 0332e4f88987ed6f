//! Commands as they are typed, against the sandbox on a socket.

use crate::served::{Served, TOKEN, serve, served};
use crate::support::{client, differences, dump, quick};
use kubectl_egress::cluster::{DeleteOptions, Deleted};
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::{Denial, Fault, FaultKind, Sandbox, SandboxSettings};
use kubectl_egress::vocabulary::ObjectReference;
use serde_json::{Value, json};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SET_UP: &str = "setup kyma-project.io -n demo --create-namespace";

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_a_document_like_any_other() {
    let cluster = served().await;
    cluster.run(SET_UP).await.exits(0);
    let difference = cluster.run("diff edition.cnn.com -o json").await.exits(1).json();
    assert_eq!(difference["apiVersion"], "kubectl-egress.dev/v1alpha1");
    assert_eq!(difference["kind"], "Diff");
    assert_eq!(
        (&difference["plan"], &difference["namespace"]),
        (&"default".into(), &"demo".into())
    );
    assert!(
        difference["differences"][0]
            .as_str()
            .unwrap()
            .contains("edition.cnn.com"),
        "{difference}"
    );
    let none = cluster.run("diff -o json").await.exits(0).json();
    assert_eq!(none["differences"], serde_json::json!([]));
}

/// The Lease of a run on this machine that was killed is not waited for; without knowing that it is gone it takes 15 s.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_is_taken_over_at_once() {
    let cluster = served().await;
    cluster
        .sandbox
        .inject(Fault::new("gateways", FaultKind::Hang).method("PATCH"));
    let mut first = cluster
        .command(SET_UP)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !cluster
        .sandbox
        .dump()
        .contains_key("Lease demo/kubectl-egress-default")
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // As long as it lives, nobody takes its place.
    let refused = cluster.run(SET_UP).await.exits(5);
    assert!(
        refused.stderr.contains(&format!("process {}", first.id())),
        "{refused:?}"
    );
    first.kill().unwrap();
    first.wait().unwrap();
    let started = Instant::now();
    cluster.run(SET_UP).await.exits(0);
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}

/// `status --watch` shows a plan again when an object of any kind is gone, whoever's namespace it is in.
#[tokio::test(flavor = "multi_thread")]
async fn a_watched_status_follows_every_object_of_the_plan() {
    let cluster = served().await;
    cluster.run(SET_UP).await.exits(0);
    let (watching, mut shown) = going_on(&cluster, "status -n demo --watch -o json");
    let first = shown.next().unwrap();
    assert!(missing(&first).is_empty(), "{first}");
    let client = client(&cluster.sandbox);
    let mut gone = Vec::new();
    for object in [
        ObjectReference::namespaced(
            kinds::telemetry(),
            "istio-system",
            "kubectl-egress-istio-egressgateway",
        ),
        ObjectReference::namespaced(kinds::telemetry(), "demo", "kubectl-egress-source"),
        ObjectReference::namespaced(kinds::virtual_service(), "demo", "egress-default"),
        ObjectReference::namespaced(kinds::deployment(), "demo", "curl"),
    ] {
        assert_eq!(
            client.delete(&object, &DeleteOptions::default()).await.unwrap(),
            Deleted::Gone,
            "{object}"
        );
        gone.push(object.to_string());
        // In between pods come and go, which shows as well.
        let next = shown.find(|next| missing(next).len() == gone.len());
        let mut shown_missing = missing(&next.unwrap());
        shown_missing.sort();
        let mut expected = gone.clone();
        expected.sort();
        assert_eq!(shown_missing, expected);
    }
    let mut watching = watching.lock().unwrap();
    watching.kill().unwrap();
    watching.wait().unwrap();
}

/// `logs -f` goes on with the pods that a restart of the gateway brings, from their first line on.
#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_goes_on_at_the_pods_of_a_restarted_gateway() {
    let cluster = served().await;
    cluster.run(SET_UP).await.exits(0);
    let (following, mut lines) = going_on(&cluster, "logs -f -n demo -o json");
    let client = client(&cluster.sandbox);
    let mut pods: Vec<String> = Vec::new();
    for _ in 0..3 {
        while cluster.run("probe kyma-project.io -n demo").await.code != Some(0) {}
        let of_another = |line: &Value| !pods.iter().any(|pod| line["pod"] == pod.as_str());
        let line = lines.find(of_another).unwrap();
        assert_eq!(line["host"], "kyma-project.io");
        let pod = line["pod"].as_str().unwrap().to_owned();
        let (namespace, name) = pod.split_once('/').unwrap();
        let reference = ObjectReference::namespaced(kinds::pod(), namespace, name);
        client
            .delete(&reference, &DeleteOptions::default())
            .await
            .unwrap();
        pods.push(pod);
    }
    let mut following = following.lock().unwrap();
    following.kill().unwrap();
    following.wait().unwrap();
}

/// The sandbox plays the modes, and refuses what it does not play by name rather than carry a request otherwise than Istio
/// would.
#[tokio::test(flavor = "multi_thread")]
async fn modes_are_played_and_what_is_not_is_refused_by_name() {
    let cluster = served().await;
    let before = dump(&cluster.sandbox);
    let own_file = "--mode tls-origination --at sidecar --ca-file /etc/own/ca.crt";
    let refused = cluster
        .run(&format!("{SET_UP} --atomic {own_file}"))
        .await
        .exits(4);
    for words in [
        "this embedded cluster does not simulate certificates in files of a proxy",
        "name it with credentialName",
    ] {
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    assert_eq!(
        differences(&before, &dump(&cluster.sandbox)),
        Vec::<String>::new()
    );
    for (flags, outcome) in [
        ("--mode http", "routed"),
        ("--mode http --mesh-mtls=false", "routed"),
        ("--mode tls-origination", "routed"),
        ("--mode tls-origination --mesh-mtls=false", "routed"),
        ("--mode tls-origination --at sidecar", "direct, as planned"),
        ("--mesh-mtls", "routed"),
        ("--mode direct", "direct, as planned"),
    ] {
        let done = cluster.run(&format!("{SET_UP} {flags}")).await.exits(0);
        assert!(done.stdout.contains(outcome), "{flags}: {done:?}");
        cluster.run("cleanup --verify").await.exits(0);
        assert_eq!(
            differences(&before, &dump(&cluster.sandbox)),
            Vec::<String>::new(),
            "{flags}"
        );
    }
}

fn going_on(cluster: &Served, arguments: &str) -> (Arc<Mutex<Child>>, impl Iterator<Item = Value>) {
    let mut child = cluster
        .command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let documents = serde_json::Deserializer::from_reader(child.stdout.take().unwrap()).into_iter::<Value>();
    let child = Arc::new(Mutex::new(child));
    let limit = Arc::clone(&child);
    // Should a line not come, the output ends, and with it the test.
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(30)).await;
        limit.lock().unwrap().kill().unwrap();
    });
    (child, documents.map(Result::unwrap))
}

fn missing(status: &Value) -> Vec<String> {
    let rows = status["objects"].as_array().unwrap().iter();
    rows.filter(|row| row["health"] == "missing")
        .map(|row| row["object"].as_str().unwrap().to_owned())
        .collect()
}

/// `probe` and `verify` exit alike: 1 where the opposite was shown, 3 where nothing was; a look at an undeclared host
/// fails for neither, and says how it went.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_outcome_exits_alike() {
    let cluster = served().await;
    cluster
        .run("setup kyma-project.io refused.test -n demo --create-namespace")
        .await
        .exits(3);
    let unreachable = cluster
        .run("probe refused.test -n demo -o json")
        .await
        .exits(3)
        .json();
    assert_eq!(unreachable["probes"][0]["outcome"], "unreachable");
    assert!(
        unreachable["probes"][0]["hops"][1]["failed"]
            .as_str()
            .unwrap()
            .contains("UF"),
        "{unreachable}"
    );
    cluster
        .run("verify refused.test -n demo --skip-unmeshed")
        .await
        .exits(3);
    cluster
        .run("probe refused.test -n demo --expect routed")
        .await
        .exits(1);
    cluster
        .run("probe refused.test -n demo --expect unreachable")
        .await
        .exits(0);
    let look = cluster.run("probe edition.cnn.com -n demo").await.exits(0);
    assert!(
        look.stdout.contains("edition.cnn.com:443  bypassed\n"),
        "{look:?}"
    );
    assert!(look.stdout.contains("warning: EGR-101"), "{look:?}");
    let told = look.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        told.contains("EGR-101: to send it through the gateway: `kubectl egress setup"),
        "{look:?}"
    );
    let without = cluster
        .run("probe kyma-project.io -n demo --unmeshed")
        .await
        .exits(0);
    assert!(without.stdout.contains("warning: EGR-102"), "{without:?}");
}

/// A workload of the user's with a sidecar is a witness once its log is on; what says so names the command that does it,
/// and cleaning up takes it away again.
#[tokio::test(flavor = "multi_thread")]
async fn set_up_switches_the_log_of_a_workload_on() {
    let cluster = served().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo", "labels": {"istio-injection": "enabled"}}});
    cluster.sandbox.put(&namespace).unwrap();
    let template = json!({
        "metadata": {"labels": {"app": "shop", "tier": "web"}},
        "spec": {"containers": [{"name": "app", "image": "docker.io/curlimages/curl:8.18.0"}]},
    });
    let shop = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop", "namespace": "demo"},
        "spec": {"selector": {"matchLabels": {"app": "shop"}}, "template": template},
    });
    cluster.sandbox.put(&shop).unwrap();
    let before = cluster.steady_dump().await;
    cluster.run(SET_UP).await.exits(0);
    let dark = cluster
        .run("probe kyma-project.io -n demo --from deploy/shop")
        .await
        .exits(3);
    assert!(dark.stdout.contains("warning: EGR-202"), "{dark:?}");
    let command = "setup --from deploy/shop -n demo";
    assert!(
        dark.stdout.contains(&format!("`kubectl egress {command}`")),
        "{dark:?}"
    );
    let proven = cluster.run(&format!("{command} -o json")).await.exits(0).json();
    assert!(
        proven["probes"][0]["source"]
            .as_str()
            .unwrap()
            .starts_with("demo/shop-"),
        "{proven}"
    );
    let telemetry = &dump(&cluster.sandbox)["Telemetry demo/kubectl-egress-deployment-shop"];
    assert_eq!(
        telemetry["spec"]["selector"]["matchLabels"],
        json!({"app": "shop"})
    );
    // A second run has nothing to change.
    let set_up = dump(&cluster.sandbox);
    cluster.run(command).await.exits(0);
    assert_eq!(
        differences(&set_up, &dump(&cluster.sandbox)),
        Vec::<String>::new()
    );
    cluster
        .run("probe kyma-project.io -n demo --from deploy/shop")
        .await
        .exits(0);
    cluster.run("cleanup -n demo --verify").await.exits(0);
    assert_eq!(
        differences(&before, &dump(&cluster.sandbox)),
        Vec::<String>::new()
    );
}

/// `-vv` shows each request as it is answered, and nothing of what was sent.
#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_seen_and_no_token() {
    let cluster = served().await;
    cluster.run(SET_UP).await.exits(0);
    let seen = cluster.sandbox.requests().len();
    let run = cluster.run("probe kyma-project.io -n demo -vv").await.exits(0);
    for request in &cluster.sandbox.requests()[seen..] {
        let path = request.path.split('?').next().unwrap();
        let line = format!("{} {path}: ", request.method);
        assert!(run.stderr.contains(&line), "{line} is not in {}", run.stderr);
    }
    let session = run.stderr.lines().find(|line| line.contains("/exec: ")).unwrap();
    assert!(
        session.contains("/exec: 101 (") && session.ends_with(" ms)"),
        "{session}"
    );
    assert!(!run.stderr.contains(TOKEN) && !run.stdout.contains(TOKEN));
    let quieter = cluster.run("probe kyma-project.io -n demo -v").await.exits(0);
    assert!(!quieter.stderr.contains("GET /"), "{}", quieter.stderr);
}

/// Who may not delete is told before anything is made, in one line, and not refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_to_clean_up_is_told_beforehand() {
    let denials =
        ["gateways", "virtualservices"].map(|plural| Denial::new("delete", "networking.istio.io", plural));
    let cluster = serve(Sandbox::new(SandboxSettings {
        denials: denials.into(),
        ..quick()
    }))
    .await;
    let run = cluster.run(SET_UP).await.exits(0);
    let remarks: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| line.contains("you may not"))
        .collect();
    assert_eq!(
        remarks,
        [
            "warning: you may not delete gateways.networking.istio.io, virtualservices.networking.istio.io in namespace demo; `cleanup` could not take away what is set up now"
        ]
    );
}

/// What a dry run announces is what cleaning up does; nothing is written, and with `client` nothing is even asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_cleaning_up_announces_what_is_done() {
    let cluster = served().await;
    let before = dump(&cluster.sandbox);
    cluster.run(SET_UP).await.exits(0);
    let set_up = dump(&cluster.sandbox);
    let announced = |stderr: &str| {
        let mut lines: Vec<String> = stderr
            .lines()
            .filter(|line| line.contains("deleted"))
            .map(|line| line.replace(" (dry run)", ""))
            .collect();
        lines.sort();
        lines
    };
    let mut texts = Vec::new();
    for kind in ["client", "server"] {
        let seen = cluster.sandbox.requests().len();
        let run = cluster
            .run(&format!("cleanup -n demo --dry-run={kind}"))
            .await
            .exits(0);
        assert!(!run.stdout.contains("kept"), "{run:?}");
        assert_eq!(
            differences(&set_up, &dump(&cluster.sandbox)),
            Vec::<String>::new()
        );
        let writes: Vec<String> = cluster.sandbox.requests()[seen..]
            .iter()
            // Reviews of permissions are questions, though they are posted.
            .filter(|request| {
                request.method != "GET" && !request.path.contains("authorization.k8s.io/v1/self")
            })
            .map(|request| format!("{} {}", request.method, request.path))
            .collect();
        assert_eq!(writes.is_empty(), kind == "client", "{writes:?}");
        texts.push(announced(&run.stderr));
    }
    let done = cluster.run("cleanup -n demo --verify").await.exits(0);
    texts.push(announced(&done.stderr));
    assert!(
        texts[0]
            .iter()
            .any(|line| line.contains("namespace/demo deleted")),
        "{texts:?}"
    );
    assert!(texts[0] == texts[2] && texts[1] == texts[2], "{texts:#?}");
    assert_eq!(
        differences(&before, &dump(&cluster.sandbox)),
        Vec::<String>::new()
    );
}

/// What somebody else put into the namespace keeps it, also in a dry run.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_names_what_keeps_the_namespace() {
    let cluster = served().await;
    cluster.run(SET_UP).await.exits(0);
    let theirs =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": "demo"}});
    cluster.sandbox.put(&theirs).unwrap();
    let run = cluster.run("cleanup -n demo --dry-run=client").await.exits(0);
    assert!(run.stdout.contains("ConfigMap demo/theirs\n"), "{run:?}");
}
