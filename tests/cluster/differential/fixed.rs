//! The fixed set of cases.

use super::captured;
use super::case::{Ask, BELOW, Case, Place};
use super::changes::CHANGES;
use super::objects::{istio, port};
use super::proxied;
use super::reality::Places;
use super::ways::Way;
use kubectl_egress::vocabulary::Scheme;
use serde_json::{Value, json};

/// All cases: each way with each change that concerns it.
pub(super) fn cases(places: &Places) -> Vec<Case> {
    let mut cases = Vec::new();
    for way in Way::ALL {
        for change in CHANGES.iter().filter(|change| (change.concerns)(way)) {
            let number = cases.len();
            let mut case = way.case(&places.own, number, &places.run);
            (change.make)(&mut case);
            case.name = format!("{number}. {way:?}: {}", change.name);
            cases.push(case);
        }
    }
    let mut nothing = Way::Direct.case(&places.own, cases.len(), &places.run);
    nothing.objects.clear();
    nothing.name = format!("{}. nothing at all", cases.len());
    let from_bare: Vec<Ask> = nothing
        .asks
        .iter()
        .map(|ask| Ask {
            bare: true,
            ..ask.clone()
        })
        .collect();
    nothing.asks.extend(from_bare);
    cases.push(nothing);
    cases.extend(at_the_stock_gateway(&places.stock, cases.len(), &places.run));
    cases.extend(alone(places, cases.len()));
    cases.extend(captured::cases(places, cases.len()));
    for (way, first, second) in DISAGREED {
        let number = cases.len();
        let mut case = way.case(&places.stock, number, &places.run);
        for name in [first, second] {
            let change = CHANGES.iter().find(|change| change.name == *name);
            (change.unwrap().make)(&mut case);
        }
        case.name = format!("{number}. {way:?} in the root namespace: {first} + {second}");
        cases.push(case);
    }
    cases
}

/// Pairs of changes on which model and lab once disagreed.
const DISAGREED: &[(Way, &str, &str)] = &[(
    Way::Passthrough,
    "resolution STATIC without endpoints",
    "refused by AuthorizationPolicy, by its Host",
)];

/// What concerns all hosts of a namespace.
fn alone(places: &Places, first: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut next = places.isolated.iter();
    let mut add = |name: &str, way: Way, make: &dyn Fn(&mut Case)| {
        let number = first + cases.len();
        let isolated = next.next().expect("another isolated namespace");
        let place = if name.contains("wildcard") {
            // At the other gateway, or its chain would take every name that another case leaves without one.
            Place {
                namespace: isolated.namespace.clone(),
                ..places.stock.clone()
            }
        } else {
            isolated.clone()
        };
        let mut case = way.case(&place, number, &places.run);
        make(&mut case);
        case.name = format!("{number}. {way:?} alone: {name}");
        cases.push(case);
    };
    for (way, address) in [
        (Way::Passthrough, "203.0.113.20"),
        (Way::Http, "203.0.113.20"),
        (Way::Direct, "203.0.113.0/24"),
    ] {
        add("with the host's address", way, &|case| {
            let visible = json!([".", case.place.gateway_namespace]);
            let entry = &mut case.object("ServiceEntry").unwrap()["spec"];
            entry["addresses"] = json!([address]);
            entry["exportTo"] = visible;
        });
    }
    for way in [Way::Passthrough, Way::HttpInMeshTls] {
        // It holds for every rule of the gateway's in the namespace: they merge.
        add("ISTIO_MUTUAL for all subsets", way, &|case| {
            let tls = json!({"tls": {"mode": "ISTIO_MUTUAL", "sni": case.host}});
            let rule = &mut case.object("DestinationRule").unwrap()["spec"];
            rule["subsets"][0]
                .as_object_mut()
                .unwrap()
                .remove("trafficPolicy");
            rule["trafficPolicy"] = tls;
        });
    }
    let scope = |case: &mut Case, spec: Value| {
        let namespace = case.place.namespace.clone();
        case.objects.push(istio("Sidecar", &namespace, "scope", &spec));
    };
    add("a scope of its own namespace", Way::Passthrough, &|case| {
        scope(case, json!({"egress": [{"hosts": ["./*"]}]}));
    });
    add("a scope of its own namespace", Way::Origination, &|case| {
        scope(case, json!({"egress": [{"hosts": ["./*", "istio-system/*"]}]}));
    });
    add("a scope without the host", Way::Passthrough, &|case| {
        let elsewhere = case.place.elsewhere.clone();
        set_namespace(case, "ServiceEntry", &elsewhere);
        scope(case, json!({"egress": [{"hosts": ["./*"]}]}));
    });
    add("REGISTRY_ONLY", Way::Passthrough, &|case| {
        scope(
            case,
            json!({"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}, "egress": [{"hosts": ["*/*"]}]}),
        );
        let unknown = format!("unknown-{}", case.host);
        case.asks.extend(both(&unknown));
    });
    add("REGISTRY_ONLY", Way::Http, &|case| {
        scope(case, json!({"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}));
    });
    add("a wildcard with one server", Way::Passthrough, &|case| {
        let host = case.host.clone();
        let gateway = case.place.gateway_namespace.clone();
        let text = serde_json::to_string(&case.objects)
            .unwrap()
            .replace(&host, "*.wild.test");
        case.objects = serde_json::from_str(&text).unwrap();
        let entry = &mut case.object("ServiceEntry").unwrap()["spec"];
        entry["endpoints"] = json!([{"address": "203.0.113.20"}]);
        entry["exportTo"] = json!([".", gateway]);
        case.object("VirtualService").unwrap()["spec"]["exportTo"] = json!([".", gateway]);
    });
    // Rules of different exportTo do not merge, and the last one alone counts.
    for (name, before) in [("an older rule", true), ("a younger rule", false)] {
        let name = format!("{name} of the gateway's that is exported otherwise");
        add(&name, Way::Passthrough, &|case| {
            let host = case.place.gateway_host();
            let spec = json!({"host": host, "exportTo": ["*"], "subsets": [{"name": "other"}]});
            let namespace = case.place.namespace.clone();
            if before {
                case.objects
                    .insert(0, istio("DestinationRule", &namespace, "a-other", &spec));
            } else {
                case.objects
                    .push(istio("DestinationRule", &namespace, "z-other", &spec));
            }
        });
    }
    // A listener for HTTP reads nothing but HTTP: TLS goes past it, as to a host that nobody declared.
    for way in [Way::Direct, Way::Passthrough] {
        add("port 443 declared as HTTP", way, &|case| {
            let visible = json!([".", case.place.gateway_namespace]);
            let entry = &mut case.object("ServiceEntry").unwrap()["spec"];
            entry["exportTo"] = visible;
            for port in entry["ports"].as_array_mut().unwrap() {
                if port["number"] == 443 {
                    port["protocol"] = json!("HTTP");
                }
            }
        });
    }
    for (name, resolution) in [
        ("a wildcard that is resolved for each request", "DYNAMIC_DNS"),
        ("a wildcard without resolution", "NONE"),
    ] {
        add(name, Way::Passthrough, &|case| {
            let gateway = case.place.gateway_namespace.clone();
            below(case);
            let entry = &mut case.object("ServiceEntry").unwrap()["spec"];
            entry["resolution"] = json!(resolution);
            entry["exportTo"] = json!([".", gateway]);
            case.object("VirtualService").unwrap()["spec"]["exportTo"] = json!([".", gateway]);
        });
    }
    add(
        "a wildcard that is resolved for each request",
        Way::Direct,
        &|case| {
            below(case);
            let entry = &mut case.object("ServiceEntry").unwrap()["spec"];
            entry["resolution"] = json!("DYNAMIC_DNS");
            entry["exportTo"] = json!(["."]);
        },
    );
    // Nothing in opaque bytes tells one from the other.
    add("two hosts of plain TCP on one port", Way::Direct, &two_of_tcp);
    for (name, change) in proxied::CHANGES {
        add(name, Way::Direct, change);
    }
    cases
}

/// Makes the case one of all hosts below its own, and asks for one of them.
pub(super) fn below(case: &mut Case) {
    let text = serde_json::to_string(&case.objects).unwrap();
    let text = text.replace(&case.host, &format!("*.{}", case.host));
    case.objects = serde_json::from_str(&text).unwrap();
    for ask in &mut case.asks {
        ask.host = format!("{BELOW}{}", case.host);
    }
}

/// A host and another one, both of which say nothing but that they speak TCP.
pub(super) fn two_of_tcp(case: &mut Case) {
    case.asks.truncate(1);
    let entry = &mut case.object("ServiceEntry").unwrap()["spec"];
    entry["exportTo"] = json!(["."]);
    entry["ports"] = json!([port(443, "TCP")]);
    let other = format!("other-{}", case.host);
    let mut second = case.objects[0].clone();
    let name = second["metadata"]["name"].as_str().unwrap().to_owned();
    second["metadata"]["name"] = json!(format!("{name}-2"));
    second["spec"]["hosts"] = json!([other]);
    case.objects.push(second);
    case.asks.push(Ask {
        host: other,
        ..case.asks[0].clone()
    });
}

fn set_namespace(case: &mut Case, kind: &str, namespace: &str) {
    case.object(kind).unwrap()["metadata"]["namespace"] = json!(namespace);
}

/// A host by https and by http.
fn both(host: &str) -> [Ask; 2] {
    [(Scheme::Https, 443), (Scheme::Http, 80)].map(|(scheme, port)| Ask {
        scheme,
        host: host.to_owned(),
        port,
        bare: false,
        by: None,
    })
}

/// A gateway in the root namespace looks DestinationRules up in another order.
fn at_the_stock_gateway(place: &Place, first: usize, run: &str) -> Vec<Case> {
    let ways = [Way::Passthrough, Way::PassthroughInMeshTls, Way::Origination];
    let of_rules = |name: &str| {
        name.contains("DestinationRule") || name.contains("should be") || name.contains("exported")
    };
    let changes = CHANGES.iter().filter(|change| of_rules(change.name));
    let pairs = changes.flat_map(|change| ways.map(|way| (way, change)));
    pairs
        .filter(|(way, change)| (change.concerns)(*way))
        .enumerate()
        .map(|(index, (way, change))| {
            let number = first + index;
            let mut case = way.case(place, number, run);
            (change.make)(&mut case);
            case.name = format!("{number}. {way:?} in the root namespace: {}", change.name);
            case
        })
        .collect()
}
