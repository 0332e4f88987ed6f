//! Where to look, instead of looking at everything: a cluster has thousands of hosts and pods, and a rule that looked
//! at all of one kind for each of another would take minutes.

use super::super::names::covers;
use super::legs::overlap;
use crate::vocabulary::Object;
use serde_json::Value;
use std::collections::HashMap;

/// Positions of things by a host pattern that they have.
#[derive(Debug, Default)]
pub(super) struct ByHost {
    exact: HashMap<String, Vec<usize>>,
    /// `*.domain` and `*`, by the pattern.
    wide: HashMap<String, Vec<usize>>,
    /// Patterns that Istio does not know, such as `*a.b`.
    odd: Vec<(String, usize)>,
}

impl ByHost {
    pub(super) fn add(&mut self, pattern: &str, position: usize) {
        let (place, key) = match pattern.strip_prefix('*') {
            None => (&mut self.exact, pattern),
            Some("") => (&mut self.wide, pattern),
            Some(domain) if domain.starts_with('.') => (&mut self.wide, pattern),
            Some(_) => {
                self.odd.push((pattern.to_owned(), position));
                (&mut self.exact, pattern)
            }
        };
        place.entry(key.to_owned()).or_default().push(position);
    }

    /// Positions of exactly this pattern.
    pub(super) fn exactly(&self, host: &str) -> &[usize] {
        let places = [&self.exact, &self.wide];
        let known = places.iter().find_map(|place| place.get(host));
        known.map_or(&[], Vec::as_slice)
    }

    /// Positions of patterns that have a host in common with this one, ascending, each once.
    pub(super) fn overlapping(&self, host: &str) -> Vec<usize> {
        let mut found: Vec<usize> = self.exactly(host).to_vec();
        if host.starts_with('*') {
            let all = self.exact.iter().chain(&self.wide);
            let fitting = all.filter(|(pattern, _)| overlap(pattern, host));
            found.extend(fitting.flat_map(|(_, positions)| positions));
        } else {
            // `*.b.c` and `*.c` stand for `a.b.c`; one label at least takes the star's place.
            let domains = host.match_indices('.').filter(|(at, _)| *at > 0);
            let wide = domains.filter_map(|(at, _)| self.wide.get(&format!("*{}", &host[at..])));
            found.extend(wide.chain(self.wide.get("*")).flatten());
        }
        let odd = self
            .odd
            .iter()
            .filter(|(pattern, _)| covers(pattern, host) || covers(host, pattern));
        found.extend(odd.map(|(_, position)| position));
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Positions of things by the pairs of a map of labels.
#[derive(Debug, Default)]
pub(super) struct ByLabel(HashMap<String, HashMap<String, Vec<usize>>>);

impl ByLabel {
    pub(super) fn add(&mut self, labels: &Value, position: usize) {
        for (name, value) in labels.as_object().into_iter().flatten() {
            let of_name = self.0.entry(name.clone()).or_default();
            of_name.entry(text(value)).or_default().push(position);
        }
    }

    /// Positions that may have all pairs of a selector: those that have its rarest one, ascending. None of a selector
    /// without pairs.
    pub(super) fn likely(&self, selector: &Value) -> &[usize] {
        let pairs = selector.as_object().into_iter().flatten();
        let of_pair = |(name, value): (&String, &Value)| {
            let positions = self.0.get(name).and_then(|of_name| of_name.get(&text(value)));
            positions.map_or(&[][..], Vec::as_slice)
        };
        pairs
            .map(of_pair)
            .min_by_key(|positions| positions.len())
            .unwrap_or_default()
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Positions of objects by their namespace.
pub(super) fn by_namespace<'a>(
    objects: impl IntoIterator<Item = &'a Object>,
) -> HashMap<&'a str, Vec<usize>> {
    let mut found: HashMap<&str, Vec<usize>> = HashMap::new();
    for (position, object) in objects.into_iter().enumerate() {
        let namespace = object.namespace().unwrap_or_default();
        found.entry(namespace).or_default().push(position);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PATTERNS: [&str; 9] = [
        "a.b.c", "*.b.c", "*.c", "*", "x.y", "*y", "a.b.c", "b.c", "*.a.b.c",
    ];

    /// The index finds what looking at everything finds.
    #[test]
    fn patterns_are_found_as_by_comparing_each() {
        let mut index = ByHost::default();
        for (position, pattern) in PATTERNS.iter().enumerate() {
            index.add(pattern, position);
        }
        for host in PATTERNS
            .iter()
            .chain(&["b.c", ".c", "c", "q.y", "*.b", "*.y", ""])
        {
            let all = PATTERNS.iter().enumerate();
            let expected: Vec<usize> = all
                .filter(|(_, pattern)| overlap(pattern, host))
                .map(|(position, _)| position)
                .collect();
            assert_eq!(index.overlapping(host), expected, "{host}");
        }
        assert_eq!(index.exactly("a.b.c"), [0, 6]);
        assert_eq!(index.exactly("*.b.c"), [1]);
        assert_eq!(index.exactly("*y"), [5]);
    }

    #[test]
    fn a_selector_s_rarest_pair_is_looked_up() {
        let mut index = ByLabel::default();
        for (position, labels) in [json!({"a": "1", "b": "1"}), json!({"a": "1"}), json!({"n": 7})]
            .iter()
            .enumerate()
        {
            index.add(labels, position);
        }
        assert_eq!(index.likely(&json!({"a": "1", "b": "1"})), [0]);
        assert_eq!(index.likely(&json!({"a": "1"})), [0, 1]);
        assert_eq!(index.likely(&json!({"n": 7})), [2]);
        assert!(index.likely(&json!({"a": "2"})).is_empty());
        assert!(index.likely(&json!({})).is_empty());
        assert!(index.likely(&Value::Null).is_empty());
    }
}
