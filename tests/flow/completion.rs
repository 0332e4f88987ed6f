//! TAB: through the real kubectl's own protocol, and through real shells.

use crate::kubectl::Server;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Our binary and what kubectl asks, in a folder of PATH.
fn installed(folder: &Path) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_kubectl-egress"));
    std::fs::hard_link(binary, folder.join("kubectl-egress"))
        .or_else(|_| std::fs::copy(binary, folder.join("kubectl-egress")).map(drop))
        .unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let made = Command::new("kubectl-egress")
        .args(["completion", "install"])
        .env("PATH", &path)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    assert!(folder.join("kubectl_complete-egress").exists());
    path
}

fn said(command: &mut Command) -> (String, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

fn is_there(program: &str) -> bool {
    let here = Command::new(program).arg("--version").output().is_ok();
    if !here {
        eprintln!("skipped: {program} is not installed");
    }
    here
}

#[test]
fn kubectl_completes_commands_flags_and_what_is_in_the_cluster() {
    if Command::new("kubectl")
        .args(["version", "--client"])
        .output()
        .is_err()
    {
        eprintln!("skipped: kubectl is not installed");
        return;
    }
    let server = Server::start("");
    server
        .egress("setup kyma-project.io edition.cnn.com -n demo --create-namespace --no-probe")
        .exits(0);
    let folder = tempfile::tempdir().unwrap();
    let path = installed(folder.path());
    let kubectl = |typed: &str| {
        let mut command = Command::new("kubectl");
        command.args(["__complete", "egress"]).args(typed.split(' '));
        command.env("PATH", &path).env("HOME", folder.path());
        said(command.env("KUBECONFIG", server.kubeconfig()))
    };
    for (typed, offered) in [
        (
            "ver",
            &["verify\tProve, with receipts, that hosts go through the gateway"][..],
        ),
        ("verify --", &["--bypass\t", "--namespace\t"]),
        ("verify -n ", &["demo\n", "istio-system\n", "kube-system\n"]),
        ("verify -n de", &["default\n", "demo\n"]),
        ("verify -n demo ", &["edition.cnn.com\n", "kyma-project.io\n"]),
        ("verify -n demo --from ", &["deploy/curl\n"]),
        ("verify --context ", &["sandbox\n"]),
        ("verify -o ", &["text\n", "json\n", "yaml\n"]),
        ("verify --plan ", &[":4\n"]),
        ("status -n demo --plan ", &["default\n"]),
        ("setup --gateway ", &["istio-system/istio-egressgateway\n"]),
        ("explain EGR-10", &["EGR-101\t", "EGR-102\t"]),
        ("render --rbac ver", &["verify\n"]),
        ("route -n demo --remove ", &["kyma-project.io\n"]),
    ] {
        let (stdout, stderr) = kubectl(typed);
        for one in offered {
            assert!(stdout.contains(one), "{typed:?}: {one:?} in\n{stdout}{stderr}");
        }
        assert!(
            stdout.contains("\n:4\n") || stdout.starts_with(":4"),
            "{typed:?}\n{stdout}"
        );
    }
    std::fs::write(folder.path().join("plan.yaml"), "").unwrap();
    let typed = format!("setup -f {}/pl", folder.path().display());
    assert!(kubectl(&typed).0.contains("plan.yaml\n"), "{:?}", kubectl(&typed));
}

#[test]
fn without_a_cluster_the_answer_is_quick_and_silent() {
    let binary = env!("CARGO_BIN_EXE_kubectl-egress");
    let folder = tempfile::tempdir().unwrap();
    let ask = |kubeconfig: &Path, typed: &str| {
        let began = Instant::now();
        let mut command = Command::new(binary);
        command
            .arg("__complete")
            .args(typed.split(' '))
            .env("KUBECONFIG", kubeconfig);
        let (stdout, stderr) = said(command.env("HOME", folder.path()));
        assert_eq!(stderr, "", "{typed}");
        (stdout, began.elapsed())
    };
    let nowhere = folder.path().join("none");
    let (stdout, took) = ask(&nowhere, "verify -n ");
    assert_eq!(stdout, ":4\n");
    assert!(took < Duration::from_millis(900), "{took:?}");
    let (stdout, _) = ask(&nowhere, "ver");
    assert!(stdout.starts_with("verify\t"), "{stdout}");

    // A server that never answers, and a plugin that asks for a password: one second, and nothing is shown.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let hanging = folder.path().join("hanging");
    let asking = folder.path().join("asking");
    let config = |user: &str| {
        format!(
            "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}], \
             clusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}], users: [{{name: u, user: {{{user}}}}}]}}"
        )
    };
    std::fs::write(&hanging, config("token: t")).unwrap();
    let plugin = "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Always, command: sh, \
                  args: ['-c', 'echo password: >&2; read password']}";
    std::fs::write(&asking, config(plugin)).unwrap();
    for file in [&hanging, &asking] {
        let (stdout, took) = ask(file, "verify -n ");
        assert_eq!(stdout, ":4\n", "{}", file.display());
        assert!(took < Duration::from_millis(2500), "{took:?}");
    }
    drop(listener);
}

/// What a shell offers for a line, asked as the shell itself does it.
#[test]
fn shells_complete_the_bare_binary() {
    let folder = tempfile::tempdir().unwrap();
    let path = installed(folder.path());
    let bash = "source <(kubectl-egress completion bash)
COMP_WORDS=(kubectl-egress ver); COMP_CWORD=1; COMP_LINE='kubectl-egress ver'; COMP_POINT=18; COMP_TYPE=9
function=$(complete -p kubectl-egress | sed 's/.*-F \\([^ ]*\\).*/\\1/')
compopt() { :; }
$function kubectl-egress ver kubectl-egress
printf '%s\n' \"${COMPREPLY[@]}\"";
    // zsh has no way to ask without a terminal: the script is read, and the function called with a stub of _describe.
    let zsh = "autoload -Uz compinit && compinit -u -D
source <(kubectl-egress completion zsh)
_describe() { local -a list; list=(${(P)4:-${(P)3}}); print -l $list $completions }
words=(kubectl-egress ver); CURRENT=2
${_comps[kubectl-egress]}";
    let fish = "kubectl-egress completion fish | source; complete -C 'kubectl-egress ver'";
    for (shell, script) in [("bash", bash), ("zsh", zsh), ("fish", fish)] {
        if !is_there(shell) {
            continue;
        }
        let mut command = Command::new(shell);
        command
            .arg("-c")
            .arg(script)
            .env("PATH", &path)
            .env("HOME", folder.path());
        let (stdout, stderr) = said(&mut command);
        assert!(stdout.contains("verify"), "{shell}: {stdout}\n{stderr}");
    }
}
