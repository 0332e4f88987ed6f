//! Changes to a way, one at a time: mistakes that users make, and settings that look like one.

use super::case::Case;
use super::objects::{istio, port, to_host};
use super::ways::Way;
use serde_json::{Value, json};

/// A change, for the ways that it concerns.
pub(super) struct Change {
    pub(super) name: &'static str,
    pub(super) concerns: fn(Way) -> bool,
    pub(super) make: fn(&mut Case),
}

impl Change {
    /// Whether it removes an object, on which no other change can be made then.
    pub(super) fn takes_away(&self) -> bool {
        let kinds = ["ServiceEntry", "Gateway", "DestinationRule", "VirtualService"];
        self.name
            .strip_prefix("no ")
            .is_some_and(|kind| kinds.contains(&kind))
    }
}

fn any(_: Way) -> bool {
    true
}

fn remove(case: &mut Case, kind: &str) {
    case.objects.retain(|object| object["kind"] != kind);
}

fn set(case: &mut Case, kind: &str, pointer: &str, value: Value) {
    let object = case.object(kind).unwrap();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match parent {
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        parent => parent[name] = value,
    }
}

/// Which part of the VirtualService holds a leg.
fn leg(case: &mut Case, mesh: bool) -> String {
    let spec = &case.object("VirtualService").unwrap()["spec"];
    for part in ["http", "tls", "tcp"] {
        for (index, route) in spec[part].as_array().into_iter().flatten().enumerate() {
            if (route["match"][0]["gateways"][0] == "mesh") == mesh {
                return format!("/spec/{part}/{index}");
            }
        }
    }
    panic!("{spec}")
}

macro_rules! changes {
    ($($name:literal, $concerns:expr, $make:expr;)+) => {
        &[$(Change { name: $name, concerns: $concerns, make: $make }),+]
    };
}

/// All changes.
pub(super) static CHANGES: &[Change] = changes! {
    "as it should be", any, |_| {};
    "no ServiceEntry", any, |case| remove(case, "ServiceEntry");
    "no Gateway", Way::by_gateway, |case| remove(case, "Gateway");
    "no DestinationRule", |way| way != Way::Direct, |case| remove(case, "DestinationRule");
    "no VirtualService", Way::by_gateway, |case| remove(case, "VirtualService");
    "the ServiceEntry elsewhere, exported nowhere", any, |case| {
        let elsewhere = case.place.elsewhere.clone();
        set(case, "ServiceEntry", "/metadata/namespace", json!(elsewhere));
        set(case, "ServiceEntry", "/spec/exportTo", json!(["."]));
    };
    "the ServiceEntry not exported to the gateway", Way::by_gateway, |case| {
        set(case, "ServiceEntry", "/spec/exportTo", json!(["."]));
    };
    "the ServiceEntry exported to the gateway alone", Way::by_gateway, |case| {
        let gateway = case.place.gateway_namespace.clone();
        set(case, "ServiceEntry", "/spec/exportTo", json!([gateway]));
    };
    "the DestinationRule elsewhere", |way| way != Way::Direct, |case| {
        let elsewhere = case.place.elsewhere.clone();
        set(case, "DestinationRule", "/metadata/namespace", json!(elsewhere));
    };
    "the DestinationRule in the gateway's namespace", Way::by_gateway, |case| {
        let gateway = case.place.gateway_namespace.clone();
        set(case, "DestinationRule", "/metadata/namespace", json!(gateway));
    };
    "the DestinationRule exported to the gateway alone", |way| way != Way::Direct, |case| {
        let gateway = case.place.gateway_namespace.clone();
        set(case, "DestinationRule", "/spec/exportTo", json!([gateway]));
    };
    "the VirtualService not exported to the gateway", Way::by_gateway, |case| {
        set(case, "VirtualService", "/spec/exportTo", json!(["."]));
    };
    "the VirtualService for the mesh alone", Way::by_gateway, |case| {
        set(case, "VirtualService", "/spec/gateways", json!(["mesh"]));
    };
    "the VirtualService names no mesh", Way::by_gateway, |case| {
        let name = case.object("Gateway").unwrap()["metadata"]["name"].clone();
        set(case, "VirtualService", "/spec/gateways", json!([name]));
    };
    "the mesh leg for another port", Way::by_gateway, |case| {
        let leg = leg(case, true);
        set(case, "VirtualService", &format!("{leg}/match/0/port"), json!(8443));
    };
    "the mesh leg for any port", Way::by_gateway, |case| {
        let leg = leg(case, true);
        let object = case.object("VirtualService").unwrap();
        object.pointer_mut(&format!("{leg}/match/0")).unwrap().as_object_mut().unwrap().remove("port");
    };
    "the gateway's leg for another port", Way::by_gateway, |case| {
        let leg = leg(case, false);
        set(case, "VirtualService", &format!("{leg}/match/0/port"), json!(8443));
    };
    "the gateway's leg to another port of the host", Way::by_gateway, |case| {
        let leg = leg(case, false);
        set(case, "VirtualService", &format!("{leg}/route/0/destination/port/number"), json!(8080));
    };
    "the mesh leg to another port of the gateway", Way::by_gateway, |case| {
        let leg = leg(case, true);
        let pointer = format!("{leg}/route/0/destination/port/number");
        let now = case.object("VirtualService").unwrap().pointer(&pointer).unwrap().clone();
        set(case, "VirtualService", &pointer, json!(if now == 443 { 80 } else { 443 }));
    };
    "the mesh leg without subset", Way::by_gateway, |case| {
        let leg = leg(case, true);
        let object = case.object("VirtualService").unwrap();
        let destination = object.pointer_mut(&format!("{leg}/route/0/destination")).unwrap();
        destination.as_object_mut().unwrap().remove("subset");
    };
    "a subset that is not there", Way::by_gateway, |case| {
        let leg = leg(case, true);
        set(case, "VirtualService", &format!("{leg}/route/0/destination/subset"), json!("nosuch"));
    };
    "the VirtualService for another host", Way::by_gateway, |case| {
        // The webhook refuses server names that are not among the hosts.
        let other = format!("other-{}", case.host);
        let object = case.object("VirtualService").unwrap();
        for route in object["spec"]["tls"].as_array_mut().into_iter().flatten() {
            route["match"][0]["sniHosts"] = json!([other]);
        }
        object["spec"]["hosts"] = json!([other]);
    };
    "the Gateway for another host", Way::by_gateway, |case| {
        let other = format!("other-{}", case.host);
        set(case, "Gateway", "/spec/servers/0/hosts", json!([other]));
    };
    "the Gateway for its own namespace's hosts", Way::by_gateway, |case| {
        let scoped = format!("./{}", case.host);
        set(case, "Gateway", "/spec/servers/0/hosts", json!([scoped]));
    };
    "the Gateway for another namespace's hosts", Way::by_gateway, |case| {
        let scoped = format!("{}/{}", case.place.elsewhere, case.host);
        set(case, "Gateway", "/spec/servers/0/hosts", json!([scoped]));
    };
    "the Gateway selects no pod", Way::by_gateway, |case| {
        set(case, "Gateway", "/spec/selector/istio", json!("nosuch"));
    };
    "the Gateway on a port that the Service does not have", Way::by_gateway, |case| {
        set(case, "Gateway", "/spec/servers/0/port/number", json!(7999));
    };
    "ISTIO_MUTUAL with the host's name on the mesh leg", Way::by_gateway, |case| {
        let tls = json!({"tls": {"mode": "ISTIO_MUTUAL", "sni": case.host}});
        set(case, "DestinationRule", "/spec/subsets/0/trafficPolicy", tls);
    };
    "ISTIO_MUTUAL without a name on the mesh leg", Way::by_gateway, |case| {
        set(case, "DestinationRule", "/spec/subsets/0/trafficPolicy", json!({"tls": {"mode": "ISTIO_MUTUAL"}}));
    };
    "ISTIO_MUTUAL for the gateway's port", Way::by_gateway, |case| {
        let tls = json!({"mode": "ISTIO_MUTUAL", "sni": case.host});
        let ports = json!([{"port": {"number": 443}, "tls": tls}, {"port": {"number": 80}, "tls": tls}]);
        set(case, "DestinationRule", "/spec/subsets/0/trafficPolicy", json!({"portLevelSettings": ports}));
    };
    "no TLS on the mesh leg", Way::by_gateway, |case| {
        set(case, "DestinationRule", "/spec/subsets/0/trafficPolicy", json!({"tls": {"mode": "DISABLE"}}));
    };
    "TLS without certificate on the mesh leg", Way::by_gateway, |case| {
        let tls = json!({"tls": {"mode": "SIMPLE", "insecureSkipVerify": true, "sni": case.host}});
        set(case, "DestinationRule", "/spec/subsets/0/trafficPolicy", tls);
    };
    "the server takes TLS of the mesh for a stream", Way::by_gateway, |case| {
        set(case, "Gateway", "/spec/servers/0/port", port(443, "TLS"));
        set(case, "Gateway", "/spec/servers/0/tls", json!({"mode": "ISTIO_MUTUAL"}));
    };
    "the server takes TLS of the mesh for HTTP", Way::by_gateway, |case| {
        set(case, "Gateway", "/spec/servers/0/port", port(443, "HTTPS"));
        set(case, "Gateway", "/spec/servers/0/tls", json!({"mode": "ISTIO_MUTUAL"}));
    };
    "the server lets TLS pass", Way::by_gateway, |case| {
        set(case, "Gateway", "/spec/servers/0/port", port(443, "TLS"));
        set(case, "Gateway", "/spec/servers/0/tls", json!({"mode": "PASSTHROUGH"}));
    };
    "the gateway's leg by tls instead of tcp", |way| way == Way::PassthroughInMeshTls, |case| {
        let host = case.host.clone();
        let object = case.object("VirtualService").unwrap();
        let name = object["metadata"]["name"].clone();
        object["spec"].as_object_mut().unwrap().remove("tcp");
        let leg = json!({"match": [{"gateways": [name], "port": 443, "sniHosts": [host]}], "route": to_host(&host, 443)});
        object["spec"]["tls"].as_array_mut().unwrap().push(leg);
    };
    "the gateway's leg by tcp instead of tls", |way| way == Way::Passthrough, |case| {
        let host = case.host.clone();
        let object = case.object("VirtualService").unwrap();
        let name = object["metadata"]["name"].clone();
        object["spec"]["tls"].as_array_mut().unwrap().truncate(1);
        object["spec"]["tcp"] = json!([{"match": [{"gateways": [name], "port": 443}], "route": to_host(&host, 443)}]);
    };
    "resolution NONE", any, |case| set(case, "ServiceEntry", "/spec/resolution", json!("NONE"));
    "resolution STATIC without endpoints", any, |case| set(case, "ServiceEntry", "/spec/resolution", json!("STATIC"));
    "resolution STATIC with an endpoint", any, |case| {
        set(case, "ServiceEntry", "/spec/resolution", json!("STATIC"));
        set(case, "ServiceEntry", "/spec/endpoints", json!([{"address": "203.0.113.20"}]));
    };
    "an endpoint of another name", any, |case| {
        set(case, "ServiceEntry", "/spec/endpoints", json!([{"address": "tls.test"}]));
    };
    "an endpoint of IPv6", any, |case| {
        set(case, "ServiceEntry", "/spec/resolution", json!("STATIC"));
        set(case, "ServiceEntry", "/spec/endpoints", json!([{"address": "2001:db8::20"}]));
    };
    "with an address of IPv6", any, |case| {
        set(case, "ServiceEntry", "/spec/addresses", json!(["2001:db8::99"]));
    };
    "a target port of the other protocol", any, |case| {
        let number = case.object("ServiceEntry").unwrap()["spec"]["ports"][0]["number"].clone();
        set(case, "ServiceEntry", "/spec/ports/0/targetPort", json!(if number == 443 { 80 } else { 443 }));
    };
    "declared as HTTP", any, |case| {
        let number = case.object("ServiceEntry").unwrap()["spec"]["ports"][0]["number"].as_u64().unwrap();
        set(case, "ServiceEntry", "/spec/ports/0", port(u16::try_from(number).unwrap(), "HTTP"));
    };
    "declared as TLS", any, |case| {
        let number = case.object("ServiceEntry").unwrap()["spec"]["ports"][0]["number"].as_u64().unwrap();
        set(case, "ServiceEntry", "/spec/ports/0", port(u16::try_from(number).unwrap(), "TLS"));
    };
    "declared as HTTPS", any, |case| {
        let number = case.object("ServiceEntry").unwrap()["spec"]["ports"][0]["number"].as_u64().unwrap();
        set(case, "ServiceEntry", "/spec/ports/0", port(u16::try_from(number).unwrap(), "HTTPS"));
    };
    "with another address", any, |case| {
        set(case, "ServiceEntry", "/spec/addresses", json!(["240.0.0.99"]));
    };
    "somebody's VirtualService for the host, exported to all", Way::by_gateway, |case| {
        let (host, elsewhere) = (case.host.clone(), case.place.elsewhere.clone());
        let name = case.object("Gateway").unwrap()["metadata"]["name"].as_str().unwrap().to_owned();
        let spec = json!({
            "hosts": [host], "gateways": ["mesh"],
            "tls": [{"match": [{"port": 443, "sniHosts": [host]}], "route": to_host(&host, 443)}],
            "http": [{"route": to_host(&host, 80)}],
        });
        // Applied in the list's order, so it is not the older one, unless the names decide within one second.
        case.objects.push(istio("VirtualService", &elsewhere, &format!("z-{name}"), &spec));
    };
    "a VirtualService for another port beside it", Way::by_gateway, |case| {
        let (host, namespace) = (case.host.clone(), case.place.namespace.clone());
        let name = case.object("Gateway").unwrap()["metadata"]["name"].as_str().unwrap().to_owned();
        let spec = json!({"hosts": [host], "gateways": ["mesh"], "http": [{"match": [{"port": 8080}], "route": to_host(&host, 8080)}]});
        case.objects.insert(0, istio("VirtualService", &namespace, &format!("a-{name}"), &spec));
    };
    "a second ServiceEntry with another port", any, |case| {
        let mut second = case.object("ServiceEntry").unwrap().clone();
        let name = second["metadata"]["name"].as_str().unwrap().to_owned();
        second["metadata"]["name"] = json!(format!("{name}-2"));
        let other = if second["spec"]["ports"][0]["number"] == 443 { port(80, "HTTP") } else { port(443, "TLS") };
        second["spec"]["ports"] = json!([other]);
        case.objects.push(second);
    };
    "refused by AuthorizationPolicy, by its name", Way::by_gateway, |case| {
        let spec = json!({"selector": {"matchLabels": {"istio": case.place.gateway_label}}, "action": "DENY",
            "rules": [{"when": [{"key": "connection.sni", "values": [case.host]}]}]});
        policy(case, &spec);
    };
    "refused by AuthorizationPolicy, by its Host", Way::by_gateway, |case| {
        let spec = json!({"selector": {"matchLabels": {"istio": case.place.gateway_label}}, "action": "DENY",
            "rules": [{"to": [{"operation": {"hosts": [case.host]}}], "when": [{"key": "connection.sni", "values": [case.host, "-"]}]}]});
        policy(case, &spec);
    };
    "refused by AuthorizationPolicy, by namespace", Way::by_gateway, |case| {
        let spec = json!({"selector": {"matchLabels": {"istio": case.place.gateway_label}}, "action": "DENY",
            "rules": [{"from": [{"source": {"namespaces": [case.place.namespace]}}], "when": [{"key": "connection.sni", "values": [case.host]}]}]});
        policy(case, &spec);
    };
};

fn policy(case: &mut Case, spec: &Value) {
    let namespace = case.place.gateway_namespace.clone();
    let name = case.object("Gateway").unwrap()["metadata"]["name"].clone();
    let mut object = istio("AuthorizationPolicy", &namespace, name.as_str().unwrap(), spec);
    object["apiVersion"] = json!("security.istio.io/v1");
    case.objects.push(object);
}
