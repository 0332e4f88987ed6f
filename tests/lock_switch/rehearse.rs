//! The rehearsal: the same request to the canary, without its effect; the status alone.

use super::api::{Answer, Api, policy, status};
use super::script::{Container, POLICIES, shells};
use rstest::rstest;
use serde_json::json;
use std::net::TcpListener;

#[test]
fn a_deletion_that_would_work_is_a_200() {
    for shell in shells() {
        let api = Api::start(|asked, _| match asked.method.as_str() {
            "GET" => policy("the-canary", "u-1"),
            _ => status(200),
        });
        let ended = Container::new(&api, &shell).run("rehearse");
        assert_eq!(
            (ended.code, ended.output.as_str(), ended.errors.as_str()),
            (Some(0), "200\n", "")
        );
        assert_eq!(
            api.lines(),
            [
                format!("GET {POLICIES}/the-canary"),
                format!("DELETE {POLICIES}/the-canary")
            ]
        );
        let asked = api.asked().pop().unwrap();
        assert_eq!(
            asked.json(),
            json!({
                "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "u-1"}, "dryRun": ["All"],
            }),
            "in the body: where there is one, the API server does not look at the query"
        );
        assert_eq!(asked.header("authorization"), Some("Bearer token-1"));
        assert_eq!(asked.header("content-type"), Some("application/json"));
    }
}

#[test]
fn a_restoration_that_would_work_is_a_200() {
    for shell in shells() {
        let api = Api::start(|asked, _| match asked.method.as_str() {
            "GET" => policy("the-canary", "u-1"),
            _ => status(200),
        });
        let container = Container::new(&api, &shell).restoring("of-the-lock", r#"{"podSelector":{}}"#);
        let ended = container.run("rehearse");
        assert_eq!(
            (ended.code, ended.output.as_str()),
            (Some(0), "200\n"),
            "{ended:?}"
        );
        let asked = api.asked().pop().unwrap();
        assert_eq!(asked.method, "PATCH");
        assert!(
            asked.path.starts_with(&format!("{POLICIES}/the-canary?")) && asked.path.contains("dryRun=All")
        );
        assert_eq!(
            asked.json()[0],
            json!({"op": "test", "path": "/metadata/uid", "value": "u-1"})
        );
    }
}

#[rstest]
#[case::may_not_read("GET", 403)]
#[case::not_there("GET", 404)]
#[case::may_not_delete("DELETE", 403)]
#[case::other_object("DELETE", 409)]
#[case::broken("DELETE", 500)]
fn any_other_status_fails_and_is_told_alone(#[case] method: &'static str, #[case] code: u16) {
    for shell in shells() {
        let api = Api::start(move |asked, _| match asked.method.as_str() {
            asked if asked == method => status(code),
            "GET" => policy("the-canary", "u-1"),
            _ => status(200),
        });
        let ended = Container::new(&api, &shell).run("rehearse");
        assert_eq!((ended.code, ended.output), (Some(1), format!("{code}\n")));
    }
}

#[test]
fn no_answer_is_000() {
    for shell in shells() {
        let api = Api::start(|_, _| Answer::Cut);
        let container = Container::new(&api, &shell);
        let ended = container.run("rehearse");
        assert_eq!(
            (ended.code, ended.output.as_str()),
            (Some(1), "000\n"),
            "cut: {ended:?}"
        );
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let ended = container.with("KUBERNETES_SERVICE_PORT", free).run("rehearse");
        assert_eq!(
            (ended.code, ended.output.as_str()),
            (Some(1), "000\n"),
            "refused: {ended:?}"
        );
    }
}

#[test]
fn a_server_that_another_authority_vouches_for_is_told_nothing() {
    for shell in shells() {
        let api = Api::start(|_, _| status(200));
        let another = Api::start(|_, _| status(200));
        let container = Container::new(&api, &shell);
        container.write("ca.crt", &another.certificate);
        assert_eq!(container.run("rehearse").output, "000\n");
        assert_eq!(api.lines(), [""; 0]);
    }
}

#[test]
fn what_it_does_not_know_is_refused() {
    for shell in shells() {
        let api = Api::start(|_, _| status(200));
        let ended = Container::new(&api, &shell).run("help");
        assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""));
        assert_eq!(api.lines(), [""; 0]);
    }
}
