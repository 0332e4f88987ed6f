//! The live screen: draws what runs at the bottom of a terminal, again and again, and takes it away for other output.
//!
//! The cursor rests, visible, at the beginning of the row below what is drawn. So nothing is left over whatever happens
//! next: a `^C` that the terminal echoes stands on a row that is erased, and no line reaches the last column, where
//! terminals differ in how they wrap. A shell that comes back after a kill finds the cursor where it belongs.
//!
//! indicatif's `MultiProgress` draws bars, of which it lets go the last where rows are few, and rests behind them: that
//! what goes first are hints, that rows are erased below an echoed `^C`, and questions are asked with nothing drawn, is
//! why only its spinners are used.

use super::frame::{RunningStep, frame};
use super::streams::{Streams, lock};
use super::style::Style;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// Columns and rows of the terminal, asked anew for each picture: it may have been resized.
pub(super) type Size = Box<dyn Fn() -> (usize, usize) + Send + Sync>;

/// How often spinners turn and elapsed times are drawn.
const TICK: Duration = Duration::from_millis(100);

/// A live screen. Dropping it leaves what is drawn; see [`Live::end`].
pub(super) struct Live(Arc<Shared>);

struct Shared {
    streams: Arc<Streams>,
    style: Style,
    size: Size,
    picture: Mutex<Picture>,
}

#[derive(Default)]
struct Picture {
    /// Running steps by the order in which they began.
    steps: BTreeMap<u64, RunningStep>,
    next: u64,
    /// Rows that are drawn now.
    rows: usize,
    turn: usize,
    paused: bool,
    ticking: bool,
}

impl Live {
    pub(super) fn new(streams: Arc<Streams>, style: Style, size: Size) -> Self {
        Self(Arc::new(Shared {
            streams,
            style,
            size,
            picture: Mutex::default(),
        }))
    }

    /// Columns of the terminal now.
    pub(super) fn width(&self) -> usize {
        (self.0.size)().0
    }

    /// Shows a step that began; the key is for [`Self::change`] and [`Self::remove`].
    pub(super) fn add(&self, step: RunningStep) -> u64 {
        let mut picture = lock(&self.0.picture);
        let key = picture.next;
        picture.next += 1;
        picture.steps.insert(key, step);
        if !picture.ticking {
            picture.ticking = true;
            tick(Arc::downgrade(&self.0));
        }
        self.0.draw(&mut picture);
        key
    }

    /// Changes a step that is shown.
    pub(super) fn change(&self, key: u64, change: impl FnOnce(&mut RunningStep)) {
        let mut picture = lock(&self.0.picture);
        if let Some(step) = picture.steps.get_mut(&key) {
            change(step);
            self.0.draw(&mut picture);
        }
    }

    /// Takes a step away; it, if it was there. What is drawn changes with what is written next.
    pub(super) fn remove(&self, key: u64) -> Option<RunningStep> {
        lock(&self.0.picture).steps.remove(&key)
    }

    /// Writes finished text above what is drawn, in one write with what makes room for it: what the terminal echoes in
    /// between (`^C`) would stand before it.
    pub(super) fn print(&self, text: &str) {
        let mut picture = lock(&self.0.picture);
        let room = picture.take_away();
        self.0.streams.write_error(&(room + text));
        self.0.draw(&mut picture);
    }

    /// Does something, such as writing, with nothing drawn.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        let mut picture = lock(&self.0.picture);
        self.0.erase(&mut picture);
        write();
        self.0.draw(&mut picture);
    }

    /// Draws nothing until [`Self::resume`]: somebody else talks to the user.
    pub(super) fn pause(&self) {
        let mut picture = lock(&self.0.picture);
        self.0.erase(&mut picture);
        picture.paused = true;
    }

    /// Draws again.
    pub(super) fn resume(&self) {
        let mut picture = lock(&self.0.picture);
        picture.paused = false;
        self.0.draw(&mut picture);
    }

    /// Takes everything away; the steps that still ran.
    pub(super) fn end(&self) -> Vec<RunningStep> {
        let mut picture = lock(&self.0.picture);
        self.0.erase(&mut picture);
        std::mem::take(&mut picture.steps).into_values().collect()
    }
}

/// A thread of its own, as nothing else is certain to run while a step waits; it ends with the screen.
fn tick(shared: Weak<Shared>) {
    std::thread::spawn(move || {
        while let Some(shared) = shared.upgrade() {
            let mut picture = lock(&shared.picture);
            picture.turn += 1;
            shared.draw(&mut picture);
            drop(picture);
            drop(shared);
            std::thread::sleep(TICK);
        }
    });
}

impl Shared {
    fn draw(&self, picture: &mut Picture) {
        if picture.paused || (picture.steps.is_empty() && picture.rows == 0) {
            return;
        }
        let lines = frame(
            &picture.steps.values().collect::<Vec<_>>(),
            Instant::now(),
            picture.turn,
            (self.size)(),
            &self.style,
        );
        // One write, and each row is erased only behind its new text: nothing flickers.
        let mut text = to_first_row(picture.rows);
        for line in &lines {
            let _ = writeln!(text, "{line}\u{1b}[K");
        }
        text.push_str("\u{1b}[J");
        self.streams.write_error(&text);
        picture.rows = lines.len();
    }

    fn erase(&self, picture: &mut Picture) {
        let room = picture.take_away();
        if !room.is_empty() {
            self.streams.write_error(&room);
        }
    }
}

impl Picture {
    /// What erases the rows that are drawn, and an echo where none are; nothing if the screen is not ours now.
    fn take_away(&mut self) -> String {
        if self.paused || !self.ticking {
            return String::new();
        }
        let rows = std::mem::take(&mut self.rows);
        format!("{}\u{1b}[J", to_first_row(rows))
    }
}

/// To the beginning of the first of so many rows above the cursor (ECMA-48: CR, CUU).
fn to_first_row(rows: usize) -> String {
    match rows {
        0 => "\r".to_owned(),
        rows => format!("\r\u{1b}[{rows}A"),
    }
}
