//! It survives: every request of every command fails in every way, on the embedded cluster, by a clock that costs
//! nothing while everybody waits. A case passes if the command ends in time with success or a clear error, the same
//! command then converges, and `cleanup` leaves everything as it was.
//!
//! `SURVIVAL=all` tries every case, `SURVIVAL=4000` about so many, always the same ones; without it the sweep is left out, and
//! kills and races are tried at some moments, and what was not survived once. The test says how many there were.
//! `SURVIVAL_SEED=1` takes another sample; no case is in two, so that 29 runs of `SURVIVAL=2000`, from `SURVIVAL_SEED=0` to 28, are
//! all of them in parts. `SURVIVAL_ONLY=lockdown` leaves out what has no such word in its name, and
//! `SURVIVAL_FAULT=webhook` all other ways to fail.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it tried"
)]

mod case;
mod controllers;
#[path = "../flow/dump.rs"]
mod dump;
mod faults;
mod files;
mod killed;
mod place;
mod promises;
mod properties;
mod races;
mod scenarios;
mod secrets;
mod sweep;
