//! What the lab agreed to, kept: the model's answers to the fixed set, without a lab. Whoever changes the model sees what
//! changes; that the lab still agrees, `every_case_of_the_fixed_set_agrees` shows.

use super::agreement::{of_model, source_labels};
use super::case::{Ask, Case, Place};
use super::changes::CHANGES;
use super::fixed;
use super::objects::{is_allocated, pod, source_pod};
use super::proxied::PROXY;
use super::reality::{CAPTURING, ISOLATED, Places};
use super::ways::Way;
use kubectl_egress::mesh::repair::Trial;
use kubectl_egress::mesh::{Request, SourcePod, World, predict};
use kubectl_egress::vocabulary::{BlockedBy, Object, Outcome, Scheme};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Set, it writes the file anew instead of comparing.
const UPDATE: &str = "UPDATE_DIFFERENTIAL";

#[test]
fn the_model_says_what_the_lab_agreed_to() {
    let places = places();
    let cases = fixed::cases(&places);
    let objects = objects(&places, &cases);
    let world = World::new(&objects);
    let mut said = String::new();
    for case in &cases {
        for ask in &case.asks {
            let prediction = predict(&world, &request(case, ask));
            let answer = of_model(&prediction);
            let _ = writeln!(
                said,
                "{} | {} | {} | {}",
                case.name,
                ask.title(),
                answer.served,
                answer.hops.join(" > ")
            );
            for unknown in &prediction.not_modelled {
                let _ = writeln!(said, "    {unknown}");
            }
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/differential/agreed.txt");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&file, &said).unwrap();
    }
    let agreed = std::fs::read_to_string(&file).unwrap();
    for (now, then) in said.lines().zip(agreed.lines()) {
        assert_eq!(now, then, "ask the lab; if it agrees: {UPDATE}=1");
    }
    assert_eq!(
        said.lines().count(),
        agreed.lines().count(),
        "if the lab agrees: {UPDATE}=1"
    );
}

/// Mistakes that no change of one object mends: an object is missing, or in the wrong namespace.
const WITHOUT_REPAIR: &[&str] = &[
    "no DestinationRule",
    "no Gateway",
    "no ServiceEntry",
    "no VirtualService",
    "the DestinationRule elsewhere",
    // Of origination: the gateway would not look where its DestinationRule is.
    "the ServiceEntry elsewhere, exported nowhere",
    "the VirtualService for another host",
];

#[test]
fn a_single_mistake_has_a_repair_after_which_the_model_routes() {
    let places = places();
    let mut without = BTreeSet::new();
    for way in Way::ALL.into_iter().filter(|way| way.by_gateway()) {
        let changes = CHANGES.iter().filter(|change| (change.concerns)(way));
        for (number, change) in changes.enumerate() {
            let mut case = way.case(&places.own, number, &places.run);
            (change.make)(&mut case);
            let scheme = match way {
                Way::Passthrough | Way::PassthroughInMeshTls => Scheme::Https,
                _ => Scheme::Http,
            };
            let ask = case.asks.iter().find(|ask| ask.scheme == scheme).unwrap().clone();
            let objects = objects(&places, &[case.clone()]);
            let request = request(&case, &ask);
            let mut trial = Trial::of(&objects, &request.source, &request.host);
            let now = predict(trial.world(), &request);
            let by_policy = now.blocked_by == Some(BlockedBy::AuthorizationPolicy);
            if now.outcome == Outcome::Routed || by_policy {
                assert!(
                    trial.repairs(&request, &now).is_empty(),
                    "{way:?}: {}",
                    change.name
                );
                continue;
            }
            let found = trial.repairs(&request, &now);
            if found.is_empty() {
                assert!(WITHOUT_REPAIR.contains(&change.name), "{way:?}: {}", change.name);
                without.insert(change.name);
            }
        }
    }
    assert_eq!(without, WITHOUT_REPAIR.iter().copied().collect());
}

fn request(case: &Case, ask: &Ask) -> Request {
    let source = SourcePod {
        namespace: case.place.namespace.clone(),
        name: if ask.bare { "bare" } else { "source" }.to_owned(),
        labels: source_labels(ask.bare),
        meshed: !ask.bare,
    };
    ask.request(source, &|host| {
        let last = if host == PROXY.0 { 32 } else { 20 };
        Some([203, 0, 113, last].into())
    })
}

/// Places of which only the names matter.
pub(super) fn places() -> Places {
    let place = |namespace: String| Place {
        namespace,
        elsewhere: "elsewhere".to_owned(),
        gateway_namespace: "gateways".to_owned(),
        gateway_service: "differential".to_owned(),
        gateway_label: "differential".to_owned(),
    };
    let own = place("own".to_owned());
    Places {
        run: "run".to_owned(),
        stock: Place {
            gateway_namespace: "istio-system".to_owned(),
            gateway_service: "istio-egressgateway".to_owned(),
            gateway_label: "egressgateway".to_owned(),
            ..own.clone()
        },
        isolated: (0..ISOLATED)
            .map(|number| place(format!("isolated-{number}")))
            .collect(),
        capturing: (0..CAPTURING)
            .map(|number| place(format!("capturing-{number}")))
            .collect(),
        own,
    }
}

/// The cases' objects in the order in which they are applied, with what the lab has beside them.
fn objects(places: &Places, cases: &[Case]) -> Vec<Object> {
    let mut objects: Vec<Value> = Vec::new();
    for place in [&places.own, &places.stock] {
        let (namespace, name) = (&place.gateway_namespace, &place.gateway_service);
        objects.push(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": name}, "spec": {
            "selector": {"istio": place.gateway_label},
            "ports": [{"name": "http2", "port": 80, "targetPort": 8080}, {"name": "tls", "port": 443, "targetPort": 8443}],
        }}));
        objects.push(pod(namespace, name, &json!({"istio": place.gateway_label})));
    }
    let capturing: Vec<&str> = places
        .capturing
        .iter()
        .map(|place| place.namespace.as_str())
        .collect();
    for namespace in places.sources() {
        objects.push(source_pod(namespace, capturing.contains(&namespace)));
    }
    objects.extend(cases.iter().flat_map(|case| case.objects.iter().cloned()));
    for (number, entry) in objects
        .iter_mut()
        .filter(|object| is_allocated(object))
        .enumerate()
    {
        // As istiod does.
        let host = entry["spec"]["hosts"][0].clone();
        let address = format!("240.240.{}.{}", number / 256, number % 256);
        entry["status"] = json!({"addresses": [{"host": host, "value": address}]});
    }
    for (second, object) in objects.iter_mut().enumerate() {
        let (minute, second) = (second / 60, second % 60);
        let time = format!("2026-11-21T{:02}:{:02}:{second:02}Z", minute / 60, minute % 60);
        object["metadata"]["creationTimestamp"] = json!(time);
    }
    objects.into_iter().map(Object).collect()
}
