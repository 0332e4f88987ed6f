//! The same faults without a cluster, and every plan that can be rendered.

use super::cases;
use crate::versions::rows::ROWS;
use kubectl_egress::finding::Severity;
use kubectl_egress::mesh::lint::{Remark, Subject, lint};
use kubectl_egress::plan::{self, GatewayPort, GatewayTarget, routing};
use kubectl_egress::vocabulary::Object;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A stock gateway, its pod, and a client in the namespace `demo`.
fn installation() -> Vec<Object> {
    let pod = |namespace: &str, name: &str, labels: Value, containers: Value| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {"nodeName": "one", "containers": containers}, "status": {"podIP": "198.18.0.19", "phase": "Running"}})
    };
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istio-egressgateway", "namespace": "istio-system"},
        "spec": {"type": "ClusterIP", "selector": {"istio": "egressgateway"}, "ports": [
            {"name": "http2", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8443}]}});
    let mesh = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"},
        "data": {"mesh": "outboundTrafficPolicy:\n  mode: ALLOW_ANY\n"}});
    let router = json!([{"name": "istio-proxy", "args": ["proxy", "router"]}]);
    let client = json!([{"name": "main"}, {"name": "istio-proxy", "args": ["proxy", "sidecar"]}]);
    vec![
        Object(service),
        Object(mesh),
        Object(pod(
            "istio-system",
            "gateway-1",
            json!({"istio": "egressgateway"}),
            router,
        )),
        Object(pod("demo", "client-1", json!({"app": "client"}), client)),
    ]
}

fn found(objects: &[Object], live: bool) -> Vec<Remark> {
    lint(&Subject {
        objects,
        live,
        partial: BTreeSet::new(),
    })
}

fn documents(text: &str) -> Vec<Object> {
    let documents = text.split("---\n").filter(|document| !document.trim().is_empty());
    documents
        .map(|document| Object(serde_saphyr::from_str(document).unwrap()))
        .collect()
}

#[test]
fn each_fault_is_seen_in_its_objects_and_its_twin_has_none() {
    // Whether a Secret is there is for the cluster to say.
    for case in cases::all().iter().filter(|case| case.code != "EGR-420") {
        let with = |text: &str| {
            let mut objects = installation();
            objects.extend(documents(&case.filled(text, "demo")));
            found(&objects, true)
        };
        let (fault, repaired) = (with(&case.fault), with(&case.repaired));
        let has = |remarks: &[Remark]| remarks.iter().any(|remark| remark.finding.code == case.code);
        assert!(has(&fault), "no {} for {}: {fault:#?}", case.code, case.name);
        assert!(!has(&repaired), "{} for {}: {repaired:#?}", case.code, case.name);
        let errors: Vec<_> = repaired
            .iter()
            .filter(|remark| remark.finding.severity == Severity::Error)
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", case.name);
    }
}

#[test]
fn nothing_that_is_rendered_has_an_error() {
    let gateway = GatewayTarget {
        namespace: "istio-system".to_owned(),
        service: "istio-egressgateway".to_owned(),
        selector: [("istio".to_owned(), "egressgateway".to_owned())].into(),
        tls_port: 443,
        tls_target_port: 8443,
        http: Some(GatewayPort::CUSTOMARY_HTTP),
        created: false,
    };
    for row in ROWS {
        let file = row.file("demo", "other", "kyma-project.io");
        let plan = plan::from_file("row", &file, None, "demo").unwrap();
        let rendered: Vec<Object> = routing::objects(&plan, &gateway)
            .into_iter()
            .map(|manifest| manifest.object)
            .collect();
        let mut live = installation();
        live.extend(rendered.iter().cloned());
        let wrong = |remarks: Vec<Remark>, least: Severity| {
            let remarks = remarks.into_iter();
            remarks
                .filter(|remark| remark.finding.severity <= least)
                .collect::<Vec<_>>()
        };
        let errors = wrong(found(&live, true), Severity::Error);
        assert!(errors.is_empty(), "{}: {errors:#?}", row.name);
        // In files alone only what is missing beside them may be warned of.
        let errors = wrong(found(&rendered, false), Severity::Error);
        assert!(errors.is_empty(), "{}: {errors:#?}", row.name);
        // A Gateway that is missing is the fault, not what was made for it.
        let without = live.iter().filter(|object| object.text("/kind") != "Gateway");
        let without: Vec<Object> = without.cloned().collect();
        let blamed = found(&without, true);
        let of_rules = blamed.iter().find(|remark| remark.finding.code == "EGR-314");
        assert!(of_rules.is_none(), "{}: {of_rules:#?}", row.name);
        // Locked, nothing is left to say.
        live.push(Object(json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "lock", "namespace": "demo"}, "spec": {"podSelector": {}, "policyTypes": ["Egress"]}})));
        let left: Vec<Remark> = found(&live, true)
            .into_iter()
            .filter(|remark| remark.namespaces.contains("demo"))
            .collect();
        assert!(left.is_empty(), "{}: {left:#?}", row.name);
    }
}
