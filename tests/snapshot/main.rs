//! What every command shows, word for word: human form at 80 and 120 columns without colour, JSON where there is `-o
//! json`, `--help`, and the errors of somebody's first minutes; the live screen in a terminal emulator. And that nothing
//! hostile gets through any of it.
//!
//! Looked at as a user would: after a change `INSTA_UPDATE=always cargo test --test snapshot`, then `git diff`.

#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

mod certificates;
mod complete;
#[cfg(unix)]
mod emulator;
mod first_errors;
mod help;
mod hostile;
mod normal;
mod server;
mod stage;
mod stories;
mod story;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod terminal_wishes;
