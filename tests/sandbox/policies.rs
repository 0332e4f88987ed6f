//! NetworkPolicies are enforced as truth.md section 2 measured.

use super::common::{api, apply, curl_deployment, namespace, quick, ready_pods, sandbox};
use super::lock::{eventually, list, observe, peers, policy, put_lock};
use super::source::{Ran, exec, fields, gateway_pod, log, logging, routed};
use kube::api::{Patch, PatchParams};
use kube::client::Client;
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::SandboxSettings;
use serde_json::json;

/// A pod without sidecar beside the source, in the same namespace.
async fn bare_pod(client: &Client) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "bare", "namespace": "demo", "labels": {"sidecar.istio.io/inject": "false"}},
        "spec": {"containers": [{"name": "curl", "image": "curlimages/curl:8.18.0"}]},
    });
    apply(client, &kinds::pod(), "test", &pod).await.unwrap();
    eventually("the bare pod runs", async || {
        let pod = api(client, &kinds::pod(), "demo").get("bare").await.unwrap();
        (pod.data["status"]["phase"] == "Running").then_some(())
    })
    .await;
}

async fn curl_for(client: &Client, pod: &str, seconds: &str, url: &str) -> Ran {
    let format = "%{exitcode} %{http_code} %{time_connect} %{time_total}";
    let command = ["curl", "-sS", "-o", "/dev/null", "-m", seconds, "-w", format, url];
    exec(client, "demo", pod, "curl", &command).await
}

/// Exit code, status, and the whole seconds that it took.
fn end(ran: &Ran) -> (String, String, String) {
    let mut words = ran.stdout.split(' ').map(str::to_owned);
    let mut next = || words.next().unwrap_or_default();
    let (exit, code, _connect, total) = (next(), next(), next(), next());
    (exit, code, total.split('.').next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_lock_as_the_plan_derives_it_blocks_all_but_the_gateway() {
    let (sandbox, client, pod) = routed(logging()).await;
    bare_pod(&client).await;
    let seen = observe(&client, &pod).await;
    put_lock(&client, &peers(&seen)).await;
    #[rustfmt::skip]
    let cases = [
        // truth.md section 2, both columns of dropped packets.
        (&*pod, "https://kyma-project.io/", "5", "0", "200", "0", "-"),
        (&pod, "http://kyma-project.io/", "5", "28", "000", "5", "DC"),
        (&pod, "http://kyma-project.io/", "40", "0", "503", "10", "UF"),
        (&pod, "https://edition.cnn.com/", "5", "28", "000", "5", "UF,URX"),
        (&pod, "https://edition.cnn.com/", "40", "35", "000", "10", "UF,URX"),
        ("bare", "https://kyma-project.io/", "5", "28", "000", "5", ""),
        ("bare", "https://edition.cnn.com/", "15", "28", "000", "15", ""),
    ];
    for (from, url, seconds, exit, code, took, flags) in cases {
        let ran = curl_for(&client, from, seconds, url).await;
        let expected = (exit.to_owned(), code.to_owned(), took.to_owned());
        assert_eq!(end(&ran), expected, "{from} {url} -m {seconds}: {}", ran.stderr);
        if !flags.is_empty() {
            let line = log(&client, "demo", &pod, "istio-proxy").await.pop().unwrap();
            assert_eq!(fields(&line)[3], flags, "{line}");
        }
    }
    let reached: Vec<String> = sandbox
        .outside_log()
        .into_iter()
        .map(|request| request.host)
        .collect();
    assert_eq!(
        reached,
        ["kyma-project.io"],
        "the outside saw the declared host alone"
    );
    let gateway = gateway_pod(&client).await;
    assert_eq!(
        sandbox.outside_log()[0].peer_pod,
        format!("istio-system/{gateway}")
    );
}

#[tokio::test]
async fn each_rule_of_the_lock_is_needed() {
    let (_sandbox, client, pod) = routed(logging()).await;
    let seen = observe(&client, &pod).await;
    let all = peers(&seen);
    // What breaks, if the rules for this purpose are left out.
    for (purpose, exit, flags) in [
        ("dns", "28", None),
        ("gateway", "35", Some("UF,URX")),
        ("istiod", "0", Some("-")),
    ] {
        let left: Vec<_> = all
            .iter()
            .filter(|peer| !format!("{:?}", peer.why).to_lowercase().contains(purpose))
            .cloned()
            .collect();
        assert!(left.len() < all.len(), "{purpose}");
        put_lock(&client, &left).await;
        let ran = curl_for(&client, &pod, "15", "https://kyma-project.io/").await;
        assert_eq!(end(&ran).0, exit, "without {purpose}: {}", ran.stderr);
        if let Some(flags) = flags {
            let line = log(&client, "demo", &pod, "istio-proxy").await.pop().unwrap();
            assert_eq!(fields(&line)[3], flags, "{line}");
        }
        if purpose == "dns" {
            assert_eq!(
                ran.stderr,
                "curl: (28) Resolving timed out after 15000 milliseconds\n"
            );
            let ran = curl_for(&client, &pod, "25", "https://kyma-project.io/").await;
            assert_eq!(end(&ran), ("6".into(), "000".into(), "19".into()));
        }
    }
}

#[tokio::test]
async fn the_gateways_own_policies_count_too() {
    let (_sandbox, client, pod) = routed(logging()).await;
    let dns = json!({"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]});
    let mut lock = policy(
        "gateway",
        &json!({"podSelector": {"matchLabels": {"istio": "egressgateway"}}, "policyTypes": ["Egress"], "egress": [dns]}),
    );
    lock["metadata"]["namespace"] = json!("istio-system");
    apply(&client, &kinds::network_policy(), "test", &lock)
        .await
        .unwrap();
    let ran = curl_for(&client, &pod, "40", "https://kyma-project.io/").await;
    assert_eq!(end(&ran), ("35".into(), "000".into(), "10".into()));
    let sidecar = log(&client, "demo", &pod, "istio-proxy").await.pop().unwrap();
    assert_eq!((&*fields(&sidecar)[3], &*fields(&sidecar)[7]), ("UR", "517"));
    let gateway = gateway_pod(&client).await;
    let line = log(&client, "istio-system", &gateway, "istio-proxy")
        .await
        .pop()
        .unwrap();
    assert_eq!(
        (&*fields(&line)[3], &*fields(&line)[15]),
        ("UF,URX", "203.0.113.10:443")
    );
}

#[tokio::test]
async fn a_pod_without_sidecar_meets_the_gateways_listeners_as_far_as_policies_let_it() {
    let (sandbox, client, pod) = routed(logging()).await;
    bare_pod(&client).await;
    let seen = observe(&client, &pod).await;
    let gateway = gateway_pod(&client).await;
    let address = seen
        .observed
        .pods
        .iter()
        .find(|pod| pod.name() == gateway)
        .unwrap();
    let address = address.text("/status/podIP").to_owned();
    let connect = async |host: &str, port: u16, scheme: &str| {
        let resolve = format!("{host}:{port}:{address}");
        let url = format!("{scheme}://{host}:{port}/");
        let format = "%{exitcode} %{http_code}";
        let command = [
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-m",
            "3",
            "--resolve",
            &resolve,
            "-w",
            format,
            &url,
        ];
        exec(&client, "demo", "bare", "curl", &command).await.stdout
    };
    assert_eq!(connect("health.test", 15021, "http").await, "0 404");
    assert_eq!(connect("nobody.test", 8443, "https").await, "35 000");
    assert_eq!(connect("nobody.test", 8444, "https").await, "7 000");
    let line = log(&client, "istio-system", &gateway, "istio-proxy")
        .await
        .pop()
        .unwrap();
    assert_eq!((&*fields(&line)[3], &*fields(&line)[20]), ("NR", "nobody.test"));
    assert_eq!(connect("kyma-project.io", 8443, "https").await, "0 200");
    assert_eq!(
        sandbox.outside_log()[0].peer_pod,
        format!("istio-system/{gateway}")
    );
    put_lock(&client, &peers(&seen)).await;
    assert_eq!(
        connect("health.test", 15021, "http").await,
        "28 000",
        "no rule is for it"
    );
    assert_eq!(
        connect("nobody.test", 8443, "https").await,
        "35 000",
        "the gateway stays within reach"
    );
}

#[tokio::test]
async fn without_a_policy_engine_the_objects_change_nothing() {
    let (_sandbox, client, pod) = routed(SandboxSettings {
        enforces_network_policies: false,
        ..quick()
    })
    .await;
    let deny = policy("deny", &json!({"podSelector": {}, "policyTypes": ["Egress"]}));
    apply(&client, &kinds::network_policy(), "test", &deny)
        .await
        .unwrap();
    let ran = curl_for(&client, &pod, "5", "https://edition.cnn.com/").await;
    assert_eq!(end(&ran).0, "0");
}

#[tokio::test]
async fn a_new_pod_with_sidecar_needs_dns_and_istiod_and_a_running_one_stays() {
    let (_sandbox, client, pod) = routed(quick()).await;
    let deny = policy("deny", &json!({"podSelector": {}, "policyTypes": ["Egress"]}));
    apply(&client, &kinds::network_policy(), "test", &deny)
        .await
        .unwrap();
    let running = api(&client, &kinds::pod(), "demo").get(&pod).await.unwrap();
    assert_eq!(running.data["status"]["phase"], "Running");
    let scale = json!({"spec": {"replicas": 2}});
    api(&client, &kinds::deployment(), "demo")
        .patch_scale("curl", &PatchParams::default(), &Patch::Merge(scale))
        .await
        .unwrap();
    let new = eventually("the new pod has an address", async || {
        let pods = list(&client, &kinds::pod()).await;
        pods.into_iter().find(|new| {
            new.namespace() == Some("demo") && new.name() != pod && new.at("/status/podIP").is_string()
        })
    })
    .await;
    let conditions = new.items("/status/conditions");
    assert!(
        conditions
            .iter()
            .any(|one| one["type"] == "Ready" && one["status"] == "False"),
        "{conditions:?}"
    );
    assert_eq!(new.text("/status/phase"), "Pending");
    assert_eq!(
        new.text("/status/containerStatuses/0/state/waiting/reason"),
        "PodInitializing"
    );
    let said = log(&client, "demo", new.name(), "istio-proxy").await;
    assert!(said[0].contains("Envoy proxy is NOT ready"), "{said:?}");
    let seen = observe(&client, &pod).await;
    put_lock(&client, &peers(&seen)).await;
    ready_pods(&client, "demo", 2).await;
}

#[tokio::test]
async fn in_cluster_addresses_and_files_are_as_in_a_real_pod() {
    let (_sandbox, client) = sandbox();
    namespace(&client, "demo", false).await;
    apply(&client, &kinds::deployment(), "test", &curl_deployment("demo"))
        .await
        .unwrap();
    let pods = ready_pods(&client, "demo", 1).await;
    let pod = pods[0]["metadata"]["name"].as_str().unwrap();
    let seen = observe(&client, pod).await;
    let dns = seen
        .observed
        .services
        .iter()
        .find(|service| service.name() == "kube-dns")
        .unwrap();
    assert!(
        seen.observed
            .resolv_conf
            .contains(&format!("nameserver {}\n", dns.text("/spec/clusterIP")))
    );
    assert_eq!(
        seen.api_server.service.first().unwrap().to_string(),
        "10.96.0.1:443"
    );
    assert_eq!(
        seen.api_server.endpoints.first().unwrap().to_string(),
        "192.0.2.10:6443"
    );
    let slices = &seen.observed.endpoint_slices;
    let slice = slices.iter().find(|slice| slice.name() == "kube-dns").unwrap();
    assert_eq!(slice.at("/ports").as_array().unwrap().len(), 2);
    let mount = &pods[0]["spec"]["containers"][0]["volumeMounts"][0];
    assert_eq!(
        mount["mountPath"],
        "/var/run/secrets/kubernetes.io/serviceaccount"
    );
    let path = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    assert_eq!(
        exec(&client, "demo", pod, "curl", &["cat", path]).await.stdout,
        "demo"
    );
    let missing = exec(&client, "demo", pod, "curl", &["cat", "/nothing"]).await;
    assert_eq!(
        (missing.exit, &*missing.stderr),
        (Some(1), "cat: can't open '/nothing': No such file or directory\n")
    );
}
