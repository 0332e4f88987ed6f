//! Every command under exactly the rules that `render --rbac` prints for it, on the real API server: it authorizes what
//! a recorder of requests cannot know (watches of what takes its time to go, Roles that give more than their author has).

use crate::support::{Run, Stage, open};

/// The ServiceAccounts of one test's namespace.
struct Accounts<'stage> {
    stage: &'stage Stage,
}

impl Accounts<'_> {
    /// Runs a command as an account with the rules for it, in these circumstances.
    fn run(&self, command: &str, circumstances: &str, typed: &str) -> Run {
        let Stage {
            namespace, kubectl, ..
        } = self.stage;
        let rendered = self
            .stage
            .egress(&format!("render --rbac {command} {circumstances}"));
        kubectl.apply(&rendered.exits(0).stdout);
        self.stage.egress(&format!(
            "{typed} --as system:serviceaccount:{namespace}:kubectl-egress-{command}"
        ))
    }

    /// The same; it ends so, and misses nothing but the right to take away.
    fn works(&self, command: &str, circumstances: &str, typed: &str, code: i32) -> Run {
        let run = self.run(command, circumstances, typed);
        run.exits(code);
        let missed: Vec<&str> = run
            .stderr
            .lines()
            .filter(|line| line.contains("you may not") && !line.contains("you may not delete"))
            .collect();
        assert!(missed.is_empty(), "{run}");
        run
    }
}

impl Drop for Accounts<'_> {
    fn drop(&mut self) {
        let namespace = &self.stage.namespace;
        let kubectl = &self.stage.kubectl;
        let listed = kubectl
            .attempt("get clusterroles,clusterrolebindings -o name")
            .ok();
        let of_ours = |name: &&str| name.ends_with(&format!("-{namespace}"));
        for name in listed.unwrap_or_default().lines().filter(of_ours) {
            let _ = kubectl.attempt(&format!("delete {name} --wait=false"));
        }
        for place in ["istio-system", "kube-system", "default"] {
            let listed = kubectl
                .attempt(&format!("get roles,rolebindings -n {place} -o name"))
                .ok();
            for name in listed.unwrap_or_default().lines().filter(of_ours) {
                let _ = kubectl.attempt(&format!("delete {name} -n {place} --wait=false"));
            }
        }
    }
}

#[test]
fn every_command_works_under_exactly_its_service_account() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    let accounts = Accounts { stage: &stage };
    let host = &stage.host;
    let second = format!("second-{host}");
    accounts.works("setup", "", &format!("setup {host}"), 0);
    accounts.works("status", "", "status", 0);
    accounts.works("verify", "--rbac-with unmeshed", "verify", 0);
    accounts.works(
        "verify",
        "--rbac-with unmeshed --rbac-with bypass",
        "verify --bypass",
        0,
    );
    accounts.works("probe", "--rbac-with unmeshed", &format!("probe {host}"), 0);
    accounts.works("check", "", "check", 0);
    accounts.works("explain", "", &format!("explain {host}:443"), 0);
    accounts.works("diff", "", &format!("diff {second}"), 1);
    accounts.works("render", "", &format!("render {second}"), 0);
    accounts.works("route", "", &format!("route {second}"), 0);
    accounts.works("enable-gateway", "", "enable-gateway", 0);
    accounts.works("deploy-curl", "", "deploy-curl", 0);
    accounts.works("logs", "", "logs", 0);
    accounts.works("learn", "", "learn --for 2s", 0);
    // The lab's CA is nobody's: its certificate is shown, and not trusted.
    accounts.works("certs", "", &format!("certs inspect {host}"), 1);
    accounts.works("lockdown", "", "lockdown --yes", 0);
    accounts.works(
        "verify",
        "--rbac-with unmeshed --rbac-with locked",
        "verify --require enforced",
        0,
    );
    accounts.works("status", "--rbac-with locked", "status", 0);
    accounts.works("unlock", "", "unlock --yes", 0);
    accounts.works("lockdown", "", "lockdown --yes", 0);
    accounts.works(
        "cleanup",
        "--rbac-with locked --rbac-with leftovers",
        "cleanup --verify",
        0,
    );
}
