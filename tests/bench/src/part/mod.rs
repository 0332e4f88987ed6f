//! What can be measured, one file each.

mod crowd;
mod hosts;
mod lab;
mod log;
mod long;
mod model;
mod requests;
mod shape;
mod start;
mod tutorial;

use crate::bench::Bench;
use crate::row::Row;
use std::fmt;

/// A part of the table, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Start, size, memory.
    Start,
    /// The access log.
    Log,
    /// Objects in files.
    Model,
    /// Requests of a set-up.
    Requests,
    /// A cluster with many pods of others.
    Crowd,
    /// One host on the lab.
    Tutorial,
    /// Many hosts on the lab.
    Hosts,
    /// The same hosts in several layouts on the lab.
    Shape,
    /// Commands that run on, on the lab.
    Long,
}

/// Why a part has no rows.
pub(crate) enum Unmeasured {
    /// It cannot be measured here.
    Skipped(String),
    /// It went wrong.
    Failed(anyhow::Error),
}

impl<Failure: Into<anyhow::Error>> From<Failure> for Unmeasured {
    fn from(error: Failure) -> Self {
        Self::Failed(error.into())
    }
}

/// The rows of a part.
pub(crate) type Measured = Result<Vec<Row>, Unmeasured>;

impl Part {
    /// Every part.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Start,
        Self::Log,
        Self::Model,
        Self::Requests,
        Self::Crowd,
        Self::Tutorial,
        Self::Hosts,
        Self::Shape,
        Self::Long,
    ];

    /// Whether it is measured without being named: what takes half an hour is not.
    pub(crate) fn is_measured_unnamed(self) -> bool {
        self != Self::Long
    }

    /// The part of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|part| part.to_string() == name)
    }

    /// What is measured, in a few words.
    pub(crate) fn says(self) -> &'static str {
        match self {
            Self::Start => "start, size and memory of the program",
            Self::Log => "access logs, filtered and explained",
            Self::Model => "check and explain over objects in files",
            Self::Requests => "what set-ups ask the API server for",
            Self::Crowd => "set-up in a cluster with 20,000 pods of others",
            Self::Tutorial => "one host on the lab, against the tutorial as a script",
            Self::Hosts => "1 to 1,000 hosts on the lab, against kubectl",
            Self::Shape => "1,000 hosts on the lab, in several layouts",
            Self::Long => "logs -f, status -w and learn on the lab, while things restart",
        }
    }

    /// Measures it.
    pub(crate) fn measure(self, bench: &Bench) -> Measured {
        match self {
            Self::Start => start::measure(bench),
            Self::Log => log::measure(bench),
            Self::Model => model::measure(bench),
            Self::Requests => requests::measure(bench),
            Self::Crowd => crowd::measure(bench),
            Self::Tutorial => tutorial::measure(bench),
            Self::Hosts => hosts::measure(bench),
            Self::Shape => shape::measure(bench),
            Self::Long => long::measure(bench),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Start => "start",
            Self::Log => "log",
            Self::Model => "model",
            Self::Requests => "requests",
            Self::Crowd => "crowd",
            Self::Tutorial => "tutorial",
            Self::Hosts => "hosts",
            Self::Shape => "shape",
            Self::Long => "long",
        })
    }
}
