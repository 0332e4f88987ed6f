//! The embedded cluster tells the truth: the same command lines against it and against the lab, and what both say is
//! compared once names, addresses and times are taken out of it. Where they differ, the sandbox is wrong.

mod normal;

use crate::support::kubectl::Kubectl;
use crate::support::{Run, Running, Stage, open};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The story, in order. Hosts are those that both outside worlds have.
const STORY: &[&str] = &[
    "setup kyma-project.io --create-namespace",
    "verify -o json",
    "status -o json",
    "setup kyma-project.io",
    "probe https://kyma-project.io https://www.google.com http://kyma-project.io https://refused.test https://nowhere.invalid -o json",
    "diff edition.cnn.com:80 --mode http --mesh-mtls=false -o json",
    "setup edition.cnn.com --mode http --mesh-mtls=false",
    "verify -o json",
    "route refused.test",
    "verify refused.test -o json",
    "route --remove refused.test --yes",
    "lockdown --yes",
    "verify -o json",
    "status -o json",
    "unlock --yes",
    "verify -o json",
    "cleanup --verify",
    "status -o json",
    "cleanup",
];

/// TLS that the gateway and the sidecar make, with servers whose certificates are wrong, and the mesh's own around that of
/// the application.
const ORIGINATION: &[&str] = &[
    "setup edition.cnn.com --mode tls-origination --create-namespace",
    "verify -o json",
    "setup wrongsan.test:80 expired.test:80 --mode tls-origination --no-probe",
    "probe http://wrongsan.test http://expired.test -o json",
    "route --remove wrongsan.test:80 expired.test:80 --yes",
    "setup kyma-project.io --mesh-mtls",
    "setup www.google.com:80 --mode tls-origination --mesh-mtls=false",
    "setup tls.test:80 --mode tls-origination --at sidecar",
    "verify -o json",
    "lockdown --yes",
    "verify -o json",
    "unlock --yes",
    "cleanup --verify",
];

/// Mutual TLS from one cluster to another.
const TWO_CLUSTERS: &[&str] = &[
    "setup target.example.com --target-context target --create-namespace --yes",
    "verify -o json",
    "status -o json",
    "setup target.example.com --target-context target --yes",
    "setup target.example.com --mode mtls-origination --client-secret nosuch",
    "cleanup --verify",
];

/// What is refused for want of a permission: which of the requests made side by side is refused first, nobody knows.
const DENIED: &str = "setup kyma-project.io --as system:serviceaccount:kube-public:default";

/// `sandbox` as a server, stopped when this is dropped.
struct Simulated {
    process: Child,
    folder: tempfile::TempDir,
}

impl Drop for Simulated {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Simulated {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        let process = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"))
            .args(["sandbox", "--write-kubeconfig"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let simulated = Self { process, folder };
        let began = Instant::now();
        while !file.exists() {
            assert!(began.elapsed() < Duration::from_secs(30), "no kubeconfig");
            std::thread::sleep(Duration::from_millis(5));
        }
        simulated
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }
}

fn run(kubeconfig: &Path, namespace: &str, typed: &str) -> Run {
    let words = typed.split_whitespace().chain(["-n", namespace]);
    let arguments: Vec<OsString> = words.map(OsString::from).collect();
    Running::start(kubeconfig, &arguments, None).finish()
}

/// What the plan's objects say, without what the API server adds.
fn objects(kubectl: &Kubectl, namespace: &str) -> Vec<String> {
    let kinds = "gateways.networking.istio.io,virtualservices,destinationrules,serviceentries,telemetries,networkpolicies,services,configmaps";
    let listed = kubectl.run(&format!(
        "get {kinds} -n {namespace} -l app.kubernetes.io/managed-by=kubectl-egress -o json"
    ));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let shown = listed["items"].as_array().unwrap().iter().map(|object| {
        let mut specification = object["spec"].clone();
        for given in [
            "clusterIP",
            "clusterIPs",
            "internalTrafficPolicy",
            "ipFamilies",
            "ipFamilyPolicy",
            "sessionAffinity",
        ] {
            if let Some(fields) = specification.as_object_mut() {
                fields.remove(given);
            }
        }
        let name = object["metadata"]["name"].as_str().unwrap();
        let text = format!(
            "{} {name}: {} {specification}",
            object["kind"], object["metadata"]["labels"]
        );
        normal::text(&text)
    });
    let mut shown: Vec<String> = shown.collect();
    shown.sort();
    shown
}

/// A stage on the lab, and a sandbox beside it.
struct Both {
    stage: Stage,
    simulated: Simulated,
    compared: usize,
    differences: Vec<String>,
}

impl Both {
    fn new(stage: Stage) -> Self {
        Self {
            stage,
            simulated: Simulated::start(),
            compared: 0,
            differences: Vec::new(),
        }
    }

    /// Plays a story on both, line by line, and compares what they say and what objects they have after it.
    fn play(&mut self, story: &[&str]) {
        let (real, sandbox) = (self.stage.kubeconfig(), self.simulated.kubeconfig());
        let namespace = &self.stage.namespace;
        let differences = &mut self.differences;
        for typed in story {
            let both = std::thread::scope(|scope| {
                let there = scope.spawn(|| run(&sandbox, namespace, typed));
                let here = run(&real, namespace, typed);
                (here, there.join().unwrap())
            });
            self.compared += normal::compare(typed, &both.0, &both.1, differences);
            if typed.starts_with("setup") || typed.starts_with("lockdown") {
                let (on_lab, here) = (
                    objects(&self.stage.kubectl, namespace),
                    objects(&Kubectl::new(&sandbox), namespace),
                );
                self.compared += 1;
                let title = format!("objects after `{typed}`");
                normal::lines(&title, &on_lab, &here, differences);
                assert!(on_lab.len() > 3, "{on_lab:?}");
            }
        }
    }

    /// Says how many comparisons agreed, and fails if any did not.
    #[track_caller]
    fn agree(&self, story: &str) {
        let Self {
            compared,
            differences,
            ..
        } = self;
        println!(
            "agreement of sandbox and lab, {story}: {} of {compared} comparisons",
            compared - differences.len(),
        );
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }
}

#[test]
fn the_sandbox_says_what_a_real_cluster_says() {
    let mut both = Both::new(open!(alone));
    both.play(STORY);
    for kubeconfig in [&both.stage.kubeconfig(), &both.simulated.kubeconfig()] {
        run(kubeconfig, &both.stage.namespace, DENIED).exits(4).says(&[
            "is forbidden: User \"system:serviceaccount:kube-public:default\" cannot",
            "hint: ask for the permission",
        ]);
    }
    both.agree("passthrough and lock");
}

#[test]
fn the_sandbox_says_of_origination_what_a_real_cluster_says() {
    let mut both = Both::new(open!(alone));
    both.play(ORIGINATION);
    both.agree("origination");
}

#[test]
fn the_sandbox_says_of_two_clusters_what_real_ones_say() {
    let mut stage = open!(alone);
    if stage.lab().target().is_none() {
        let reason = "this lab has one cluster (cargo lab up --clusters 2)";
        assert!(!crate::support::lab_required(), "{reason}");
        eprintln!("skipped: {reason}");
        return;
    }
    let mut both = Both::new(stage);
    both.play(TWO_CLUSTERS);
    both.agree("two clusters");
}
