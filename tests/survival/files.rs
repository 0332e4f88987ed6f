//! Files that the tool writes, where the disk is full, the folder takes nothing, or a link stands in the way: they are
//! written whole or not at all, the error names the file, and the cluster is as before.
//!
//! A file system that is full, and one that is read-only, need root on Linux: each run has one of its own that nobody else
//! sees (`unshare`). Elsewhere the tests say that they are skipped.

#![cfg(target_os = "linux")]

use crate::dump::differences;
use crate::killed::Served;
use crate::place::plain;
use std::process::{Command, Stdio};

/// How the folder is when the program comes.
const SITUATIONS: [(&str, &str, &str); 2] = [
    // It takes names, and nothing in them.
    (
        "full",
        "cat /dev/zero > filler 2>/dev/null",
        "No space left on device",
    ),
    ("read-only", "mount -o remount,ro .", "Read-only file system"),
];

/// Everything that writes a file, with the file that is there before. `sandbox` serves until its command ends.
const WRITING: [(&str, &str); 6] = [
    ("report --write ./page.html --force -n demo", "page.html"),
    ("report --write ./page.json -o json --force -n demo", "page.json"),
    ("report --bundle ./bundle.tar.gz --force -n demo", "bundle.tar.gz"),
    (
        "learn --for 1s --write ./plan.yaml -n demo",
        "plan.networkpolicy.yaml",
    ),
    ("certs mtls.test --out .", "root.key"),
    (
        "sandbox --port 0 --write-kubeconfig ./sandbox.yaml -- true",
        "sandbox.yaml",
    ),
];

/// Two pages: one for the file that is there, one for what fills the rest. Arguments: folder, file, what makes it so, where the
/// lists go, and the program with its arguments.
const SCRIPT: &str = r#"
mount -t tmpfs -o size=8k,mode=700 none "$1" && cd "$1" && printf precious > "$2" || exit 99
eval "$3"
lists=$4
shift 4
list() {
  for file in $(ls -A); do [ "$file" = filler ] || echo "$file: $(head -c 20 "$file")"; done
}
list > "$lists/before"
"$@"
code=$?
list > "$lists/after"
exit $code
"#;

/// Why it cannot be tried here.
fn obstacle() -> Option<&'static str> {
    let may_mount = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"])
        .output()
        .is_ok_and(|tried| tried.status.success());
    (!may_mount).then_some("it takes root on Linux, and `unshare`, to make a file system that is full")
}

/// Everything that is wrong with one command in one situation.
fn wrong(
    served: &Served,
    (typed, there): (&str, &str),
    (_, make, reason): (&str, &str, &str),
) -> Vec<String> {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let objects = plain(&served.sandbox);
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", SCRIPT, "sh"])
        .arg(&folder)
        .args([there, make])
        .arg(kept.path())
        .arg(env!("CARGO_BIN_EXE_kubectl-egress"))
        .args(served.arguments(typed))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let list = |when| std::fs::read_to_string(kept.path().join(when)).unwrap_or_default();
    let (before, after) = (list("before"), list("after"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut wrong = differences(&objects, &plain(&served.sandbox));
    if output.status.code() != Some(2) {
        wrong.push(format!("it ends with {}", output.status));
    }
    if before != format!("{there}: precious\n") || before != after {
        wrong.push(format!("the folder was {before:?}, and is {after:?}"));
    }
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    let says = [" cannot be written\n", reason, "hint: "];
    if errors.len() != 1 || says.iter().any(|part| !text.contains(part)) || text.contains("/.tmp") {
        wrong.push("the error does not say which file, why, and what to do".to_owned());
    }
    if !wrong.is_empty() {
        wrong.push(text);
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_keeps_what_was_there_and_is_named() {
    if let Some(why) = obstacle() {
        println!("skipped: {why}");
        return;
    }
    let served = Served::new().await;
    served.prepare(&["setup kyma-project.io -n demo"]).await;
    let mut failures = Vec::new();
    for (typed, there) in WRITING {
        for situation in SITUATIONS {
            let wrong = tokio::task::block_in_place(|| wrong(&served, (typed, there), situation));
            if !wrong.is_empty() {
                failures.push(format!("{typed} ({}):\n  {}", situation.0, wrong.join("\n  ")));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Whoever plants a link where a file is going to be gets nothing written where it leads.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_replaced_and_never_written_through() {
    let served = Served::new().await;
    served.prepare(&["setup kyma-project.io -n demo"]).await;
    for (typed, there) in WRITING {
        let kept = tempfile::tempdir().unwrap();
        let precious = kept.path().join("precious");
        let folder = kept.path().join("folder");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&precious, "precious").unwrap();
        std::os::unix::fs::symlink(&precious, folder.join(there)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"));
        command.args(served.arguments(typed)).current_dir(&folder);
        let ran = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().unwrap());
        let ran = ran.await.unwrap();
        assert!(ran.status.success(), "{typed}: {ran:?}");
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious", "{typed}");
        let written = std::fs::symlink_metadata(folder.join(there)).unwrap();
        assert!(written.is_file() && written.len() > 100, "{typed}: {written:?}");
        let private = !there.contains("policy");
        let mode = std::os::unix::fs::PermissionsExt::mode(&written.permissions());
        assert!(!private || mode & 0o777 == 0o600, "{typed}: {mode:o}");
    }
}
