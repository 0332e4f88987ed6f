//! Label and field selectors of list and watch requests.

use crate::vocabulary::{LabelSelector, LabelSelectorError};
use serde_json::Value;

/// A parsed selector: every requirement must hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    labels: LabelSelector,
    fields: Vec<(String, String, bool)>,
}

impl Selector {
    /// Parses the query's texts. `Err` names what is not understood.
    pub(super) fn parse(labels: Option<&str>, fields: Option<&str>) -> Result<Self, String> {
        let labels: LabelSelector = labels
            .unwrap_or_default()
            .parse()
            .map_err(|error: LabelSelectorError| error.to_string())?;
        let fields = fields
            .unwrap_or_default()
            .split(',')
            .filter(|part| !part.is_empty())
            .map(|part| {
                let (name, value, equal) = if let Some((name, value)) = part.split_once("!=") {
                    (name, value, false)
                } else {
                    let (name, value) = part
                        .split_once('=')
                        .ok_or_else(|| format!("invalid field selector {part:?}"))?;
                    (name, value.trim_start_matches('='), true)
                };
                Ok((name.to_owned(), value.to_owned(), equal))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether the object fits.
    pub(super) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(&object["metadata"]["labels"])
            && self.fields.iter().all(|(path, value, equal)| {
                let pointer = format!("/{}", path.replace('.', "/"));
                let found = object
                    .pointer(&pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                (found == value) == *equal
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[rstest::rstest]
    #[case("app=curl", true)]
    #[case("app==curl,tier!=web", true)]
    #[case("app in (curl, httpbin)", true)]
    #[case("app notin (curl)", false)]
    #[case("app,!tier", true)]
    #[case("tier", false)]
    #[case("app=other", false)]
    fn labels(#[case] text: &str, #[case] expected: bool) {
        let object = json!({"metadata": {"name": "x", "labels": {"app": "curl"}}});
        let selector = Selector::parse(Some(text), Some("metadata.name=x")).unwrap();
        assert_eq!(selector.matches(&object), expected);
    }
}
