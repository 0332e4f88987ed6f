//! Row 2: HTTP through the gateway, with and without mutual TLS on the mesh leg.

use super::{TELLING, legs, mentions};
use crate::support::probed::codes;
use crate::support::{Stage, open};

#[test]
fn http_goes_through_the_gateway_inside_mutual_tls_and_the_host_is_not_told_who_called() {
    let stage = open!(shared);
    let host = &stage.host;
    let setup = stage.egress(&format!("setup {host} --mode http --create-namespace"));
    mentions(setup.exits(0), &["mTLS", "plaintext"]);
    let probed = stage.probe(&format!("http://{host}"));
    probed.is("routed", &stage.gateway_addresses());
    assert_eq!(
        legs(&probed.probe),
        ["sidecar-gateway: mtls", "gateway-host: plaintext"],
        "{}",
        probed.run
    );
    assert_eq!(probed.seen[0].port, 80);
    for header in TELLING {
        assert!(
            !probed.seen[0].headers.contains_key(header),
            "{header}: {:?}",
            probed.seen
        );
    }
    // The host itself is a receipt.
    let (saw, findings) = echo(&stage);
    assert!(
        saw.contains("user-agent") && !saw.contains("x-forwarded"),
        "{saw}"
    );
    assert!(!findings.contains(&"EGR-140".to_owned()), "{findings:?}");
    // Nothing was said of 443, so it is no business of the plan's.
    stage
        .probe(&format!("https://{host}"))
        .is("bypassed", &stage.source_addresses());

    // The user keeps the headers.
    stage
        .egress(&format!("route {host} --mode http --keep-headers"))
        .exits(0);
    let mut kept = stage.probe(&format!("http://{host}"));
    for _ in 0..10 {
        if kept.seen[0].headers.contains_key("x-forwarded-client-cert") {
            break;
        }
        kept = stage.probe(&format!("http://{host}"));
    }
    let told = &kept.seen[0].headers["x-forwarded-client-cert"];
    assert!(told.contains(&format!("/ns/{}/", stage.namespace)), "{told}");
    let (saw, findings) = echo(&stage);
    assert!(saw.contains("x-forwarded-client-cert"), "{saw}");
    assert!(
        !findings.contains(&"EGR-140".to_owned()),
        "as the user wants it: {findings:?}"
    );
    // Somebody puts them back behind the plan's back.
    stage.egress(&format!("route {host} --mode http")).exits(0);
    stage.kubectl.with(&[
        "patch",
        "virtualservice",
        &format!("egress-default.{host}"),
        "-n",
        &stage.namespace,
        "--type=json",
        r#"-p=[{"op": "remove", "path": "/spec/http/1/headers"}]"#,
    ]);
    let mut told = echo(&stage);
    for _ in 0..10 {
        if told.0.contains("x-forwarded-client-cert") {
            break;
        }
        told = echo(&stage);
    }
    assert!(told.1.contains(&"EGR-140".to_owned()), "{told:?}");
    stage.egress("cleanup --verify").exits(0);
}

/// What `verify --echo` says that the host saw, and the codes of the findings.
fn echo(stage: &Stage) -> (String, Vec<String>) {
    let run = stage.egress("verify --skip-unmeshed --echo /headers -o json");
    let probe = &run.json()["probes"][0];
    let hops = probe["hops"].as_array().into_iter().flatten();
    let mut receipts = hops.flat_map(|hop| hop["receipts"].as_array().into_iter().flatten());
    let seen = receipts.find(|receipt| receipt["witness"] == "host-echo");
    let saw = seen.and_then(|receipt| receipt["text"].as_str());
    let codes = codes(probe).into_iter().map(str::to_owned).collect();
    (saw.unwrap_or_else(|| panic!("no echo: {run}")).to_owned(), codes)
}

#[test]
fn without_mutual_tls_the_mesh_leg_is_reported_as_plaintext() {
    // Plain HTTP and TLS do not share a port of the gateway.
    let stage = open!(alone);
    let host = &stage.host;
    stage
        .egress(&format!(
            "setup {host} --mode http --mesh-mtls=false --create-namespace"
        ))
        .exits(0);
    let probed = stage.probe(&format!("http://{host}"));
    probed.is("routed", &stage.gateway_addresses());
    assert_eq!(
        legs(&probed.probe),
        ["sidecar-gateway: plaintext", "gateway-host: plaintext"],
        "{}",
        probed.run
    );
    assert!(!probed.seen[0].headers.contains_key("x-forwarded-for"));
}

#[test]
fn a_sidecar_that_offers_no_mutual_tls_is_refused_by_the_gateway() {
    let stage = open!(shared);
    let host = &stage.host;
    stage
        .egress(&format!("setup {host} --mode http --create-namespace --no-probe"))
        .exits(0);
    stage.kubectl.with(&[
        "patch",
        "destinationrule",
        "egress-default",
        "-n",
        &stage.namespace,
        "--type=json",
        r#"-p=[{"op": "remove", "path": "/spec/subsets/0/trafficPolicy"}]"#,
    ]);
    let refused = stage.probe_until(&format!("http://{host}"), "blocked");
    refused.is("blocked", &[].into()).finds("EGR-110").run.exits(1);
    mentions(
        &stage.egress("status"),
        &["DestinationRule", "trafficPolicy differs"],
    );
    // The field is somebody else's now: it is left to them unless the user says otherwise.
    let again = format!("setup {host} --mode http");
    stage
        .egress(&again)
        .exits(5)
        .says(&["kubectl-patch", "--force-conflicts"]);
    stage.egress(&format!("{again} --force-conflicts")).exits(0);
    stage
        .probe(&format!("http://{host}"))
        .is("routed", &stage.gateway_addresses());
}
