//! The live screen in a terminal emulator, at several sizes. The screen is read until it shows what is expected:
//! nothing here depends on how fast it gets there.

use crate::emulator::{SPINNERS, Terminal};
use crate::hostile::is_harmless_on_a_terminal;
use crate::stage::{Served, quick};
use kubectl_egress::sandbox::{Fault, FaultKind, SandboxSettings};
use std::time::Duration;

const SET_UP: &str = "setup kyma-project.io -n demo --create-namespace";

/// Pods take long enough to be seen waiting for.
async fn slow() -> Served {
    Served::new(SandboxSettings {
        pod_start: Duration::from_millis(1_500),
        ..quick()
    })
    .await
}

/// A sandbox in which the routing is never answered, so that setup can be looked at as long as one likes.
async fn stuck() -> Served {
    let served = Served::new(quick()).await;
    let never = Fault::new("virtualservices", FaultKind::Hang).method("PATCH");
    served.sandbox.inject(never.times(100));
    served
}

fn tree(window: &str) -> bool {
    window.contains(SPINNERS) && window.contains("source demo/curl") && window.contains("waits for: ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_is_drawn_while_steps_run_and_lines_stay_when_they_are_done() {
    for size in [(80, 24), (120, 40), (40, 10)] {
        let served = slow().await;
        let terminal = Terminal::start(&served, SET_UP, size, &[]);
        let window = terminal.until("the tree", tree);
        for line in window.lines().filter(|line| line.contains(SPINNERS)) {
            assert!(line.trim_end().ends_with('s'), "no elapsed time: {line}");
        }
        let ended = terminal.ends();
        assert_eq!(ended.code, Some(0), "{}", ended.transcript);
        ended.is_clean();
        let lines: Vec<&str> = ended.transcript.lines().collect();
        for expected in [
            "✔ source demo/curl",
            "✔ both proxies have the route",
            "✔ verdict: proven",
        ] {
            let times = lines.iter().filter(|line| line.starts_with(expected)).count();
            assert_eq!(times, 1, "{expected} at {size:?}\n{}", ended.transcript);
        }
        // A step's objects stand below it.
        let source = lines
            .iter()
            .position(|line| line.starts_with("✔ source demo/curl"))
            .unwrap();
        let below: Vec<&&str> = lines[source + 1..].iter().take(6).collect();
        assert!(
            below
                .iter()
                .any(|line| line.starts_with("    deployment/curl created")),
            "{}",
            ended.transcript
        );
        assert!(ended.transcript.ends_with("next: kubectl egress verify -n demo"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_takes_the_tree_away_and_says_how_to_take_back_what_was_done() {
    for size in [(80, 24), (40, 10)] {
        let served = stuck().await;
        let terminal = Terminal::start(&served, SET_UP, size, &[]);
        terminal.until("the routing that hangs", |window| {
            window.contains(SPINNERS) && window.contains("routing of kyma-project.io")
        });
        terminal.types("\u{3}");
        let ended = terminal.ends();
        assert_eq!(ended.code, Some(130), "{}", ended.transcript);
        ended.is_clean();
        assert!(!ended.transcript.contains("^C"), "{}", ended.transcript);
        let text = ended.transcript.replace('\n', " ");
        for expected in [
            "– routing of kyma-project.io:443",
            "not finished",
            "error: interrupted",
        ] {
            assert!(text.contains(expected), "{expected}\n{}", ended.transcript);
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        assert!(
            words.concat().contains("takeitback:kubectlegresscleanup-ndemo"),
            "{}",
            ended.transcript
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_asked_below_a_clean_screen_and_ctrl_c_answers_it_too() {
    let served = Served::new(quick()).await;
    let set_up = Terminal::start(&served, &format!("{SET_UP} --no-probe -q"), (80, 24), &[]).ends();
    assert_eq!((set_up.code, set_up.transcript.as_str()), (Some(0), ""));
    for (keys, code, said) in [
        ("n\r", 5, "nothing was changed, as you did not agree"),
        ("\u{3}", 130, "error: "),
    ] {
        let terminal = Terminal::start(&served, "lockdown -n demo", (80, 24), &[]);
        let window = terminal.until("the question", |window| window.contains("[y/N]"));
        assert!(!window.contains(SPINNERS), "{window}");
        terminal.types(keys);
        let ended = terminal.ends();
        assert_eq!(ended.code, Some(code), "{}", ended.transcript);
        ended.is_clean();
        assert!(ended.transcript.contains(said), "{}", ended.transcript);
        assert!(
            ended.transcript.lines().any(|line| line.starts_with("error: ")),
            "the error stands on a line of its own\n{}",
            ended.transcript
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_may_be_resized_while_the_tree_is_drawn() {
    let served = stuck().await;
    let terminal = Terminal::start(&served, SET_UP, (120, 30), &[]);
    terminal.until("the tree", |window| window.contains(SPINNERS));
    for columns in [40, 100, 24] {
        terminal.resize((columns, 30));
        // A picture of the old size may be on its way: what counts is where it comes to rest.
        terminal.until("the tree at its new size", |window| {
            let lines: Vec<&str> = window.lines().filter(|line| line.contains(SPINNERS)).collect();
            let fits = |line: &&str| line.chars().count() < usize::from(columns);
            (1..=2).contains(&lines.len())
                && lines.iter().all(fits)
                && lines.iter().any(|line| line.contains("routing"))
        });
    }
    terminal.types("\u{3}");
    terminal.ends().is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_screen_is_one_line_per_event_and_no_escape_sequence() {
    for (flags, environment) in [
        (" --progress plain", vec![("NO_COLOR", "1")]),
        ("", vec![("TERM", "dumb"), ("CI", "true")]),
        (" --progress plain --color never", vec![]),
    ] {
        let served = slow().await;
        let terminal = Terminal::start(&served, &format!("{SET_UP}{flags}"), (80, 24), &environment);
        let ended = terminal.ends();
        assert_eq!(ended.code, Some(0), "{}", ended.transcript);
        assert!(!ended.raw.contains('\u{1b}'), "{}", ended.raw);
        let progress: Vec<&str> = ended.raw.lines().filter(|line| line.starts_with("… ")).collect();
        assert!(
            progress.iter().any(|line| line.contains("source demo/curl: ")),
            "{}",
            ended.raw
        );
        for two in progress.windows(2) {
            assert_ne!(two[0], two[1], "told twice\n{}", ended.raw);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_decides_about_colour_and_a_flag_above_it() {
    let served = Served::new(quick()).await;
    let colored = |environment: &[(&str, &str)], flags: &str| {
        let typed = format!("explain EGR-101 {flags}");
        let ended = Terminal::start(&served, &typed, (80, 24), environment).ends();
        assert_eq!(ended.code, Some(0), "{}", ended.transcript);
        ended.raw.contains('\u{1b}')
    };
    assert!(colored(&[], ""));
    assert!(!colored(&[("NO_COLOR", "1")], ""));
    assert!(!colored(&[("CLICOLOR", "0")], ""));
    assert!(!colored(&[("TERM", "dumb")], ""));
    assert!(!colored(&[("TERM", "dumb"), ("CI", "true")], ""));
    assert!(colored(&[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], ""));
    assert!(colored(&[("NO_COLOR", "1")], "--color always"));
    assert!(!colored(&[], "--color never"));
}

/// What a credential plugin asks stands there until it is answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_plugin_can_ask() {
    use std::os::unix::fs::PermissionsExt as _;
    let served = slow().await;
    let plugin = served.folder().join("plugin");
    std::fs::write(
        &plugin,
        "#!/bin/sh\nprintf 'Code for the cluster: ' >/dev/tty\nread -r code </dev/tty\n\
         printf '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\
         \"status\":{\"token\":\"%s\"}}' \"$code\"\n",
    )
    .unwrap();
    std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o755)).unwrap();
    let kubeconfig = std::fs::read_to_string(served.kubeconfig()).unwrap().replace(
        "user: {}}",
        &format!(
            "user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, command: '{}', \
             interactiveMode: IfAvailable}}}}}}",
            plugin.display()
        ),
    );
    std::fs::write(served.kubeconfig(), kubeconfig).unwrap();
    let terminal = Terminal::start(&served, SET_UP, (80, 24), &[]);
    let window = terminal.until("the plugin's question", |window| {
        window.contains("Code for the cluster: ")
    });
    assert!(!window.contains(SPINNERS), "{window}");
    terminal.types("1234\r");
    terminal.until("the tree", tree);
    let ended = terminal.ends();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript);
    ended.is_clean();
    assert!(
        ended.transcript.contains("Code for the cluster: 1234"),
        "{}",
        ended.transcript
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_hostile_reaches_a_terminal_live() {
    let served = crate::hostile::planted().await;
    for typed in [
        "verify -n demo -vv",
        "status -n demo",
        "logs -n demo",
        "check -n demo",
        "learn -n demo --since 1h",
    ] {
        let ended = Terminal::start(&served, typed, (80, 24), &[]).ends();
        is_harmless_on_a_terminal(&ended.raw);
        ended.is_clean();
    }
}
