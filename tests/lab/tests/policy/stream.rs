//! A connection that stays open: the pod `client` sends a line again and again, the pod `server` sends it back.

use crate::place::{Place, SERVER_PORT};

/// A connection that was begun.
pub(crate) struct Stream<'a> {
    place: &'a Place,
    received: String,
}

impl<'a> Stream<'a> {
    /// Begins it and sees the first answer.
    pub(crate) fn begin(place: &'a Place, name: &str) -> Self {
        let received = format!("/tmp/{name}");
        let server = place.address("server");
        let script = format!(
            "(while :; do echo line; sleep 0.1; done) 2>/dev/null | nc {server} {SERVER_PORT} >{received} 2>/dev/null </dev/stdin &"
        );
        let (code, text) = place.exec(&["sh", "-c", &script]);
        assert_eq!(code, 0, "{text}");
        let stream = Self { place, received };
        assert!(stream.goes_on(), "it never began");
        stream
    }

    /// Whether an answer comes within three seconds.
    pub(crate) fn goes_on(&self) -> bool {
        let file = &self.received;
        let script = format!(
            "lines() {{ wc -l <{file} 2>/dev/null || echo 0; }}; before=$(lines); for i in $(seq 30); do
             [ $(lines) -gt $before ] && exit 0; sleep 0.1; done; exit 9"
        );
        let (code, text) = self.place.exec(&["sh", "-c", &script]);
        assert!(matches!(code, 0 | 9), "{code}: {text}");
        code == 0
    }
}
