//! The live tree, drawn on a terminal made of memory.

use crate::engine::Event;
use crate::report::live::Live;
use crate::report::progress::Progress;
use crate::report::streams::{Buffer, Streams};
use crate::report::style::Style;
use crate::report::{ReportSettings, tests::kind};
use crate::vocabulary::{Change, ObjectReference};
use std::sync::Arc;
use std::time::Duration;

fn live(settings: ReportSettings) -> (Progress, Buffer) {
    let error = Buffer::default();
    let streams = Arc::new(Streams::new(Box::new(Buffer::default()), Box::new(error.clone())));
    let style = Style {
        color: false,
        unicode: true,
        width: Some(80),
        verbosity: 0,
    };
    let screen = Live::new(streams.clone(), style, Box::new(|| (80, 24)));
    (Progress::new(streams, style, settings, Some(screen)), error)
}

/// What a terminal of 80 columns shows of it.
fn screen(written: &Buffer) -> String {
    let size = |number: u16| number.try_into().unwrap();
    let mut terminal = vt100::Parser::new(size(24), size(80), 0);
    // A terminal's driver makes CR LF of a line feed.
    terminal.process(written.text().replace('\n', "\r\n").as_bytes());
    assert!(!terminal.screen().hide_cursor());
    terminal.screen().contents().trim_end().to_owned()
}

fn start(progress: &Progress, id: &str, title: &str) {
    progress.handle(Event::StepStarted {
        id: id.into(),
        title: title.into(),
    });
}

fn wait(progress: &Progress, id: &str, on: &str) {
    progress.handle(Event::StepWaiting {
        id: id.into(),
        on: on.into(),
    });
}

/// Without what turns and counts.
fn still(screen: &str) -> String {
    let spinners: &[char] = &['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
    screen.replace(spinners, "⠋")
}

#[test]
fn running_steps_are_drawn_and_finished_ones_become_lines_with_their_objects() {
    let (progress, error) = live(ReportSettings::default());
    start(&progress, "source", "deploy the source");
    start(&progress, "route", "apply the routing");
    wait(&progress, "source", "pulling the image");
    progress.handle(Event::ObjectChanged {
        id: "source".into(),
        object: ObjectReference::namespaced(kind("Service"), "demo", "curl"),
        change: Change::Created,
        dry_run: false,
    });
    insta::assert_snapshot!(still(&screen(&error)), @r"
    ⠋ deploy the source  0s
      └ 1 object, last service/curl created in demo
      └ waits for: pulling the image
    ⠋ apply the routing  0s
    ");
    progress.handle(Event::StepFinished {
        id: "source".into(),
        detail: Some("pod curl-x".into()),
        elapsed: Duration::from_millis(1_200),
    });
    insta::assert_snapshot!(still(&screen(&error)), @r"
    ✔ deploy the source  pod curl-x  1.2s
        service/curl created in demo
    ⠋ apply the routing  0s
    ");
    progress.clear();
    insta::assert_snapshot!(screen(&error), @r"
    ✔ deploy the source  pod curl-x  1.2s
        service/curl created in demo
    – apply the routing  not finished  0.0s
    ");
}

#[test]
fn a_paused_screen_draws_nothing_until_it_is_resumed() {
    let (progress, error) = live(ReportSettings::default());
    start(&progress, "source", "deploy the source");
    progress.handle(Event::ScreenPaused);
    wait(&progress, "source", "somebody who types a password");
    progress.handle(Event::Warning("still told".into()));
    assert_eq!(screen(&error), "warning: still told");
    progress.handle(Event::ScreenResumed);
    assert!(screen(&error).contains("somebody who types a password"));
    progress.clear();
}

#[test]
fn what_is_printed_meanwhile_stands_above() {
    let (progress, error) = live(ReportSettings::default());
    start(&progress, "source", "deploy the source");
    progress.note("one");
    progress.note("one");
    progress.print("two\n");
    assert_eq!(still(&screen(&error)), "note: one\ntwo\n⠋ deploy the source  0s");
}

#[test]
fn quiet_has_no_live_screen() {
    let (progress, error) = live(ReportSettings {
        quiet: true,
        ..ReportSettings::default()
    });
    start(&progress, "source", "deploy the source");
    progress.clear();
    assert_eq!(error.text(), "");
}

/// Each is two columns wide, and a line that were counted in characters would wrap and be left over.
#[test]
fn wide_characters_neither_wrap_nor_leave_anything() {
    let (progress, error) = live(ReportSettings::default());
    start(&progress, "source", &"工作負載".repeat(30));
    wait(&progress, "source", &"レジストリe\u{301}".repeat(20));
    wait(&progress, "source", "more");
    let drawn = screen(&error);
    assert_eq!(drawn.lines().count(), 2, "{drawn}");
    assert!(drawn.lines().next().unwrap().ends_with("…  0s"), "{drawn}");
    progress.clear();
    let left = screen(&error);
    assert_eq!(left.matches("not finished").count(), 1, "{left}");
    assert!(!left.contains("more"), "{left}");
}
