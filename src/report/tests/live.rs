//! The live tree, drawn on a terminal made of memory.

use crate::engine::Event;
use crate::report::ReportSettings;
use crate::report::progress::Progress;
use crate::report::streams::{Buffer, Streams};
use crate::report::style::Style;
use indicatif::{ProgressDrawTarget, TermLike};
use std::io::Result;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Keeps everything that was ever drawn.
#[derive(Debug, Clone, Default)]
struct Terminal(Arc<Mutex<String>>);

impl Terminal {
    fn drawn(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn push(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        80
    }
    fn height(&self) -> u16 {
        24
    }
    fn move_cursor_up(&self, _: usize) -> Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> Result<()> {
        self.push(&format!("{text}\n"));
        Ok(())
    }
    fn write_str(&self, text: &str) -> Result<()> {
        self.push(text);
        Ok(())
    }
    fn clear_line(&self) -> Result<()> {
        self.push("\n");
        Ok(())
    }
    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

fn live(settings: ReportSettings) -> (Progress, Terminal, Buffer) {
    let (terminal, error) = (Terminal::default(), Buffer::default());
    let streams = Arc::new(Streams::new(Box::new(Buffer::default()), Box::new(error.clone())));
    let style = Style {
        color: false,
        unicode: true,
        width: Some(80),
        verbosity: 0,
    };
    let screen = terminal.clone();
    let target = move || ProgressDrawTarget::term_like(Box::new(screen.clone()));
    (
        Progress::with_target(streams, style, settings, Some(Box::new(target))),
        terminal,
        error,
    )
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

#[test]
fn running_steps_are_drawn_and_finished_ones_become_lines() {
    let (progress, terminal, error) = live(ReportSettings::default());
    start(&progress, "source", "deploy the source");
    start(&progress, "route", "apply the routing");
    wait(&progress, "source", "pulling the image");
    progress.handle(Event::StepFinished {
        id: "source".into(),
        detail: Some("pod curl-x".into()),
        elapsed: Duration::from_millis(1_200),
    });
    assert_eq!(error.text(), "✔ deploy the source  pod curl-x  1.2s\n");
    let drawn = terminal.drawn();
    assert!(drawn.contains("apply the routing"), "{drawn}");
    assert!(drawn.contains("deploy the source  pulling the image"), "{drawn}");
    progress.clear();
}

#[test]
fn a_paused_screen_draws_nothing_until_it_is_resumed() {
    let (progress, terminal, error) = live(ReportSettings::default());
    start(&progress, "source", "deploy the source");
    progress.handle(Event::ScreenPaused);
    wait(&progress, "source", "while paused");
    progress.handle(Event::Warning("still told".into()));
    assert!(!terminal.drawn().contains("while paused"), "{}", terminal.drawn());
    assert!(error.text().contains("warning: still told"));
    progress.handle(Event::ScreenResumed);
    wait(&progress, "source", "after it");
    assert!(terminal.drawn().contains("after it"), "{}", terminal.drawn());
    progress.clear();
}

#[test]
fn quiet_has_no_live_screen() {
    let (progress, terminal, error) = live(ReportSettings {
        quiet: true,
        ..ReportSettings::default()
    });
    start(&progress, "source", "deploy the source");
    progress.clear();
    assert_eq!((terminal.drawn(), error.text()), (String::new(), String::new()));
}
