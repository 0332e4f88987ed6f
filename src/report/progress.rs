//! Events of the engine as progress: a live tree on a terminal, else one line per event.

use super::columns::columns;
use super::frame::RunningStep;
use super::live::Live;
use super::printer::ReportSettings;
use super::streams::{Streams, lock};
use super::style::{Mark, Style, Tone, seconds};
use super::{escape, view};
use crate::engine::{Event, StepId};
use crate::finding::Severity;
use crate::vocabulary::{Change, OutputFormat, ProgressStyle};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Shows events, and keeps other output from tearing the live screen.
pub(super) struct Progress {
    streams: Arc<Streams>,
    style: Style,
    settings: ReportSettings,
    quiet: bool,
    live: Option<Live>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    steps: HashMap<StepId, Step>,
    /// Notes and warnings are worth a line once.
    said: HashSet<String>,
}

/// A step that runs: on the live screen, or as lines.
struct Step {
    shown: RunningStep,
    /// Its key on the live screen.
    live: Option<u64>,
}

impl Progress {
    /// `live`: the live screen, where there is a terminal that can show it.
    pub(super) fn new(
        streams: Arc<Streams>,
        style: Style,
        settings: ReportSettings,
        live: Option<Live>,
    ) -> Self {
        let quiet = settings.quiet || settings.progress == ProgressStyle::None;
        Self {
            streams,
            style,
            settings,
            quiet,
            live: live.filter(|_| !quiet),
            state: Mutex::default(),
        }
    }

    pub(super) fn handle(&self, event: Event) {
        match event {
            Event::StepStarted { id, title } => self.started(id, &title),
            Event::StepWaiting { id, on } => self.waiting(&id, &on),
            Event::StepFinished { id, detail, elapsed } => {
                self.ended(&id, Mark::Good, None, detail.as_deref(), Some(elapsed));
            }
            Event::StepSkipped { id, title, reason } => {
                self.ended(&id, Mark::Skipped, Some(&title), Some(&reason), None);
            }
            Event::StepFailed { id, message, elapsed } => {
                self.ended(&id, Mark::Bad, None, Some(&message), Some(elapsed));
            }
            Event::ObjectChanged {
                id,
                object,
                change,
                dry_run,
            } => {
                if change != Change::Unchanged || self.settings.verbosity > 0 {
                    self.changed(&id, &|style| view::change_line(&object, change, dry_run, style));
                }
            }
            // The document that follows tells all of them again, with their ways.
            Event::Probed(_) if self.settings.output == OutputFormat::Text => {}
            Event::Probed(result) => {
                self.unless_quiet(&format!("{}\n", view::probe_line(&result, &self.style())));
            }
            Event::Found(finding) => {
                let text = view::finding(&finding, &self.style());
                if finding.severity == Severity::Info {
                    self.unless_quiet(&text);
                } else {
                    self.print(&text);
                }
            }
            Event::Note(text) => self.note(&text),
            Event::Warning(text) => self.warning(&text),
            Event::Retrying(text) => self.aloud(1, &format!("retrying: {text}")),
            Event::Requested(text) | Event::WorkedOut(text) => self.aloud(2, &text),
            Event::ScreenPaused => self.pause(),
            Event::ScreenResumed => self.resume(),
        }
    }

    pub(super) fn note(&self, text: &str) {
        if !self.quiet && lock(&self.state).said.insert(text.to_owned()) {
            self.headed(Tone::Strong, "note:", text);
        }
    }

    pub(super) fn warning(&self, text: &str) {
        if lock(&self.state).said.insert(format!("warning: {text}")) {
            self.headed(Tone::Warning, "warning:", text);
        }
    }

    /// Writes finished text to standard error, above the live screen.
    pub(super) fn print(&self, text: &str) {
        match &self.live {
            Some(live) => live.print(text),
            None => self.streams.write_error(text),
        }
    }

    /// Does something with the live screen out of the way.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        match &self.live {
            Some(live) => live.aside(write),
            None => write(),
        }
    }

    /// Takes the live screen away until [`Self::resume`]: somebody else talks to the user.
    pub(super) fn pause(&self) {
        if let Some(live) = &self.live {
            live.pause();
        }
    }

    /// Brings the live screen back.
    pub(super) fn resume(&self) {
        if let Some(live) = &self.live {
            live.resume();
        }
    }

    /// Takes the live screen away for good. Steps still running have been given up: they are told, with what they
    /// changed.
    pub(super) fn clear(&self) {
        let mut given_up: Vec<RunningStep> = match &self.live {
            Some(live) => live.end(),
            None => lock(&self.state)
                .steps
                .values()
                .map(|step| step.shown.clone())
                .collect(),
        };
        lock(&self.state).steps.clear();
        given_up.sort_by_key(|step| step.since);
        for step in given_up {
            let detail = Some((Tone::Quiet, "not finished"));
            self.step_line(Mark::Skipped, &step.title, detail, Some(step.since.elapsed()));
            self.under(&step);
        }
    }

    /// How text on standard error is to look now: a terminal may have been resized.
    pub(super) fn style(&self) -> Style {
        Style {
            width: self
                .live
                .as_ref()
                .map_or(self.style.width, |live| Some(live.width())),
            ..self.style
        }
    }

    fn started(&self, id: StepId, title: &str) {
        let shown = RunningStep::new(escape::visible(title).into_owned(), Instant::now());
        if self.live.is_none() {
            self.unless_quiet(&format!("{} {}\n", self.style.mark(Mark::Running), shown.title));
        }
        let live = self.live.as_ref().map(|live| live.add(shown.clone()));
        lock(&self.state).steps.insert(id, Step { shown, live });
    }

    fn waiting(&self, id: &StepId, on: &str) {
        let mut state = lock(&self.state);
        let Some(step) = state.steps.get_mut(id) else {
            return;
        };
        let on = escape::visible(on).into_owned();
        if step
            .shown
            .awaited
            .as_ref()
            .is_some_and(|(before, _)| *before == on)
        {
            return;
        }
        let awaited = Some((on.clone(), Instant::now()));
        step.shown.awaited.clone_from(&awaited);
        let (key, title) = (step.live, step.shown.title.clone());
        drop(state);
        if let (Some(live), Some(key)) = (&self.live, key) {
            live.change(key, |step| step.awaited = awaited);
        } else {
            self.unless_quiet(&format!("{} {title}: {on}\n", self.style.mark(Mark::Running)));
        }
    }

    /// On the live screen a change belongs to its step, and is told with it; as lines, when it happens.
    fn changed(&self, id: &StepId, line: &dyn Fn(&Style) -> String) {
        let key = lock(&self.state).steps.get(id).and_then(|step| step.live);
        if let (Some(live), Some(key)) = (&self.live, key) {
            let plain = line(&Style {
                color: false,
                ..self.style
            });
            live.change(key, |step| step.changes.push(plain));
        } else {
            self.unless_quiet(&format!("  {}\n", line(&self.style)));
        }
    }

    /// A step's last line, and below it what it changed.
    fn ended(
        &self,
        id: &StepId,
        mark: Mark,
        title: Option<&str>,
        detail: Option<&str>,
        elapsed: Option<Duration>,
    ) {
        let step = lock(&self.state).steps.remove(id);
        let shown = step.map(|step| match (&self.live, step.live) {
            (Some(live), Some(key)) => live.remove(key).unwrap_or(step.shown),
            _ => step.shown,
        });
        let title = title
            .map(|title| escape::visible(title).into_owned())
            .or_else(|| shown.as_ref().map(|step| step.title.clone()))
            .unwrap_or_else(|| escape::visible(id).into_owned());
        let tone = if mark == Mark::Bad {
            Tone::Plain
        } else {
            Tone::Quiet
        };
        let detail = detail.map(escape::visible);
        self.step_line(
            mark,
            &title,
            detail.as_deref().map(|detail| (tone, detail)),
            elapsed,
        );
        if let Some(step) = shown {
            self.under(&step);
        }
    }

    fn under(&self, step: &RunningStep) {
        let mut text = String::new();
        for change in &step.changes {
            text.push_str("    ");
            text.push_str(&self.style.color_only(Tone::Quiet, change));
            text.push('\n');
        }
        if !text.is_empty() {
            self.unless_quiet(&text);
        }
    }

    /// On one line if it fits, else with the detail below.
    fn step_line(&self, mark: Mark, title: &str, detail: Option<(Tone, &str)>, elapsed: Option<Duration>) {
        let style = self.style();
        let mark = style.mark(mark);
        let (tone, detail) = detail.unwrap_or((Tone::Plain, ""));
        let elapsed = elapsed.map(seconds).unwrap_or_default();
        let parts = [title, detail, &elapsed].map(columns);
        let whole: usize = parts.iter().map(|part| part + 2).sum();
        let (beside, below) = match style.width {
            Some(width) if whole > width => ("", detail),
            _ => (detail, ""),
        };
        let mut line = match style.width {
            Some(_) => format!("{mark} {}", style.wrap_item(title, 2).trim_start()),
            None => format!("{mark} {title}"),
        };
        for (tone, part) in [(tone, beside), (Tone::Quiet, &elapsed)] {
            if !part.is_empty() {
                line.push_str("  ");
                line.push_str(&style.color_only(tone, part));
            }
        }
        line.push('\n');
        for wrapped in style.wrap(below, 4).lines() {
            line.push_str(&style.color_only(tone, wrapped));
            line.push('\n');
        }
        self.unless_quiet(&line);
    }

    /// `note: …` and the like, broken into lines on a terminal and left whole for whoever greps.
    fn headed(&self, tone: Tone, head: &str, text: &str) {
        let style = self.style();
        let whole = format!("{head} {text}");
        let shown = if style.width.is_some() {
            style.wrap_item(&whole, 0)
        } else {
            escape::visible(&whole).into_owned()
        };
        self.print(&format!(
            "{}\n",
            shown.replacen(head, &style.color_only(tone, head), 1)
        ));
    }

    /// A line for those who asked for so much.
    fn aloud(&self, verbosity: u8, text: &str) {
        if self.settings.verbosity >= verbosity {
            self.unless_quiet(&format!("{}\n", self.style.paint(Tone::Quiet, text)));
        }
    }

    fn unless_quiet(&self, text: &str) {
        if !self.quiet {
            self.print(text);
        }
    }
}
