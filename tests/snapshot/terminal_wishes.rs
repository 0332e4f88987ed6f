//! What a user asks of the screen: less of it, more of it, on a strip of a terminal, in scripts whose characters are wide.

use crate::emulator::{SPINNERS, Terminal};
use crate::stage::{Served, quick};
use kubectl_egress::report::ReportSettings;
use kubectl_egress::sandbox::SandboxSettings;
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

const SET_UP: &str = "setup kyma-project.io -n demo --create-namespace";

#[tokio::test(flavor = "multi_thread")]
async fn less_and_more_is_said_as_one_asks() {
    let served = Served::new(quick()).await;
    let told = |flags: &str| {
        let typed = format!("{SET_UP} --no-probe {flags}");
        let ended = Terminal::start(&served, &typed, (120, 40), &[]).ends();
        assert_eq!(ended.code, Some(0), "{}", ended.transcript);
        ended.is_clean();
        ended.transcript
    };
    told("");
    assert_eq!(told("-q"), "");
    let (usual, more, all) = (told(""), told("-v"), told("-vv"));
    assert!(
        !usual.contains("unchanged") && usual.contains("✔ source demo/curl"),
        "{usual}"
    );
    assert!(
        more.contains("deployment/curl unchanged") && !more.contains("/apis/"),
        "{more}"
    );
    assert!(
        all.contains("deployment/curl unchanged") && all.contains("/apis/"),
        "{all}"
    );
    // A verdict is data, and errors are never kept quiet.
    let verified = Terminal::start(&served, "verify -n demo -q", (120, 40), &[]).ends();
    assert!(
        verified.transcript.contains("verdict: proven") && !verified.transcript.contains("next:"),
        "{}",
        verified.transcript
    );
    let refused = Terminal::start(&served, "status -n elsewhere -q", (120, 40), &[]).ends();
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.transcript.starts_with("error: "),
        "{}",
        refused.transcript
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn however_narrow_a_terminal_is_the_tree_fits_and_goes() {
    for size in [(30, 12), (16, 8), (8, 4)] {
        let served = Served::new(SandboxSettings {
            pod_start: Duration::from_millis(1_500),
            ..quick()
        })
        .await;
        let terminal = Terminal::start(&served, SET_UP, size, &[]);
        let window = terminal.until("a spinner", |window| window.contains(SPINNERS));
        assert!(window.lines().count() <= usize::from(size.1), "{window}");
        let ended = terminal.ends();
        assert_eq!(ended.code, Some(0), "{size:?}\n{}", ended.transcript);
        ended.is_clean();
        // Broken by the terminal, where a word is longer than a line, a command behind a backslash; nothing is left out.
        let said: String = ended.transcript.replace('\\', "").split_whitespace().collect();
        assert!(
            said.contains("verdict:proven") && said.contains("kubectlegressverify-ndemo"),
            "{size:?}\n{}",
            ended.transcript
        );
    }
}

/// An API server takes no such names; people type them.
#[tokio::test(flavor = "multi_thread")]
async fn wide_characters_are_counted_as_the_terminal_shows_them() {
    let served = Served::new(quick()).await;
    for (typed, told) in [
        ("setup 例え.テスト -n demo", "例え.テスト"),
        ("status --context 集群生產環境集群生產環境", "集群生產環境"),
        ("status -n 名前空間", "名前空間"),
    ] {
        for columns in [36_u16, 60, 120] {
            let ended = Terminal::start(&served, typed, (columns, 24), &[]).ends();
            ended.is_clean();
            let together: String = ended.transcript.split_whitespace().collect();
            assert!(together.contains(told), "{typed}: {}", ended.transcript);
            // As it is broken into lines by us, not by the terminal.
            let said = served.run(typed, ReportSettings::default(), columns.into()).await;
            assert_eq!(ended.code, Some(said.code.into()), "{}", ended.transcript);
            // A line with a command stays whole, to be copied.
            let prose = |line: &&str| line.contains(' ') && !line.contains('`');
            for line in said.error.lines().filter(prose) {
                let words = line.split_whitespace().map(UnicodeWidthStr::width).max();
                assert!(
                    line.width() <= usize::from(columns).max(words.unwrap_or_default() + 6),
                    "{columns}: {line}"
                );
            }
        }
    }
}
