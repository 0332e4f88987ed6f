//! An API server that is not there, hangs, refuses or is reached only by another way: tried until it works.

use super::api::{Answer, Api, certificate, policy, status};
use super::script::{Container, Ended, shells, terminate};
use std::net::TcpListener;
use std::time::{Duration, Instant};

#[test]
fn an_api_server_that_is_down_for_some_seconds_is_waited_for() {
    for shell in shells() {
        let identity = certificate();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let nobody = Api::start(|_, _| Answer::Cut);
        let container = Container::new(&nobody, &shell).with("KUBERNETES_SERVICE_PORT", address.port());
        container.write("ca.crt", &identity.cert.pem());
        let child = container.start("wait");
        std::thread::sleep(Duration::from_millis(1500));
        let api = Api::listen(
            TcpListener::bind(address).unwrap(),
            &identity,
            |asked, number| match (number, asked.method.as_str()) {
                (0, _) => status(503),
                (1, _) => status(429),
                (_, "GET") => policy("the-lock", "u-1"),
                _ => status(200),
            },
        );
        let ended = Ended::of(&child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.output.contains("was deleted"), "{ended:?}");
        assert_eq!(api.asked().len(), 4);
        assert_eq!(
            ended.errors.lines().count(),
            3,
            "one line per kind of trouble: {}",
            ended.errors
        );
        for code in ["000", "503", "429"] {
            assert!(
                ended.errors.contains(&format!("answered {code} ")),
                "{}",
                ended.errors
            );
        }
    }
}

/// The kubelet renews the token; a rejected one is not the end.
#[test]
fn the_token_is_read_at_each_try() {
    for shell in shells() {
        let api = Api::start(|asked, _| match asked.header("authorization") {
            Some("Bearer token-2") if asked.method == "GET" => policy("the-lock", "u-1"),
            Some("Bearer token-2") => status(200),
            _ => status(401),
        });
        let container = Container::new(&api, &shell);
        let child = container.start("wait");
        api.wait_for(1);
        container.write("token", "token-2\n");
        let ended = Ended::of(&child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.output.contains("was deleted"), "{ended:?}");
    }
}

/// The Service's address leads nowhere, as where kube-proxy or the policy engine fails; the certificate must name it
/// all the same.
#[test]
fn the_api_servers_own_addresses_are_the_second_way() {
    for shell in shells() {
        let identity = certificate();
        let api = Api::listen(
            TcpListener::bind("127.0.0.2:0").unwrap(),
            &identity,
            |asked, _| match asked.method.as_str() {
                "GET" => policy("the-lock", "u-1"),
                _ => status(200),
            },
        );
        let container = Container::new(&api, &shell)
            .with("KUBERNETES_SERVICE_PORT", 9)
            .with("SWITCH_ENDPOINTS", format!("127.0.0.1:9 127.0.0.2:{}", api.port));
        let ended = container.run("wait");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.output.contains("was deleted"), "{ended:?}");
        let hosts = api.asked();
        assert!(
            hosts
                .iter()
                .all(|asked| asked.header("host") == Some("127.0.0.1:9"))
        );
    }
}

#[test]
fn a_request_without_an_answer_is_given_up() {
    for shell in shells() {
        let api = Api::start(|_, number| match number {
            0 => Answer::Hang,
            _ => status(404),
        });
        let begin = Instant::now();
        let ended = Container::new(&api, &shell).run("wait");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    }
}

#[test]
fn addresses_of_the_newer_family_work_in_both_places() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return;
    };
    let identity = rcgen::generate_simple_self_signed(["::1".to_owned()]).unwrap();
    let api = Api::listen(listener, &identity, |asked, _| match asked.method.as_str() {
        "GET" => policy("the-lock", "u-1"),
        _ => status(200),
    });
    for shell in shells() {
        let container = Container::new(&api, &shell).with("KUBERNETES_SERVICE_HOST", "::1");
        assert_eq!(container.run("rehearse").output, "200\n");
        let container = container
            .with("KUBERNETES_SERVICE_PORT", 9)
            .with("SWITCH_ENDPOINTS", format!("[::1]:{}", api.port));
        assert_eq!(container.run("rehearse").output, "200\n");
    }
}

/// The lock was deleted, and the answer got lost.
#[test]
fn a_lost_answer_is_cleared_up_by_the_next_look() {
    for shell in shells() {
        let api = Api::start(|asked, number| match asked.method.as_str() {
            "GET" if number == 0 => policy("the-lock", "u-1"),
            "GET" => status(404),
            _ => Answer::Cut,
        });
        let ended = Container::new(&api, &shell).run("wait");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.output.contains("is gone"), "{ended:?}");
    }
}

#[test]
fn an_answer_that_breaks_off_is_none() {
    for shell in shells() {
        let api = Api::start(|asked, number| match (number, asked.method.as_str()) {
            (0, _) => Answer::Torn(200),
            (_, "GET") => policy("the-lock", "u-1"),
            _ => status(200),
        });
        let ended = Container::new(&api, &shell).run("wait");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let methods: Vec<_> = api.asked().into_iter().map(|asked| asked.method).collect();
        assert_eq!(methods, ["GET", "GET", "DELETE"]);
    }
}

#[test]
fn an_api_server_that_is_starting_leads_to_another_one() {
    for shell in shells() {
        let starting = Api::start(|_, _| status(503));
        let identity = certificate();
        let api = Api::listen(
            TcpListener::bind("127.0.0.2:0").unwrap(),
            &identity,
            |asked, _| match asked.method.as_str() {
                "GET" => policy("the-canary", "u-1"),
                _ => status(200),
            },
        );
        let container =
            Container::new(&starting, &shell).with("SWITCH_ENDPOINTS", format!("127.0.0.2:{}", api.port));
        container.write("ca.crt", &format!("{}{}", starting.certificate, api.certificate));
        assert_eq!(container.run("rehearse").output, "200\n");
        assert_eq!((starting.asked().len(), api.asked().len()), (2, 2));
    }
}

#[test]
fn no_list_of_processes_shows_the_token() {
    for shell in shells() {
        let api = Api::start(|_, _| Answer::Hang);
        let container = Container::new(&api, &shell);
        container.write("token", "do-not-show-me");
        let mut child = container.start("wait");
        api.wait_for(1);
        let lines: Vec<String> = std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).into_owned())
            .collect();
        terminate(child.id());
        child.wait().unwrap();
        assert!(
            lines.iter().any(|line| line.contains(&api.port.to_string())),
            "curl is running"
        );
        assert!(!lines.iter().any(|line| line.contains("do-not-show-me")));
        assert_eq!(
            api.asked()[0].header("authorization"),
            Some("Bearer do-not-show-me")
        );
    }
}
