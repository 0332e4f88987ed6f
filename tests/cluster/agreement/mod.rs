//! The embedded cluster tells the truth: the same command lines against it and against the lab, and what both say is
//! compared once names, addresses and times are taken out of it. Where they differ, the sandbox is wrong.

mod normal;

use crate::support::kubectl::Kubectl;
use crate::support::{Run, Running, open};
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

#[test]
fn the_sandbox_says_what_a_real_cluster_says() {
    let stage = open!(alone);
    let simulated = Simulated::start();
    let (real, sandbox) = (stage.kubeconfig(), simulated.kubeconfig());
    let namespace = &stage.namespace;
    let mut differences = Vec::new();
    let mut compared = 0;
    for typed in STORY {
        let both = std::thread::scope(|scope| {
            let there = scope.spawn(|| run(&sandbox, namespace, typed));
            let here = run(&real, namespace, typed);
            (here, there.join().unwrap())
        });
        compared += normal::compare(typed, &both.0, &both.1, &mut differences);
        if typed.starts_with("setup") || typed.starts_with("lockdown") {
            let (on_lab, here) = (
                objects(&stage.kubectl, namespace),
                objects(&Kubectl::new(&sandbox), namespace),
            );
            compared += 1;
            normal::lines(
                &format!("objects after `{typed}`"),
                &on_lab,
                &here,
                &mut differences,
            );
            assert!(on_lab.len() > 3, "{on_lab:?}");
        }
    }
    for kubeconfig in [&real, &sandbox] {
        run(kubeconfig, namespace, DENIED).exits(4).says(&[
            "is forbidden: User \"system:serviceaccount:kube-public:default\" cannot",
            "hint: ask for the permission",
        ]);
    }
    println!(
        "agreement of sandbox and lab: {} of {} comparisons",
        compared - differences.len(),
        compared
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
