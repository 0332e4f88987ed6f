//! Mistakes in Gateways, and in how the leg to them is protected.

use super::candidates::{Scene, host_of, service_host};
use super::edit::Edit;
use serde_json::{Value, json};

/// Protocols and TLS modes of servers that a request of a sidecar can arrive at.
const KINDS: [(&str, Option<&str>); 4] = [
    ("TLS", Some("PASSTHROUGH")),
    ("TLS", Some("ISTIO_MUTUAL")),
    ("HTTPS", Some("ISTIO_MUTUAL")),
    ("HTTP", None),
];

impl Scene<'_> {
    /// A Gateway that selects no pod, has another port or host, or takes something else.
    pub(super) fn servers(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (index, gateway) in self.of_kind("Gateway") {
            for service in self.services.iter().map(|index| self.objects[*index]) {
                let selector = service.at("/spec/selector");
                let says = format!("select the pods of Service {}", service.name());
                edits.push(Edit::of(index, says).replace("/spec/selector", selector));
            }
            for (number, server) in gateway.items("/spec/servers").iter().enumerate() {
                edits.extend(self.server(index, &format!("/spec/servers/{number}"), server));
            }
        }
        edits
    }

    fn server(&self, index: usize, path: &str, server: &Value) -> Vec<Edit> {
        let host = &self.request.host;
        let mut edits = Vec::new();
        let hosts = server["hosts"].as_array().into_iter().flatten();
        let mut scoped = hosts
            .enumerate()
            .filter_map(|(number, listed)| Some((number, listed.as_str()?)));
        match scoped.find(|(_, listed)| listed.rsplit_once('/').is_some_and(|(_, name)| name == host)) {
            Some((number, listed)) => {
                let says = format!("take {host} of every namespace, not only {listed}");
                edits.push(Edit::of(index, says).replace(&format!("{path}/hosts/{number}"), &json!(host)));
            }
            None => {
                edits.push(
                    Edit::of(index, format!("take {host}, too"))
                        .set(&format!("{path}/hosts/-"), &json!(host)),
                );
            }
        }
        for port in self.service_ports() {
            let says = format!("listen on port {port}, which the Service has");
            edits.push(Edit::of(index, says).replace(&format!("{path}/port/number"), &json!(port)));
        }
        let mut ports: Vec<Value> = self.service_ports().iter().map(|port| json!(port)).collect();
        ports.insert(0, server["port"]["number"].clone());
        for (port, (protocol, mode)) in ports.iter().flat_map(|port| KINDS.map(|kind| (port, kind))) {
            let edit = Edit::of(index, server_says(protocol, mode, port))
                .replace(&format!("{path}/port/protocol"), &json!(protocol))
                .replace(&format!("{path}/port/number"), port);
            edits.push(match mode {
                Some(mode) => edit.set(&format!("{path}/tls"), &json!({"mode": mode})),
                None if server["tls"].is_null() => edit,
                None => edit.remove(&format!("{path}/tls")),
            });
        }
        edits
    }

    /// TLS of the leg to the gateway that its server does not take. More protection comes before less.
    pub(super) fn protections(&self) -> Vec<Edit> {
        let names: Vec<String> = self
            .services
            .iter()
            .map(|index| service_host(self.objects[*index]))
            .collect();
        let (mut edits, mut less) = (Vec::new(), Vec::new());
        for (index, rule) in self.of_kind("DestinationRule") {
            if !names.contains(&host_of(rule, rule.at("/spec"))) {
                continue;
            }
            let subsets = rule.items("/spec/subsets").iter().enumerate();
            let holders = subsets.map(|(number, subset)| (format!("/spec/subsets/{number}"), subset));
            for (path, holder) in holders.chain([("/spec".to_owned(), rule.at("/spec"))]) {
                let path = format!("{path}/trafficPolicy");
                if !holder["trafficPolicy"].is_null() {
                    less.push(Edit::of(index, "add no TLS on the leg to the gateway").remove(&path));
                }
                let mutual = json!({"tls": {"mode": "ISTIO_MUTUAL", "sni": self.request.host}});
                let says = "protect the leg to the gateway with mutual TLS of the mesh, asking for the host";
                edits.push(Edit::of(index, says).set(&path, &mutual));
            }
        }
        edits.extend(less);
        edits
    }
}

fn server_says(protocol: &str, mode: Option<&str>, port: &Value) -> String {
    match mode {
        Some(mode) => format!("take {protocol} with TLS mode {mode} on port {port}"),
        None => format!("take plain {protocol} on port {port}"),
    }
}
