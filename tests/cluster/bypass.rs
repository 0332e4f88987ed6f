//! The attempts to get out without the gateway: each cell of the matrix, before the lock and under it, compared with
//! what the outside world saw.

use crate::support::kubectl::Kubectl;
use crate::support::{Run, Stage, manifests, open};
use kubectl_egress_lab::{EventKind, Mark, WorldEvent};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Nobody declares it; the tool takes it unless it is told another.
const UNDECLARED: &str = "www.google.com";
const RESOLVER: &str = "resolver.test";
const VERIFY: &str = "verify --bypass --outside-resolver 203.0.113.53 --timeout 60s -o json";

/// What the world saw during one run.
struct Seen {
    events: Vec<WorldEvent>,
    host: String,
    gateway: BTreeSet<IpAddr>,
}

impl Seen {
    fn any(&self, wanted: impl Fn(&WorldEvent) -> bool) -> bool {
        self.events.iter().any(wanted)
    }

    /// Requests that the gateway carried to the stage's host.
    fn carried(&self) -> usize {
        let carried = |event: &&WorldEvent| {
            event.is_request()
                && event.host.as_deref() == Some(&self.host)
                && self.gateway.contains(&event.peer_ip())
        };
        self.events.iter().filter(carried).count()
    }

    /// Whether the world saw this attempt come from its own pod.
    fn got_out(&self, id: &str, from: Option<IpAddr>) -> bool {
        let theirs = |event: &WorldEvent| {
            !self.gateway.contains(&event.peer_ip()) && from.is_none_or(|from| from == event.peer_ip())
        };
        let at = |event: &WorldEvent, server: &str, port: u16| {
            theirs(event) && event.server == server && event.port == port
        };
        let not_tls = |event: &WorldEvent| {
            event.event == EventKind::TlsFailed
                && event
                    .error
                    .as_ref()
                    .is_some_and(|error| error.contains("corrupt"))
        };
        let named =
            |event: &WorldEvent, name: &str| event.host.as_deref() == Some(name) && event.is_request();
        match id {
            "no-sidecar" => self.any(|event| theirs(event) && event.port == 443 && named(event, &self.host)),
            "direct-ip" => {
                self.any(|event| at(event, UNDECLARED, 443) && event.sni.is_none() && !not_tls(event))
            }
            "direct-ip-host-header" => {
                self.any(|event| at(event, UNDECLARED, 80) && named(event, &self.host))
            }
            "plain-http-443" => self.any(|event| at(event, UNDECLARED, 443) && not_tls(event)),
            "other-tcp-port" => self.any(|event| at(event, RESOLVER, 853)),
            "udp-53" => self.any(|event| at(event, RESOLVER, 53) && event.event == EventKind::Question),
            "plain-http-80" => self.any(|event| at(event, UNDECLARED, 80) && named(event, UNDECLARED)),
            "undeclared-host"
            | "uid-1337"
            | "exclude-outbound-ports"
            | "exclude-outbound-ip-ranges"
            | "include-no-ip-ranges"
            | "ephemeral-container"
            | "host-network"
            | "other-namespace" => {
                self.any(|event| at(event, UNDECLARED, 443) && event.sni.as_deref() == Some(UNDECLARED))
            }
            "declared-sni-elsewhere" => self
                .any(|event| event.server == UNDECLARED && event.sni.as_deref() == Some(self.host.as_str())),
            "declared-host-inside" => self.any(|event| {
                at(event, UNDECLARED, 443)
                    && event.sni.as_deref() == Some(UNDECLARED)
                    && named(event, &self.host)
            }),
            "gateway-port-undeclared" => {
                self.any(|event| self.gateway.contains(&event.peer_ip()) && event.server == UNDECLARED)
            }
            // Whoever carried them is no pod of this run.
            "gateway-port" | "other-namespace-gateway-port" | "ingress-gateway" | "istiod-as-proxy" => false,
            other => panic!("no ground truth is known for {other}"),
        }
    }
}

/// One run with its matrix.
struct Battery {
    run: Run,
    rows: Vec<Value>,
    seen: Seen,
}

impl Battery {
    fn of(stage: &Stage, flags: &str) -> Self {
        let mark = stage.mark();
        let run = stage.egress(&format!("{VERIFY} {flags}"));
        let rows = run.json()["bypass"].as_array().cloned().unwrap_or_default();
        assert!(!rows.is_empty(), "{run}");
        Self {
            seen: Seen {
                events: stage.world.since(mark).unwrap(),
                host: stage.host.clone(),
                gateway: stage.gateway_addresses(),
            },
            rows,
            run,
        }
    }

    fn row(&self, id: &str) -> &Value {
        let row = self.rows.iter().find(|row| row["attempt"] == id);
        row.unwrap_or_else(|| panic!("no {id}: {}", self.run))
    }

    fn outcome(&self, id: &str) -> &str {
        self.row(id)["outcome"].as_str().unwrap()
    }

    /// Requires that each cell says what the world's log says.
    #[track_caller]
    fn agrees_with_the_world(&self) {
        let mut carried = 1;
        for row in &self.rows {
            let (id, outcome) = (row["attempt"].as_str().unwrap(), row["outcome"].as_str().unwrap());
            if matches!(outcome, "notTried" | "openByDesign") {
                assert!(row["stoppedBy"].is_null(), "{row}");
                assert!(!row["why"].as_str().unwrap().is_empty(), "{row}");
                continue;
            }
            // The node has other addresses than the one that its pods are told.
            let address = row["address"].as_str().filter(|_| id != "host-network");
            let from = address.map(|address| address.parse().unwrap());
            let got_out = self.seen.got_out(id, from);
            assert_eq!(
                outcome == "out",
                got_out,
                "{id}: {row}; the world saw {:#?}; {}",
                self.seen.events,
                self.run
            );
            assert_ne!(outcome, "inconclusive", "{row}");
            assert_eq!(outcome == "blocked", row["stoppedBy"].is_string(), "{row}");
            carried += usize::from(outcome == "throughGateway");
        }
        assert!(
            self.seen.carried() >= carried,
            "{carried} by the gateway: {:#?}; {}",
            self.seen.events,
            self.run
        );
        for id in ["domain-fronting", "dns-tunnel"] {
            assert_eq!(self.outcome(id), "openByDesign");
        }
    }
}

/// Pods of the tool's, wherever they are.
fn pods(stage: &Stage) -> Vec<String> {
    stage.kubectl.names(&format!(
        "get pods -A -l app.kubernetes.io/managed-by=kubectl-egress,kubectl-egress.dev/plan-namespace={}",
        stage.namespace
    ))
}

fn strangers(stage: &Stage, mark: Mark) -> Vec<WorldEvent> {
    let gateway = stage.gateway_addresses();
    let mut events = stage.world.since(mark).unwrap();
    events.retain(|event| !gateway.contains(&event.peer_ip()));
    events
}

/// An ingress gateway, which the plain lab has none of; goes with this value.
struct IngressGateway(Kubectl);

impl IngressGateway {
    fn of(stage: &Stage) -> Self {
        let gateway = Self(stage.kubectl.clone());
        stage
            .kubectl
            .apply(&manifests::gateway("istio-system", "ingressgateway"));
        stage.rolled_out("istio-system", "ingressgateway");
        gateway
    }
}

impl Drop for IngressGateway {
    fn drop(&mut self) {
        let _ = self
            .0
            .attempt("delete deployment/ingressgateway service/ingressgateway -n istio-system");
    }
}

#[test]
fn the_matrix_agrees_with_the_world_before_the_lock_and_under_it() {
    let stage = open!(alone).with_route();
    let _ingress = IngressGateway::of(&stage);
    let before = Battery::of(&stage, "");
    before.run.exits(0);
    before.agrees_with_the_world();
    for id in [
        "no-sidecar",
        "direct-ip",
        "direct-ip-host-header",
        "plain-http-443",
        "other-tcp-port",
        "udp-53",
        "undeclared-host",
        "plain-http-80",
        "declared-host-inside",
        "uid-1337",
        "exclude-outbound-ports",
        "exclude-outbound-ip-ranges",
        "include-no-ip-ranges",
    ] {
        assert_eq!(before.outcome(id), "out", "{id}: {}", before.run);
        assert!(before.row(id)["before"].is_null());
    }
    for id in ["declared-sni-elsewhere", "gateway-port"] {
        assert_eq!(before.outcome(id), "throughGateway", "{}", before.run);
    }
    assert_eq!(before.row("gateway-port-undeclared")["stoppedBy"], "gateway");
    assert_eq!(before.row("ingress-gateway")["stoppedBy"], "gateway");
    for id in [
        "host-network",
        "other-namespace",
        "ephemeral-container",
        "udp-443",
        "icmp",
        "ipv6",
    ] {
        assert_eq!(before.outcome(id), "notTried", "{}", before.run);
    }
    assert!(pods(&stage).is_empty(), "{:?}", pods(&stage));

    stage.egress("lockdown --yes").exits(0);
    let mark = stage.mark();
    let after = Battery::of(&stage, "");
    after.run.exits(0);
    after.agrees_with_the_world();
    let seen = strangers(&stage, mark);
    assert!(seen.is_empty(), "somebody got out under the lock: {seen:#?}");
    for row in after.rows.iter().filter(|row| row["before"] == "out") {
        assert_eq!(row["outcome"], "blocked", "{row}");
        assert_eq!(row["stoppedBy"], "network-policy", "{row}");
    }
    assert_eq!(after.row("ingress-gateway")["stoppedBy"], "network-policy");
    assert_eq!(after.run.json()["claims"]["enforced"], "proven", "{}", after.run);
    assert!(pods(&stage).is_empty(), "{:?}", pods(&stage));
}

#[test]
fn without_a_record_silence_decides_nothing_unless_a_pod_elsewhere_is_answered() {
    let stage = open!(alone).with_route();
    stage.egress("lockdown --yes").exits(0);
    let alone = Battery::of(&stage, "");
    alone.run.exits(3);
    for id in ["other-tcp-port", "udp-53"] {
        assert_eq!(alone.outcome(id), "inconclusive", "{}", alone.run);
    }
    assert!(alone.run.stdout.contains("EGR-602"), "{}", alone.run);

    let all = Battery::of(&stage, "--attempts all");
    all.agrees_with_the_world();
    for id in ["other-tcp-port", "udp-53"] {
        assert_eq!(all.row(id)["stoppedBy"], "network-policy", "{}", all.run);
    }
    assert_eq!(all.outcome("other-namespace"), "out");
    // Nothing but Pod Security would stop it.
    assert_eq!(all.outcome("host-network"), "out", "{}", all.run);
    all.run.exits(1);
    stage.kubectl.run(&format!(
        "label namespace {} pod-security.kubernetes.io/enforce=baseline",
        stage.namespace
    ));
    let refused = Battery::of(&stage, "--attempts all");
    assert_eq!(
        refused.row("host-network")["stoppedBy"],
        "admission",
        "{}",
        refused.run
    );
    assert!(pods(&stage).is_empty(), "{:?}", pods(&stage));
}

#[test]
fn a_policy_that_lets_all_of_istio_system_through_is_named() {
    let stage = open!(alone).with_route();
    let _ingress = IngressGateway::of(&stage);
    stage.egress("lockdown --yes").exits(0);
    stage.kubectl.apply(&format!(
        r#"{{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {{"name": "theirs", "namespace": "{}"}},
            "spec": {{"podSelector": {{}}, "policyTypes": ["Egress"], "egress": [{{"to": [{{"namespaceSelector":
            {{"matchLabels": {{"kubernetes.io/metadata.name": "istio-system"}}}}}}]}}]}}}}"#,
        stage.namespace
    ));
    let open = Battery::of(&stage, "");
    open.run.exits(1);
    assert_eq!(
        open.row("ingress-gateway")["stoppedBy"],
        "gateway",
        "{}",
        open.run
    );
    assert!(open.run.stdout.contains("EGR-604"), "{}", open.run);
    stage
        .kubectl
        .run(&format!("delete networkpolicy theirs -n {}", stage.namespace));
    let shut = Battery::of(&stage, "");
    shut.run.finds_no("EGR-604");
}

#[test]
fn an_interrupted_run_leaves_no_pod() {
    let stage = open!(shared).with_route();
    let mut running = stage.start(VERIFY);
    running.until_it_says("try to get out without the gateway");
    running.interrupt();
    running.finish().exits(130);
    assert!(pods(&stage).is_empty(), "{:?}", pods(&stage));
}

/// Under REGISTRY_ONLY the sidecar lets nothing undeclared out, so that whatever comes from the workload's address went
/// past it.
#[test]
fn a_container_put_into_a_workload_goes_past_its_sidecar_until_the_lock() {
    let stage = open!(alone).with_namespace("istio-injection=enabled");
    let namespace = &stage.namespace;
    stage
        .kubectl
        .apply(&manifests::workload(namespace, "shop", manifests::CURL, true));
    stage.rolled_out(namespace, "shop");
    let host = &stage.host;
    stage
        .egress(&format!(
            "setup {host} --from deploy/shop --outbound-policy registry-only"
        ))
        .exits(0);

    let unasked = Battery::of(&stage, "--from deploy/shop");
    assert_eq!(
        unasked.outcome("ephemeral-container"),
        "notTried",
        "{}",
        unasked.run
    );
    unasked.agrees_with_the_world();

    let open = Battery::of(&stage, "--from deploy/shop --yes");
    // The sidecar has the same address: of all that came from it, one request is the container's, and there is no other.
    let shop = stage.addresses(namespace, "app=shop");
    let out = |event: &&WorldEvent| {
        event.server == UNDECLARED && event.is_request() && shop.contains(&event.peer_ip())
    };
    assert_eq!(open.seen.events.iter().filter(out).count(), 1, "{}", open.run);
    assert_eq!(open.outcome("ephemeral-container"), "out", "{}", open.run);
    for id in ["undeclared-host", "declared-host-inside"] {
        assert_eq!(open.row(id)["stoppedBy"], "registry-only", "{id}: {}", open.run);
    }
    // It must not stay as a hole.
    stage.kubectl.run(&format!(
        "wait pod -n {namespace} -l app=shop --timeout=60s --for=jsonpath={{.status.ephemeralContainerStatuses[0].state.terminated.reason}}=Completed"
    ));

    stage.egress("lockdown --yes").exits(0);
    let locked = Battery::of(&stage, "--from deploy/shop --yes");
    locked.agrees_with_the_world();
    assert_eq!(
        locked.row("ephemeral-container")["stoppedBy"],
        "network-policy",
        "{}",
        locked.run
    );
    assert_eq!(locked.row("ephemeral-container")["before"], "out");
    let said = stage.egress("cleanup --verify");
    said.exits(0).says(&["shop"]);
}
