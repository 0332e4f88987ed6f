//! Without one rule, whichever it is, the command names it, and nothing is changed before that.

use super::granted::Grant;
use super::recorded::Asked;
use super::{CASES, Case, INTERRUPTED, prepared, run_as};
use crate::support::dump;
use futures::future::join_all;

/// Commands that run in less than a second whatever is missing; the others are asked for their preflight alone, as
/// they print it before they do anything.
const QUICK: &[&str] = &[
    "setup",
    "enable-gateway",
    "deploy-curl",
    "deploy-target",
    "secrets",
    "route",
    "check",
    "explain",
    "status",
    "render",
    "diff",
    "logs",
    "unlock",
    "cleanup",
];

#[tokio::test(flavor = "multi_thread")]
async fn whichever_rule_is_missing_it_is_named_before_anything_is_changed() {
    // What has to be interrupted has the same rules as its like that ends.
    let ends = |case: &&Case| !case.typed.iter().any(|typed| typed.contains(INTERRUPTED));
    let cases = CASES
        .iter()
        .filter(|case| QUICK.contains(&case.rbac))
        .filter(ends);
    let results = join_all(cases.map(each_left_out)).await;
    let tried: usize = results.iter().map(|(tried, _)| tried).sum();
    let wrong: Vec<String> = results.into_iter().flat_map(|(_, wrong)| wrong).collect();
    eprintln!("{tried} single rules left out, one after the other");
    assert!(
        wrong.is_empty(),
        "{} of {tried}\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// How many rules there are, and which of them are missed in silence, or too late.
async fn each_left_out(case: &Case) -> (usize, Vec<String>) {
    // Nothing is to be changed by a run that goes on in spite of a remark, for the next one's sake.
    let changes = [
        "setup",
        "enable-gateway",
        "deploy-curl",
        "deploy-target",
        "secrets",
        "route",
        "unlock",
        "cleanup",
    ];
    let dry = if changes.contains(&case.rbac) {
        "--dry-run=client"
    } else {
        ""
    };
    let typed = format!("{} {dry}", case.typed.last().unwrap());
    let served = prepared(case).await;
    let grant = Grant::of(case.rbac);
    let rules = grant.rules();
    let mut wrong = Vec::new();
    for one in &rules {
        grant.without(one).put(&served.sandbox);
        let before = dump(&served.sandbox);
        let run = run_as(&served, &grant, &typed).await;
        let said = format!("{}{}", run.stdout, run.stderr);
        if !said.lines().any(|line| names(line, one)) {
            wrong.push(format!(
                "{} without {one}: exit {:?}\n{said}",
                case.rbac, run.code
            ));
        }
        if dump(&served.sandbox) != before {
            wrong.push(format!("{} without {one} changed something", case.rbac));
        }
    }
    (rules.len(), wrong)
}

/// Whether a line names the verb and the resource, or says of its kind that it could not be read.
fn names(line: &str, missing: &Asked) -> bool {
    let line = line.to_lowercase();
    let plural = &missing.resource;
    let stem = ["ies", "es", "s"]
        .iter()
        .find_map(|ending| plural.strip_suffix(ending));
    let unread = line.contains("could not be read") || line.contains("were read in");
    line.contains(stem.unwrap_or(plural)) && (line.contains(&missing.verb) || unread)
}

/// The longer commands, without a rule of each kind.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_proves_is_missed_aloud_and_what_changes_is_refused() {
    for (rbac, typed, code) in [
        ("verify", "verify -n demo", 3),
        ("lockdown", "lockdown -n demo --yes", 4),
    ] {
        let case = CASES.iter().find(|case| case.rbac == rbac).unwrap();
        let served = prepared(case).await;
        let grant = Grant::of(rbac);
        let rules = grant.rules();
        let find = |resource: &str, verb: &str| {
            let found = rules
                .iter()
                .find(|one| one.resource == resource && one.verb == verb);
            found.unwrap_or_else(|| panic!("{rbac}: {verb} {resource}"))
        };
        let one = if rbac == "verify" {
            find("pods/log", "get")
        } else {
            find("networkpolicies", "delete")
        };
        grant.without(one).put(&served.sandbox);
        let before = dump(&served.sandbox);
        let run = run_as(&served, &grant, typed).await.exits(code);
        assert!(
            run.stderr.contains(&format!("{} {}", one.verb, one.resource)),
            "{run:?}"
        );
        assert_eq!(before, dump(&served.sandbox), "{typed}");
    }
}
