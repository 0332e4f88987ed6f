//! What the sandbox does not play: it refuses such objects by name, as an admission webhook does, rather than carry a
//! request otherwise than Istio would.

use super::Refusal;
use serde_json::Value;

/// Something that is not simulated, and what to do instead.
type Left = (&'static str, &'static str);

const ELSEWHERE: &str = "try it on a real cluster";

/// Refuses a routing object with something that the mesh model does not know.
pub(super) fn refuse(kind: &str, spec: &Value) -> Result<(), Refusal> {
    let found = match kind {
        "DestinationRule" => of_rule(spec),
        "Gateway" => items(spec, "servers").find_map(of_server),
        _ => of_routes(spec),
    };
    match found {
        None => Ok(()),
        Some((what, instead)) => Err(Refusal::bad_request(format!(
            "admission webhook \"sandbox.kubectl-egress.dev\" denied the request: this embedded cluster does not simulate {what}; {instead}"
        ))),
    }
}

fn items<'value>(value: &'value Value, name: &str) -> impl Iterator<Item = &'value Value> {
    value[name].as_array().into_iter().flatten()
}

fn of_rule(spec: &Value) -> Option<Left> {
    if !spec["workloadSelector"].is_null() {
        return Some(("DestinationRules with a workloadSelector", ELSEWHERE));
    }
    if items(spec, "subsets").any(|subset| !subset["labels"].is_null()) {
        return Some(("subsets with labels", ELSEWHERE));
    }
    let policies = || {
        std::iter::once(spec)
            .chain(items(spec, "subsets"))
            .map(|holder| &holder["trafficPolicy"])
    };
    if policies().any(|policy| !policy["tunnel"].is_null()) {
        return Some(("tunnels through an HTTPS proxy", ELSEWHERE));
    }
    let from_files = policies().any(|policy| {
        is_from_files(&policy["tls"])
            || items(policy, "portLevelSettings").any(|settings| is_from_files(&settings["tls"]))
    });
    from_files.then_some((
        "certificates in files of a proxy",
        "put them into a Secret and name it with credentialName, or leave caCertificates out for hosts that everybody trusts",
    ))
}

fn is_from_files(tls: &Value) -> bool {
    let named = |field: &str| tls[field].as_str().is_some_and(|path| !path.is_empty());
    let own = named("caCertificates") && tls["caCertificates"] != "system";
    own || named("clientCertificate") || named("privateKey")
}

fn of_server(server: &Value) -> Option<Left> {
    let tls = &server["tls"];
    match tls["mode"].as_str() {
        Some("AUTO_PASSTHROUGH") => Some(("servers with AUTO_PASSTHROUGH", ELSEWHERE)),
        Some("SIMPLE" | "MUTUAL" | "OPTIONAL_MUTUAL") if tls["credentialName"].is_null() => Some((
            "servers with certificates in files",
            "put them into a Secret and name it with credentialName",
        )),
        _ => None,
    }
}

fn of_routes(spec: &Value) -> Option<Left> {
    const NOT_KNOWN: [(&str, Left); 4] = [
        ("redirect", ("redirects", ELSEWHERE)),
        ("fault", ("injected faults", ELSEWHERE)),
        ("directResponse", ("direct responses", ELSEWHERE)),
        ("delegate", ("delegated routes", ELSEWHERE)),
    ];
    let routes = || {
        ["http", "tls", "tcp"]
            .into_iter()
            .flat_map(|name| items(spec, name))
    };
    if routes().any(|route| items(route, "route").count() > 1) {
        return Some(("weighted destinations", "name one destination per route"));
    }
    NOT_KNOWN
        .into_iter()
        .find(|(field, _)| routes().any(|route| !route[*field].is_null()))
        .map(|(_, left)| left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_left_out_is_named_with_what_to_do_and_what_is_played_is_taken() {
        for (kind, spec, said) in [
            (
                "DestinationRule",
                json!({"trafficPolicy": {"tls": {"mode": "MUTUAL", "clientCertificate": "/etc/a.pem"}}}),
                "name it with credentialName",
            ),
            (
                "DestinationRule",
                json!({"trafficPolicy": {"tunnel": {"targetHost": "a.test"}}}),
                "tunnels",
            ),
            (
                "Gateway",
                json!({"servers": [{"tls": {"mode": "AUTO_PASSTHROUGH"}}]}),
                "AUTO_PASSTHROUGH",
            ),
            (
                "VirtualService",
                json!({"http": [{"route": [{"weight": 1}, {"weight": 99}]}]}),
                "one destination",
            ),
        ] {
            let refused = refuse(kind, &spec).unwrap_err().status().to_string();
            assert!(
                refused.contains("does not simulate") && refused.contains(said),
                "{refused}"
            );
        }
        for (kind, spec) in [
            (
                "DestinationRule",
                json!({"trafficPolicy": {"tls": {"mode": "MUTUAL", "credentialName": "a"}}}),
            ),
            (
                "Gateway",
                json!({"servers": [{"tls": {"mode": "MUTUAL", "credentialName": "a"}}]}),
            ),
            ("VirtualService", json!({"tcp": [{"route": [{}]}]})),
        ] {
            assert!(refuse(kind, &spec).is_ok(), "{spec}");
        }
    }
}
