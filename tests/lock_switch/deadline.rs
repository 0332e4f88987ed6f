//! The deadline: nothing before it, and after it the lock goes.

use super::api::{Answer, Api, policy, status};
use super::script::{Container, POLICIES, epoch_seconds, shells, terminate};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

const DELETED: &str = "NetworkPolicy demo/the-lock was deleted: no proof came before the deadline\n";

fn deletable() -> Api {
    Api::start(|asked, _| match asked.method.as_str() {
        "GET" => policy("the-lock", "u-1"),
        _ => status(200),
    })
}

/// A pod that replaces another one after the deadline has no time to lose.
#[test]
fn a_deadline_that_is_over_acts_at_once() {
    for shell in shells() {
        let api = deletable();
        let container = Container::new(&api, &shell);
        let ended = container.run("wait");
        assert_eq!(
            (ended.code, ended.output.as_str(), ended.errors.as_str()),
            (Some(0), DELETED, "")
        );
        assert_eq!(container.termination_message(), DELETED);
        assert_eq!(
            api.lines(),
            [
                format!("GET {POLICIES}/the-lock"),
                format!("DELETE {POLICIES}/the-lock")
            ]
        );
        assert_eq!(
            api.asked().pop().unwrap().json(),
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "u-1"}})
        );
    }
}

/// As the API server writes for programs that call themselves curl; seen on the lab.
#[test]
fn an_indented_answer_is_understood() {
    for shell in shells() {
        let api = Api::start(
            |asked, _| match (asked.method.as_str(), policy("the-lock", "u-1")) {
                ("GET", Answer::Whole(code, body)) => {
                    Answer::Whole(code, body.replace("\":", "\": ").replace(',', ",\n  "))
                }
                _ => status(200),
            },
        );
        Container::new(&api, &shell).run("wait");
        assert_eq!(api.asked().pop().unwrap().json()["preconditions"]["uid"], "u-1");
    }
}

#[test]
fn nothing_is_asked_before_the_deadline() {
    for shell in shells() {
        let api = deletable();
        let deadline = epoch_seconds(SystemTime::now()) + 2;
        let begin = Instant::now();
        let ended = Container::new(&api, &shell)
            .with("SWITCH_DEADLINE", deadline)
            .run("wait");
        assert_eq!((ended.code, ended.output.as_str()), (Some(0), DELETED));
        assert!(
            api.asked()
                .iter()
                .all(|asked| epoch_seconds(asked.at) >= deadline)
        );
        assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    }
}

#[test]
fn a_lock_that_is_gone_is_what_it_wanted() {
    for shell in shells() {
        let api = Api::start(|_, _| status(404));
        let container = Container::new(&api, &shell);
        let ended = container.run("wait");
        let said = "NetworkPolicy demo/the-lock is gone: nothing to undo\n";
        assert_eq!((ended.code, ended.output.as_str()), (Some(0), said));
        assert_eq!(container.termination_message(), said);
        assert_eq!(api.lines(), [format!("GET {POLICIES}/the-lock")]);
    }
}

#[test]
fn no_termination_log_is_no_reason_to_fail() {
    for shell in shells() {
        let api = deletable();
        let ended = Container::new(&api, &shell)
            .with("SWITCH_TERMINATION_LOG", "/nowhere/at/all")
            .run("wait");
        assert_eq!(
            (ended.code, ended.output.as_str(), ended.errors.as_str()),
            (Some(0), DELETED, "")
        );
    }
}

/// Exit 143 and not 0: a Job whose pod was evicted must not count as done.
#[test]
fn a_signal_ends_the_waiting_at_once() {
    for shell in shells() {
        let api = deletable();
        let later = epoch_seconds(SystemTime::now()) + 3600;
        let container = Container::new(&api, &shell).with("SWITCH_DEADLINE", later);
        let mut child = container.start("wait");
        // The shell, its work behind, and that sleeping: a signal before could be lost, which only a container mends.
        child_of(&child_of(&child.id().to_string()));
        let begin = Instant::now();
        terminate(child.id());
        assert_eq!(child.wait().unwrap().code(), Some(143));
        assert!(
            begin.elapsed() < Duration::from_millis(900),
            "{:?}",
            begin.elapsed()
        );
        assert_eq!(container.termination_message(), "");
        assert_eq!(api.lines(), [""; 0]);
    }
}

#[test]
fn a_signal_ends_it_in_the_middle_of_a_request_too() {
    for shell in shells() {
        let api = Api::start(|_, _| Answer::Hang);
        let container = Container::new(&api, &shell);
        let mut child = container.start("wait");
        api.wait_for(1);
        let begin = Instant::now();
        terminate(child.id());
        assert_eq!(child.wait().unwrap().code(), Some(143));
        assert!(
            begin.elapsed() < Duration::from_millis(900),
            "{:?}",
            begin.elapsed()
        );
    }
}

/// A process that it has started.
fn child_of(process: &str) -> String {
    let begin = Instant::now();
    let children = format!("/proc/{process}/task/{process}/children");
    loop {
        let found = std::fs::read_to_string(&children).unwrap();
        if let Some(first) = found.split_whitespace().next() {
            return first.to_owned();
        }
        assert!(begin.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The uid of another object between reading and deleting: nothing is deleted that was not read.
#[test]
fn a_lock_that_was_replaced_meanwhile_is_read_again() {
    for shell in shells() {
        static REPLACED: AtomicBool = AtomicBool::new(false);
        REPLACED.store(false, Ordering::SeqCst);
        let api = Api::start(|asked, _| match asked.method.as_str() {
            "GET" if REPLACED.load(Ordering::SeqCst) => policy("the-lock", "u-2"),
            "GET" => policy("the-lock", "u-1"),
            _ if asked.json()["preconditions"]["uid"] == "u-2" => status(200),
            _ => {
                REPLACED.store(true, Ordering::SeqCst);
                status(409)
            }
        });
        let ended = Container::new(&api, &shell).run("wait");
        assert_eq!((ended.code, ended.output.as_str()), (Some(0), DELETED));
        let methods: Vec<_> = api.asked().into_iter().map(|asked| asked.method).collect();
        assert_eq!(methods, ["GET", "DELETE", "GET", "DELETE"]);
    }
}
