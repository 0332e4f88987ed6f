//! A row of the table.

use crate::spread::Spread;
use std::fmt;

/// One bar, and what was measured for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// What it has to be; empty where it is only told.
    pub(crate) bar: String,
    /// What was measured.
    pub(crate) ours: String,
    /// The same of the rival, with its name; empty without one.
    pub(crate) rival: String,
    /// Whether the bar is met; `None` where it is only told.
    pub(crate) met: Option<bool>,
}

impl Row {
    /// Something that is only told.
    pub(crate) fn new(what: impl Into<String>, ours: impl fmt::Display) -> Self {
        Self {
            what: what.into(),
            bar: String::new(),
            ours: ours.to_string(),
            rival: String::new(),
            met: None,
        }
    }

    /// The median must not be more than this.
    pub(crate) fn at_most(what: impl Into<String>, ours: Spread, most: f64, bar: impl Into<String>) -> Self {
        Self {
            bar: bar.into(),
            met: Some(ours.median <= most),
            ..Self::new(what, ours)
        }
    }

    /// With what a rival needs for the same, and by which factor they differ.
    pub(crate) fn beside(mut self, rival: &str, theirs: Spread, ratio: Spread) -> Self {
        self.rival = format!("{rival}: {theirs}; ratio {ratio}");
        self
    }

    /// A bar that the ratio must meet.
    pub(crate) fn judged(mut self, bar: impl Into<String>, met: bool) -> Self {
        self.bar = bar.into();
        self.met = Some(met);
        self
    }
}
