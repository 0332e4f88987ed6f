//! Every code with its article. Codes are stable: a code is never given another meaning.
//!
//! 1nn: evidence of probes. 2nn: the gateway. 3nn: routing objects. 4nn: certificates and Secrets. 5nn: the lock.
//! 60n: attempts to get out without the gateway.

mod bypass;
mod certificates;
mod evidence;
mod gateway;
mod lint;
mod lock;
mod origination;
mod routing;

pub use bypass::*;
pub use certificates::*;
pub use evidence::*;
pub use gateway::*;
pub use lint::*;
pub use lock::*;
pub use origination::*;
pub use routing::*;

use super::Severity;
use super::guides::{Guide, guide};

/// What is known of one kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Article {
    /// `EGR-nnn`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Its name in a few words.
    pub title: &'static str,
    /// Why it happens.
    pub cause: &'static str,
    /// What to do in general.
    pub fix: &'static str,
}

impl Article {
    /// How it shows, how to see it by hand, where to read on.
    pub fn guide(&self) -> Option<&'static Guide> {
        guide(self.code)
    }
}

/// Makes a static of each article, and `ALL` of all in the file.
macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $severity:ident, $title:literal, $cause:literal, $fix:literal;)+) => {
        $($(#[$doc])* pub static $name: $crate::finding::Article = $crate::finding::Article {
            code: $code, severity: $crate::finding::Severity::$severity, title: $title, cause: $cause, fix: $fix,
        };)+
        pub(super) static ALL: &[&$crate::finding::Article] = &[$(&$name),+];
    };
}
use catalogue;

/// All articles, by code.
pub fn all() -> impl Iterator<Item = &'static Article> {
    let mut all: Vec<&'static Article> = [
        evidence::ALL,
        origination::ALL,
        gateway::ALL,
        routing::ALL,
        lint::ALL,
        certificates::ALL,
        lock::ALL,
        bypass::ALL,
    ]
    .concat();
    all.sort_unstable_by_key(|article| article.code);
    all.into_iter()
}

/// The article of a code such as `EGR-101`.
pub fn article(code: &str) -> Option<&'static Article> {
    all().find(|article| article.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_well_formed() {
        let mut codes: Vec<_> = all().map(|article| article.code).collect();
        assert!(
            codes
                .iter()
                .all(|code| code.len() == 7 && code.starts_with("EGR-"))
        );
        let before = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), before);
    }

    #[test]
    fn finds_an_article_in_any_case() {
        assert_eq!(
            article("egr-101").unwrap().title,
            "request left directly from the sidecar"
        );
        assert_eq!(article("EGR-999"), None);
    }
}
