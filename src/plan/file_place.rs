//! Where in a plan file a field stands: its path, line and column.

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// Every field of a file.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Place>);

#[derive(Debug)]
struct Place {
    /// For example `spec.hosts[0].ports[1].mode`.
    path: String,
    /// Of the field's name; in a list, of the entry.
    name: (u64, u64),
    /// Of what it is.
    value: (u64, u64),
}

impl Places {
    /// Reads a file; one that is no YAML has no places.
    pub(super) fn read(text: &str) -> Self {
        let mut places = Self::default();
        if let Ok(root) = serde_saphyr::from_str::<Spanned<Node>>(text) {
            places.add("", &root);
        }
        places
    }

    /// The path of what stands at a line and column, as an error of the parser names them.
    pub(super) fn path_at(&self, line: u64, column: u64) -> Option<&str> {
        let at = (line, column);
        // The deepest: a block's first field stands where the block does.
        let found = self
            .0
            .iter()
            .rev()
            .find(|place| place.name == at || place.value == at);
        found.map(|place| place.path.as_str())
    }

    /// Line and column of a field, or of the nearest around it.
    pub(super) fn of(&self, path: &str) -> Option<(u64, u64)> {
        let mut path = path;
        loop {
            if let Some(place) = self.0.iter().find(|place| place.path == path) {
                return Some(place.name);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    fn add(&mut self, path: &str, node: &Spanned<Node>) {
        match &node.value {
            Node::Leaf => {}
            Node::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    self.push(&path, &item.referenced, &item.referenced);
                    self.add(&path, item);
                }
            }
            Node::Map(fields) => {
                for (name, value) in fields {
                    let separator = if path.is_empty() { "" } else { "." };
                    let path = format!("{path}{separator}{}", name.value);
                    self.push(&path, &name.referenced, &value.referenced);
                    self.add(&path, value);
                }
            }
        }
    }

    fn push(&mut self, path: &str, name: &Location, value: &Location) {
        self.0.push(Place {
            path: path.to_owned(),
            name: (name.line(), name.column()),
            value: (value.line(), value.column()),
        });
    }
}

/// Any YAML, without its values.
#[derive(Debug)]
enum Node {
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
    List(Vec<Spanned<Node>>),
    Leaf,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Map(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "spec:\n  hosts:\n  - host: a.example\n    ports: [{port: 443}]\n  - host: b.example\n    ports:\n    - port: 80\n      mode: http\n";

    #[test]
    fn fields_are_found_by_path_and_by_place() {
        let places = Places::read(TEXT);
        assert_eq!(places.of("spec.hosts[1].ports[0].mode"), Some((8, 7)));
        assert_eq!(
            places.path_at(8, 13),
            Some("spec.hosts[1].ports[0].mode"),
            "{places:?}"
        );
        assert_eq!(places.path_at(8, 7), Some("spec.hosts[1].ports[0].mode"));
        assert_eq!(places.path_at(4, 20), Some("spec.hosts[0].ports[0].port"));
        // What is not there stands where the nearest around it does.
        assert_eq!(
            places.of("spec.hosts[0].ports[0].meshMtls"),
            places.of("spec.hosts[0].ports[0]")
        );
        assert_eq!(places.path_at(99, 1), None);
        assert_eq!(Places::read("{{{").of("spec"), None);
    }
}
