//! What the user asked of the screen. `cli` reads it, `report` obeys it; neither imports the other.

use std::fmt;

/// Form of the data on standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
    /// Test results as JUnit's XML, for CI; of `check` and `verify` only.
    Junit,
    /// One page that needs nothing else; of `verify` and `report` only.
    Html,
}

/// How progress is shown on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProgressStyle {
    /// Live on a terminal, else one line per event.
    #[default]
    Auto,
    /// A live tree with spinners.
    Live,
    /// One line per event.
    Plain,
    /// Nothing but warnings and errors.
    None,
}

/// Whether colour is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR`, `CLICOLOR=0` or `TERM=dumb` says no, or `CLICOLOR_FORCE` says yes.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

macro_rules! words {
    ($type:ty { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }
        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}

words!(OutputFormat { Text => "text", Json => "json", Yaml => "yaml", Junit => "junit", Html => "html" });
words!(ProgressStyle { Auto => "auto", Live => "live", Plain => "plain", None => "none" });
words!(ColorChoice { Auto => "auto", Always => "always", Never => "never" });
