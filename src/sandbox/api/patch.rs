//! JSON merge patch (RFC 7396) and JSON patch (RFC 6902; without `move` and `copy`).

use serde_json::{Map, Value};

/// RFC 7396.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else {
        return;
    };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

/// RFC 6902. `Err` says which operation failed; the target is then half changed and must be thrown away.
pub(super) fn json_patch(target: &mut Value, operations: &Value) -> Result<(), String> {
    let operations = operations.as_array().ok_or("a JSON patch is a list")?;
    for operation in operations {
        let text = |name: &str| operation[name].as_str().unwrap_or_default();
        one(target, text("op"), text("path"), &operation["value"])?;
    }
    Ok(())
}

fn one(target: &mut Value, name: &str, path: &str, value: &Value) -> Result<(), String> {
    let missing = || format!("the path {path:?} of operation {name:?} does not exist");
    match name {
        "test" => {
            let found = target.pointer(path).ok_or_else(missing)?;
            return if found == value {
                Ok(())
            } else {
                Err(format!("testing path {path:?} failed: the value is another"))
            };
        }
        "replace" => {
            *target.pointer_mut(path).ok_or_else(missing)? = value.clone();
            return Ok(());
        }
        "add" | "remove" => {}
        other => return Err(format!("operation {other:?} is not supported by the sandbox")),
    }
    let (parent, last) = path.rsplit_once('/').ok_or_else(missing)?;
    let last = last.replace("~1", "/").replace("~0", "~");
    match target.pointer_mut(parent).ok_or_else(missing)? {
        Value::Object(fields) if name == "add" => {
            fields.insert(last, value.clone());
        }
        Value::Object(fields) => {
            fields.remove(&last).ok_or_else(missing)?;
        }
        Value::Array(items) if name == "add" => {
            let index = if last == "-" {
                items.len()
            } else {
                last.parse().map_err(|_| missing())?
            };
            if index > items.len() {
                return Err(missing());
            }
            items.insert(index, value.clone());
        }
        Value::Array(items) => {
            let index = last.parse().ok().filter(|index| *index < items.len());
            items.remove(index.ok_or_else(missing)?);
        }
        _ => return Err(missing()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merges_and_removes() {
        let mut object = json!({"a": {"b": 1, "c": 2}});
        merge(&mut object, &json!({"a": {"b": null, "d": [1]}}));
        assert_eq!(object, json!({"a": {"c": 2, "d": [1]}}));
    }

    #[test]
    fn patches_in_order_and_stops_at_a_failed_test() {
        let mut object = json!({"a/b": 1, "list": [1, 2]});
        let operations = json!([
            {"op": "test", "path": "/a~1b", "value": 1},
            {"op": "add", "path": "/list/-", "value": 3},
            {"op": "remove", "path": "/list/0"},
            {"op": "replace", "path": "/a~1b", "value": 2},
        ]);
        json_patch(&mut object, &operations).unwrap();
        assert_eq!(object, json!({"a/b": 2, "list": [2, 3]}));
        let failing = json!([{"op": "test", "path": "/a~1b", "value": 1}]);
        assert!(json_patch(&mut object, &failing).is_err());
    }
}
