//! TLS that the gateway makes, as measured (truth.md section 5): statuses, flags and reasons of its lines.

use super::common::{api, apply, with};
use super::source::{GATEWAY_HOST, curl, exec, gateway_pod, log, logging, routed};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::api::DeleteParams;
use kube::client::Client;
use kubectl_egress::certificate::{Authority, CertificateRequest, authority};
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::{Admits, OutsideHost, Sandbox, SandboxSettings, ServerCertificate};
use kubectl_egress::vocabulary::Kind;
use serde_json::{Value, json};
use std::time::Duration;

fn request(name: &str, dns_names: &[&str]) -> CertificateRequest {
    CertificateRequest {
        common_name: name.to_owned(),
        organization: None,
        dns_names: dns_names.iter().map(|name| name.parse().unwrap()).collect(),
        valid_days: 30,
        now: Timestamp::now(),
    }
}

fn root(name: &str) -> Authority {
    authority(&request(name, &[])).unwrap()
}

/// Plain HTTP to the gateway within TLS of the mesh, and TLS from there.
fn routes(host: &str, tls: &Value) -> Vec<(Kind, Value)> {
    let object = |kind: Kind, name: &str, spec: Value| {
        let metadata = json!({"name": name, "namespace": "demo"});
        let body =
            json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata, "spec": spec});
        (kind, body)
    };
    let mesh = json!({"tls": {"mode": "ISTIO_MUTUAL", "sni": host}});
    let leg = |gateway: &str, destination: Value| json!({"match": [{"gateways": [gateway], "port": 80}], "route": [{"destination": destination}]});
    vec![
        object(
            kinds::service_entry(),
            "m",
            json!({
                "hosts": [host], "resolution": "DNS", "location": "MESH_EXTERNAL",
                "ports": [
                    {"number": 80, "name": "http", "protocol": "HTTP"},
                    {"number": 443, "name": "https", "protocol": "HTTPS"},
                ],
            }),
        ),
        object(
            kinds::gateway(),
            "m",
            json!({"selector": {"istio": "egressgateway"}, "servers": [{
                "port": {"number": 80, "name": "https", "protocol": "HTTPS"},
                "hosts": [host], "tls": {"mode": "ISTIO_MUTUAL"},
            }]}),
        ),
        object(
            kinds::destination_rule(),
            "m",
            json!({"host": GATEWAY_HOST, "subsets": [{"name": "m", "trafficPolicy": mesh}]}),
        ),
        object(
            kinds::destination_rule(),
            "out",
            json!({"host": host, "trafficPolicy": {"portLevelSettings": [{"port": {"number": 443}, "tls": tls}]}}),
        ),
        object(
            kinds::virtual_service(),
            "m",
            json!({
                "hosts": [host], "gateways": ["m", "mesh"],
                "http": [
                    leg("mesh", json!({"host": GATEWAY_HOST, "subset": "m", "port": {"number": 80}})),
                    leg("m", json!({"host": host, "port": {"number": 443}})),
                ],
            }),
        ),
    ]
}

async fn route(client: &Client, host: &str, tls: &Value) {
    for (kind, object) in routes(host, tls) {
        apply(client, &kind, "test", &object).await.unwrap();
    }
}

async fn secret(client: &Client, name: &str, data: &[(&str, &str)]) {
    let data: serde_json::Map<String, Value> = data
        .iter()
        .map(|(key, text)| ((*key).to_owned(), json!(ByteString(text.as_bytes().to_vec()))))
        .collect();
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "istio-system"},
        "type": "Opaque", "data": data,
    });
    apply(client, &kinds::secret(), "test", &object).await.unwrap();
}

/// Status of a request to a host over HTTP, and the gateway's line about it.
async fn ask(client: &Client, pod: &str, host: &str) -> (String, String) {
    let ran = curl(client, pod, &format!("http://{host}/get")).await;
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    let status = ran.stdout.split(' ').nth(1).unwrap().to_owned();
    let gateway = gateway_pod(client).await;
    let line = log(client, "istio-system", &gateway, "istio-proxy")
        .await
        .pop()
        .unwrap();
    (status, line)
}

/// An outside world with a server that lets in only clients of one CA.
struct World {
    ours: Authority,
    sandbox: Sandbox,
    client: Client,
    pod: String,
}

const HOST: &str = "partner.test";

async fn world() -> World {
    let ours = root("ours");
    let server = ours.issue_server(&request(HOST, &[HOST])).unwrap();
    let partner = OutsideHost::new(HOST, "203.0.113.60")
        .certificate(ServerCertificate::Given(server.certificate_pem))
        .admits(Admits::ClientsOf(ours.certificate_pem.clone()));
    let mut settings = logging();
    settings.outside.push(partner);
    let (sandbox, client, pod) = routed(settings).await;
    World {
        ours,
        sandbox,
        client,
        pod,
    }
}

impl World {
    async fn give(&self, issuer: &Authority, trusted: Option<&str>) {
        use secrecy::ExposeSecret;
        let issued = issuer.issue_client(&request("client", &[])).unwrap();
        let key = issued.key_pem.expose_secret().to_owned();
        let mut data = vec![
            ("tls.crt", issued.certificate_pem.as_str()),
            ("tls.key", key.as_str()),
        ];
        data.extend(trusted.map(|authority| ("ca.crt", authority)));
        secret(&self.client, "client", &data).await;
    }

    /// The gateway's line and the status, once with each name's settings.
    async fn ask(&self) -> (String, String) {
        ask(&self.client, &self.pod, HOST).await
    }
}

fn mutual() -> Value {
    json!({"mode": "MUTUAL", "credentialName": "client", "sni": HOST, "subjectAltNames": [HOST]})
}

#[tokio::test]
async fn the_gateway_shows_its_certificate_and_its_line_shows_the_name_that_the_sidecar_asked_for() {
    let world = world().await;
    world.give(&world.ours, Some(&world.ours.certificate_pem)).await;
    route(&world.client, HOST, &mutual()).await;
    let (status, line) = world.ask().await;
    assert_eq!(status, "200", "{line}");
    assert!(line.contains("\"GET /get HTTP/2\" 200 - via_upstream"), "{line}");
    assert!(
        line.contains("\"203.0.113.60:443\" outbound|443||partner.test"),
        "{line}"
    );
    assert!(
        line.ends_with(" partner.test -"),
        "the server name within the mesh: {line}"
    );
    let sidecar = log(&world.client, "demo", &world.pod, "istio-proxy")
        .await
        .pop()
        .unwrap();
    assert!(
        sidecar.contains("\"GET /get HTTP/1.1\" 200 - via_upstream"),
        "{sidecar}"
    );
    assert!(sidecar.ends_with(" - -"), "{sidecar}");
    let arrived = world.sandbox.outside_log();
    assert!(arrived[0].tls && arrived[0].port == 443, "{arrived:?}");
    assert!(
        arrived[0]
            .peer_pod
            .starts_with("istio-system/istio-egressgateway"),
        "{arrived:?}"
    );
}

#[tokio::test]
async fn a_missing_secret_is_warmed_for_and_then_not_supplied_until_it_is_there() {
    let world = world().await;
    route(&world.client, HOST, &mutual()).await;
    let (status, line) = world.ask().await;
    assert_eq!(status, "503");
    assert!(line.contains("503 NC cluster_not_found"), "{line}");
    assert!(line.contains(" \"-\" - - "), "neither host nor cluster: {line}");
    world.sandbox.pass_time(Duration::from_secs(20));
    let (status, line) = world.ask().await;
    assert_eq!(status, "503");
    assert!(line.contains("503 URX,UF upstream_reset_before_response_started{remote_connection_failure|TLS_error:_Secret_is_not_supplied_by_SDS}"), "{line}");
    // Without the CA it is as if it were not there.
    world.give(&world.ours, None).await;
    assert!(world.ask().await.1.contains("Secret_is_not_supplied_by_SDS"));
    world.give(&world.ours, Some(&world.ours.certificate_pem)).await;
    assert_eq!(world.ask().await.0, "200");
    // What the gateway holds it goes on using.
    api(&world.client, &kinds::secret(), "istio-system")
        .delete("client", &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(world.ask().await.0, "200");
}

#[tokio::test]
async fn a_client_that_the_server_does_not_know_is_closed_without_a_reason() {
    let world = world().await;
    let other = root("other");
    let ours = world.ours.certificate_pem.clone();
    let simple =
        json!({"mode": "SIMPLE", "credentialName": "client", "sni": HOST, "subjectAltNames": [HOST]});
    for (issuer, tls) in [(&other, mutual()), (&world.ours, simple)] {
        world.give(issuer, Some(&ours)).await;
        route(&world.client, HOST, &tls).await;
        let (status, line) = world.ask().await;
        assert_eq!(status, "503");
        let said = "503 UC upstream_reset_before_response_started{connection_termination} - \"-\"";
        assert!(line.contains(said), "{line}");
        let sidecar = log(&world.client, "demo", &world.pod, "istio-proxy")
            .await
            .pop()
            .unwrap();
        assert!(sidecar.contains("503 - via_upstream"), "{sidecar}");
    }
    // A server of another CA than the Secret's.
    world.give(&world.ours, Some(&other.certificate_pem)).await;
    route(&world.client, HOST, &mutual()).await;
    let (_, line) = world.ask().await;
    assert!(
        line.contains("URX,UF") && line.contains("depth_0:_unable_to_get_local_issuer_certificate"),
        "{line}"
    );
    assert!(world.sandbox.outside_log().is_empty(), "nobody was let in");
}

#[tokio::test]
async fn names_are_compared_as_istio_makes_the_proxy_compare_them() {
    let host = "wrongsan.test";
    for (tls, status, said) in [
        (json!({"mode": "SIMPLE", "sni": host}), "200", "via_upstream"),
        (
            json!({"mode": "SIMPLE", "sni": host, "subjectAltNames": [host]}),
            "503",
            "CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_matcher,_certificate_SANs_are_[other.test]:TLS_error_end",
        ),
        (
            json!({"mode": "SIMPLE"}),
            "503",
            "_verify_SAN_list,_expected_SANs:_[wrongsan.test],_certificate_SANs:_[other.test]:TLS_error_end",
        ),
        (
            json!({"mode": "SIMPLE", "insecureSkipVerify": true}),
            "200",
            "via_upstream",
        ),
    ] {
        let (_sandbox, client, pod) = routed(logging()).await;
        route(&client, host, &tls).await;
        let (got, line) = ask(&client, &pod, host).await;
        assert_eq!(got, status, "{tls}: {line}");
        assert!(line.contains(said), "{tls}: {line}");
    }
}

#[tokio::test]
async fn hosts_that_everybody_trusts_need_no_secret_and_another_authority_is_not_theirs() {
    let (sandbox, client, pod) = routed(logging()).await;
    let simple = json!({"mode": "SIMPLE", "sni": "tls.test", "subjectAltNames": ["tls.test"]});
    route(&client, "tls.test", &simple).await;
    assert_eq!(ask(&client, &pod, "tls.test").await.0, "200");
    let mut with_secret = simple.clone();
    with_secret["credentialName"] = json!("ca");
    for (authority, status) in [
        (root("other").certificate_pem, "503"),
        (sandbox.public_authority(), "200"),
    ] {
        secret(&client, "ca", &[("ca.crt", &authority)]).await;
        route(&client, "tls.test", &with_secret).await;
        assert_eq!(ask(&client, &pod, "tls.test").await.0, status);
    }
    let (_sandbox, client, pod) = routed(logging()).await;
    route(
        &client,
        "expired.test",
        &json!({"mode": "SIMPLE", "sni": "expired.test"}),
    )
    .await;
    let (status, line) = ask(&client, &pod, "expired.test").await;
    assert_eq!(status, "503");
    assert!(line.contains("depth_0:_certificate_has_expired"), "{line}");
}

#[tokio::test]
async fn the_mesh_leg_must_be_the_same_at_both_ends() {
    let (_sandbox, client, pod) = routed(logging()).await;
    let simple = json!({"mode": "SIMPLE", "sni": "tls.test", "subjectAltNames": ["tls.test"]});
    route(&client, "tls.test", &simple).await;
    // Plain HTTP to a server of mesh TLS (truth.md 4, b3).
    let plain = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": {"name": "m", "namespace": "demo"},
        "spec": {"host": GATEWAY_HOST, "subsets": [{"name": "m"}]},
    });
    apply(&client, &kinds::destination_rule(), "test", &plain)
        .await
        .unwrap();
    let (status, line) = ask(&client, &pod, "tls.test").await;
    assert_eq!(status, "503");
    assert!(line.contains("\"- - -\" 0 NR filter_chain_not_found"), "{line}");
    let sidecar = log(&client, "demo", &pod, "istio-proxy").await.pop().unwrap();
    assert!(
        sidecar.contains("503 UC upstream_reset_before_response_started{connection_termination}"),
        "{sidecar}"
    );
    // The same server without TLS, and TLS of the mesh towards it (b2).
    route(&client, "tls.test", &simple).await;
    let server = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "m", "namespace": "demo"},
        "spec": {"selector": {"istio": "egressgateway"}, "servers": [
            {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["tls.test"]},
        ]},
    });
    apply(&client, &kinds::gateway(), "test", &server).await.unwrap();
    let (status, line) = ask(&client, &pod, "tls.test").await;
    assert_eq!(status, "503");
    assert!(
        line.contains("\"- - HTTP/1.1\" 400 DPE http1.codec_error"),
        "{line}"
    );
    let sidecar = log(&client, "demo", &pod, "istio-proxy").await.pop().unwrap();
    assert!(
        sidecar.contains("503 URX,UF") && sidecar.contains("WRONG_VERSION_NUMBER"),
        "{sidecar}"
    );
}

#[tokio::test]
async fn an_application_that_makes_the_tls_itself_gets_the_words_of_curl() {
    let (_sandbox, client) = with(SandboxSettings::default());
    drop(client);
    let (_sandbox, client, pod) = routed(logging()).await;
    for (url, exit, said) in [
        ("https://mtls.test/", 56, "alert certificate required"),
        ("https://expired.test/", 60, "certificate has expired"),
        (
            "https://wrongsan.test/",
            60,
            "no alternative certificate subject name",
        ),
    ] {
        let ran = curl(&client, &pod, url).await;
        assert_eq!(ran.exit, Some(exit), "{url}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{url}: {}", ran.stderr);
    }
    let missing = ["curl", "-sS", "--cacert", "/nowhere/ca.crt", "https://tls.test/"];
    let ran = exec(&client, "demo", &pod, "curl", &missing).await;
    assert_eq!(ran.exit, Some(77), "{}", ran.stderr);
}
