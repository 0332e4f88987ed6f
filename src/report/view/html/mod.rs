//! A report as one page that needs nothing else: no script, no font, no picture, no request.
//!
//! `maud` makes it, which escapes every text; what is not text is our own style sheet alone. Everything that colour
//! says, a word says too.

mod certificates;
mod evidence;
mod findings;
mod gateway;
mod page;
mod path_picture;
mod state;
mod style;
mod tokens;
mod verdict;
mod words;

pub use page::page;

#[cfg(test)]
mod tests;
