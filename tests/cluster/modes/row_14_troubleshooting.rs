//! Row 14: the troubleshooting of seed 003 without openssl: what gateway and host show, what holds for the leg between
//! the proxies, and what the gateway counted. openssl, on the node of the lab, says the same.

use super::mentions;
use crate::support::{Run, Stage, open};
use kubectl_egress_lab::Lab;
use serde_json::Value;
use std::process::Command;

/// What openssl says of the certificate that a server shows: subject, issuer, SHA-256 and names.
struct ByOpenssl {
    fingerprint: String,
    text: String,
}

/// Runs `openssl s_client` on the lab's node, which is in the network of the pods.
fn s_client(lab: &Lab, address: &str, server_name: &str) -> ByOpenssl {
    let script = format!(
        "openssl s_client -connect {address}:443 -servername {server_name} </dev/null 2>/dev/null | \
         openssl x509 -noout -fingerprint -sha256 -subject -issuer -dates -ext subjectAltName"
    );
    let namespace = kubectl_egress_lab::ClusterLayout::namespace_path(&lab.layout().node_namespace());
    let namespace = format!("--net={}", namespace.display());
    let output = Command::new("nsenter")
        .args([&namespace, "--", "sh", "-c", &script])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let fingerprint = text
        .lines()
        .find_map(|line| line.split_once("Fingerprint=").map(|(_, hex)| hex))
        .unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
        .replace(':', "")
        .to_lowercase();
    ByOpenssl { fingerprint, text }
}

#[test]
fn a_host_shows_the_source_what_openssl_sees() {
    let mut stage = open!(shared).with_route();
    let authority = stage.world.authority().display().to_string();
    let address = stage.world.addresses("tls.test")[0].to_string();
    let lab = stage.lab().clone();
    for (host, server_name) in [("tls.test", "tls.test"), ("wrongsan.test", "other.test")] {
        let address = if host == "tls.test" {
            address.clone()
        } else {
            stage.world.addresses(host)[0].to_string()
        };
        let seen = s_client(&lab, &address, server_name);
        let run = stage.egress(&format!(
            "certs inspect {host}:443 --sni {server_name} --ca {authority} -o json"
        ));
        let leaf = run.exits(0).json()["shown"]["chain"][0].clone();
        assert_eq!(
            leaf["fingerprintSha256"],
            seen.fingerprint.as_str(),
            "{}",
            seen.text
        );
        for name in leaf["dnsNames"].as_array().unwrap() {
            let name = format!("DNS:{}", name.as_str().unwrap());
            assert!(seen.text.contains(&name), "{name}: {}", seen.text);
        }
        let text = stage.egress(&format!(
            "certs inspect {host}:443 --sni {server_name} --ca {authority}"
        ));
        mentions(
            text.exits(0),
            &["subject:", "issuer:", "verified", &seen.fingerprint],
        );
    }
}

#[test]
fn a_certificate_that_does_not_hold_is_named_for_what_it_is() {
    let stage = open!(shared).with_route();
    let authority = stage.world.authority().display().to_string();
    for (host, words) in [
        ("wrongsan.test", ["EGR-402", "does not name wrongsan.test"]),
        ("expired.test", ["not verified", "has expired"]),
    ] {
        let run = stage.egress(&format!("certs inspect {host} --ca {authority}"));
        mentions(run.exits(1), &words);
    }
}

/// The gateway's identity, as istioctl reads it from the same proxy and openssl from that.
#[test]
fn the_gateway_shows_its_mesh_identity() {
    let stage = open!(shared).with_route();
    let identity = "spiffe://cluster.local/ns/istio-system/sa/istio-egressgateway-service-account";
    let run = stage.changes_nothing("certs inspect --gateway -o json");
    let held = run.exits(0).json()["pods"][0].clone();
    let (pod, certificate) = (held["pod"].as_str().unwrap(), &held["certificates"][0]);
    assert_eq!(certificate["name"], "default", "{run}");
    assert_eq!(certificate["chain"][0]["uris"][0], identity, "{run}");
    assert_eq!(certificate["trust"]["result"], "trusted", "{run}");
    let (namespace, name) = pod.split_once('/').unwrap();
    let istioctl = kubectl_egress_lab::build::all().unwrap().istioctl;
    let script = format!(
        "{} --kubeconfig {} proxy-config secret {name} -n {namespace} -o json | \
         python3 -c 'import json,sys,base64; print(base64.b64decode([s for s in json.load(sys.stdin)[\"dynamicActiveSecrets\"] if s[\"name\"]==\"default\"][0][\"secret\"][\"tlsCertificate\"][\"certificateChain\"][\"inlineBytes\"]).decode())' | \
         openssl x509 -noout -fingerprint -sha256 -ext subjectAltName",
        istioctl.display(),
        stage.kubeconfig().display()
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains(identity),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let fingerprint = certificate["chain"][0]["fingerprintSha256"].as_str().unwrap();
    assert!(
        said.replace(':', "").to_lowercase().contains(fingerprint),
        "{said}"
    );
}

/// Requests that the gateway counted for the stage's host, by `status`.
fn counted(stage: &Stage) -> (u64, Run) {
    let run = stage.egress("status -o json");
    let document = run.exits(0).json();
    let counters = document["counters"].as_array().unwrap().iter();
    let of_host = counters.filter(|counter| {
        let cluster = counter["cluster"].as_str().unwrap();
        cluster.ends_with(&format!("|{}", stage.host))
    });
    (
        of_host.map(|counter| counter["requests"].as_u64().unwrap()).sum(),
        run,
    )
}

#[test]
fn the_gateways_counters_move_with_a_probe_and_with_no_other() {
    let stage = open!(shared).with_route();
    let gateway = stage.gateway_addresses();
    let (before, _) = counted(&stage);
    let probed = stage.probe_host();
    probed.is("routed", &gateway);
    let receipts = &probed.probe["hops"][1]["receipts"];
    let by_counters: Vec<&Value> = receipts
        .as_array()
        .unwrap()
        .iter()
        .filter(|receipt| receipt["witness"] == "gateway-counters")
        .collect();
    assert_eq!(by_counters.len(), 1, "{}", probed.run);
    let text = by_counters[0]["text"].as_str().unwrap();
    assert!(text.starts_with("requests +1"), "{text}");
    let (after, shown) = counted(&stage);
    assert_eq!(after, before + 1, "{shown}");
    // What goes past the gateway is not counted there.
    stage.probe_with(&format!("https://{}", stage.host), "--unmeshed");
    assert_eq!(counted(&stage).0, after);
    mentions(
        stage.egress("status").exits(0),
        &[
            &format!("outbound|443||{}", stage.host),
            &format!("{after} requests"),
        ],
    );
}

#[test]
fn the_peer_authentication_that_holds_is_shown_with_where_it_comes_from() {
    let stage = open!(alone).with_route();
    let namespace = &stage.namespace;
    let policy = |place: &str, selector: &str, mode: &str| {
        format!(
            r#"{{"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {{"name": "{namespace}", "namespace": "{place}"}},
                "spec": {{{selector} "mtls": {{"mode": "{mode}"}}}}}}"#
        )
    };
    let shows = |words: &[&str]| {
        let status = stage.egress("status");
        mentions(status.exits(0), words);
    };
    let source = format!("mutual TLS of the source in {namespace}: ");
    shows(&[&format!("{source}PERMISSIVE"), "from Istio's default"]);
    stage.kubectl.apply(&policy("istio-system", "", "STRICT"));
    let mesh = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        shows(&[
            &format!("{source}STRICT"),
            "mutual TLS of the gateway istio-system/istio-egressgateway: STRICT",
            &format!("PeerAuthentication istio-system/{namespace}, for the mesh"),
        ]);
    }));
    stage
        .kubectl
        .run(&format!("delete peerauthentication {namespace} -n istio-system"));
    assert!(mesh.is_ok());
    stage.kubectl.apply(&policy(namespace, "", "PERMISSIVE"));
    shows(&[&format!(
        "PeerAuthentication {namespace}/{namespace}, for the namespace"
    )]);
    let of_source = r#""selector": {"matchLabels": {"app": "curl"}},"#;
    stage.kubectl.apply(&policy(namespace, of_source, "DISABLE"));
    let status = stage.egress("status -o json");
    let held = status.exits(0).json()["peerAuthentication"][0].clone();
    assert_eq!(held["mode"], "DISABLE", "{status}");
    assert_eq!(
        held["from"],
        format!("PeerAuthentication {namespace}/{namespace}, for these workloads")
    );
}
