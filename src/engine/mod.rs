//! Runs steps as a graph, journals before it changes, undoes, probes; says what happens as events.

pub mod event;

pub use event::{Event, Events, StepId};
