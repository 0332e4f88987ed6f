//! Where pods may run: node selectors and tolerations as typed.

use std::fmt;

/// `KEY=VALUE` of `--node-selector`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSelector {
    /// Label of the node.
    pub key: String,
    /// Value that it must have.
    pub value: String,
}

/// `KEY[=VALUE][:EFFECT]` of `--toleration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toleration {
    /// Key of the taint.
    pub key: String,
    /// Its value; none tolerates every value (operator `Exists`).
    pub value: Option<String>,
    /// Its effect; none tolerates every effect.
    pub effect: Option<TaintEffect>,
}

/// What a taint does to pods that do not tolerate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaintEffect {
    /// New pods stay away.
    NoSchedule,
    /// New pods stay away if they can.
    PreferNoSchedule,
    /// Running pods go.
    NoExecute,
}

impl fmt::Display for TaintEffect {
    /// As Kubernetes spells it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        })
    }
}

const EFFECTS: &[TaintEffect] = &[
    TaintEffect::NoSchedule,
    TaintEffect::PreferNoSchedule,
    TaintEffect::NoExecute,
];

pub(super) fn node_selector(typed: &str) -> Result<NodeSelector, String> {
    let Some((key, value)) = typed.split_once('=') else {
        return Err(format!(
            "`{typed}` has no `=`: write KEY=VALUE, as in kubernetes.io/os=linux"
        ));
    };
    Ok(NodeSelector {
        key: label_key(key)?,
        value: label_value(value)?,
    })
}

pub(super) fn toleration(typed: &str) -> Result<Toleration, String> {
    let (taint, effect) = match typed.rsplit_once(':') {
        None => (typed, None),
        Some((taint, effect)) => (taint, Some(super::value::choice(EFFECTS)(effect)?)),
    };
    let (key, value) = match taint.split_once('=') {
        None => (taint, None),
        Some((key, value)) => (key, Some(label_value(value)?)),
    };
    Ok(Toleration {
        key: label_key(key)?,
        value,
        effect,
    })
}

/// A label's or taint's key: `[PREFIX/]NAME`, name at most 63 characters, prefix a DNS subdomain.
fn label_key(typed: &str) -> Result<String, String> {
    let (prefix, name) = match typed.split_once('/') {
        None => (None, typed),
        Some((prefix, name)) => (Some(prefix), name),
    };
    let prefix_fits = prefix.is_none_or(|prefix| super::value::object_name(prefix).is_ok());
    if prefix_fits && !name.is_empty() && is_label_text(name) {
        return Ok(typed.to_owned());
    }
    Err(format!(
        "`{typed}` is not a label's key: write [PREFIX/]NAME with at most 63 letters, digits, `-`, `_` and `.` in NAME, as in kubernetes.io/os"
    ))
}

fn label_value(typed: &str) -> Result<String, String> {
    if is_label_text(typed) {
        return Ok(typed.to_owned());
    }
    Err(format!(
        "`{typed}` is not a label's value: use at most 63 letters, digits, `-`, `_` and `.`, starting and ending with a letter or digit"
    ))
}

fn is_label_text(text: &str) -> bool {
    text.len() <= 63
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && text
            .bytes()
            .next()
            .is_none_or(|byte| byte.is_ascii_alphanumeric())
        && text
            .bytes()
            .last()
            .is_none_or(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn a_toleration_may_leave_out_value_and_effect() {
        let read = |typed| toleration(typed).unwrap();
        let bare = Toleration {
            key: "dedicated".into(),
            value: None,
            effect: None,
        };
        assert_eq!(read("dedicated"), bare);
        assert_eq!(
            read("dedicated:NoExecute"),
            Toleration {
                effect: Some(TaintEffect::NoExecute),
                ..bare.clone()
            }
        );
        assert_eq!(
            read("dedicated=egress:NoSchedule"),
            Toleration {
                value: Some("egress".into()),
                effect: Some(TaintEffect::NoSchedule),
                ..bare
            }
        );
    }

    #[rstest]
    #[case("a:noschedule", "write NoSchedule")]
    #[case("a:Sometimes", "not one of NoSchedule, PreferNoSchedule, NoExecute")]
    #[case("=x", "not a label's key")]
    #[case("Bad_Prefix/x", "not a label's key")]
    #[case("a=-x", "not a label's value")]
    fn refuses_tolerations(#[case] typed: &str, #[case] says: &str) {
        let error = toleration(typed).unwrap_err();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn a_node_selector_is_a_pair() {
        assert_eq!(
            node_selector("kubernetes.io/os=linux"),
            Ok(NodeSelector {
                key: "kubernetes.io/os".into(),
                value: "linux".into()
            })
        );
        assert!(node_selector("linux").unwrap_err().contains("KEY=VALUE"));
    }
}
