//! A server on loopback whose every byte the test decides, and a client connected to it.

use futures::{SinkExt, StreamExt};
use kubectl_egress::cluster::{Cluster, ConnectionSettings, Environment, Notice, Observer};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Long enough for a loaded machine, short enough for a hang to be noticed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether it asks for a watch.
    pub(crate) fn is_watch(&self) -> bool {
        self.path.contains("watch=1")
    }
}

/// What the server does with a request.
pub(crate) enum Reply {
    /// A whole answer.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Headers of a chunked answer, then these acts.
    Stream(Vec<Act>),
    /// A WebSocket session, with this protocol.
    Socket(&'static str, Vec<Act>),
    /// A WebSocket session that sends data of channel 0 back.
    Echo,
    /// The connection is closed without an answer.
    Cut,
    /// There is never an answer.
    Hang,
    /// An answer whose body breaks off.
    Torn(Vec<u8>),
    /// An answer after some time.
    Late(Duration, Box<Reply>),
}

/// One act of a stream.
pub(crate) enum Act {
    /// Bytes: a chunk of a body, or a binary frame.
    Send(Vec<u8>),
    /// Nothing for a time.
    Pause(Duration),
    /// The connection breaks.
    Break,
    /// Nothing for ever.
    Hang,
}

/// A JSON answer.
pub(crate) fn ok(body: &Value) -> Reply {
    status(200, body)
}

/// A JSON answer with a status.
pub(crate) fn status(code: u16, body: &Value) -> Reply {
    Reply::Whole(code, Vec::new(), body.to_string().into_bytes())
}

/// A refusal as the API server words it.
pub(crate) fn refusal(code: u16, reason: &str, message: &str, name: &str) -> Reply {
    let body = json!({"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code,
        "details": {"name": name}});
    status(code, &body)
}

/// A watch event, as a chunk.
pub(crate) fn event(kind: &str, object: &Value) -> Act {
    Act::Send(format!("{}\n", json!({"type": kind, "object": object})).into_bytes())
}

type Answering = dyn Fn(&Seen, usize) -> Reply + Send + Sync;

/// A server on loopback.
pub(crate) struct Server {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    open: Arc<AtomicUsize>,
    load: Arc<Load>,
}

/// Requests that are being answered.
#[derive(Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Server {
    /// Answers each request by the function, which also gets the number of requests before it.
    pub(crate) async fn start(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let open: Arc<AtomicUsize> = Arc::default();
        let answer: Arc<Answering> = Arc::new(answer);
        let server = Self {
            port,
            seen: Arc::clone(&seen),
            open: Arc::clone(&open),
            load: Arc::default(),
        };
        let load = Arc::clone(&server.load);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, open, answer) = (Arc::clone(&seen), Arc::clone(&open), Arc::clone(&answer));
                let load = Arc::clone(&load);
                tokio::spawn(async move {
                    open.fetch_add(1, Ordering::SeqCst);
                    serve(stream, &seen, &answer, &load).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The most requests that were being answered at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.load.most.load(Ordering::SeqCst)
    }

    /// Connections that are open.
    pub(crate) fn open_connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// A client of this server with a short request timeout.
    pub(crate) async fn client(&self) -> Client {
        self.client_with(ConnectionSettings {
            request_timeout: Some(Duration::from_secs(5)),
            ..ConnectionSettings::default()
        })
        .await
    }

    /// A client of this server with these settings.
    pub(crate) async fn client_with(&self, settings: ConnectionSettings) -> Client {
        let settings = ConnectionSettings {
            server: Some(format!("http://127.0.0.1:{}", self.port)),
            // Plain text anyway; this keeps the operating system's certificates from being loaded for each test.
            insecure_skip_tls_verify: true,
            ..settings
        };
        connect(&[], settings).await.unwrap()
    }
}

/// A connected client and what it told.
pub(crate) struct Client {
    pub(crate) cluster: Cluster,
    notices: Arc<Mutex<Vec<Notice>>>,
}

impl Client {
    /// The notices so far, but for those of single requests.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        let notices = self.notices.lock().unwrap();
        let others = notices
            .iter()
            .filter(|notice| !matches!(notice, Notice::Requested { .. }));
        others.cloned().collect()
    }

    /// How many retries were announced.
    pub(crate) fn retries(&self) -> usize {
        let notices = self.notices();
        notices
            .iter()
            .filter(|notice| matches!(notice, Notice::Retrying { .. }))
            .count()
    }
}

/// An observer that keeps what it hears.
pub(crate) fn observer() -> (Observer, Arc<Mutex<Vec<Notice>>>) {
    let notices: Arc<Mutex<Vec<Notice>>> = Arc::default();
    let kept = Arc::clone(&notices);
    (Arc::new(move |notice| kept.lock().unwrap().push(notice)), notices)
}

/// Connects with exactly these environment variables.
pub(crate) async fn connect(
    variables: &[(&str, &str)],
    settings: ConnectionSettings,
) -> kubectl_egress::error::Result<Client> {
    let variables: Vec<(String, String)> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let environment = Environment::from_lookup(move |wanted| {
        let found = variables.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone())
    });
    let (observer, notices) = observer();
    let cluster = Cluster::connect_in(&environment, &settings, observer).await?;
    Ok(Client { cluster, notices })
}

/// Writes a file that lives as long as the directory.
pub(crate) fn write(directory: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

async fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Seen>>, answer: &Arc<Answering>, load: &Load) {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        let current = load.now.fetch_add(1, Ordering::SeqCst) + 1;
        load.most.fetch_max(current, Ordering::SeqCst);
        let mut reply = answer(&request, number);
        while let Reply::Late(pause, then) = reply {
            tokio::time::sleep(pause).await;
            reply = *then;
        }
        load.now.fetch_sub(1, Ordering::SeqCst);
        match reply {
            Reply::Whole(code, headers, body) => {
                let mut head = format!("HTTP/1.1 {code} X\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.extend([name, ": ", &value, "\r\n"]);
                }
                head.push_str("\r\n");
                let mut bytes = head.into_bytes();
                bytes.extend(body);
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Reply::Stream(acts) => {
                if !stream_body(&mut stream, acts).await {
                    return;
                }
            }
            Reply::Socket(protocol, acts) => return session(stream, &request, protocol, acts).await,
            Reply::Echo => return echo(stream, &request).await,
            Reply::Cut => return,
            Reply::Hang => return wait_for_close(&mut stream).await,
            Reply::Torn(part) => {
                let head = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", part.len() + 10);
                // The client may be gone already.
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&part).await;
                return;
            }
            Reply::Late(..) => unreachable!("unwrapped above"),
        }
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    while buffer.len() < end + 4 + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = buffer[end + 4..end + 4 + length].to_vec();
    buffer.drain(..end + 4 + length);
    Some(Seen {
        method,
        path,
        headers,
        body,
    })
}

async fn wait_for_close(stream: &mut TcpStream) {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
}

/// Whether the connection can be used on.
async fn stream_body(stream: &mut TcpStream, acts: Vec<Act>) -> bool {
    let head = "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\ndate: Sat, 21 Nov 2026 10:00:00 GMT\r\n\r\n";
    if stream.write_all(head.as_bytes()).await.is_err() {
        return false;
    }
    for act in acts {
        match act {
            Act::Send(bytes) => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend(bytes);
                chunk.extend(b"\r\n");
                if stream.write_all(&chunk).await.is_err() {
                    return false;
                }
            }
            Act::Pause(time) => tokio::time::sleep(time).await,
            Act::Break => return false,
            Act::Hang => {
                wait_for_close(stream).await;
                return false;
            }
        }
    }
    stream.write_all(b"0\r\n\r\n").await.is_ok()
}

async fn upgrade(mut stream: TcpStream, request: &Seen, protocol: &str) -> WebSocketStream<TcpStream> {
    let key = derive_accept_key(request.header("sec-websocket-key").unwrap().as_bytes());
    let head = format!(
        "HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {key}\r\n\
         sec-websocket-protocol: {protocol}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    WebSocketStream::from_raw_socket(stream, Role::Server, None).await
}

async fn session(stream: TcpStream, request: &Seen, protocol: &str, acts: Vec<Act>) {
    let mut socket = upgrade(stream, request, protocol).await;
    for act in acts {
        match act {
            // A client that does not read any more is what some tests are about.
            Act::Send(frame) => drop(socket.send(Message::binary(frame)).await),
            Act::Pause(time) => tokio::time::sleep(time).await,
            Act::Break => return,
            Act::Hang => {
                while let Some(Ok(_)) = socket.next().await {}
                return;
            }
        }
    }
    let _ = socket.close(None).await;
    while let Some(Ok(_)) = socket.next().await {}
}

async fn echo(stream: TcpStream, request: &Seen) {
    let mut socket = upgrade(stream, request, "v4.channel.k8s.io").await;
    for channel in [0, 1] {
        socket
            .send(Message::binary(vec![channel, 0x90, 0x1f]))
            .await
            .unwrap();
    }
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Binary(frame) = message {
            socket.send(Message::Binary(frame)).await.unwrap();
        }
    }
}
