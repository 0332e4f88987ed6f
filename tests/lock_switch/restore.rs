//! A lock that was changed is put back as it was.

use super::api::{Api, policy, status};
use super::script::{Container, POLICIES, shells};
use serde_json::{Value, json};

/// With everything that a shell could misread.
fn spec() -> Value {
    json!({"podSelector": {"matchLabels": {"app": "a$HOME`id`'\"\\ *"}}, "policyTypes": ["Egress"], "egress": []})
}

#[test]
fn the_spec_is_replaced_if_the_lock_is_still_the_same() {
    for shell in shells() {
        let api = Api::start(|asked, number| match asked.method.as_str() {
            "GET" => policy("the-lock", "u-1"),
            // A test that failed, as when somebody was faster.
            _ if number < 2 => status(422),
            _ => status(200),
        });
        let container = Container::new(&api, &shell).restoring("u-1", &spec().to_string());
        let ended = container.run("wait");
        let said = "NetworkPolicy demo/the-lock was put back as it was: no proof came before the deadline\n";
        assert_eq!((ended.code, ended.output.as_str()), (Some(0), said), "{ended:?}");
        assert_eq!(container.termination_message(), said);
        let asked = api.asked().pop().unwrap();
        assert_eq!(asked.method, "PATCH");
        assert_eq!(
            asked.path,
            format!("{POLICIES}/the-lock?fieldManager=kubectl-egress&")
        );
        assert_eq!(asked.header("content-type"), Some("application/json-patch+json"));
        assert_eq!(
            asked.json(),
            json!([
                {"op": "test", "path": "/metadata/uid", "value": "u-1"},
                {"op": "replace", "path": "/spec", "value": spec()},
            ])
        );
    }
}

#[test]
fn a_lock_that_somebody_replaced_is_left_alone() {
    for shell in shells() {
        let api = Api::start(|_, _| policy("the-lock", "u-2"));
        let ended = Container::new(&api, &shell).restoring("u-1", "{}").run("wait");
        assert_eq!(ended.code, Some(0));
        assert!(
            ended.output.contains("another object") && ended.output.contains("left alone"),
            "{ended:?}"
        );
        assert_eq!(api.lines(), [format!("GET {POLICIES}/the-lock")]);
    }
}
