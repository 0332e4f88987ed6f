//! Events of the engine as progress: a live tree on a terminal, else one line per event.

use super::printer::ReportSettings;
use super::streams::{Streams, lock};
use super::style::{Mark, Style, Tone, seconds};
use super::{escape, view};
use crate::engine::{Event, StepId};
use crate::vocabulary::{Change, ProgressStyle};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Shows events, and keeps other output from tearing the live screen.
pub(super) struct Progress {
    streams: Arc<Streams>,
    style: Style,
    quiet: bool,
    verbosity: u8,
    live: Option<Live>,
    state: Mutex<State>,
}

struct Live {
    bars: MultiProgress,
    target: Box<dyn Fn() -> ProgressDrawTarget + Send + Sync>,
}

#[derive(Default)]
struct State {
    steps: HashMap<StepId, Step>,
    /// Notes and warnings are worth a line once.
    said: HashSet<String>,
}

struct Step {
    title: String,
    bar: Option<ProgressBar>,
}

/// How often spinners turn and elapsed times are drawn.
const TICK: Duration = Duration::from_millis(120);

impl Progress {
    pub(super) fn new(streams: Arc<Streams>, style: Style, settings: ReportSettings, live: bool) -> Self {
        Self::with_target(
            streams,
            style,
            settings,
            live.then_some(Box::new(ProgressDrawTarget::stderr)),
        )
    }

    pub(super) fn with_target(
        streams: Arc<Streams>,
        style: Style,
        settings: ReportSettings,
        target: Option<Box<dyn Fn() -> ProgressDrawTarget + Send + Sync>>,
    ) -> Self {
        let quiet = settings.quiet || settings.progress == ProgressStyle::None;
        let live = target.filter(|_| !quiet).map(|target| Live {
            bars: MultiProgress::with_draw_target(target()),
            target,
        });
        Self {
            streams,
            style,
            quiet,
            verbosity: settings.verbosity,
            live,
            state: Mutex::default(),
        }
    }

    pub(super) fn handle(&self, event: Event) {
        match event {
            Event::StepStarted { id, title } => self.started(id, &title),
            Event::StepWaiting { id, on } => self.waiting(&id, &on),
            Event::StepFinished { id, detail, elapsed } => {
                let title = self.ended(&id);
                let detail = detail.map(|detail| self.style.paint(Tone::Quiet, &detail));
                self.step_line(Mark::Good, &title, detail, Some(elapsed));
            }
            Event::StepSkipped { id, title, reason } => {
                self.ended(&id);
                self.step_line(
                    Mark::Skipped,
                    &title,
                    Some(self.style.paint(Tone::Quiet, &reason)),
                    None,
                );
            }
            Event::StepFailed { id, message, elapsed } => {
                let title = self.ended(&id);
                self.step_line(
                    Mark::Bad,
                    &title,
                    Some(escape::visible(&message).into_owned()),
                    Some(elapsed),
                );
            }
            Event::ObjectChanged {
                object,
                change,
                dry_run,
                ..
            } => {
                if change != Change::Unchanged || self.verbosity > 0 {
                    self.unless_quiet(&format!(
                        "  {}\n",
                        view::change_line(&object, change, dry_run, &self.style)
                    ));
                }
            }
            Event::Probed(result) => {
                self.unless_quiet(&format!("{}\n", view::probe_line(&result, &self.style)));
            }
            Event::Found(finding) => {
                let text = view::finding(&finding, &self.style);
                if finding.severity == crate::finding::Severity::Info {
                    self.unless_quiet(&text);
                } else {
                    self.print(&text);
                }
            }
            Event::Note(text) => self.note(&text),
            Event::Warning(text) => self.warning(&text),
            Event::Retrying(text) => {
                if self.verbosity > 0 {
                    self.unless_quiet(&format!(
                        "{}\n",
                        self.style.paint(Tone::Quiet, &format!("retrying: {text}"))
                    ));
                }
            }
            Event::Requested(text) => {
                if self.verbosity > 1 {
                    self.unless_quiet(&format!("{}\n", self.style.paint(Tone::Quiet, &text)));
                }
            }
            Event::ScreenPaused => self.pause(),
            Event::ScreenResumed => self.resume(),
        }
    }

    pub(super) fn note(&self, text: &str) {
        if !self.quiet && lock(&self.state).said.insert(text.to_owned()) {
            self.print(&format!(
                "{} {}\n",
                self.style.color_only(Tone::Strong, "note:"),
                escape::visible(text)
            ));
        }
    }

    pub(super) fn warning(&self, text: &str) {
        if lock(&self.state).said.insert(format!("warning: {text}")) {
            self.print(&format!(
                "{} {}\n",
                self.style.color_only(Tone::Warning, "warning:"),
                escape::visible(text)
            ));
        }
    }

    /// Writes finished text to standard error, above the live screen.
    pub(super) fn print(&self, text: &str) {
        self.aside(|| self.streams.write_error(text));
    }

    /// Does something with the live screen out of the way.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        match &self.live {
            Some(live) => live.bars.suspend(write),
            None => write(),
        }
    }

    /// Takes the live screen away until [`Self::resume`]: somebody else talks to the user.
    pub(super) fn pause(&self) {
        if let Some(live) = &self.live {
            let _ = live.bars.clear();
            live.bars.set_draw_target(ProgressDrawTarget::hidden());
        }
    }

    /// Brings the live screen back.
    pub(super) fn resume(&self) {
        if let Some(live) = &self.live {
            live.bars.set_draw_target((live.target)());
        }
    }

    /// Takes the live screen away for good: steps still running then have been given up.
    pub(super) fn clear(&self) {
        for (_, step) in lock(&self.state).steps.drain() {
            if let Some(bar) = step.bar {
                bar.finish_and_clear();
            }
        }
    }

    fn started(&self, id: StepId, title: &str) {
        let title = escape::visible(title).into_owned();
        let bar = self.live.as_ref().map(|live| {
            let bar = live
                .bars
                .add(ProgressBar::new_spinner().with_style(spinner(&self.style)));
            bar.set_message(title.clone());
            bar.enable_steady_tick(TICK);
            bar
        });
        if bar.is_none() {
            self.unless_quiet(&format!("{} {title}\n", self.style.mark(Mark::Running)));
        }
        lock(&self.state).steps.insert(id, Step { title, bar });
    }

    fn waiting(&self, id: &StepId, on: &str) {
        let mut state = lock(&self.state);
        let Some(step) = state.steps.get_mut(id) else {
            return;
        };
        let on = escape::visible(on);
        if let Some(bar) = &step.bar {
            bar.set_message(format!(
                "{}  {}",
                step.title,
                self.style.color_only(Tone::Quiet, &on)
            ));
        } else {
            let line = format!("{} {}: {on}\n", self.style.mark(Mark::Running), step.title);
            drop(state);
            self.unless_quiet(&line);
        }
    }

    /// Takes a step off the live screen; its title.
    fn ended(&self, id: &StepId) -> String {
        match lock(&self.state).steps.remove(id) {
            None => id.clone(),
            Some(step) => {
                if let Some(bar) = step.bar {
                    bar.finish_and_clear();
                }
                step.title
            }
        }
    }

    fn step_line(&self, mark: Mark, title: &str, detail: Option<String>, elapsed: Option<Duration>) {
        let mut line = format!("{} {}", self.style.mark(mark), escape::visible(title));
        for part in [
            detail,
            elapsed.map(|time| self.style.color_only(Tone::Quiet, &seconds(time))),
        ] {
            if let Some(part) = part.filter(|part| !part.is_empty()) {
                line.push_str("  ");
                line.push_str(&part);
            }
        }
        line.push('\n');
        self.unless_quiet(&line);
    }

    fn unless_quiet(&self, text: &str) {
        if !self.quiet {
            self.print(text);
        }
    }
}

/// A spinner with what runs, what it waits for, and how long already; cut at the terminal's width.
fn spinner(style: &Style) -> BarStyle {
    let ticks: &[&str] = if style.unicode {
        &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]
    } else {
        &["|", "/", "-", "\\"]
    };
    BarStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| BarStyle::default_spinner())
        .tick_strings(ticks)
}
