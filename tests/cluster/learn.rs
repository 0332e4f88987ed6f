//! What leaves a namespace, as `learn` tells it, compared with what the outside world saw; the plan it proposes, and what
//! `lockdown` says beforehand that it breaks.

use crate::support::{Run, Stage, manifests, open};
use kubectl_egress_lab::{EventKind, Mark};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A server outside that is called by its address, without a name.
const BY_ADDRESS: &str = "203.0.113.11";

/// A stage with workloads of somebody else's.
struct Town {
    stage: Stage,
    /// Nobody plans it, at first.
    direct: String,
    /// Where proposals are written.
    file: std::path::PathBuf,
}

impl Town {
    fn open() -> Option<Self> {
        let stage = Stage::shared()?.with_route();
        let namespace = stage.namespace.clone();
        for name in ["shop", "cart"] {
            stage.kubectl.apply(&manifests::access_log(&namespace, name));
        }
        for (name, meshed) in [("shop", true), ("cart", true), ("mute", true), ("bare", false)] {
            let workload = manifests::workload(&namespace, name, manifests::CURL, meshed);
            stage.kubectl.apply(&workload);
        }
        for name in ["shop", "cart", "mute", "bare"] {
            stage.rolled_out(&namespace, name);
        }
        Some(Self {
            direct: format!("direct-{}", stage.host),
            file: std::env::temp_dir().join(format!("{namespace}-plan.yaml")),
            stage,
        })
    }

    /// Calls a URL from a workload; whether it was answered.
    fn calls(&self, workload: &str, url: &str) -> bool {
        let (namespace, target) = (&self.stage.namespace, format!("deploy/{workload}"));
        let arguments = ["exec", "-n", namespace, &target, "-c", "main", "--"];
        let curl = [
            "curl",
            "-sk",
            "-m",
            "5",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            url,
        ];
        let arguments: Vec<&str> = arguments
            .into_iter()
            .chain(curl)
            .chain(["--fail-early"])
            .collect();
        let typed = arguments.join(" ");
        self.stage.kubectl.attempt(&typed).is_ok_and(|code| code == "200")
    }

    /// Opens a connection that outlives every test.
    fn holds_open(&self, workload: &str, url: &str) {
        let (namespace, target) = (&self.stage.namespace, format!("deploy/{workload}"));
        let script = format!("curl -sk -o /dev/null {url} >/dev/null 2>&1 &");
        self.stage.kubectl.with(&[
            "exec", "-n", namespace, &target, "-c", "main", "--", "sh", "-c", &script,
        ]);
    }

    fn addresses(&self, workload: &str) -> BTreeSet<IpAddr> {
        self.stage
            .addresses(&self.stage.namespace, &format!("app={workload}"))
    }

    /// How often the world was asked for a host by these.
    fn world_saw(&self, mark: Mark, host: &str, peers: &BTreeSet<IpAddr>) -> usize {
        let events = self.stage.world.since(mark).unwrap();
        let theirs = events.iter().filter(|event| {
            event.event == EventKind::Request
                && event.host.as_deref() == Some(host)
                && event.path.as_deref() != Some("/delay/200")
                && peers.contains(&event.peer_ip())
        });
        theirs.count()
    }

    /// Learns while something happens, until Ctrl-C.
    fn learn(&self, flags: &str, happens: impl FnOnce()) -> Run {
        let mut running = self.stage.start(&format!("learn --for 5m -o json {flags}"));
        running.until_it_says("watching ");
        happens();
        running.interrupt();
        let run = running.finish();
        run.exits(0);
        run
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        for file in [self.file.clone(), self.file.with_extension("networkpolicy.yaml")] {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// `(place, way, planned, count)` of every destination of a workload.
fn reached(learned: &Value, workload: &str) -> BTreeSet<(String, String, bool, u64)> {
    let all = learned["destinations"].as_array().unwrap().iter();
    let of_workload = all.filter(|seen| seen["workload"] == format!("Deployment/{workload}"));
    let told = of_workload.map(|seen| {
        let who = seen["host"].as_str().or(seen["address"].as_str()).unwrap();
        (
            format!("{who}:{}", seen["port"]),
            seen["way"].as_str().unwrap().to_owned(),
            seen["planned"].as_bool().unwrap(),
            seen["count"].as_u64().unwrap(),
        )
    });
    told.collect()
}

fn seen(place: &str, way: &str, planned: bool, count: usize) -> (String, String, bool, u64) {
    (place.to_owned(), way.to_owned(), planned, count as u64)
}

/// Workloads that a simulation says would break.
fn broken(simulation: &Value) -> BTreeSet<&str> {
    let all = simulation["wouldBreak"].as_array().unwrap().iter();
    all.map(|broken| broken["workload"].as_str().unwrap()).collect()
}

fn why<'a>(learned: &'a Value, workload: &str) -> &'a str {
    let all = learned["notKnown"].as_array().unwrap().iter();
    let mut of_workload = all.filter(|of| of["workload"] == format!("Deployment/{workload}"));
    of_workload
        .next()
        .and_then(|of| of["why"].as_str())
        .unwrap_or_default()
}

#[test]
fn what_leaves_is_listed_as_the_world_saw_it_proposed_routed_and_what_a_lock_breaks_is_named_before() {
    let Some(town) = Town::open() else { return };
    let (routed, direct) = (town.stage.host.clone(), town.direct.clone());
    let mark = town.stage.mark();
    let run = town.learn(&format!("--write {}", town.file.display()), || {
        town.holds_open("cart", &format!("https://{direct}/delay/200"));
        for _ in 0..3 {
            assert!(town.calls("shop", &format!("https://{routed}/get")));
        }
        for _ in 0..2 {
            assert!(town.calls("cart", &format!("https://{direct}/get")));
        }
        assert!(town.calls("cart", &format!("https://{BY_ADDRESS}/get")));
        assert!(town.calls("mute", &format!("https://{direct}/get")));
        assert!(town.calls("bare", &format!("https://{direct}/get")));
    });
    let learned = run.json();
    let carried = town.world_saw(mark, &routed, &town.stage.gateway_addresses());
    let past = town.world_saw(mark, &direct, &town.addresses("cart"));
    let by_address = town.world_saw(mark, BY_ADDRESS, &town.addresses("cart"));
    assert_eq!(
        (carried, past, by_address),
        (3, 2, 1),
        "what the world saw; {run}"
    );
    let expected = [seen(&format!("{routed}:443"), "gateway", true, carried)].into();
    assert_eq!(reached(&learned, "shop"), expected, "{run}");
    let expected = [
        seen(&format!("{direct}:443"), "direct", false, past),
        seen(&format!("{BY_ADDRESS}:443"), "direct", false, by_address),
    ];
    assert_eq!(reached(&learned, "cart"), expected.into(), "{run}");
    assert_eq!(learned["observed"]["interrupted"], true);
    // Who cannot tell is named, and has no destinations.
    assert!(why(&learned, "bare").contains("no sidecar"), "{run}");
    assert!(why(&learned, "mute").contains("access log is off"), "{run}");
    assert_eq!(
        reached(&learned, "mute").len() + reached(&learned, "bare").len(),
        0
    );
    // What is open has no line yet.
    let open = learned["open"].as_array().unwrap();
    let held = open
        .iter()
        .find(|open| open["workload"] == "Deployment/cart")
        .unwrap();
    assert_eq!(
        (&held["cluster"], &held["connections"]),
        (&json!("PassthroughCluster"), &json!(1)),
        "{run}"
    );
    assert_eq!(
        learned["adds"],
        json!([format!("{direct}:443 (passthrough)")]),
        "{run}"
    );
    let left_out = &learned["notProposed"][0];
    assert_eq!(left_out["destination"], format!("{BY_ADDRESS}:443"), "{run}");
    assert!(
        left_out["why"].as_str().unwrap().contains("only its address"),
        "{run}"
    );
    assert_eq!(broken(&learned["shadow"]), ["Deployment/cart"].into(), "{run}");

    proposal_is_taken(&town);
    lock_breaks_what_it_names(&town);
}

/// The files are what `diff`, `setup` and the API server take; then the host goes through the gateway.
fn proposal_is_taken(town: &Town) {
    let (stage, file) = (&town.stage, town.file.display());
    let policy = town.file.with_extension("networkpolicy.yaml");
    stage
        .kubectl
        .run(&format!("apply --dry-run=server -f {}", policy.display()));
    assert!(
        stage
            .egress(&format!("diff -f {file}"))
            .exits(1)
            .stdout
            .contains(&town.direct)
    );
    stage.egress(&format!("setup -f {file} --no-probe")).exits(0);
    stage.egress(&format!("diff -f {file}")).exits(0);
    // The route is on its way to the workload's own sidecar.
    let gateway = stage.gateway_addresses();
    let goes_through = || {
        let mark = stage.mark();
        town.calls("cart", &format!("https://{}/get", town.direct))
            && town.world_saw(mark, &town.direct, &gateway) == 1
    };
    assert!(
        (0..20).any(|_| goes_through()),
        "cart still goes past the gateway"
    );
    // Envoy writes once a second: the line of that call is not to be one of the next window.
    let place = format!("{}:443", town.direct);
    let carried = seen(&place, "gateway", true, 1);
    let is_written =
        || reached(&stage.egress("learn --since 1h -o json").exits(0).json(), "cart").contains(&carried);
    assert!(
        (0..20).any(|_| is_written()),
        "no line of the call through the gateway"
    );

    let mark = stage.mark();
    let run = town.learn("", || {
        assert!(town.calls("cart", &format!("https://{}/get", town.direct)));
        // A workload that starts in the window is heard from its first line.
        let namespace = &stage.namespace;
        stage.kubectl.apply(&manifests::access_log(namespace, "late"));
        stage
            .kubectl
            .apply(&manifests::workload(namespace, "late", manifests::CURL, true));
        stage.rolled_out(namespace, "late");
        assert!(town.calls("late", &format!("https://{}/get", town.stage.host)));
    });
    let learned = run.json();
    assert_eq!(town.world_saw(mark, &town.direct, &gateway), 1);
    let place = format!("{}:443", town.direct);
    assert_eq!(
        reached(&learned, "cart"),
        [seen(&place, "gateway", true, 1)].into(),
        "{run}"
    );
    let place = format!("{}:443", town.stage.host);
    assert_eq!(
        reached(&learned, "late"),
        [seen(&place, "gateway", true, 1)].into(),
        "{run}"
    );
    assert_eq!(learned["adds"], json!([]), "{run}");
}

/// `lockdown` names beforehand exactly who it then blocks.
fn lock_breaks_what_it_names(town: &Town) {
    let stage = &town.stage;
    let by_address = format!("https://{BY_ADDRESS}/get");
    assert!(town.calls("cart", &by_address));
    let shown = stage.changes_nothing("lockdown --dry-run=client");
    assert!(
        shown.exits(0).stdout.contains(&format!("{BY_ADDRESS}:443")),
        "{shown}"
    );
    let asked = stage.changes_nothing("lockdown");
    asked.exits(5).says(&[
        "would break Deployment/cart",
        BY_ADDRESS,
        "Deployment/bare is not known",
    ]);
    assert!(!asked.stderr.contains("would break Deployment/shop"), "{asked}");

    let run = stage.egress("lockdown --yes -o json --learn 2s");
    let document = run.exits(0).json();
    assert_eq!(document["end"], "locked", "{run}");
    let simulation = &document["simulation"];
    assert_eq!(simulation["observed"]["watchedSeconds"], 2, "{run}");
    assert_eq!(broken(simulation), ["Deployment/cart"].into(), "{run}");
    let places: BTreeSet<&str> = simulation["wouldBreak"]
        .as_array()
        .unwrap()
        .iter()
        .map(|broken| broken["destination"].as_str().unwrap())
        .collect();
    // The long connection is the one to the host that is planned by now; new ones to it go through the gateway.
    let held = format!("{}:443", town.direct);
    assert_eq!(places, [held.as_str(), "203.0.113.11:443"].into(), "{run}");
    let codes: Vec<_> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["code"].as_str().unwrap())
        .collect();
    assert!(codes.contains(&"EGR-516"), "{run}");

    let mark = stage.mark();
    assert!(!town.calls("cart", &by_address), "the lock blocks nothing");
    assert_eq!(town.world_saw(mark, BY_ADDRESS, &town.addresses("cart")), 0);
    for (workload, host) in [("cart", &town.direct), ("shop", &town.stage.host)] {
        assert!(
            town.calls(workload, &format!("https://{host}/get")),
            "{workload} is cut off"
        );
    }
}

#[test]
fn learning_changes_nothing_and_knows_nothing_without_a_witness() {
    let stage = open!(shared).with_namespace("istio-injection=disabled");
    stage.kubectl.apply(&manifests::workload(
        &stage.namespace,
        "bare",
        manifests::CURL,
        false,
    ));
    stage.rolled_out(&stage.namespace, "bare");
    let run = stage.changes_nothing("learn --since 1h -o json");
    let learned = run.exits(3).json();
    assert!(why(&learned, "bare").contains("no sidecar"), "{run}");
    assert_eq!(learned["destinations"], json!([]));
    assert!(learned["proposal"].is_null(), "{run}");
    let said = stage.egress("learn --for 1s");
    assert!(
        said.exits(3)
            .stdout
            .contains("not known: no sidecar told anything"),
        "{said}"
    );
}
