//! Label and field selectors of list and watch requests.

use serde_json::Value;

/// A parsed selector: every requirement must hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, String, bool)>,
}

#[derive(Debug, Clone)]
enum Requirement {
    Equals(String, String),
    NotEquals(String, String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Selector {
    /// Parses the query's texts. `Err` names what is not understood.
    pub(super) fn parse(labels: Option<&str>, fields: Option<&str>) -> Result<Self, String> {
        let labels = split_outside_parentheses(labels.unwrap_or_default())
            .into_iter()
            .map(requirement)
            .collect::<Result<_, _>>()?;
        let fields = fields
            .unwrap_or_default()
            .split(',')
            .filter(|part| !part.is_empty())
            .map(|part| {
                let (name, value, equal) = match part.split_once("!=") {
                    Some((name, value)) => (name, value, false),
                    None => {
                        let (name, value) = part
                            .split_once('=')
                            .ok_or_else(|| format!("invalid field selector {part:?}"))?;
                        (name, value.trim_start_matches('='), true)
                    }
                };
                Ok((name.to_owned(), value.to_owned(), equal))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether the object fits.
    pub(super) fn matches(&self, object: &Value) -> bool {
        let label = |name: &str| object["metadata"]["labels"].get(name).and_then(Value::as_str);
        self.labels.iter().all(|requirement| match requirement {
            Requirement::Equals(name, value) => label(name) == Some(value),
            Requirement::NotEquals(name, value) => label(name) != Some(value),
            Requirement::In(name, values) => label(name).is_some_and(|value| contains(values, value)),
            Requirement::NotIn(name, values) => !label(name).is_some_and(|value| contains(values, value)),
            Requirement::Exists(name) => label(name).is_some(),
            Requirement::Absent(name) => label(name).is_none(),
        }) && self.fields.iter().all(|(path, value, equal)| {
            let pointer = format!("/{}", path.replace('.', "/"));
            let found = object
                .pointer(&pointer)
                .and_then(Value::as_str)
                .unwrap_or_default();
            (found == value) == *equal
        })
    }
}

fn contains(values: &[String], value: &str) -> bool {
    values.iter().any(|allowed| allowed == value)
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    for (position, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..position]);
                start = position + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let set = |values: &str| {
        values
            .trim()
            .trim_start_matches('(')
            .trim_end_matches(')')
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect::<Vec<_>>()
    };
    if let Some((name, values)) = part.split_once(" notin ") {
        return Ok(Requirement::NotIn(name.trim().to_owned(), set(values)));
    }
    if let Some((name, values)) = part.split_once(" in ") {
        return Ok(Requirement::In(name.trim().to_owned(), set(values)));
    }
    if let Some((name, value)) = part.split_once("!=") {
        return Ok(Requirement::NotEquals(
            name.trim().to_owned(),
            value.trim().to_owned(),
        ));
    }
    if let Some((name, value)) = part.split_once('=') {
        let value = value.trim_start_matches('=').trim();
        return Ok(Requirement::Equals(name.trim().to_owned(), value.to_owned()));
    }
    if let Some(name) = part.strip_prefix('!') {
        return Ok(Requirement::Absent(name.trim().to_owned()));
    }
    if part.contains(char::is_whitespace) {
        return Err(format!("unable to parse requirement: {part:?}"));
    }
    Ok(Requirement::Exists(part.to_owned()))
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
