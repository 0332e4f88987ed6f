//! What the servers answer.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, LOCATION};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde_json::json;

use super::event::WorldEvent;
use super::table::Behaviour;

/// Longest delay that a client may ask for.
const LONGEST_DELAY: u64 = 300;

/// Writes what the request says into its event.
pub(super) fn describe(event: &mut WorldEvent, request: &Parts) {
    event.method = Some(request.method.to_string());
    event.path = Some(
        request
            .uri
            .path_and_query()
            .map_or_else(|| request.uri.to_string(), ToString::to_string),
    );
    event.host = request
        .headers
        .get(HOST)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    event.headers = headers(&request.headers);
}

fn headers(map: &HeaderMap) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::<String, String>::new();
    for (name, value) in map {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.to_string())
            .and_modify(|joined| {
                joined.push_str(", ");
                joined.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    headers
}

/// How long the answer is held back: `/delay/SECONDS`.
pub(super) fn delay(path: &str) -> Duration {
    let seconds = path
        .strip_prefix("/delay/")
        .and_then(|rest| rest.parse::<u64>().ok())
        .unwrap_or_default();
    Duration::from_secs(seconds.min(LONGEST_DELAY))
}

/// The answer to a request: `/status/NNN` is that status, a redirecting server redirects, all else is an echo.
pub(super) fn answer(behaviour: Behaviour, path: &str, event: &WorldEvent) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(echo(event)));
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    );
    let asked = path
        .strip_prefix("/status/")
        .and_then(|rest| rest.parse::<u16>().ok());
    if let Some(status) = asked
        .and_then(|status| StatusCode::from_u16(status).ok())
        .filter(|status| !status.is_informational())
    {
        *response.status_mut() = status;
    } else if let Behaviour::Redirect(target) = behaviour {
        *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
        response
            .headers_mut()
            .insert(LOCATION, hyper::header::HeaderValue::from_static(target));
    }
    response
}

fn echo(event: &WorldEvent) -> Bytes {
    let body = json!({
        "server": event.server,
        "method": event.method,
        "path": event.path,
        "headers": event.headers,
        "peer": event.peer,
    });
    Bytes::from(format!("{body:#}\n"))
}

#[cfg(test)]
mod tests {
    use super::super::event::EventKind;
    use super::*;

    fn event() -> WorldEvent {
        let any = "127.0.0.1:1".parse().unwrap();
        WorldEvent::new("x.test", EventKind::Request, any, any)
    }

    #[test]
    fn the_path_chooses_the_status() {
        let status = |path| answer(Behaviour::Echo, path, &event()).status().as_u16();
        assert_eq!(
            (
                status("/get"),
                status("/status/503"),
                status("/status/no"),
                status("/status/100")
            ),
            (200, 503, 200, 200)
        );
    }

    #[test]
    fn a_redirect_names_its_target() {
        let response = answer(Behaviour::Redirect("https://edition.cnn.com/"), "/", &event());
        assert_eq!(response.status(), 301);
        assert_eq!(response.headers()[LOCATION], "https://edition.cnn.com/");
    }

    #[test]
    fn a_delay_is_bounded() {
        assert_eq!(delay("/delay/2"), Duration::from_secs(2));
        assert_eq!(delay("/delay/99999"), Duration::from_secs(LONGEST_DELAY));
        assert_eq!(delay("/get"), Duration::ZERO);
    }

    #[test]
    fn headers_of_one_name_are_joined() {
        let mut map = HeaderMap::new();
        map.append("x-a", "1".parse().unwrap());
        map.append("x-a", "2".parse().unwrap());
        assert_eq!(headers(&map)["x-a"], "1, 2");
    }
}
