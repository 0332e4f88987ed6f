//! Least privilege: what each command asks of the API server is what `render --rbac` gives it, no more and no less; and
//! whatever single rule is missing, it is named before anything is changed.

mod granted;
mod missing;
mod recorded;

use crate::served::{Run, Served, serve};
use crate::support::quick;
use futures::future::join_all;
use granted::Grant;
use kubectl_egress::sandbox::{Fault, FaultKind, RecordedRequest, Sandbox, SandboxSettings};
use recorded::Asked;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

/// A command as it is run under its own account, and how it ends.
struct Case {
    /// As the administrator, before.
    prepared: &'static [&'static str],
    /// The command's word, and circumstances.
    rbac: &'static str,
    typed: &'static [&'static str],
    code: i32,
}

const ROUTED: &str = "setup kyma-project.io -n demo --create-namespace --no-probe";
const LOCKED: &[&str] = &[ROUTED, "lockdown -n demo --yes"];
/// Its process is killed when the lock is proven and the dead-man's switch is about to be taken away.
const KILLED: &str = "lockdown -n demo --yes # killed";

/// It is ended by Ctrl-C.
const INTERRUPTED: &str = " # interrupted";

const CASES: &[Case] = &[
    Case {
        prepared: &[],
        rbac: "setup",
        typed: &["setup kyma-project.io -n demo"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "verify",
        typed: &["verify -n demo"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "verify --rbac-with bypass",
        typed: &["verify -n demo --bypass"],
        code: 0,
    },
    Case {
        prepared: LOCKED,
        rbac: "verify --rbac-with locked",
        typed: &["verify -n demo"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "probe --rbac-with unmeshed",
        typed: &[
            "probe kyma-project.io -n demo",
            "probe kyma-project.io -n demo --unmeshed",
        ],
        code: 0,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "lockdown",
        typed: &["lockdown -n demo --yes"],
        code: 0,
    },
    Case {
        prepared: LOCKED,
        rbac: "unlock",
        typed: &["unlock -n demo --yes"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED, KILLED],
        rbac: "unlock --rbac-with armed",
        typed: &["unlock -n demo --yes"],
        code: 0,
    },
    // Another plan shares the Telemetry of the gateway, which stays.
    Case {
        prepared: &[
            ROUTED,
            "setup edition.cnn.com -n other --create-namespace --no-probe",
        ],
        rbac: "cleanup",
        typed: &["cleanup -n demo"],
        code: 0,
    },
    Case {
        prepared: LOCKED,
        rbac: "cleanup --rbac-with locked",
        typed: &["cleanup -n demo"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED, KILLED],
        rbac: "cleanup --rbac-with locked --rbac-with armed",
        typed: &["cleanup -n demo"],
        code: 0,
    },
    Case {
        prepared: &[],
        rbac: "enable-gateway",
        typed: &["enable-gateway -n demo"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "enable-gateway",
        typed: &["enable-gateway -n demo"],
        code: 0,
    },
    Case {
        prepared: &[],
        rbac: "deploy-curl",
        typed: &["deploy-curl -n demo"],
        code: 0,
    },
    Case {
        prepared: &[],
        rbac: "deploy-target",
        typed: &["deploy-target target.example.com --certs {certs} -n demo"],
        code: 0,
    },
    Case {
        prepared: &[],
        rbac: "secrets",
        typed: &["secrets --cert {certs}/client.crt --key {certs}/client.key --ca {certs}/root.crt -n demo"],
        code: 0,
    },
    Case {
        prepared: &["deploy-curl -n demo"],
        rbac: "route",
        typed: &["route edition.cnn.com -n demo"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "logs",
        typed: &["logs -n demo"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "logs",
        typed: &["logs -f -n demo # interrupted"],
        code: 130,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "check",
        typed: &["check -n demo"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "learn",
        typed: &["learn -n demo --for 1s", "learn -n demo --since 1h"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "status",
        typed: &["status -n demo"],
        code: 0,
    },
    Case {
        prepared: LOCKED,
        rbac: "status --rbac-with locked",
        typed: &["status -n demo"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "render",
        typed: &["render -n demo", "render edition.cnn.com -n demo"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "diff",
        typed: &["diff edition.cnn.com -n demo"],
        code: 1,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "explain",
        typed: &["explain kyma-project.io:443 -n demo"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "cleanup",
        typed: &["cleanup -n demo"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "cleanup --rbac-with leftovers",
        typed: &["cleanup -n demo --verify"],
        code: 0,
    },
    Case {
        prepared: &[ROUTED],
        rbac: "cleanup --rbac-with own-namespace --rbac-with leftovers",
        typed: &["cleanup -n demo --verify"],
        code: 0,
    },
];

/// A sandbox with namespace `demo`, the administrator's or ours, in which the administrator has done some things.
async fn prepared(case: &Case) -> Served {
    let served = serve(Sandbox::new(SandboxSettings {
        ingress_gateway: case.rbac == "deploy-target",
        ..quick()
    }))
    .await;
    if !case.rbac.contains("own-namespace") {
        let metadata = serde_json::json!({"name": "demo"});
        let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        served.sandbox.put(&namespace).unwrap();
    }
    for typed in case.prepared {
        match typed.split_once(" # killed") {
            Some((typed, _)) => kill_before_the_end(&served, typed).await,
            None => drop(served.run(typed).await.exits(0)),
        }
    }
    served
}

/// Kills a `lockdown` that is about to take its switch's Job away.
async fn kill_before_the_end(served: &Served, typed: &str) {
    served
        .sandbox
        .inject(Fault::new("jobs", FaultKind::Hang).method("DELETE"));
    let mut process = served.command(typed).spawn().unwrap();
    let disarms = |sent: &RecordedRequest| sent.method == "DELETE" && sent.path.contains("/jobs/");
    while !served.sandbox.requests().iter().any(disarms) {
        assert!(
            process.try_wait().unwrap().is_none(),
            "it ended before it disarmed"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    process.kill().unwrap();
    process.wait().unwrap();
}

async fn run_as(served: &Served, grant: &Grant, typed: &str) -> Run {
    let typed = typed.replace("{certs}", certificates());
    match typed.split_once(INTERRUPTED) {
        Some((typed, _)) => interrupted(served, grant, typed).await,
        None => served.run(&format!("{typed} --as {}", grant.user)).await,
    }
}

/// What goes on for ever, until it watches the gateway's pods and Ctrl-C is pressed.
async fn interrupted(served: &Served, grant: &Grant, typed: &str) -> Run {
    let mut process = served
        .command(&format!("{typed} --as {}", grant.user))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let watches = |sent: &RecordedRequest| {
        sent.stream == Some("WATCH") && sent.impersonated.as_deref() == Some(&grant.user)
    };
    while !served.sandbox.requests().iter().any(watches) {
        assert!(process.try_wait().unwrap().is_none(), "{typed} ended by itself");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let pid = process.id().to_string();
    let pressed = std::process::Command::new("kill").args(["-INT", &pid]).status();
    assert!(pressed.unwrap().success());
    let output = process.wait_with_output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::new(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder with the certificates of target.example.com, made once.
fn certificates() -> &'static str {
    static FOLDER: LazyLock<&str> = LazyLock::new(|| {
        let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/permissions-certificates");
        let _ = std::fs::remove_dir_all(folder);
        let made = std::process::Command::new(env!("CARGO_BIN_EXE_kubectl-egress"))
            .args(["certs", "target.example.com", "--out", folder])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        folder
    });
    *FOLDER
}

/// What of all cases with the same rules was granted, and what was asked.
#[derive(Default)]
struct Seen {
    granted: BTreeSet<Asked>,
    asked: BTreeSet<Asked>,
}

async fn run_case(case: &'static Case) -> (&'static str, Seen, Vec<String>) {
    let mut wrong = Vec::new();
    let served = prepared(case).await;
    let grant = Grant::of(case.rbac);
    grant.put(&served.sandbox);
    for typed in case.typed {
        let run = run_as(&served, &grant, typed).await;
        if run.code != Some(case.code) {
            wrong.push(format!("{typed}: exit {:?}\n{}", run.code, run.stderr));
        }
        for line in run.stderr.lines().filter(|line| line.contains("you may not")) {
            // Who sets up need not be who takes away; that is said.
            if !line.contains("you may not delete") {
                wrong.push(format!("{typed}: {line}"));
            }
        }
    }
    let seen = Seen {
        asked: recorded::asked(&served.sandbox.requests(), &grant.user),
        granted: grant.rules(),
    };
    (case.rbac, seen, wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_exactly_its_rules_every_command_works_and_needs_each_of_them() {
    let mut wrong = Vec::new();
    let mut all: BTreeMap<&str, Seen> = BTreeMap::new();
    for (rbac, seen, complaints) in join_all(CASES.iter().map(run_case)).await {
        wrong.extend(complaints);
        let known = all.entry(rbac).or_default();
        known.asked.extend(seen.asked);
        known.granted = seen.granted;
    }
    let command = |rbac: &'static str| rbac.split(' ').next().unwrap_or_default();
    let mut by_command: BTreeMap<&str, BTreeSet<Asked>> = BTreeMap::new();
    for (rbac, seen) in &all {
        by_command
            .entry(command(rbac))
            .or_default()
            .extend(seen.asked.iter().cloned());
    }
    for (rbac, Seen { granted, asked }) in &all {
        let covered = |one: &Asked| {
            let everywhere = Asked {
                namespace: String::new(),
                ..one.clone()
            };
            granted.contains(one) || granted.contains(&everywhere)
        };
        for one in asked.iter().filter(|one| !covered(one)) {
            if !granted::is_done_without(one) && !recorded::is_implied(one, asked) {
                wrong.push(format!("{rbac}: asked, but not granted: {one}"));
            }
        }
        // What a command may need beside its circumstances (a Telemetry that others share) shows in one of its cases.
        for one in granted
            .difference(&by_command[command(rbac)])
            .filter(|one| !granted::is_not_reached_here(one))
        {
            wrong.push(format!("{rbac}: granted, but never asked: {one}"));
        }
    }
    let (rules, commands) = (
        all.values().map(|seen| seen.granted.len()).sum::<usize>(),
        all.len(),
    );
    eprintln!("{commands} sets of rules, {rules} rules, each of them asked for");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
