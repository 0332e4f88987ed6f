//! One test's place in the lab: a namespace of its own, and its share of the lock.

use super::audit::Audit;
use super::kubectl::Kubectl;
use super::place::{PREFIX, lab, remove, settle, unique};
use super::probed::Probed;
use super::process::{Run, Running};
use kubectl_egress_lab::{EventKind, Lab, Mark, OutboundPolicy, Platform, World, WorldEvent};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Shared by tests in namespaces of their own, held alone by those that touch what all share.
static TURN: RwLock<()> = RwLock::new(());
static COUNT: AtomicU32 = AtomicU32::new(0);

#[expect(dead_code, reason = "held for their Drop")]
enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// A test's namespace and its tools. Everything in it goes when the test ends, also when it fails.
pub(crate) struct Stage {
    /// The namespace; it does not exist until somebody makes it.
    pub(crate) namespace: String,
    /// A host of the outside world that no other test routes: one host has one plan in a cluster.
    pub(crate) host: String,
    /// kubectl on the lab.
    pub(crate) kubectl: Kubectl,
    /// The outside world.
    pub(crate) world: World,
    lab: Lab,
    more: Vec<String>,
    started: std::time::Instant,
    turn: Turn,
}

impl Stage {
    /// A stage beside others; `None` (and a word) without a lab.
    pub(crate) fn shared() -> Option<Self> {
        let lab = lab()?;
        Some(Self::new(
            lab,
            Turn::Shared(TURN.read().unwrap_or_else(PoisonError::into_inner)),
        ))
    }

    /// A stage while no other test runs; `None` (and a word) without a lab.
    pub(crate) fn alone() -> Option<Self> {
        let lab = lab()?;
        let stage = Self::new(
            lab,
            Turn::Alone(TURN.write().unwrap_or_else(PoisonError::into_inner)),
        );
        // What earlier tests left to be deleted would change a dump.
        for left in stage
            .kubectl
            .names("get namespaces")
            .iter()
            .filter(|name| name.contains(PREFIX))
        {
            let _ = stage
                .kubectl
                .attempt(&format!("wait --for=delete {left} --timeout=60s"));
        }
        Some(stage)
    }

    /// A stage while no other test runs, on a lab that plays Kyma; `None` (and a word) on another.
    pub(crate) fn on_kyma() -> Option<Self> {
        if lab()?.options().platform == Platform::Kyma {
            return Self::alone();
        }
        eprintln!("skipped: this lab is not Kyma (cargo lab up --platform kyma)");
        None
    }

    fn new(lab: &Lab, turn: Turn) -> Self {
        let namespace = unique();
        Self {
            host: format!("{namespace}.wild.test"),
            namespace,
            kubectl: Kubectl::new(&lab.kubeconfig()),
            world: lab.world(),
            lab: lab.clone(),
            more: Vec::new(),
            started: std::time::Instant::now(),
            turn,
        }
    }

    /// The lab's API.
    pub(crate) fn lab(&mut self) -> &mut Lab {
        &mut self.lab
    }

    /// The lab's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> std::path::PathBuf {
        self.lab.kubeconfig()
    }

    /// Name of one more namespace, removed like the first.
    pub(crate) fn another_namespace(&mut self) -> String {
        let name = unique();
        self.more.push(name.clone());
        name
    }

    /// Makes the namespace, with labels such as `istio-injection=enabled`.
    pub(crate) fn with_namespace(self, labels: &str) -> Self {
        self.make_namespace(&self.namespace, labels);
        self
    }

    /// Makes a namespace with labels.
    pub(crate) fn make_namespace(&self, name: &str, labels: &str) {
        self.kubectl.run(&format!("create namespace {name}"));
        if !labels.is_empty() {
            self.kubectl.run(&format!("label namespace {name} {labels}"));
        }
    }

    /// Sets the stage's own host up in the namespace, made for it if need be, without probing it.
    pub(crate) fn with_route(self) -> Self {
        let host = self.host.clone();
        self.routed(&host)
    }

    /// Sets hosts up in the namespace, made for it if need be, without probing them.
    pub(crate) fn routed(self, hosts: &str) -> Self {
        self.egress(&format!("setup {hosts} --create-namespace --no-probe"))
            .exits(0);
        self
    }

    /// Runs the tool in the namespace, typed as in a shell without quotes.
    pub(crate) fn egress(&self, typed: &str) -> Run {
        self.start(typed).finish()
    }

    /// Runs a command until a killed run's Lease has expired, as a user does who is told to wait.
    pub(crate) fn once_the_lease_is_free(&self, typed: &str) -> Run {
        let started = std::time::Instant::now();
        loop {
            let run = self.egress(typed);
            let refused = run.code == Some(5) && run.stderr.contains("another run");
            if !refused || started.elapsed() > std::time::Duration::from_secs(30) {
                return run;
            }
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }

    /// Runs the tool in the namespace and requires that it changes nothing, by the API server's audit log.
    #[track_caller]
    pub(crate) fn changes_nothing(&self, typed: &str) -> Run {
        self.changes_nothing_in(&self.namespace, typed, None)
    }

    /// The same in another namespace, or with text on standard input.
    #[track_caller]
    pub(crate) fn changes_nothing_in(&self, namespace: &str, typed: &str, input: Option<&str>) -> Run {
        let audit = Audit::here(&self.lab.audit_log());
        let user = format!("{}-watched", self.namespace);
        let typed = format!("{typed} --as {user} --as-group system:masters");
        let run = Running::start(&self.lab.kubeconfig(), &Self::arguments(&typed, namespace), input).finish();
        let changes = audit.changes_of(&user);
        assert!(changes.is_empty(), "it changed something: {changes:#?}; {run}");
        run
    }

    /// Starts the tool in the namespace.
    pub(crate) fn start(&self, typed: &str) -> Running {
        Running::start(
            &self.lab.kubeconfig(),
            &Self::arguments(typed, &self.namespace),
            None,
        )
    }

    /// Runs the tool in the namespace with more environment variables.
    pub(crate) fn egress_with(&self, typed: &str, environment: &[(&str, &str)]) -> Run {
        let arguments = Self::arguments(typed, &self.namespace);
        Running::start_with(&self.lab.kubeconfig(), &arguments, None, environment).finish()
    }

    /// Runs the tool in another namespace.
    pub(crate) fn egress_in(&self, namespace: &str, typed: &str) -> Run {
        Running::start(&self.lab.kubeconfig(), &Self::arguments(typed, namespace), None).finish()
    }

    /// Runs the tool with exactly these arguments.
    pub(crate) fn egress_bare(&self, arguments: &[&str]) -> Run {
        self.egress_bare_with(arguments, &[])
    }

    /// The same with more environment variables.
    pub(crate) fn egress_bare_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        Running::start_with(&self.lab.kubeconfig(), &arguments, None, environment).finish()
    }

    /// Explains a log from standard input.
    pub(crate) fn explain_log(&self, log: &str) -> Run {
        let arguments = ["explain", "--log"].map(OsString::from);
        Running::start(&self.lab.kubeconfig(), &arguments, Some(log)).finish()
    }

    fn arguments(typed: &str, namespace: &str) -> Vec<OsString> {
        typed
            .split_whitespace()
            .chain(["-n", namespace])
            .map(OsString::from)
            .collect()
    }

    /// Probes the stage's own host from the namespace.
    pub(crate) fn probe_host(&self) -> Probed {
        self.probe(&format!("https://{}", self.host))
    }

    /// Probes a URL without a path from the namespace; the path makes the request known outside.
    pub(crate) fn probe(&self, url: &str) -> Probed {
        self.probe_with(url, "")
    }

    /// The same with more flags.
    pub(crate) fn probe_with(&self, url: &str, flags: &str) -> Probed {
        let path = format!("/{}-{}", self.namespace, COUNT.fetch_add(1, Ordering::Relaxed));
        let mark = self.mark();
        let run = self.egress(&format!("probe {url} --path {path} -o json {flags}"));
        let mut document = run.json();
        let probe = document["probes"][0].take();
        let events = self.world.since(mark).unwrap();
        let seen = events
            .into_iter()
            .filter(|event| event.path.as_deref() == Some(&path))
            .collect();
        Probed { run, probe, seen }
    }

    /// Probes again while a change of the configuration is on its way to the proxies; the last probe counts.
    pub(crate) fn probe_until(&self, url: &str, outcome: &str) -> Probed {
        let mut probed = self.probe_with(url, "--max-time 5");
        for _ in 0..10 {
            if probed.outcome() == outcome {
                break;
            }
            probed = self.probe_with(url, "--max-time 5");
        }
        probed
    }

    /// Where the outside world's log ends now.
    pub(crate) fn mark(&self) -> Mark {
        self.world.mark().unwrap()
    }

    /// Who sent requests to a host's port since then.
    pub(crate) fn peers_of(&self, mark: Mark, host: &str, port: u16) -> BTreeSet<IpAddr> {
        let events = self.world.since(mark).unwrap();
        let of_host = events.iter().filter(|event| {
            event.event == EventKind::Request && event.host.as_deref() == Some(host) && event.port == port
        });
        of_host.map(WorldEvent::peer_ip).collect()
    }

    /// Addresses of the lab's egress gateway.
    pub(crate) fn gateway_addresses(&self) -> BTreeSet<IpAddr> {
        self.addresses("istio-system", "istio=egressgateway")
    }

    /// Address of our source.
    pub(crate) fn source_addresses(&self) -> BTreeSet<IpAddr> {
        self.addresses(&self.namespace, "app=curl")
    }

    /// Addresses of the running pods with a label.
    pub(crate) fn addresses(&self, namespace: &str, selector: &str) -> BTreeSet<IpAddr> {
        let pods = self.kubectl.json(&format!(
            "get pods -n {namespace} -l {selector} --field-selector status.phase=Running"
        ));
        let pods = pods["items"].as_array().unwrap().iter();
        pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .filter_map(|pod| pod["status"]["podIP"].as_str()?.parse().ok())
            .collect()
    }

    /// Waits until a Deployment is rolled out.
    pub(crate) fn rolled_out(&self, namespace: &str, deployment: &str) {
        self.kubectl.run(&format!(
            "rollout status deployment/{deployment} -n {namespace} --timeout 60s"
        ));
    }

    /// Scales the lab's gateway and waits until exactly so many of its pods are there and ready.
    pub(crate) fn scale_gateway(&self, replicas: usize) {
        let place = "-n istio-system";
        self.kubectl.run(&format!(
            "scale deployment istio-egressgateway {place} --replicas={replicas}"
        ));
        self.rolled_out("istio-system", "istio-egressgateway");
        // The rollout is done while surplus pods are still going; the last probe's evidence must not come from one.
        let surplus = |pods: &[String]| pods.len() > replicas;
        let mut pods = self
            .kubectl
            .names(&format!("get pods {place} -l istio=egressgateway"));
        while surplus(&pods) {
            let going = self
                .kubectl
                .json(&format!("get pods {place} -l istio=egressgateway"));
            for pod in going["items"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|pod| !pod["metadata"]["deletionTimestamp"].is_null())
            {
                let name = pod["metadata"]["name"].as_str().unwrap();
                let _ = self
                    .kubectl
                    .attempt(&format!("delete pod {name} {place} --grace-period=1"));
            }
            pods = self
                .kubectl
                .names(&format!("get pods {place} -l istio=egressgateway"));
        }
    }

    /// Switches the mesh's outbound policy; `Drop` puts it back.
    pub(crate) fn set_outbound_policy(&mut self, policy: OutboundPolicy) {
        self.lab.set_outbound_policy(policy).unwrap();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let mut namespaces = std::mem::take(&mut self.more);
        namespaces.push(self.namespace.clone());
        for namespace in &namespaces {
            remove(&self.lab, &self.kubectl, namespace);
        }
        // A namespace beside the first may hold a gateway, which the next test would find.
        for namespace in namespaces.iter().filter(|name| **name != self.namespace) {
            let _ = self
                .kubectl
                .attempt(&format!("wait --for=delete namespace/{namespace} --timeout=60s"));
        }
        // Seen with `--show-output`.
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        println!("{name} took {:.1} s", self.started.elapsed().as_secs_f32());
        if matches!(self.turn, Turn::Alone(_)) {
            settle(&self.lab, &self.kubectl);
        }
    }
}
