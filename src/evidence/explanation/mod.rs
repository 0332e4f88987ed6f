//! What lines of an access log, and curl's exit codes, mean: tables of meanings, and the verdicts made of them.
//!
//! A line alone proves less than a probe with all its witnesses; a verdict here says what the line shows, and names
//! what else would have to be looked at.

mod cluster_name;
mod curl_codes;
mod details;
mod exit_code;
mod flags;
mod line;
mod origin;
mod prefix;
mod speaker;
mod summary;
mod transport_failure;
mod verdict;

#[cfg(test)]
mod tests;

pub use cluster_name::{cluster_meaning, service_of};
pub use curl_codes::{CURL_CODES, CurlCode, curl_code};
pub use details::details_meaning;
pub use exit_code::{ExitCodeMeaning, SituationMeaning, SourceKind, exit_code_meaning};
pub use flags::{FLAGS, FlagMeaning, flag_meaning};
pub use line::{Explanation, FieldMeaning};
pub use origin::{LiveObjects, origins};
pub use prefix::without_prefix;
pub use speaker::Speaker;
pub use summary::{HOSTS_OF_A_VERDICT, LogGroup, LogReader, LogSummary, ReadLine, read_line};
pub use transport_failure::{Alert, TransportFailure};
pub use verdict::Verdict;
