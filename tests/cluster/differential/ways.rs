//! Ways through the mesh, as they should be.

use super::case::{Ask, Case, Place};
use super::objects::{gateway, istio, port, service_entry, to_gateway, to_host, via_gateway};
use kubectl_egress::vocabulary::Scheme;
use serde_json::{Value, json};

/// A way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// TLS of the application, by server name.
    Passthrough,
    /// The same inside TLS of the mesh.
    PassthroughInMeshTls,
    /// Plain HTTP on both legs.
    Http,
    /// HTTP inside TLS of the mesh, plain outside.
    HttpInMeshTls,
    /// HTTP inside TLS of the mesh, TLS outside.
    Origination,
    /// A ServiceEntry alone.
    Direct,
    /// The sidecar originates TLS.
    OriginationAtSidecar,
}

impl Way {
    pub(super) const ALL: [Self; 7] = [
        Self::Passthrough,
        Self::PassthroughInMeshTls,
        Self::Http,
        Self::HttpInMeshTls,
        Self::Origination,
        Self::Direct,
        Self::OriginationAtSidecar,
    ];

    /// Whether a gateway is on it.
    pub(super) fn by_gateway(self) -> bool {
        !matches!(self, Self::Direct | Self::OriginationAtSidecar)
    }

    /// A case of this way, asking for the host by http and by https.
    pub(super) fn case(self, place: &Place, number: usize, run: &str) -> Case {
        let name = format!("d{number}");
        let host = format!("d{number}-{run}.wild.test");
        let ask = |scheme, port| Ask {
            scheme,
            host: host.clone(),
            port,
            bare: false,
            by: None,
        };
        Case {
            name: format!("{self:?}"),
            place: place.clone(),
            objects: self.objects(place, &name, &host),
            asks: vec![ask(Scheme::Https, 443), ask(Scheme::Http, 80)],
            host,
        }
    }

    fn objects(self, place: &Place, name: &str, host: &str) -> Vec<Value> {
        let mutual = json!({"mode": "ISTIO_MUTUAL", "sni": host});
        let simple = json!({"mode": "SIMPLE", "insecureSkipVerify": true});
        match self {
            Self::Passthrough => vec![
                service_entry(place, name, host, &[port(443, "TLS")]),
                gateway(place, name, host, &port(443, "TLS"), Some("PASSTHROUGH")),
                to_gateway(place, name, None),
                streams(place, name, host, "tls"),
            ],
            Self::PassthroughInMeshTls => vec![
                service_entry(place, name, host, &[port(443, "TLS")]),
                gateway(place, name, host, &port(443, "TLS"), Some("ISTIO_MUTUAL")),
                to_gateway(place, name, Some(mutual)),
                streams(place, name, host, "tcp"),
            ],
            Self::Http => vec![
                service_entry(place, name, host, &[port(80, "HTTP")]),
                gateway(place, name, host, &port(80, "HTTP"), None),
                to_gateway(place, name, None),
                requests(place, name, host, (80, 80)),
            ],
            Self::HttpInMeshTls => vec![
                service_entry(place, name, host, &[port(80, "HTTP")]),
                gateway(place, name, host, &port(443, "HTTPS"), Some("ISTIO_MUTUAL")),
                to_gateway(place, name, Some(mutual)),
                requests(place, name, host, (443, 80)),
            ],
            Self::Origination => vec![
                service_entry(place, name, host, &[port(80, "HTTP"), port(443, "TLS")]),
                gateway(place, name, host, &port(443, "HTTPS"), Some("ISTIO_MUTUAL")),
                to_gateway(place, name, Some(mutual)),
                requests(place, name, host, (443, 443)),
                istio(
                    "DestinationRule",
                    &place.namespace,
                    &format!("{name}-out"),
                    &json!({"host": host, "trafficPolicy": {"portLevelSettings": [{"port": {"number": 443}, "tls": simple}]}}),
                ),
            ],
            Self::Direct => vec![service_entry(
                place,
                name,
                host,
                &[port(443, "TLS"), port(80, "HTTP")],
            )],
            Self::OriginationAtSidecar => {
                let mut originated = port(80, "HTTP");
                originated["targetPort"] = json!(443);
                vec![
                    service_entry(place, name, host, &[originated]),
                    istio(
                        "DestinationRule",
                        &place.namespace,
                        name,
                        &json!({"host": host, "trafficPolicy": {"tls": simple}}),
                    ),
                ]
            }
        }
    }
}

/// Both legs of TLS; the gateway's by `tls` or `tcp`.
fn streams(place: &Place, name: &str, host: &str, outer: &str) -> Value {
    let mut spec = json!({
        "hosts": [host], "gateways": ["mesh", name],
        "tls": [{"match": [{"gateways": ["mesh"], "port": 443, "sniHosts": [host]}], "route": via_gateway(place, name, 443)}],
    });
    if outer == "tls" {
        let leg = json!({"match": [{"gateways": [name], "port": 443, "sniHosts": [host]}], "route": to_host(host, 443)});
        spec["tls"].as_array_mut().unwrap().push(leg);
    } else {
        spec["tcp"] = json!([{"match": [{"gateways": [name], "port": 443}], "route": to_host(host, 443)}]);
    }
    istio("VirtualService", &place.namespace, name, &spec)
}

/// Both legs of HTTP, by the gateway's port and the host's.
fn requests(place: &Place, name: &str, host: &str, (at_gateway, outside): (u16, u16)) -> Value {
    istio(
        "VirtualService",
        &place.namespace,
        name,
        &json!({"hosts": [host], "gateways": ["mesh", name], "http": [
            {"match": [{"gateways": ["mesh"], "port": 80}], "route": via_gateway(place, name, at_gateway)},
            {"match": [{"gateways": [name], "port": at_gateway}], "route": to_host(host, outside)},
        ]}),
    )
}
