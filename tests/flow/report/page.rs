//! Real reports: one where all is proven, one with ways round the gateway and failing hops.

use crate::kubectl::Server;
use crate::served::{Served, served};
use crate::support::client;
use kubectl_egress::cluster::DeleteOptions;
use kubectl_egress::istio::kinds;
use kubectl_egress::vocabulary::ObjectReference;

/// A sandbox with a plan of two hosts.
async fn set_up() -> Served {
    let cluster = served().await;
    cluster
        .run("setup kyma-project.io edition.cnn.com -n demo --create-namespace --no-probe")
        .await
        .exits(0);
    cluster
}

/// The page of a plan whose routes all hold.
pub(super) async fn proven() -> String {
    set_up()
        .await
        .run("report -n demo --skip-unmeshed -o html")
        .await
        .exits(0)
        .stdout
}

/// The page of a plan that lost its Gateway, with all ways round it tried.
pub(super) async fn disproven() -> String {
    let cluster = set_up().await;
    let gateway = ObjectReference::namespaced(kinds::gateway(), "demo", "egress-default");
    let options = DeleteOptions::default();
    client(&cluster.sandbox).delete(&gateway, &options).await.unwrap();
    cluster
        .run("report -n demo --bypass --require enforced -o html")
        .await
        .exits(1)
        .stdout
}

/// The page of mutual TLS to another cluster, whose client's certificate ends soon.
pub(super) fn with_certificates() -> String {
    let folder = tempfile::tempdir().unwrap();
    let certs = folder.path().display();
    let host = "target.example.com";
    let server = Server::start("");
    for line in [
        format!("certs {host} --out {certs} --days 10"),
        format!("deploy-target {host} --certs {certs} -n demo --create-namespace --context target"),
        format!(
            "setup {host}:80 --mode mtls-origination --client-cert {certs}/client.crt --client-key {certs}/client.key \
             --server-ca {certs}/root.crt -n demo --create-namespace --yes --no-probe"
        ),
    ] {
        server.egress(&line).exits(0);
    }
    server
        .egress("report -n demo --skip-unmeshed -o html")
        .exits(0)
        .stdout
}

#[test]
fn a_page_says_what_the_gateway_holds_and_until_when() {
    let page = with_certificates();
    let (_, section) = page.split_once("id=\"certificates\"").unwrap();
    let (section, _) = section.split_once("</section>").unwrap();
    for needle in [
        "mesh identity",
        "CA of the mesh",
        "kubernetes://client-credential",
        "kubernetes://client-credential-cacert",
        "CN=client",
        "CN=target.example.com root",
        "9 days left",
        "trusted",
    ] {
        assert!(section.contains(needle), "{needle}: {section}");
    }
    assert!(!page.contains("PRIVATE KEY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_everything_and_loads_nothing() {
    let (proven, disproven) = (proven().await, disproven().await);
    for needle in [
        "Verdict: Proven",
        "istio-system/istio-egressgateway",
        // The node's address, which a firewall sees.
        "192.0.2.10",
        "kyma-project.io:443",
        "gateway log of istio-system/",
        "VirtualService demo/egress-default",
        // The gateway's own identity, of which the mesh takes care.
        "spiffe://cluster.local/ns/istio-system/sa/",
        "the mesh renews it",
        "Content-Security-Policy",
    ] {
        assert!(proven.contains(needle), "{needle}: {proven}");
    }
    for needle in [
        "Verdict: Disproven",
        "not reached",
        "EGR-102",
        "no-sidecar",
        "dns-tunnel",
        ">missing<",
    ] {
        assert!(disproven.contains(needle), "{needle}: {disproven}");
    }
    for page in [proven, disproven] {
        for outside in [
            "<script", "<link", "<img", "<iframe", "@import", "url(", "src=", "style=\"",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
        // Only to places on the page itself.
        assert_eq!(page.matches("href=").count(), page.matches("href=\"#").count());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_gives_the_same_page() {
    let cluster = set_up().await;
    let page = cluster
        .run("verify -n demo --skip-unmeshed -o html")
        .await
        .exits(0)
        .stdout;
    assert!(
        page.starts_with("<!DOCTYPE html>") && page.contains("Verdict: Proven"),
        "{page}"
    );
}
