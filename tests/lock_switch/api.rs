//! An API server on loopback TLS that answers what the test says, and keeps what it was asked.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: String,
    pub(crate) body: String,
    pub(crate) at: SystemTime,
}

impl Asked {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.headers.lines().filter_map(|line| line.split_once(": "));
        let mut same = lines.filter(|(header, _)| header.eq_ignore_ascii_case(name));
        same.next().map(|(_, value)| value)
    }
}

/// What becomes of a request.
pub(crate) enum Answer {
    /// Status and body.
    Whole(u16, String),
    /// The connection is closed; what was asked may have been done.
    Cut,
    /// A status, and the beginning of a body.
    Torn(u16),
    /// There is never an answer.
    Hang,
}

/// A policy as the API server writes it.
pub(crate) fn policy(name: &str, uid: &str) -> Answer {
    Answer::Whole(
        200,
        format!(
            r#"{{"kind":"NetworkPolicy","apiVersion":"networking.k8s.io/v1","metadata":{{"name":"{name}","namespace":"demo","uid":"{uid}","resourceVersion":"7","labels":{{"uid":"another"}},"ownerReferences":[{{"uid":"a-third"}}]}},"spec":{{"podSelector":{{}}}}}}"#
        ),
    )
}

/// A status as the API server writes it.
pub(crate) fn status(code: u16) -> Answer {
    let body = json!({"kind": "Status", "apiVersion": "v1", "code": code, "details": {"uid": "of-a-status"}});
    Answer::Whole(code, body.to_string())
}

type Answering = dyn Fn(&Asked, usize) -> Answer + Send + Sync;

/// The server; it listens until the test is over.
pub(crate) struct Api {
    pub(crate) port: u16,
    /// In PEM; its own authority.
    pub(crate) certificate: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A certificate for the address that pods know the API server by.
pub(crate) fn certificate() -> CertifiedKey<rcgen::KeyPair> {
    generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap()
}

impl Api {
    /// Listens at 127.0.0.1; the function also gets the number of requests before.
    pub(crate) fn start(answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), &certificate(), answer)
    }

    pub(crate) fn listen(
        listener: TcpListener,
        identity: &CertifiedKey<rcgen::KeyPair>,
        answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        // A second installation is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
        let configuration = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![identity.cert.der().clone()], key)
            .unwrap();
        let configuration = Arc::new(configuration);
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let answer: Arc<Answering> = Arc::new(answer);
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (configuration, kept, answer) =
                    (Arc::clone(&configuration), Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let connection = rustls::ServerConnection::new(configuration).unwrap();
                    serve(&mut rustls::StreamOwned::new(connection, stream), &kept, &*answer);
                });
            }
        });
        Self {
            port,
            certificate: identity.cert.pem(),
            asked,
        }
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// `METHOD path` of each request so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |asked: &Asked| format!("{} {}", asked.method, asked.path);
        self.asked().iter().map(line).collect()
    }

    /// Waits until this many requests have come.
    pub(crate) fn wait_for(&self, count: usize) {
        let begin = Instant::now();
        while self.asked().len() < count {
            assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", self.lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn serve(stream: &mut (impl Read + Write), kept: &Mutex<Vec<Asked>>, answer: &Answering) {
    // A client that does not trust us breaks off here.
    let Some(asked) = read(stream) else { return };
    let number = {
        let mut kept = kept.lock().unwrap();
        kept.push(asked.clone());
        kept.len() - 1
    };
    match answer(&asked, number) {
        Answer::Whole(code, body) => {
            let head = format!(
                "HTTP/1.1 {code} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes());
            let _ = stream.flush();
        }
        Answer::Cut => {}
        Answer::Torn(code) => {
            let _ = stream.write_all(format!("HTTP/1.1 {code} X\r\ncontent-length: 99\r\n\r\n{{").as_bytes());
            let _ = stream.flush();
        }
        Answer::Hang => {
            let _ = stream.read(&mut [0; 1]);
        }
    }
}

fn read(stream: &mut impl Read) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut more = |bytes: &mut Vec<u8>| {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend(&buffer[..count]);
        Some(())
    };
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        more(&mut bytes)?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let (first, headers) = head.split_once("\r\n")?;
    let mut words = first.split(' ');
    let mut asked = Asked {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        headers: headers.to_owned(),
        body: String::new(),
        at: SystemTime::now(),
    };
    let length: usize = asked
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + 4 + length {
        more(&mut bytes)?;
    }
    asked.body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
    Some(asked)
}
