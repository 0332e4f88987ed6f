//! The commands, each with what leads up to it.

/// A command in a situation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) kyma: bool,
    /// Commands that run before it.
    pub(crate) before: &'static [&'static str],
    /// The command whose requests fail.
    pub(crate) command: &'static str,
    /// Whether it is the target cluster's requests that fail.
    pub(crate) at_target: bool,
    /// Commands that clean up; each is to succeed.
    pub(crate) cleanup: &'static [&'static str],
}

pub(crate) const SETUP: &str = "setup kyma-project.io -n demo --timeout 90s";
pub(crate) const LOCK: &str = "lockdown -n demo --timeout 90s";
pub(crate) const CLEANUP: &str = "cleanup -n demo --verify --timeout 90s";
const MTLS: &str = "setup mtls.test --target-context target -n demo --create-namespace --timeout 90s";
const TARGET: &str =
    "deploy-target mtls.test --certs {folder} --context target -n demo --create-namespace --timeout 90s";
const SECRETS: &str = "secrets --cert {folder}/client.crt --key {folder}/client.key --ca {folder}/root.crt -n demo --timeout 90s";

const fn plain(name: &'static str, before: &'static [&'static str], command: &'static str) -> Scenario {
    Scenario {
        name,
        kyma: false,
        before,
        command,
        at_target: false,
        cleanup: &[CLEANUP],
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = vec![
        plain("setup", &[], SETUP),
        plain(
            "setup in a new namespace",
            &[],
            "setup kyma-project.io -n fresh --create-namespace --timeout 90s",
        ),
        plain("setup, unchanged", &[SETUP], SETUP),
        plain(
            "setup --atomic",
            &[],
            "setup kyma-project.io -n demo --atomic --timeout 90s",
        ),
        plain(
            "setup, origination",
            &[SETUP],
            "setup edition.cnn.com --mode tls-origination -n demo --timeout 90s",
        ),
        plain(
            "setup, registry only",
            &[],
            "setup kyma-project.io -n demo --outbound-policy registry-only --timeout 90s",
        ),
        plain("enable-gateway", &[], "enable-gateway -n demo --timeout 90s"),
        plain("deploy-curl", &[], "deploy-curl -n demo --timeout 90s"),
        plain(
            "route",
            &[SETUP],
            "route httpbin.org --mode http -n demo --timeout 90s",
        ),
        plain(
            "route, another mode",
            &[SETUP],
            "route kyma-project.io:80 --mode http -n demo --timeout 90s",
        ),
        plain(
            "route --remove",
            &["setup kyma-project.io www.wikipedia.org -n demo --timeout 90s"],
            "route --remove www.wikipedia.org -n demo --timeout 90s",
        ),
        plain("secrets", &[SETUP], SECRETS),
        plain("verify", &[SETUP], "verify -n demo --timeout 90s -o json"),
        plain(
            "verify, locked",
            &[SETUP, LOCK],
            "verify -n demo --require enforced --timeout 90s",
        ),
        plain(
            "verify --bypass",
            &[SETUP],
            "verify --bypass -n demo --timeout 90s",
        ),
        plain("probe", &[SETUP], "probe kyma-project.io -n demo --timeout 90s"),
        plain(
            "probe --unmeshed",
            &[SETUP],
            "probe kyma-project.io --unmeshed -n demo --timeout 90s",
        ),
        plain("status", &[SETUP, LOCK], "status -n demo"),
        plain("check", &[SETUP], "check -n demo"),
        plain("logs", &[SETUP], "logs -n demo"),
        plain("learn", &[SETUP], "learn --for 3s -n demo"),
        plain("diff", &[SETUP], "diff kyma-project.io httpbin.org -n demo"),
        plain("render", &[SETUP], "render kyma-project.io -n demo"),
        plain("explain", &[SETUP], "explain kyma-project.io:443 -n demo"),
        plain(
            "report",
            &[SETUP],
            "report --write {folder}/page.html --force -n demo --timeout 90s",
        ),
        plain(
            "report --bundle",
            &[SETUP, LOCK],
            "report --bundle {folder}/bundle.tar.gz --force -n demo --timeout 90s",
        ),
        plain(
            "certs inspect, gateway",
            &[SETUP, SECRETS],
            "certs inspect --gateway -n demo",
        ),
        plain(
            "certs inspect, host",
            &[SETUP],
            "certs inspect kyma-project.io -n demo",
        ),
        plain("lockdown", &[SETUP], LOCK),
        plain("lockdown, unchanged", &[SETUP, LOCK], LOCK),
        plain(
            "lockdown, changed",
            &[SETUP, LOCK],
            "lockdown -n demo --in-cluster allow --timeout 90s",
        ),
        plain("unlock", &[SETUP, LOCK], "unlock -n demo --timeout 90s"),
        plain("cleanup", &[SETUP], CLEANUP),
        plain("cleanup, locked", &[SETUP, SECRETS, LOCK], CLEANUP),
    ];
    all[1].cleanup = &["cleanup -n fresh --verify --timeout 90s"];
    let cleaned: &[&str] = &["cleanup -n demo --verify --target-context target --timeout 90s"];
    let two = |name, before, command, at_target| Scenario {
        at_target,
        cleanup: cleaned,
        ..plain(name, before, command)
    };
    all.extend([
        two("setup, two clusters", &[], MTLS, false),
        two("setup, two clusters (target's)", &[], MTLS, true),
        two("cleanup, two clusters", &[MTLS], cleaned[0], false),
        two("cleanup, two clusters (target's)", &[MTLS], cleaned[0], true),
        Scenario {
            cleanup: &["cleanup --context target -n demo --verify --timeout 90s"],
            ..two("deploy-target", &[], TARGET, true)
        },
        Scenario {
            kyma: true,
            ..plain("setup, Kyma", &[], SETUP)
        },
        Scenario {
            kyma: true,
            ..plain("cleanup, Kyma", &[SETUP], CLEANUP)
        },
    ]);
    all
}
