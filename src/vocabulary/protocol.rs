//! The transport protocols that Kubernetes knows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// A transport protocol, written as in Kubernetes objects: `TCP`, `UDP`, `SCTP`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP: what a port has that names none (API reference of ServicePort, ContainerPort, NetworkPolicyPort).
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Reads the field `protocol` of a port: absent means TCP; `None` if it is no protocol of Kubernetes.
    pub fn of_field(field: &Value) -> Option<Self> {
        if field.is_null() {
            Some(Self::default())
        } else {
            Self::deserialize(field).ok()
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_written_as_in_kubernetes() {
        for (protocol, text) in [
            (Protocol::Tcp, "TCP"),
            (Protocol::Udp, "UDP"),
            (Protocol::Sctp, "SCTP"),
        ] {
            assert_eq!(protocol.to_string(), text);
            assert_eq!(json!(protocol), json!(text));
            assert_eq!(Protocol::of_field(&json!(text)), Some(protocol));
        }
        assert_eq!(Protocol::of_field(&Value::Null), Some(Protocol::Tcp));
        assert_eq!(Protocol::of_field(&json!("tcp")), None);
    }
}
