//! Faults that need a gateway or a namespace of their own: what a whole namespace or a gateway's port or log shares.

use super::{Place, SETTLES, Seen, about};
use crate::support::manifests::gateway;
use crate::support::{Stage, open};
use std::time::{Duration, Instant};

const GATEWAY: &str = "networking.istio.io/v1";

/// A gateway of its own in a namespace beside the client's.
struct Own<'a> {
    place: Place<'a>,
    /// Namespace of the gateway.
    home: String,
    host: String,
}

impl<'a> Own<'a> {
    fn make(stage: &'a Stage, home: &str) -> Self {
        stage.make_namespace(home, "");
        stage.kubectl.apply(&gateway(home, "own-egress"));
        stage.rolled_out(home, "own-egress");
        let addresses = stage.addresses(home, "istio=own-egress");
        let namespace = stage.namespace.clone();
        Self {
            place: Place::make(stage, &namespace, addresses),
            home: home.to_owned(),
            host: stage.host.clone(),
        }
    }

    /// The host through the gateway, by TLS at 443.
    fn routed(&self) {
        let Self { place, home, host } = self;
        let namespace = &place.namespace;
        let service = format!("own-egress.{home}.svc.cluster.local");
        place.stage.kubectl.apply(&format!(
            "apiVersion: {GATEWAY}
kind: ServiceEntry
metadata: {{name: routed, namespace: {namespace}}}
spec: {{hosts: [{host}], location: MESH_EXTERNAL, resolution: DNS, ports: [{{number: 443, name: tls, protocol: TLS}}, {{number: 80, name: http, protocol: HTTP}}]}}
---
apiVersion: {GATEWAY}
kind: Gateway
metadata: {{name: routed, namespace: {namespace}}}
spec: {{selector: {{istio: own-egress}}, servers: [{{port: {{number: 443, name: tls, protocol: TLS}}, hosts: [{host}], tls: {{mode: PASSTHROUGH}}}}]}}
---
apiVersion: {GATEWAY}
kind: VirtualService
metadata: {{name: routed, namespace: {namespace}}}
spec:
  hosts: [{host}]
  gateways: [mesh, routed]
  tls:
  - {{match: [{{gateways: [mesh], port: 443, sniHosts: [{host}]}}], route: [{{destination: {{host: {service}, port: {{number: 443}}}}}}]}}
  - {{match: [{{gateways: [routed], port: 443, sniHosts: [{host}]}}], route: [{{destination: {{host: {host}, port: {{number: 443}}}}}}]}}
"
        ));
        place.is(&format!("https://{host}"), Seen::Gateway);
    }

    #[track_caller]
    fn finds(&self, code: &str, name: &str) {
        let run = self.place.check();
        assert!(
            !about(&run.json(), code, name).is_empty(),
            "no {code} for {name}: {run}"
        );
    }

    #[track_caller]
    fn finds_no(&self, code: &str) {
        let run = self.place.check();
        assert!(about(&run.json(), code, "").is_empty(), "{code}: {run}");
    }

    /// Whether the gateway writes a line for a request.
    fn logs_a_request(&self) -> bool {
        let Self { place, home, host } = self;
        let lines = || {
            let log = place
                .stage
                .kubectl
                .run(&format!("logs -n {home} deploy/own-egress"));
            log.lines().filter(|line| line.contains(host.as_str())).count()
        };
        let before = lines();
        assert_eq!(place.request(&format!("https://{host}")), Seen::Gateway);
        // A line is written when the connection has ended, and flushed within a second.
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            if lines() > before {
                return true;
            }
        }
        false
    }

    /// Asks again while a change of the log is on its way.
    #[track_caller]
    fn logs_become(&self, expected: bool) {
        let until = Instant::now() + SETTLES;
        while self.logs_a_request() != expected {
            assert!(Instant::now() < until, "the log is not {expected}");
        }
    }
}

fn telemetry(home: &str, name: &str, logging: &str) -> String {
    format!(
        "---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {{name: {name}, namespace: {home}}}\n\
         spec: {{selector: {{matchLabels: {{istio: own-egress}}}}, accessLogging: [{{providers: [{{name: envoy}}], {logging}}}]}}\n"
    )
}

#[test]
fn a_log_that_is_off_filtered_or_decided_by_another_telemetry_is_found() {
    let mut stage = open!(alone);
    let home = stage.another_namespace();
    let own = Own::make(&stage, &home);
    own.routed();
    let apply = |text: &str| stage.kubectl.apply(text);
    own.logs_become(false);
    own.finds("EGR-202", "own-egress");
    let filtered = telemetry(&home, "first", "filter: {expression: response.code >= 400}");
    apply(&filtered);
    own.finds("EGR-330", "first");
    own.finds_no("EGR-202");
    own.logs_become(false);
    stage.kubectl.run(&format!("delete telemetry first -n {home}"));
    let wide = |text: &str| text.replace("selector: {matchLabels: {istio: own-egress}}, ", "");
    // For a whole namespace the oldest counts, for single workloads the newest.
    apply(&wide(&telemetry(&home, "a-off", "disabled: true")));
    apply(&wide(&telemetry(&home, "b-on", "disabled: false")));
    own.logs_become(false);
    own.finds("EGR-331", "b-on");
    stage.kubectl.run(&format!("delete telemetry a-off -n {home}"));
    own.logs_become(true);
    own.finds_no("EGR-331");
    apply(&telemetry(&home, "c-off", "disabled: true"));
    own.logs_become(false);
    own.finds_no("EGR-331");
    apply(&telemetry(&home, "d-on", "disabled: false"));
    own.logs_become(true);
    own.finds("EGR-331", "c-off");
    stage.kubectl.run(&format!("delete telemetry c-off -n {home}"));
    for code in ["EGR-202", "EGR-330", "EGR-331"] {
        own.finds_no(code);
    }
}

#[test]
fn what_a_gateway_or_a_namespace_shares_is_found() {
    let mut stage = open!(alone);
    let home = stage.another_namespace();
    let own = Own::make(&stage, &home);
    own.routed();
    own.finds_no("EGR-326");
    let (namespace, host) = (stage.namespace.clone(), stage.host.clone());
    let url = format!("https://{host}");
    // A Sidecar that lists the gateway's namespace and not its own.
    let sidecar = |hosts: &str| {
        stage.kubectl.apply(&format!(
            "apiVersion: {GATEWAY}\nkind: Sidecar\nmetadata: {{name: default, namespace: {namespace}}}\nspec: {{egress: [{{hosts: [{hosts}]}}]}}\n"
        ));
    };
    sidecar(&format!("\"{home}/*\", \"istio-system/*\""));
    own.place.is(&url, Seen::Direct);
    own.finds("EGR-326", "default");
    sidecar(&format!("\"{home}/*\", \"./*\""));
    own.place.is(&url, Seen::Gateway);
    own.finds_no("EGR-326");
    stage
        .kubectl
        .run(&format!("delete sidecar default -n {namespace}"));
    collision(&own, &stage);
    label(&own, &stage);
    catch_all(&own, &stage);
    without_pods(&own, &stage);
}

/// TLS on the port that an older Gateway has for plain HTTP.
fn collision(own: &Own<'_>, stage: &Stage) {
    let (namespace, home) = (&own.place.namespace, &own.home);
    let service = format!("own-egress.{home}.svc.cluster.local");
    let object = |kind: &str, name: &str, spec: &str| {
        stage.kubectl.apply(&format!(
            "apiVersion: {GATEWAY}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
        ));
    };
    object(
        "Gateway",
        "early",
        "{selector: {istio: own-egress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [early.wild.test]}]}",
    );
    let host = "late.wild.test";
    object(
        "ServiceEntry",
        "late",
        &format!(
            "{{hosts: [{host}], location: MESH_EXTERNAL, resolution: DNS, ports: [{{number: 443, name: tls, protocol: TLS}}]}}"
        ),
    );
    let route = |gateway: &str, port: u16| {
        object(
            "VirtualService",
            "late",
            &format!(
                "{{hosts: [{host}], gateways: [mesh, {gateway}], tls: [{{match: [{{gateways: [mesh], port: 443, sniHosts: [{host}]}}], route: [{{destination: {{host: {service}, port: {{number: {port}}}}}}}]}}, \
                 {{match: [{{gateways: [{gateway}], port: {port}, sniHosts: [{host}]}}], route: [{{destination: {{host: {host}, port: {{number: 443}}}}}}]}}]}}"
            ),
        );
    };
    let listens = |name: &str, port: u16| {
        object(
            "Gateway",
            name,
            &format!(
                "{{selector: {{istio: own-egress}}, servers: [{{port: {{number: {port}, name: tls, protocol: TLS}}, hosts: [{host}], tls: {{mode: PASSTHROUGH}}}}]}}"
            ),
        );
    };
    let url = format!("https://{host}");
    listens("late", 80);
    route("late", 80);
    own.place.is(&url, Seen::Nothing);
    own.finds("EGR-320", "late");
    listens("late", 443);
    route("late", 443);
    own.place.is(&url, Seen::Gateway);
    own.finds_no("EGR-320");
    // A newer Gateway for a host that an older one has, with all routes at the newer one.
    listens("later", 443);
    route("later", 443);
    own.place.is(&url, Seen::Nothing);
    own.finds("EGR-320", "later");
    stage.kubectl.run(&format!(
        "delete gateways.networking.istio.io late -n {namespace}"
    ));
    own.place.is(&url, Seen::Gateway);
    own.finds_no("EGR-320");
}

/// The policies of Kyma's module, and any others before a gateway.
fn label(own: &Own<'_>, stage: &Stage) {
    let url = format!("https://{}", own.host);
    for (module, code) in [("istio", "EGR-206"), ("none", "EGR-120")] {
        stage.kubectl.apply(&format!(
            "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: closed, namespace: {}, labels: {{kyma-project.io/module: {module}}}}}
spec: {{podSelector: {{}}, policyTypes: [Ingress], ingress: [{{from: [{{namespaceSelector: {{}}, podSelector: {{matchLabels: {{networking.kyma-project.io/to-egressgateway: allowed}}}}}}]}}]}}
",
            own.home
        ));
        own.place.is(&url, Seen::Nothing);
        own.finds(code, "client");
    }
    stage.kubectl.run(&format!(
        "label pod -l app=client -n {} networking.kyma-project.io/to-egressgateway=allowed",
        own.place.namespace
    ));
    own.place.is(&url, Seen::Gateway);
    own.finds_no("EGR-206");
    own.finds_no("EGR-120");
}

/// Lets out what nobody listed, where only what is listed may leave.
fn catch_all(own: &Own<'_>, stage: &Stage) {
    let namespace = &own.place.namespace;
    let apply = |hosts: &str| {
        stage.kubectl.apply(&format!(
            "apiVersion: {GATEWAY}
kind: Sidecar
metadata: {{name: default, namespace: {namespace}}}
spec: {{outboundTrafficPolicy: {{mode: REGISTRY_ONLY}}, egress: [{{hosts: [\"./*\", \"{}/*\"]}}]}}
---
apiVersion: {GATEWAY}
kind: ServiceEntry
metadata: {{name: wide, namespace: {namespace}}}
spec: {{hosts: [\"{hosts}\"], exportTo: [.], location: MESH_EXTERNAL, resolution: NONE, ports: [{{number: 443, name: tls, protocol: TLS}}]}}
",
            own.home
        ));
    };
    // A VirtualService for a host below the wildcard would take its place (seen), so it is another domain's.
    apply("*.com");
    own.place.is("https://edition.cnn.com", Seen::Direct);
    own.finds("EGR-322", "wide");
    apply("unlisted.wild.test");
    own.place.is("https://edition.cnn.com", Seen::Nothing);
    own.finds_no("EGR-322");
}

/// The gateway scaled to zero.
fn without_pods(own: &Own<'_>, stage: &Stage) {
    let scale = |replicas: usize| {
        let home = &own.home;
        stage.kubectl.run(&format!(
            "scale deployment own-egress -n {home} --replicas={replicas}"
        ));
    };
    scale(0);
    own.place.is(&format!("https://{}", own.host), Seen::Nothing);
    own.finds("EGR-201", "routed");
    scale(1);
    stage.rolled_out(&own.home, "own-egress");
    own.finds_no("EGR-201");
}

/// Two faults that the API server refuses: they are found in files before, with their lines.
#[test]
fn what_the_api_server_refuses_is_found_in_files() {
    let stage = open!(shared).with_namespace("");
    let namespace = &stage.namespace;
    let wildcard = |more: &str| {
        format!(
            "apiVersion: {GATEWAY}\nkind: ServiceEntry\nmetadata: {{name: wild, namespace: {namespace}}}\n\
             spec: {{hosts: [\"*.{}\"], location: MESH_EXTERNAL, resolution: DNS, ports: [{{number: 443, name: tls, protocol: TLS}}]{more}}}\n",
            stage.host
        )
    };
    let number = |number: &str| {
        format!(
            "apiVersion: {GATEWAY}\nkind: Gateway\nmetadata: {{name: typed, namespace: {namespace}}}\n\
             spec: {{selector: {{istio: nobody}}, servers: [{{port: {{number: {number}, name: tls, protocol: TLS}}, hosts: [{}], tls: {{mode: PASSTHROUGH}}}}]}}\n",
            stage.host
        )
    };
    let good = format!(", endpoints: [{{address: {}}}]", stage.host);
    for (code, fault, repaired) in [
        ("EGR-327", wildcard(""), wildcard(&good)),
        ("EGR-349", number("many"), number("443")),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("objects.yaml");
        let check = |text: &str| {
            std::fs::write(&file, format!("# a comment\n---\n{text}")).unwrap();
            stage.egress(&format!("check -o json -f {}", file.display()))
        };
        let refused = stage.kubectl.feed("apply --dry-run=server -f -", &fault);
        assert!(refused.is_err(), "{code} is no fault: {refused:?}");
        let run = check(&fault);
        let document = run.exits(1).json();
        let found = about(&document, code, namespace);
        assert_eq!(found[0]["places"][0], format!("{}:3", file.display()), "{run}");
        stage
            .kubectl
            .feed("apply --dry-run=server -f -", &repaired)
            .unwrap();
        let run = check(&repaired);
        assert!(about(&run.exits(0).json(), code, "").is_empty(), "{run}");
    }
}
