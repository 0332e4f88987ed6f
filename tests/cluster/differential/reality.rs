//! What really happens: the objects are applied, the requests are sent, and four witnesses are asked.

use super::captured;
use super::case::{Ask, BELOW, Case, Place};
use super::objects::MARK;
use super::report::Report;
use super::ways::Way;
use crate::support::Stage;
use crate::support::manifests::{CURL, gateway, workload};
use kubectl_egress::evidence::{AccessLogLine, parse_line};
use kubectl_egress::vocabulary::Object;
use kubectl_egress_lab::EventKind;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Namespaces that have a `Sidecar` resource, or a listener for an address, of their own.
pub(super) const ISOLATED: usize = 24;
/// Namespaces whose source's sidecar answers DNS.
pub(super) const CAPTURING: usize = 2;
/// More than the ten seconds after which Envoy gives a connection up.
const MAX_TIME_SECONDS: u32 = 12;
/// How many sidecars start at once: each takes a processor for a moment, and all have a deadline.
const STARTED_AT_ONCE: usize = 6;
/// How many requests of one source are under way at once.
const AT_ONCE: usize = 4;
/// Numbers from here on are not those of cases.
const MARKER: usize = 9000;
/// Envoy writes its log once a second.
const WRITTEN_WITHIN: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(60);

/// Which sources there are to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sources {
    /// Those of cases that concern a whole namespace, too.
    All,
    /// One, with a sidecar as most have it, and one without.
    One,
}

/// The places of a set of cases.
pub(super) struct Places {
    /// Part of every host's name, so that two runs never share one.
    pub(super) run: String,
    /// At a gateway of the test's own.
    pub(super) own: Place,
    /// At the lab's gateway, which is in the root namespace.
    pub(super) stock: Place,
    /// At the own gateway, each from a namespace of its own.
    pub(super) isolated: Vec<Place>,
    /// At the own gateway, from sources whose sidecar answers DNS.
    pub(super) capturing: Vec<Place>,
}

impl Places {
    pub(super) fn sources(&self) -> BTreeSet<&str> {
        let others = self.isolated.iter().chain(&self.capturing);
        let others = others.map(|place| place.namespace.as_str());
        others.chain([self.own.namespace.as_str()]).collect()
    }

    fn namespaces(&self) -> BTreeSet<&str> {
        let mut all = self.sources();
        all.extend([self.own.elsewhere.as_str(), self.own.gateway_namespace.as_str()]);
        all
    }
}

/// The lab, prepared for cases.
pub(super) struct Reality<'stage> {
    pub(super) places: Places,
    pub(super) stage: &'stage Stage,
    markers: AtomicUsize,
}

impl Drop for Reality<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What became of one request.
#[derive(Debug)]
pub(super) struct Observed {
    /// curl's exit code and HTTP code, and what it said.
    pub(super) exit: u32,
    pub(super) code: u16,
    pub(super) said: String,
    /// Lines of the sidecar and of the gateway, in the order of the way.
    pub(super) lines: Vec<AccessLogLine>,
    /// Who reached the host with this request.
    pub(super) peers: BTreeSet<IpAddr>,
}

impl<'stage> Reality<'stage> {
    /// Makes namespaces, sources and a gateway, and waits until all are ready.
    pub(super) fn prepare(stage: &'stage mut Stage, sources: Sources) -> Self {
        let (isolated, capturing) = match sources {
            Sources::All => (ISOLATED, CAPTURING),
            Sources::One => (0, 0),
        };
        let base = stage.namespace.clone();
        let gateway_namespace = stage.another_namespace();
        let elsewhere = stage.another_namespace();
        let isolated: Vec<String> = (0..isolated).map(|_| stage.another_namespace()).collect();
        let capturing: Vec<String> = (0..capturing).map(|_| stage.another_namespace()).collect();
        let logging = stage.another_namespace();
        let place = |namespace: String| Place {
            namespace,
            elsewhere: elsewhere.clone(),
            gateway_namespace: gateway_namespace.clone(),
            gateway_service: "differential".to_owned(),
            gateway_label: "differential".to_owned(),
        };
        let own = place(base.clone());
        let stock = Place {
            gateway_namespace: "istio-system".to_owned(),
            gateway_service: "istio-egressgateway".to_owned(),
            gateway_label: "egressgateway".to_owned(),
            ..own.clone()
        };
        let places = Places {
            run: base.trim_start_matches("suite-").to_owned(),
            isolated: isolated.into_iter().map(&place).collect(),
            capturing: capturing.into_iter().map(&place).collect(),
            own,
            stock,
        };
        let reality = Self {
            places,
            stage,
            markers: AtomicUsize::new(0),
        };
        // The lab's own gateway is to log as well.
        reality.clear();
        reality.stage.make_namespace(&logging, "");
        reality.stage.egress_in(&logging, "enable-gateway").exits(0);
        reality.install();
        reality
    }

    /// Takes away what stands outside the namespaces of the test; of an earlier run that was killed, too.
    fn clear(&self) {
        let root = &self.places.stock.gateway_namespace;
        let kinds = "destinationrules.networking.istio.io,authorizationpolicies.security.istio.io";
        let gone = self.stage.kubectl.attempt(&format!(
            "delete {kinds} -n {root} -l {MARK}=true --ignore-not-found"
        ));
        if let Err(said) = gone {
            eprintln!("cases were left in {root}: {said}");
        }
    }

    fn install(&self) {
        let places = &self.places;
        let mut manifests = Vec::new();
        for namespace in places.namespaces() {
            manifests.push(
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}).to_string(),
            );
            manifests.push(
                json!({"apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry",
                    "metadata": {"name": "access-log", "namespace": namespace},
                    "spec": {"accessLogging": [{"providers": [{"name": "envoy"}]}]}})
                .to_string(),
            );
        }
        let capturing: Vec<&str> = places
            .capturing
            .iter()
            .map(|place| place.namespace.as_str())
            .collect();
        manifests.push(workload(&places.own.namespace, "bare", CURL, false));
        manifests.push(gateway(
            &places.own.gateway_namespace,
            &places.own.gateway_service,
        ));
        self.stage.kubectl.apply(&documents(&manifests));
        self.stage.rolled_out(&places.own.namespace, "bare");
        self.stage
            .rolled_out(&places.own.gateway_namespace, &places.own.gateway_service);
        let sources: Vec<&str> = places.sources().into_iter().collect();
        for some in sources.chunks(STARTED_AT_ONCE) {
            let source = |namespace: &&str| {
                if capturing.contains(namespace) {
                    captured::source(namespace)
                } else {
                    workload(namespace, "source", CURL, true)
                }
            };
            let manifests: Vec<String> = some.iter().map(source).collect();
            self.stage.kubectl.apply(&documents(&manifests));
            for namespace in some {
                self.stage.rolled_out(namespace, "source");
            }
        }
    }

    /// Applies all objects; what the API server refuses is returned in its words.
    pub(super) fn apply(&self, cases: &[Case]) -> Vec<String> {
        let objects: Vec<String> = cases
            .iter()
            .flat_map(|case| &case.objects)
            .map(Value::to_string)
            .collect();
        let refused = match self
            .stage
            .kubectl
            .feed("apply --server-side -f -", &documents(&objects))
        {
            Ok(_) => Vec::new(),
            Err(said) => said.lines().map(str::to_owned).collect(),
        };
        self.settle();
        captured::addresses_are_given(&self.stage.kubectl, Instant::now() + PATIENCE);
        refused
    }

    /// What came before a marker was pushed before it: once a request for it comes out of the gateway, istiod has sent
    /// all objects to all proxies. One that is late nevertheless is asked again (`Agreement`).
    pub(super) fn settle(&self) {
        let own = &self.places.own;
        let gateway = self.gateway_addresses();
        let number = MARKER + self.markers.fetch_add(1, Ordering::Relaxed);
        let marker = Way::Passthrough.case(own, number, &self.places.run);
        let objects: Vec<String> = marker.objects.iter().map(Value::to_string).collect();
        self.stage.kubectl.apply(&documents(&objects));
        let ask = &marker.asks[0];
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mark = self.stage.mark();
            self.curl(&own.namespace, "source", &[(number, ask)]);
            let peers = self.stage.peers_of(mark, &marker.host, ask.port);
            if peers.iter().any(|peer| gateway.contains(peer)) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the marker never came out of the gateway"
            );
        }
    }

    fn gateway_addresses(&self) -> BTreeSet<IpAddr> {
        let own = &self.places.own;
        let label = format!("istio={}", own.gateway_label);
        let mut addresses = self.stage.addresses(&own.gateway_namespace, &label);
        addresses.extend(self.stage.gateway_addresses());
        addresses
    }

    /// Whether an address is a gateway's.
    pub(super) fn is_gateway(&self, address: IpAddr) -> bool {
        self.gateway_addresses().contains(&address)
    }

    /// Everything that decides on ways, as the API server has it now.
    pub(super) fn objects(&self) -> Vec<Object> {
        let kinds = "services,pods,namespaces,serviceentries.networking.istio.io,virtualservices.networking.istio.io,\
            destinationrules.networking.istio.io,gateways.networking.istio.io,sidecars.networking.istio.io,\
            envoyfilters.networking.istio.io,authorizationpolicies.security.istio.io,networkpolicies.networking.k8s.io";
        let list = self.stage.kubectl.json(&format!("get {kinds} -A"));
        let mesh = self.stage.kubectl.json("get configmap istio -n istio-system");
        let items = list["items"].as_array().unwrap().iter().cloned();
        items.chain([mesh]).map(Object).collect()
    }

    /// Sends all requests, each source's a few at a time, and asks the witnesses.
    pub(super) fn send(&self, cases: &[&Case]) -> Vec<Vec<Observed>> {
        let asks: Vec<(usize, usize, &Case, &Ask)> = cases
            .iter()
            .enumerate()
            .flat_map(|(index, case)| {
                let case: &Case = case;
                case.asks
                    .iter()
                    .enumerate()
                    .map(move |(position, ask)| (index, position, case, ask))
            })
            .collect();
        let mut sources: BTreeMap<(&str, &str), Vec<(usize, &Ask)>> = BTreeMap::new();
        for (number, (_, _, case, ask)) in asks.iter().enumerate() {
            let workload = if ask.bare { "bare" } else { "source" };
            sources
                .entry((case.place.namespace.as_str(), workload))
                .or_default()
                .push((number, ask));
        }
        let mark = self.stage.mark();
        let logs = Logs::follow(self);
        let mut reports: BTreeMap<usize, Report> = BTreeMap::new();
        for ((namespace, workload), asks) in &sources {
            reports.extend(self.curl(namespace, workload, asks));
        }
        let lines = logs.until(
            &reports,
            &asks.iter().map(|(_, _, _, ask)| ask.bare).collect::<Vec<_>>(),
        );
        let events = self.stage.world.since(mark).unwrap();
        let mut observed: Vec<Vec<Observed>> = cases.iter().map(|_| Vec::new()).collect();
        for (number, (index, ..)) in asks.iter().enumerate() {
            let report = &reports[&number];
            let path = format!("/{}", nonce(&self.places.run, number));
            let of_this = events.iter().filter(|event| {
                event.event == EventKind::Request && event.path.as_deref() == Some(path.as_str())
            });
            observed[*index].push(Observed {
                exit: report.exit,
                code: report.code,
                said: report.said.clone(),
                lines: way_of(report, &lines, &nonce(&self.places.run, number)),
                peers: of_this.map(kubectl_egress_lab::WorldEvent::peer_ip).collect(),
            });
        }
        observed
    }

    /// Runs curl for requests in one exec.
    fn curl(&self, namespace: &str, workload: &str, asks: &[(usize, &Ask)]) -> BTreeMap<usize, Report> {
        let mut script = String::new();
        for (position, (number, ask)) in asks.iter().enumerate() {
            let nonce = nonce(&self.places.run, *number);
            // The lab's certificate covers one label below its domain.
            let lax = if ask.host.starts_with(BELOW) { " -k" } else { "" };
            let by = ask
                .by
                .map_or_else(String::new, |(proxy, port)| format!(" -x http://{proxy}:{port}"));
            let _ = writeln!(
                script,
                "curl -s{lax}{by} -o /dev/null --max-time {MAX_TIME_SECONDS} -A {nonce} -w '{number} %{{exitcode}} %{{http_code}} %{{local_ip}}:%{{local_port}} %{{errormsg}}\\n' '{}' &",
                ask.url(&nonce)
            );
            if (position + 1) % AT_ONCE == 0 {
                script += "wait\n";
            }
        }
        script += "wait\n";
        let typed = format!("exec -i -n {namespace} deploy/{workload} -c main -- sh -s");
        let said = self.stage.kubectl.feed(&typed, &script).unwrap();
        said.lines().map(Report::read).collect()
    }
}

/// Documents of YAML, of which JSON is a part: with a first line of their own, for kubectl takes `{` for JSON alone.
fn documents(texts: &[String]) -> String {
    texts
        .iter()
        .fold(String::new(), |all, text| all + "---\n" + text + "\n")
}

fn nonce(run: &str, number: usize) -> String {
    format!("n{number}x{run}")
}

/// The sidecar's line by curl's own end of the connection, the gateway's by the sidecar's; HTTP by its nonce.
fn way_of(report: &Report, lines: &[AccessLogLine], nonce: &str) -> Vec<AccessLogLine> {
    let downstream = |line: &AccessLogLine, address: &str| {
        line.downstream_remote_address.as_deref() == Some(address)
            && line.user_agent.as_deref().is_none_or(|agent| agent == nonce)
    };
    let mut found: Vec<AccessLogLine> = Vec::new();
    let mut address = report.local.clone();
    while let Some(line) = lines.iter().find(|line| downstream(line, &address)) {
        found.push(line.clone());
        match &line.upstream_local_address {
            Some(next) if found.len() < 3 => address.clone_from(next),
            _ => break,
        }
    }
    found
}

/// Followers of every proxy's log.
struct Logs {
    followers: Vec<(Child, tempfile::TempPath)>,
}

impl Logs {
    fn follow(reality: &Reality<'_>) -> Self {
        let stage = reality.stage;
        let own = &reality.places.own;
        let mut pods = Vec::new();
        for namespace in reality.places.sources() {
            pods.extend(of_pods(stage, namespace, "app=source"));
        }
        pods.extend(of_pods(
            stage,
            &own.gateway_namespace,
            &format!("istio={}", own.gateway_label),
        ));
        pods.extend(of_pods(stage, "istio-system", "istio=egressgateway"));
        let followers = pods
            .iter()
            .map(|(namespace, pod)| follow(&stage.kubeconfig(), namespace, pod))
            .collect();
        Self { followers }
    }

    fn lines(&self) -> Vec<AccessLogLine> {
        let texts = self
            .followers
            .iter()
            .map(|(_, path)| std::fs::read(path).unwrap());
        texts
            .flat_map(|text| {
                let lines = text.split(|byte| *byte == b'\n');
                lines.filter_map(parse_line).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Waits until each request with a connection has its line at the sidecar, and then for the gateway's lines: those
    /// that are never written are not waited for any longer than Envoy takes to write one.
    fn until(&self, reports: &BTreeMap<usize, Report>, bare: &[bool]) -> Vec<AccessLogLine> {
        let deadline = Instant::now() + PATIENCE;
        let mut since_all_at_the_sidecar: Option<Instant> = None;
        loop {
            let lines = self.lines();
            let known: BTreeSet<&str> = lines
                .iter()
                .filter_map(|line| line.downstream_remote_address.as_deref())
                .collect();
            let at_the_sidecar = reports
                .iter()
                .filter(|(number, _)| !bare[**number])
                .all(|(_, report)| report.local.starts_with(':') || known.contains(report.local.as_str()));
            let at_the_gateway = lines
                .iter()
                .filter_map(|line| line.upstream_local_address.as_deref())
                .all(|address| known.contains(address));
            let late = since_all_at_the_sidecar.is_some_and(|since| since.elapsed() > WRITTEN_WITHIN);
            if (at_the_sidecar && (at_the_gateway || late)) || Instant::now() > deadline {
                return lines;
            }
            if at_the_sidecar {
                since_all_at_the_sidecar.get_or_insert_with(Instant::now);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        for (child, _) in &mut self.followers {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn of_pods(stage: &Stage, namespace: &str, selector: &str) -> Vec<(String, String)> {
    let names = stage
        .kubectl
        .names(&format!("get pods -n {namespace} -l {selector}"));
    names
        .into_iter()
        .map(|name| (namespace.to_owned(), name))
        .collect()
}

/// From now on, also if it takes a moment until the follower is there.
fn follow(kubeconfig: &Path, namespace: &str, pod: &str) -> (Child, tempfile::TempPath) {
    let since = format!("--since-time={}", jiff::Timestamp::now());
    let file = tempfile::NamedTempFile::new().unwrap();
    let child = Command::new("kubectl")
        .args(["logs", "-f", &since, "-c", "istio-proxy", "-n", namespace, pod])
        .env("KUBECONFIG", kubeconfig)
        .stdout(Stdio::from(file.reopen().unwrap()))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    (child, file.into_temp_path())
}
