//! What the user sees. The only place that prints: data on standard output, everything else on standard error.
//!
//! [`Printer`] holds the two streams and what was asked of them; events of the engine become progress; documents
//! become text, JSON or YAML. Every text that may come from the cluster passes [`escape::visible`].

mod columns;
mod error_text;
pub mod escape;
mod frame;
mod instruction;
mod interruption;
mod live;
mod panic;
mod patience;
mod printer;
mod progress;
mod streams;
mod style;
mod table;
pub mod view;

#[cfg(test)]
mod tests;

pub use interruption::{Interruption, interruption, unheard};
pub use panic::end_on_panic;
pub use printer::{Captured, Printer, ReportSettings};
pub use style::{Mark, Style, Tone};
pub use table::Table;
