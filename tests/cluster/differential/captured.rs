//! Sources whose sidecar answers DNS (`ISTIO_META_DNS_CAPTURE`), as Kyma's do: hosts of ServiceEntries get addresses that
//! no server has.

use super::case::Case;
use super::changes::CHANGES;
use super::fixed::{below, two_of_tcp};
use super::objects::{MARK, WITHOUT_ADDRESS, is_allocated, istio, port};
use super::reality::Places;
use super::ways::Way;
use crate::support::kubectl::Kubectl;
use crate::support::manifests::{CURL, workload};
use serde_json::{Value, json};
use std::time::Instant;

/// The source's Deployment with a sidecar that answers DNS.
pub(super) fn source(namespace: &str) -> String {
    let workload = workload(namespace, "source", CURL, true);
    let pod = "template:\n    metadata: {";
    let annotation =
        r#"annotations: {proxy.istio.io/config: '{"proxyMetadata": {"ISTIO_META_DNS_CAPTURE": "true"}}'}, "#;
    assert!(workload.contains(pod));
    workload.replace(pod, &format!("{pod}{annotation}"))
}

/// Waits until istiod has given each ServiceEntry of a case the address that a sidecar will answer with.
pub(super) fn addresses_are_given(kubectl: &Kubectl, deadline: Instant) {
    loop {
        let list = kubectl.json(&format!(
            "get serviceentries.networking.istio.io -A -l {MARK}=true"
        ));
        let mut entries = list["items"].as_array().unwrap().iter();
        let waits = |entry: &&Value| is_allocated(entry) && entry["status"]["addresses"].is_null();
        let Some(entry) = entries.find(waits) else { return };
        let name = &entry["metadata"]["name"];
        assert!(
            Instant::now() < deadline,
            "ServiceEntry {name} was given no address"
        );
    }
}

/// What a ServiceEntry says decides on the address. Of two for one host it is not known which address is taken.
fn concerns(name: &str) -> bool {
    let of_entries = [
        "ServiceEntry",
        "resolution",
        "endpoint",
        "declared as",
        "no VirtualService",
    ];
    of_entries.iter().any(|part| name.contains(part))
        && !["a second ServiceEntry with another port"].contains(&name)
}

pub(super) fn cases(places: &Places, first: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    let [own, wild] = places.capturing.as_slice() else {
        panic!("{} places", places.capturing.len());
    };
    let mut add = |name: &str, way: Way, make: &dyn Fn(&mut Case)| {
        let number = first + cases.len();
        let mut place = own.clone();
        if name.contains("wildcard") {
            // Among other wildcards of the same domain one could not tell whose chain it was.
            place.namespace.clone_from(&wild.namespace);
        }
        let mut case = way.case(&place, number, &places.run);
        make(&mut case);
        case.name = format!("{number}. {way:?} with DNS captured: {name}");
        cases.push(case);
    };
    for way in Way::ALL {
        let every = [Way::Passthrough, Way::Http].contains(&way);
        let wanted = |name: &str| name == "as it should be" || (every && concerns(name));
        for change in CHANGES
            .iter()
            .filter(|change| (change.concerns)(way) && wanted(change.name))
        {
            add(change.name, way, &change.make);
        }
    }
    for (way, last) in [(Way::Passthrough, 1), (Way::Http, 2)] {
        add("with an address of its own", way, &|case| {
            let visible = json!([".", case.place.gateway_namespace]);
            let entry = &mut case.object("ServiceEntry").unwrap()["spec"];
            entry["addresses"] = json!([format!("240.0.7.{last}")]);
            entry["exportTo"] = visible;
        });
    }
    add("opted out of addresses", Way::Passthrough, &|case| {
        case.object("ServiceEntry").unwrap()["metadata"]["labels"][WITHOUT_ADDRESS] = json!("false");
    });
    // Their addresses tell them apart.
    add("two hosts of plain TCP on one port", Way::Direct, &two_of_tcp);
    add("a wildcard with one server", Way::Passthrough, &wildcard);
    add(
        "a wildcard with one server, and one of its hosts",
        Way::Passthrough,
        &|case| {
            wildcard(case);
            let spec = json!({
                "hosts": [case.asks[0].host], "exportTo": ["."], "location": "MESH_EXTERNAL", "resolution": "DNS",
                "ports": [port(443, "TLS")],
            });
            let name = case.object("ServiceEntry").unwrap()["metadata"]["name"]
                .as_str()
                .unwrap()
                .to_owned();
            let namespace = case.place.namespace.clone();
            case.objects
                .push(istio("ServiceEntry", &namespace, &format!("{name}-one"), &spec));
        },
    );
    cases
}

fn wildcard(case: &mut Case) {
    below(case);
    let visible = json!([".", case.place.gateway_namespace]);
    let entry = &mut case.object("ServiceEntry").unwrap()["spec"];
    entry["endpoints"] = json!([{"address": "203.0.113.20"}]);
    entry["exportTo"] = visible.clone();
    case.object("VirtualService").unwrap()["spec"]["exportTo"] = visible;
}
