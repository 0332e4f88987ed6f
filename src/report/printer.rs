//! The printer: what commands write through.

use super::interruption::interruption;
use super::live::Live;
use super::progress::Progress;
use super::streams::{Buffer, Streams};
use super::style::{Mark, Style, Tone, locale_is_unicode};
use super::{error_text, escape};
use crate::engine::Events;
use crate::error::{Error, Result};
use crate::vocabulary::{ColorChoice, OutputFormat, ProgressStyle};
use anstream::AutoStream;
use serde::Serialize;
use std::io::IsTerminal;
use std::sync::Arc;

/// What was asked of the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportSettings {
    /// Form of documents.
    pub output: OutputFormat,
    /// How progress is shown.
    pub progress: ProgressStyle,
    /// How often `-v` was given.
    pub verbosity: u8,
    /// Only data, warnings and errors.
    pub quiet: bool,
    /// Whether colour is used.
    pub color: ColorChoice,
    /// Every question is answered with yes.
    pub assume_yes: bool,
}

/// Prints. Cheap to clone; all clones share streams and live screen.
#[derive(Clone)]
pub struct Printer(Arc<Inner>);

struct Inner {
    settings: ReportSettings,
    streams: Arc<Streams>,
    output_style: Style,
    error_style: Style,
    output_is_terminal: bool,
    /// Whether somebody is there to answer questions.
    interactive: bool,
    progress: Arc<Progress>,
}

/// What a captured printer has printed so far.
#[derive(Clone)]
pub struct Captured {
    output: Buffer,
    error: Buffer,
}

impl Captured {
    /// Standard output.
    pub fn stdout(&self) -> String {
        self.output.text()
    }

    /// Standard error.
    pub fn stderr(&self) -> String {
        self.error.text()
    }
}

impl Printer {
    /// Prints to the process's own streams.
    pub fn new(settings: ReportSettings) -> Self {
        let (output, error) = (std::io::stdout(), std::io::stderr());
        let unicode = cfg!(windows) || locale_is_unicode(|name| std::env::var(name).ok());
        let width = |terminal: bool| terminal.then(|| size().0);
        let style = |color: bool, terminal: bool| Style {
            color,
            unicode,
            width: width(terminal),
            verbosity: settings.verbosity,
        };
        let output_style = style(color(settings.color, &output), output.is_terminal());
        let error_style = style(color(settings.color, &error), error.is_terminal());
        let capable = error.is_terminal() && std::env::var_os("TERM").is_some() && !is_dumb();
        // The console of older Windows obeys escape sequences only after it is told to; elsewhere nothing happens.
        let told = anstyle_query::windows::enable_ansi_colors() == Some(true);
        let live = match settings.progress {
            ProgressStyle::Live => error.is_terminal(),
            ProgressStyle::Auto => capable || (told && error.is_terminal()),
            ProgressStyle::Plain | ProgressStyle::None => false,
        };
        let streams = Arc::new(Streams::new(Box::new(output), Box::new(error)));
        Self(Arc::new(Inner {
            settings,
            output_style,
            error_style,
            output_is_terminal: std::io::stdout().is_terminal(),
            interactive: std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
            progress: Arc::new(Progress::new(
                streams.clone(),
                error_style,
                settings,
                live.then(|| Live::new(streams.clone(), error_style, Box::new(size))),
            )),
            streams,
        }))
    }

    /// Prints into buffers, as to a terminal of 80 columns that nobody sits at, without colour.
    pub fn captured() -> (Self, Captured) {
        Self::captured_with(ReportSettings::default())
    }

    /// Like [`Self::captured`]; colour only if the settings say always.
    pub fn captured_with(settings: ReportSettings) -> (Self, Captured) {
        Self::captured_at(settings, 80)
    }

    /// Like [`Self::captured_with`], on a terminal of so many columns.
    pub fn captured_at(settings: ReportSettings, columns: usize) -> (Self, Captured) {
        let captured = Captured {
            output: Buffer::default(),
            error: Buffer::default(),
        };
        let streams = Arc::new(Streams::new(
            Box::new(captured.output.clone()),
            Box::new(captured.error.clone()),
        ));
        (Self::over(settings, streams, columns), captured)
    }

    pub(super) fn over(settings: ReportSettings, streams: Arc<Streams>, columns: usize) -> Self {
        let style = Style {
            color: settings.color == ColorChoice::Always,
            unicode: true,
            width: Some(columns),
            verbosity: settings.verbosity,
        };
        Self(Arc::new(Inner {
            settings,
            output_style: style,
            error_style: style,
            output_is_terminal: true,
            interactive: false,
            progress: Arc::new(Progress::new(streams.clone(), style, settings, None)),
            streams,
        }))
    }

    /// Where the engine's events go.
    pub fn events(&self) -> Events {
        let progress = self.0.progress.clone();
        Arc::new(move |event| progress.handle(event))
    }

    /// What was asked of the screen.
    pub fn settings(&self) -> &ReportSettings {
        &self.0.settings
    }

    /// How text for standard output is to look.
    pub fn style(&self) -> &Style {
        &self.0.output_style
    }

    /// Prints data as it is, but for control characters other than line feed and tab, which are made visible.
    pub fn data(&self, text: &str) {
        self.write(escape::visible_lines(text).as_bytes());
    }

    /// Prints text made with [`Self::style`], or by clap: its colours stay if there is colour.
    pub fn styled(&self, text: &str) {
        if self.0.output_style.color {
            self.write(escape::visible_but_colors(text).as_bytes());
        } else {
            self.data(&anstream::adapter::strip_str(text).to_string());
        }
    }

    /// Prints bytes of the cluster and a line feed: to a pipe or file unchanged, to a terminal made visible.
    pub fn raw_line(&self, bytes: &[u8]) {
        let mut line = if self.0.output_is_terminal {
            escape::visible(&String::from_utf8_lossy(bytes))
                .into_owned()
                .into_bytes()
        } else {
            bytes.to_vec()
        };
        line.push(b'\n');
        self.write(&line);
    }

    /// Prints one document as `-o` says: the text, or the value as JSON or YAML.
    ///
    /// # Errors
    /// If the value cannot be written as JSON or YAML, which is a bug.
    pub fn document<Value: Serialize>(
        &self,
        value: &Value,
        text: impl FnOnce(&Style) -> String,
    ) -> Result<()> {
        match self.0.settings.output {
            OutputFormat::Text => self.styled(&text(&self.0.output_style)),
            // Whoever knows JUnit or HTML prints it as data; other commands refuse it when it is typed.
            OutputFormat::Json | OutputFormat::Junit | OutputFormat::Html => {
                self.write(json(value)?.as_bytes());
            }
            OutputFormat::Yaml => self.write(yaml(value)?.as_bytes()),
        }
        Ok(())
    }

    /// Prints one of many documents: a line of text, a line of JSON, or a YAML document behind `---`.
    ///
    /// # Errors
    /// As [`Self::document`].
    pub fn record<Value: Serialize>(&self, value: &Value, text: impl FnOnce(&Style) -> String) -> Result<()> {
        match self.0.settings.output {
            OutputFormat::Text => self.styled(&text(&self.0.output_style)),
            OutputFormat::Json | OutputFormat::Junit | OutputFormat::Html => {
                let line = serde_json::to_string(value).map_err(|error| not_writable(&error))?;
                self.write(format!("{}\n", escape::json(&line)).as_bytes());
            }
            OutputFormat::Yaml => self.write(format!("---\n{}", yaml(value)?).as_bytes()),
        }
        Ok(())
    }

    /// Whether somebody can answer: standard input and standard error are a terminal.
    pub fn is_interactive(&self) -> bool {
        self.0.interactive
    }

    /// A line on standard error that stands for itself, also with `-q`.
    pub fn announce(&self, text: &str) {
        self.0.progress.print(&format!("{}\n", escape::visible(text)));
    }

    /// A line worth knowing; not with `-q`.
    pub fn note(&self, text: &str) {
        self.0.progress.note(text);
    }

    /// A line that should be noticed, also with `-q`.
    pub fn warning(&self, text: &str) {
        self.0.progress.warning(text);
    }

    /// The command to type next; not with `-q`.
    pub fn next(&self, command: &str) {
        if !self.0.settings.quiet {
            let style = &self.0.error_style;
            self.0.progress.print(&format!(
                "{} {}\n",
                style.color_only(Tone::Strong, "next:"),
                style.in_tone(Tone::Literal, &style.instruction(command, "next: "))
            ));
        }
    }

    /// The error with its causes and hints.
    pub fn error(&self, error: &Error) {
        self.0.progress.clear();
        self.0
            .streams
            .write_error(&error_text::render(error, &self.0.error_style));
    }

    /// Asks for consent. Yes with `--yes`; else asks on a terminal, where everything but yes is no.
    ///
    /// Does not block the runtime, so that Ctrl-C can be listened to beside it.
    ///
    /// # Errors
    /// Exit 5 if there is no terminal to ask on, exit 130 on Ctrl-C.
    pub async fn confirm(&self, question: &str) -> Result<bool> {
        let style = &self.0.error_style;
        let asked = escape::visible(question);
        if self.0.settings.assume_yes {
            self.note(&format!("{asked} yes (--yes)"));
            return Ok(true);
        }
        if !self.0.interactive {
            return Err(Error::consent(format!("this needs your word: {asked}"))
                .because("there is no terminal to ask on")
                .hint("the same command with --yes answers every question with yes"));
        }
        let asking = Asking::new(&self.0);
        // Once anything in this process has listened to Ctrl-C, it ends nothing by itself any more; and whoever reads the
        // question may press it at once.
        let interrupted = interruption();
        let asked = style.wrap_item(question, 2);
        self.0.streams.write_error(&format!(
            "{} {} [y/N] ",
            style.mark(Mark::Open),
            asked.trim_start()
        ));
        let reading = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            std::io::stdin().read_line(&mut answer).map(|_| answer)
        });
        let answer = tokio::select! {
            answer = reading => answer,
            () = interrupted => {
                return Err(Error::interrupted()
                    .because("you were asked, and nothing was done yet")
                    .hint("run the same command again; --dry-run=client shows what it would change"));
            }
        };
        asking.answered();
        Ok(matches!(answer, Ok(Ok(text)) if is_yes(&text)))
    }

    /// Whether nobody reads standard output any more: commands that go on for ever end then, with success.
    pub fn output_is_closed(&self) -> bool {
        self.0.streams.output_is_closed()
    }

    /// Takes the live screen away. To be called once at the end, before an error is printed.
    ///
    /// # Errors
    /// If standard output could not be written, other than because its reader left.
    pub fn finish(&self) -> Result<()> {
        self.0.progress.clear();
        self.0.streams.finish()
    }

    fn write(&self, bytes: &[u8]) {
        self.0.progress.aside(|| self.0.streams.write_output(bytes));
    }
}

/// While a question stands on the screen nothing is drawn; one that is given up (Ctrl-C) leaves its line.
struct Asking<'printer> {
    printer: &'printer Inner,
    answered: bool,
}

impl<'printer> Asking<'printer> {
    fn new(printer: &'printer Inner) -> Self {
        printer.progress.pause();
        Self {
            printer,
            answered: false,
        }
    }

    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.printer.streams.write_error("\n");
        }
        self.printer.progress.resume();
    }
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    let size = terminal_size::terminal_size_of(std::io::stderr()).or_else(terminal_size::terminal_size);
    size.map_or((80, 24), |(width, height)| {
        (usize::from(width.0), usize::from(height.0))
    })
}

/// One decision per stream: the flag, then the environment, then whether it is a terminal.
fn color(choice: ColorChoice, stream: &impl anstream::stream::RawStream) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        // Under `CI` the library colours a dumb terminal too.
        ColorChoice::Auto => {
            AutoStream::choice(stream) != anstream::ColorChoice::Never
                && (!is_dumb() || anstyle_query::clicolor_force())
        }
    }
}

/// Whether the terminal says that it understands no escape sequences.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

pub(super) fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn json<Value: Serialize>(value: &Value) -> Result<String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| not_writable(&error))?;
    Ok(format!("{}\n", escape::json(&text)))
}

/// YAML, or where a text in it holds control characters, JSON, which is YAML too and can spell them out.
fn yaml<Value: Serialize>(value: &Value) -> Result<String> {
    let text = serde_saphyr::to_string(value).map_err(|error| not_writable(&error))?;
    if escape::has_hidden(&text) {
        return json(value);
    }
    Ok(if text.ends_with('\n') { text } else { text + "\n" })
}

fn not_writable(error: &dyn std::fmt::Display) -> Error {
    Error::bug("cannot write the result as a document").because(error.to_string())
}
