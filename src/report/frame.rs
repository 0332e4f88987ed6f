//! What the live screen shows at one moment: a value made of values, so that a test needs no terminal.

use super::columns::{columns, cut_end};
use super::patience;
use super::style::{Style, Tone};
use indicatif::ProgressStyle;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A step that runs.
#[derive(Debug, Clone)]
pub(super) struct RunningStep {
    pub(super) title: String,
    pub(super) since: Instant,
    /// What is awaited now, and since when.
    pub(super) awaited: Option<(String, Instant)>,
    /// What it changed so far, one line each.
    pub(super) changes: Vec<String>,
}

impl RunningStep {
    pub(super) fn new(title: String, since: Instant) -> Self {
        Self {
            title,
            since,
            awaited: None,
            changes: Vec::new(),
        }
    }
}

/// How much of each step is shown, the most first.
const DETAILS: [Detail; 3] = [Detail::Hints, Detail::Awaited, Detail::Title];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    Title,
    Awaited,
    Hints,
}

/// The lines for a terminal of so many columns and rows: none is wider, and there are fewer than rows.
///
/// What does not fit goes in this order: hints, what is awaited, steps.
pub(super) fn frame(
    steps: &[&RunningStep],
    now: Instant,
    turn: usize,
    (width, height): (usize, usize),
    style: &Style,
) -> Vec<String> {
    // The last column stays free: some terminals wrap behind it at once.
    let width = width.saturating_sub(1);
    let room = height.saturating_sub(1);
    let spinner = spinner(style, turn);
    for detail in DETAILS {
        let lines: Vec<String> = steps
            .iter()
            .flat_map(|step| lines_of(step, now, spinner, width, detail, style))
            .collect();
        if lines.len() <= room {
            return lines;
        }
        if detail == Detail::Title {
            return first(lines, room, style);
        }
    }
    Vec::new()
}

fn first(mut lines: Vec<String>, room: usize, style: &Style) -> Vec<String> {
    let hidden = lines.len() - room.saturating_sub(1);
    lines.truncate(room.saturating_sub(1));
    if room > 0 {
        lines.push(style.color_only(Tone::Quiet, &format!("{} {hidden} more", style.ellipsis())));
    }
    lines
}

fn lines_of(
    step: &RunningStep,
    now: Instant,
    spinner: &str,
    width: usize,
    detail: Detail,
    style: &Style,
) -> Vec<String> {
    let elapsed = elapsed(now.saturating_duration_since(step.since));
    let room = width.saturating_sub(columns(spinner) + 1 + 2 + columns(&elapsed));
    let mut lines = vec![format!(
        "{} {}  {}",
        style.color_only(Tone::Literal, spinner),
        cut_end(&step.title, room, style.ellipsis()),
        style.color_only(Tone::Quiet, &elapsed),
    )];
    if detail < Detail::Awaited {
        return lines;
    }
    let branch = if style.unicode { "  └ " } else { "  - " };
    let mut under = |text: &str| {
        let cut = cut_end(text, width.saturating_sub(columns(branch)), style.ellipsis());
        lines.push(style.color_only(Tone::Quiet, &format!("{branch}{cut}")));
    };
    if let Some(last) = step.changes.last() {
        let count = step.changes.len();
        let plural = if count == 1 { "object" } else { "objects" };
        under(&format!("{count} {plural}, last {last}"));
    }
    let Some((awaited, since)) = &step.awaited else {
        return lines;
    };
    under(&format!("waits for: {awaited}"));
    let hint = patience::why(awaited, now.saturating_duration_since(*since));
    if let Some(hint) = hint.filter(|_| detail == Detail::Hints) {
        let narrow = Style {
            width: Some(width),
            ..*style
        };
        for line in narrow.wrap(hint, 4).lines() {
            lines.push(style.color_only(Tone::Quiet, &cut_end(line, width, style.ellipsis())));
        }
    }
    lines
}

/// Whole seconds: what moves ten times a second is hard to look past.
fn elapsed(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds => format!("{}m{:02}s", seconds / 60, seconds % 60),
    }
}

fn spinner(style: &Style, turn: usize) -> &'static str {
    // indicatif counts the last frame as the one of a bar that has ended.
    static UNICODE: LazyLock<ProgressStyle> =
        LazyLock::new(|| ProgressStyle::default_spinner().tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
    static PLAIN: LazyLock<ProgressStyle> =
        LazyLock::new(|| ProgressStyle::default_spinner().tick_chars("|/-\\ "));
    let frames: &'static ProgressStyle = if style.unicode { &UNICODE } else { &PLAIN };
    frames.get_tick_str(turn as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style {
        color: false,
        unicode: true,
        width: None,
        verbosity: 0,
    };

    fn steps(now: Instant) -> Vec<RunningStep> {
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        let awaited = "pod curl-5d7c9b6f4-x2x4z: container curl is being created";
        vec![
            RunningStep {
                changes: vec![
                    "namespace/demo created".into(),
                    "service/curl created in demo".into(),
                ],
                awaited: Some((awaited.into(), ago(6))),
                ..RunningStep::new("source demo/curl".into(), ago(7))
            },
            RunningStep::new("routing of www.例え.jp:443".into(), ago(75)),
        ]
    }

    fn drawn(size: (usize, usize)) -> String {
        let now = Instant::now();
        frame(&steps(now).iter().collect::<Vec<_>>(), now, 3, size, &STYLE).join("\n")
    }

    #[test]
    fn a_tree_says_what_is_awaited_and_why_that_takes_long() {
        insta::assert_snapshot!(drawn((80, 24)), @r"
        ⠸ source demo/curl  7s
          └ 2 objects, last service/curl created in demo
          └ waits for: pod curl-5d7c9b6f4-x2x4z: container curl is being created
            mostly the node is pulling its image, which takes a while the first time;
            `kubectl get events -n NAMESPACE` tells
        ⠸ routing of www.例え.jp:443  1m15s
        ");
    }

    #[test]
    fn a_narrow_screen_cuts_and_a_low_one_leaves_out() {
        insta::assert_snapshot!(drawn((40, 10)), @r"
        ⠸ source demo/curl  7s
          └ 2 objects, last service/curl creat…
          └ waits for: pod curl-5d7c9b6f4-x2x4…
            mostly the node is pulling its
            image, which takes a while the
            first time;
            `kubectl get events -n NAMESPACE`
            tells
        ⠸ routing of www.例え.jp:443  1m15s
        ");
        insta::assert_snapshot!(drawn((20, 5)), @r"
        ⠸ source demo/…  7s
          └ 2 objects, las…
          └ waits for: pod…
        ⠸ routing o…  1m15s
        ");
        insta::assert_snapshot!(drawn((20, 3)), @r"
        ⠸ source demo/…  7s
        ⠸ routing o…  1m15s
        ");
        assert_eq!(drawn((20, 2)), "… 2 more");
        assert_eq!(drawn((0, 0)), "");
    }

    #[test]
    fn no_line_is_wider_and_there_are_never_more_lines_than_fit() {
        let now = Instant::now();
        let steps = steps(now);
        let steps: Vec<&RunningStep> = steps.iter().collect();
        for width in 12..90 {
            for height in 1..9 {
                let lines = frame(&steps, now, 0, (width, height), &STYLE);
                assert!(lines.len() < height, "{lines:?}");
                assert!(
                    lines.iter().all(|line| columns(line) < width),
                    "{width}: {lines:?}"
                );
            }
        }
    }
}
