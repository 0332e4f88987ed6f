//! What Secrets hold.

use k8s_openapi::ByteString;
use serde_json::Value;

/// What a key of a Secret holds, as text; `None` if it is not there or is no text.
pub(super) fn text_of(secret: &Value, key: &str) -> Option<String> {
    let value = secret["data"].get(key)?.clone();
    let bytes: ByteString = serde_json::from_value(value).ok()?;
    String::from_utf8(bytes.0).ok()
}
