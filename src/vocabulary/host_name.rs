//! An external DNS name, checked once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A DNS name as Istio's ServiceEntry takes it: lower case, at most 253 characters, at least two labels,
/// optionally with the one wildcard label `*` in front.
///
/// Rules: RFC 1123 section 2.1 and RFC 1035 section 2.3.4 for labels and lengths; Istio's ServiceEntry
/// reference for the wildcard.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct HostName(String);

/// Why a text is not a host name. Each says what to type instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostNameError {
    /// Nothing was given.
    #[error("the host is empty; give a DNS name such as kyma-project.io")]
    Empty,
    /// A URL.
    #[error("`{given}` is a URL; give the host alone: {fix}")]
    Url {
        /// What was given.
        given: String,
        /// The host in it.
        fix: String,
    },
    /// A path after the host.
    #[error("`{given}` has a path; a route is for a whole host, so give the host alone: {fix}")]
    Path {
        /// What was given.
        given: String,
        /// The host in it.
        fix: String,
    },
    /// An address.
    #[error(
        "`{given}` is an IP address; Istio routes TLS by name (SNI), so give the DNS name that the application uses"
    )]
    Address {
        /// What was given.
        given: String,
    },
    /// A port that does not fit here.
    #[error("`{given}` has a port; give it as {fix}")]
    Port {
        /// What was given.
        given: String,
        /// How to give it.
        fix: String,
    },
    /// A dot at the end.
    #[error(
        "`{given}` ends in a dot; TLS clients send the name without it (RFC 6066), so give it without: {fix}"
    )]
    TrailingDot {
        /// What was given.
        given: String,
        /// The name without the dot.
        fix: String,
    },
    /// Upper-case letters.
    #[error("`{given}` has upper-case letters; Istio compares lower-case names, so give {fix}")]
    UpperCase {
        /// What was given.
        given: String,
        /// The name in lower case.
        fix: String,
    },
    /// Letters outside ASCII.
    #[error(
        "`{given}` has letters outside ASCII; give its punycode form (xn--…, RFC 5890), which is what clients send as SNI"
    )]
    International {
        /// What was given.
        given: String,
    },
    /// More than 253 characters.
    #[error("the host has {length} characters; a DNS name has at most 253 (RFC 1035)")]
    TooLong {
        /// How many it has.
        length: usize,
    },
    /// Only one label.
    #[error("`{given}` has one label only; an external host has a domain, such as kyma-project.io")]
    OneLabel {
        /// What was given.
        given: String,
    },
    /// A wildcard that is not the whole first label.
    #[error(
        "`{given}` has a `*` in the wrong place; only the whole first label may be one, as in *.example.com"
    )]
    Wildcard {
        /// What was given.
        given: String,
    },
    /// A label that DNS does not allow.
    #[error(
        "`{label}` in `{given}` is not a DNS label: 1 to 63 letters, digits and `-`, not starting or ending with `-` (RFC 1123)"
    )]
    Label {
        /// What was given.
        given: String,
        /// The label.
        label: String,
    },
}

impl HostName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the first label is `*`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// Whether this wildcard stands for a name: as in Istio, any number of labels may take the place of the `*`.
    pub fn covers(&self, name: &Self) -> bool {
        let end = self.0.strip_prefix('*').unwrap_or(&self.0);
        self.is_wildcard() && !name.is_wildcard() && name.0.len() > end.len() && name.0.ends_with(end)
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(given: &str) -> Result<Self, HostNameError> {
        let text = || given.to_owned();
        if given.is_empty() {
            return Err(HostNameError::Empty);
        }
        if let Some((_, rest)) = given.split_once("://") {
            let fix = rest
                .split(['/', '?', '#'])
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            return Err(HostNameError::Url { given: text(), fix });
        }
        if given.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok() {
            return Err(HostNameError::Address { given: text() });
        }
        if let Some((host, _)) = given.split_once(['/', '?', '#']) {
            return Err(HostNameError::Path {
                given: text(),
                fix: host.to_ascii_lowercase(),
            });
        }
        if let Some((host, port)) = given.split_once(':') {
            return Err(HostNameError::Port {
                given: text(),
                fix: format!(
                    "host {host} and port {port} (on the command line HOST:PORT, in a plan file under `ports`)"
                ),
            });
        }
        if !given.is_ascii() {
            return Err(HostNameError::International { given: text() });
        }
        if let Some(fix) = given.strip_suffix('.') {
            return Err(HostNameError::TrailingDot {
                given: text(),
                fix: fix.to_ascii_lowercase(),
            });
        }
        if given.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(HostNameError::UpperCase {
                given: text(),
                fix: given.to_ascii_lowercase(),
            });
        }
        if given.len() > 253 {
            return Err(HostNameError::TooLong { length: given.len() });
        }
        let name = given.strip_prefix("*.").unwrap_or(given);
        if name.contains('*') {
            return Err(HostNameError::Wildcard { given: text() });
        }
        for label in name.split('.') {
            if !is_label(label) {
                return Err(HostNameError::Label {
                    given: text(),
                    label: label.to_owned(),
                });
            }
        }
        // An all-numeric last label would make the name look like an address (RFC 1123 section 2.1).
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(HostNameError::Address { given: text() });
        }
        if !name.contains('.') {
            return Err(HostNameError::OneLabel { given: text() });
        }
        Ok(Self(text()))
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl TryFrom<String> for HostName {
    type Error = HostNameError;

    fn try_from(given: String) -> Result<Self, HostNameError> {
        given.parse()
    }
}

impl From<HostName> for String {
    fn from(host: HostName) -> Self {
        host.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("kyma-project.io")]
    #[case("*.wikipedia.org")]
    #[case("xn--bcher-kva.example")]
    #[case("1.example")]
    fn accepts(#[case] given: &str) {
        assert_eq!(given.parse::<HostName>().unwrap().as_str(), given);
    }

    #[rstest]
    #[case("", "empty")]
    #[case("https://kyma-project.io/x", "give the host alone: kyma-project.io")]
    #[case("kyma-project.io/docs", "give the host alone: kyma-project.io")]
    #[case("203.0.113.10", "IP address")]
    #[case("[2001:db8::1]", "IP address")]
    #[case("1.2.3", "IP address")]
    #[case("kyma-project.io.", "without: kyma-project.io")]
    #[case("Kyma-Project.io", "give kyma-project.io")]
    #[case("bücher.example", "punycode")]
    #[case("kyma-project.io:443", "HOST:PORT")]
    #[case("localhost", "one label")]
    #[case("a.*.example", "wrong place")]
    #[case("*x.example", "wrong place")]
    #[case("a..example", "not a DNS label")]
    #[case("-a.example", "not a DNS label")]
    #[case("under_score.example", "not a DNS label")]
    fn refuses_and_says_how_to_mend(#[case] given: &str, #[case] says: &str) {
        let error = given.parse::<HostName>().unwrap_err().to_string();
        assert!(error.contains(says), "{given}: {error}");
    }

    #[test]
    fn refuses_254_characters_and_takes_253() {
        let label = "a".repeat(63);
        let name = |last: usize| format!("{label}.{label}.{label}.{}", "b".repeat(last));
        assert_eq!(name(61).len(), 253);
        assert!(name(61).parse::<HostName>().is_ok());
        assert_eq!(
            name(62).parse::<HostName>(),
            Err(HostNameError::TooLong { length: 254 })
        );
    }
}
