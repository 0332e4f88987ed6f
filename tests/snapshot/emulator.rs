//! The binary in a terminal emulator: a pseudo-terminal, and what a screen of its size shows of what comes out.

use crate::stage::Served;
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Long enough for a busy machine; nothing passes because of it.
const DEADLINE: Duration = Duration::from_secs(60);

/// Rows of the emulator that keeps everything that was ever shown, in the terminal's columns.
const ENDLESS: u16 = 400;

/// A process on a terminal of its own.
pub(crate) struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    /// What the window shows.
    window: vt100::Parser,
    /// The same without an upper edge.
    all: vt100::Parser,
    raw: Vec<u8>,
    ended: bool,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

impl Terminal {
    /// Starts a command on a window of so many columns and rows.
    pub(crate) fn start(
        served: &Served,
        typed: &str,
        (columns, rows): (u16, u16),
        environment: &[(&str, &str)],
    ) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(rows, columns)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"))
            .args(typed.split_whitespace())
            .arg("--kubeconfig")
            .arg(served.kubeconfig())
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8");
        for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
            command = command.env_remove(variable);
        }
        let child = command.envs(environment.iter().copied()).spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let seen = Arc::new(Mutex::new(Seen {
            window: vt100::Parser::new(number(rows), number(columns), 0),
            all: vt100::Parser::new(number(ENDLESS), number(columns), 0),
            raw: Vec::new(),
            ended: false,
        }));
        let (reading, keeping) = (pty.clone(), seen.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end of a pseudo-terminal is an error on Linux, and no bytes elsewhere.
            while let Ok(read @ 1..) = (&*reading).read(&mut buffer) {
                let mut seen = keeping.lock().unwrap();
                seen.window.process(&buffer[..read]);
                seen.all.process(&buffer[..read]);
                seen.raw.extend_from_slice(&buffer[..read]);
            }
            keeping.lock().unwrap().ended = true;
        });
        Self { pty, child, seen }
    }

    /// Types.
    pub(crate) fn types(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Makes the window another size. Whoever draws is told before the emulator when it becomes narrower, and after it
    /// when it becomes wider, so that no picture on its way is too wide: how a terminal breaks that is its own affair.
    pub(crate) fn resize(&self, (columns, rows): (u16, u16)) {
        let wider = {
            let seen = self.seen.lock().unwrap();
            let (_, before) = seen.window.screen().size();
            columns > before.get()
        };
        if wider {
            self.resize_emulator(columns, rows);
        }
        self.pty.resize(Size::new(rows, columns)).unwrap();
        if !wider {
            self.until_drawn_anew();
            self.resize_emulator(columns, rows);
        }
    }

    fn resize_emulator(&self, columns: u16, rows: u16) {
        let mut seen = self.seen.lock().unwrap();
        seen.window.screen_mut().set_size(number(rows), number(columns));
        seen.all.screen_mut().set_size(number(ENDLESS), number(columns));
    }

    /// Waits until spinners turned twice.
    fn until_drawn_anew(&self) {
        for _ in 0..2 {
            let before = self.window();
            self.until("another picture", |window| window != before);
        }
    }

    /// What the window shows.
    pub(crate) fn window(&self) -> String {
        self.seen.lock().unwrap().window.screen().contents()
    }

    /// Reads until the window shows what is expected; then what it shows.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, shows: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let window = self.window();
            if shows(&window) {
                return window;
            }
            assert!(
                began.elapsed() < DEADLINE && !self.seen.lock().unwrap().ended,
                "never seen: {what}\n{}",
                self.transcript()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything that stands there, also above the window.
    pub(crate) fn transcript(&self) -> String {
        let seen = self.seen.lock().unwrap();
        seen.all.screen().contents().trim_end().to_owned()
    }

    /// Waits for the end: the exit code, everything that stands there then, and every byte that was written.
    #[track_caller]
    pub(crate) fn ends(mut self) -> Ended {
        let began = Instant::now();
        while !self.seen.lock().unwrap().ended {
            assert!(began.elapsed() < DEADLINE, "no end\n{}", self.transcript());
            std::thread::sleep(Duration::from_millis(5));
        }
        let status = self.child.wait().unwrap();
        let transcript = self.transcript();
        let seen = self.seen.lock().unwrap();
        let screen = seen.window.screen();
        Ended {
            code: status.code(),
            transcript,
            window: screen.contents(),
            cursor_is_visible: !screen.hide_cursor(),
            cursor_column: screen.cursor_position().1,
            raw: String::from_utf8_lossy(&seen.raw).into_owned(),
        }
    }
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) transcript: String,
    pub(crate) window: String,
    pub(crate) cursor_is_visible: bool,
    pub(crate) cursor_column: u16,
    pub(crate) raw: String,
}

/// What only the live screen shows.
pub(crate) const SPINNERS: &[char] = &['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

impl Ended {
    /// Nothing of the live screen is left, and a shell can go on.
    #[track_caller]
    pub(crate) fn is_clean(&self) {
        for text in [&self.transcript, &self.window] {
            assert!(!text.contains(SPINNERS), "a spinner is left\n{text}");
            assert!(!text.contains("waits for:"), "{text}");
            assert!(!text.contains('\u{fffd}'), "{text}");
        }
        assert!(self.cursor_is_visible);
        assert_eq!(self.cursor_column, 0, "{}", self.transcript);
    }
}
