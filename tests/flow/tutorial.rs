//! The README's first command, as a newcomer types it.

use std::process::Command;

#[test]
fn the_tutorial_tells_the_whole_story_on_the_sandbox() {
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"))
        .args(["tutorial", "--sandbox"])
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    assert!(stderr.starts_with("sandbox: simulated cluster\n"), "{stderr}");
    let verdict = stdout.find("verdict: proven").expect("a verdict");
    let clean = stdout.find("Nothing of ours is left.").expect("a clean end");
    assert!(verdict < clean);
    // The sandbox's own ground truth: the declared host was asked by the gateway, the others by the source itself.
    let truth = stdout
        .split("the ground truth")
        .nth(1)
        .expect("what the outside saw");
    assert!(
        truth.contains("https://kyma-project.io:443 was asked by istio-system/istio-egressgateway"),
        "{truth}"
    );
    assert!(
        truth.contains("http://kyma-project.io:80 was asked by egress-tutorial/curl"),
        "{truth}"
    );
}

/// Windows gives the first thread that much, Linux what it is told to. The longest story has the largest future.
#[test]
#[cfg(unix)]
fn a_command_needs_no_large_stack_of_the_first_thread() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -s 1024; exec \"$0\" tutorial mtls --sandbox"])
        .arg(env!("CARGO_BIN_EXE_kubectl-egress"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

fn tutorial(arguments: &str) -> (Option<i32>, String, String) {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"))
        .arg("tutorial")
        .args(arguments.split_whitespace())
        // Nothing leads to a cluster.
        .env("HOME", home.path())
        .env_remove("KUBECONFIG")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn without_a_kubeconfig_istios_story_is_told_whole_on_the_sandbox() {
    let (code, stdout, stderr) = tutorial("istio");
    assert_eq!(code, Some(0), "{stdout}\n{stderr}");
    assert!(stderr.starts_with("sandbox: simulated cluster\n"), "{stderr}");
    assert!(stderr.contains("there is no kubeconfig"), "{stderr}");
    // What has to be there is printed, and each section puts back what it did.
    assert!(stdout.contains("istioctl install"), "{stdout}");
    let played = stdout.matches("Nothing of ours is left.").count();
    assert_eq!(played, 5, "{stdout}");
    assert_eq!(stdout.matches("verdict: proven").count(), 4, "{stdout}");
    assert!(stdout.contains("locked, and proven"), "{stdout}");
    assert!(!stdout.contains("not simulated"), "{stdout}");
    // The origination's own ground truth: the application spoke HTTP, and the gateway asked by HTTPS.
    assert!(
        stdout.contains("https://edition.cnn.com:443 was asked by istio-system/istio-egressgateway"),
        "{stdout}"
    );
}

#[test]
fn the_story_of_two_clusters_is_told_whole_and_both_are_put_back() {
    let (code, stdout, stderr) = tutorial("mtls --sandbox");
    assert_eq!(code, Some(0), "{stdout}\n{stderr}");
    assert_eq!(
        stderr.matches("sandbox: simulated cluster").count(),
        1,
        "{stderr}"
    );
    for said in [
        "--target-context target",
        "asked from 198.18.",
        "the egress gateway's pod",
        "verdict: proven",
        "locked, and proven",
        "Nothing of ours is left.",
        "Nothing of ours is left in the target cluster.",
        "https://target.example.com:443 was asked by istio-system/istio-egressgateway",
    ] {
        assert!(stdout.contains(said), "{said}: {stdout}\n{stderr}");
    }
    let (code, stdout, stderr) = tutorial("mtls --sandbox --only setup");
    assert_eq!(code, Some(0), "{stdout}\n{stderr}");
    assert!(stdout.contains("left in the target cluster"), "{stdout}");
    let (code, _, stderr) = tutorial("mtls --sandbox --target-context elsewhere");
    assert!(code == Some(2) && stderr.contains("--context target"), "{stderr}");
}

#[test]
fn the_embedded_cluster_has_two_contexts_for_any_command() {
    let run = |arguments: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"))
            .args(arguments.split_whitespace())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), stderr)
    };
    let set_up = "setup target.example.com -n demo --create-namespace --yes --sandbox";
    let (code, stderr) = run(&format!("{set_up} --target-context target"));
    assert_eq!(code, Some(0), "{stderr}");
    let (code, stderr) = run("status -n demo --sandbox --context nowhere");
    assert!(code == Some(2) && stderr.contains("--context target"), "{stderr}");
    let (code, stderr) = run(&format!("{set_up} --target-context target --target-kubeconfig x"));
    assert!(
        code == Some(2) && stderr.contains("--target-context target"),
        "{stderr}"
    );
}

#[test]
fn one_section_is_told_with_what_it_needs_and_cleaned_up() {
    let (code, stdout, stderr) = tutorial("--sandbox --only verify");
    assert_eq!(code, Some(0), "{stdout}\n{stderr}");
    assert!(
        stdout.contains("2. Prove it") && !stdout.contains("1. Set up"),
        "{stdout}"
    );
    assert!(!stdout.contains("3. Lock it"), "{stdout}");
    assert!(stdout.contains("Nothing of ours is left."), "{stdout}");
    let (code, stdout, _) = tutorial("istio --list");
    assert_eq!((code, stdout.lines().count()), (Some(0), 5), "{stdout}");
    let (code, _, stderr) = tutorial("--only nothing");
    assert!(code == Some(2) && stderr.contains("lockdown"), "{stderr}");
    let (code, _, stderr) = tutorial("--pause");
    assert!(code == Some(2) && stderr.contains("no terminal"), "{stderr}");
}

/// What a story did before it failed is put back.
#[test]
fn a_story_that_fails_is_cleaned_up() {
    let (code, stdout, stderr) = tutorial("--sandbox --sandbox-fault image-pull");
    assert!(matches!(code, Some(4 | 6)), "{stdout}\n{stderr}");
    assert!(stderr.contains("cannot be pulled"), "{stderr}");
    assert!(stdout.contains("Nothing of ours is left."), "{stdout}");
}
