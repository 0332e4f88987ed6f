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
