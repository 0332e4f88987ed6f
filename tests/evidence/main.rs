//! Evidence against what a real mesh wrote: every row of the lab's tables about TLS passthrough and plain HTTP, with
//! its lines word for word, and everything that could mislead.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod chaining;
mod claims;
mod counters;
mod curl;
mod document;
mod explanation;
mod gateway;
mod lines;
mod misleading;
mod modes;
mod parsing;
mod probe;
mod properties;
mod settling;
mod sidecar;
mod without_sidecar;
