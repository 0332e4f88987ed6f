//! `explain HOST`: the way that the model predicts, from the embedded cluster and from files.

use crate::served::served;
use crate::support::client;
use kubectl_egress::cluster::DeleteOptions;
use kubectl_egress::istio::kinds;
use kubectl_egress::vocabulary::ObjectReference;
use serde_json::Value;

const ROUTES: &str = r"apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop, namespace: demo}
spec: {hosts: [shop.example.com], resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: demo}
spec: {selector: {istio: egressgateway}, servers: [{port: {number: 443, name: tls, protocol: TLS}, hosts: [shop.example.com], tls: {mode: PASSTHROUGH}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: demo}
spec:
  hosts: [shop.example.com]
  gateways: [mesh, shop]
  tls:
  - match: [{gateways: [mesh], port: 443, sniHosts: [shop.example.com]}]
    route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, subset: shop, port: {number: 443}}}]
  - match: [{gateways: [shop], port: 443, sniHosts: [shop.example.com]}]
    route: [{destination: {host: shop.example.com, port: {number: 443}}}]
";

const RULE: &str = r"---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: demo}
spec: {host: istio-egressgateway.istio-system.svc.cluster.local, subsets: [{name: shop}]}
";

fn outcomes(document: &Value) -> Vec<(&str, &str)> {
    let paths = document["paths"].as_array().unwrap().iter();
    paths
        .map(|path| (path["url"].as_str().unwrap(), path["outcome"].as_str().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_the_cluster_is_followed_and_what_is_missing_is_named() {
    let cluster = served().await;
    cluster
        .run("setup kyma-project.io -n demo --create-namespace --no-probe")
        .await
        .exits(0);
    let both = cluster
        .run("explain kyma-project.io -n demo -o json")
        .await
        .exits(0)
        .json();
    assert_eq!(
        outcomes(&both),
        [
            ("https://kyma-project.io:443", "routed"),
            ("http://kyma-project.io:80", "bypassed")
        ]
    );
    let hop = &both["paths"][0]["hops"][0];
    let decided: Vec<_> = hop["decidedBy"].as_array().unwrap().iter().collect();
    assert!(
        decided
            .iter()
            .any(|one| one["object"] == "VirtualService demo/egress-default" && one["what"] == "routed by"),
        "{hop}"
    );
    let bare = cluster
        .run("explain kyma-project.io:443 -n demo --from bare -o json")
        .await
        .exits(0)
        .json();
    assert_eq!(outcomes(&bare), [("https://kyma-project.io:443", "bypassed")]);
    let source = cluster
        .run("explain kyma-project.io:443 -n demo --from deploy/curl -o json")
        .await
        .exits(0)
        .json();
    assert_eq!(outcomes(&source), [("https://kyma-project.io:443", "routed")]);

    let rule = ObjectReference::namespaced(kinds::destination_rule(), "demo", "egress-default");
    let deleted = client(&cluster.sandbox)
        .delete(&rule, &DeleteOptions::default())
        .await;
    deleted.unwrap();
    let text = cluster.run("explain kyma-project.io:443 -n demo").await.exits(0);
    for words in ["unreachable", "NC", "EGR-114", "has a subset", "fix:"] {
        assert!(text.stdout.contains(words), "{words}: {text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_enough_and_each_object_is_told_with_its_line() {
    let cluster = served().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("routes.yaml");
    std::fs::write(&file, ROUTES).unwrap();
    let typed = format!("explain shop.example.com -n demo -f {}", file.display());
    let broken = cluster.run(&typed).await.exits(0);
    for words in [
        "assumed: Service istio-system/istio-egressgateway",
        "NC",
        "EGR-114",
    ] {
        assert!(broken.stdout.contains(words), "{words}: {broken:?}");
    }
    std::fs::write(&file, format!("{ROUTES}{RULE}")).unwrap();
    let document = cluster.run(&format!("{typed} -o json")).await.exits(0).json();
    assert_eq!(
        outcomes(&document),
        [
            ("https://shop.example.com:443", "routed"),
            ("http://shop.example.com:80", "bypassed")
        ]
    );
    let hops = document["paths"][0]["hops"].as_array().unwrap();
    let route = hops[0]["decidedBy"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["object"] == "VirtualService demo/shop")
        .unwrap();
    assert!(
        route["place"].as_str().unwrap().ends_with("routes.yaml:11"),
        "{route}"
    );
    assert_eq!(hops[1]["to"], "shop.example.com:443");
    let refused = cluster.run(&format!("{typed} --from deploy/shop")).await.exits(2);
    assert!(refused.stderr.contains("not looked for in files"), "{refused:?}");
}
