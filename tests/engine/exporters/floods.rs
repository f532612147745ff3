//! Backends that send without end. Each attempt is over after a bounded number of bytes, and so is the connection;
//! nothing here has a timeout to end it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mcpcol::exporters::otlp_http;
use mcpcol::pipeline::{ExportError, Exported, Exporter};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, split};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::http_sink::read_head;
use super::{authority, build, plain, spans};

/// What a client may read of a flood, and what the system may hold of it on the way.
const MOST: usize = 24 << 20;

/// One round of a flood: what comes first, and what then comes without end.
type Flood = (&'static str, Vec<u8>, Vec<u8>);

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

fn floods_of_frames(head: &[u8]) -> Vec<Flood> {
    let head = frame(1, 4, 1, head);
    // `:status: 103`, in letters.
    let interim = frame(1, 4, 1, b"\x08\x03103");
    vec![
        ("interim answers", vec![], interim),
        ("empty frames of a body", head.clone(), frame(0, 0, 1, b"")),
        ("small frames of a body", head.clone(), frame(0, 0, 1, b"\0")),
        ("small messages", head, frame(0, 0, 1, &[0; 5])),
        ("pings", vec![], frame(6, 0, 0, &[7; 8])),
        ("settings", vec![], frame(4, 0, 0, b"")),
        ("farewells", vec![], frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])),
        ("priorities", vec![], frame(2, 0, 1, &[0, 0, 0, 3, 7])),
        ("windows", vec![], frame(8, 0, 0, &[0, 0, 0, 1])),
        ("frames of no known kind", vec![], frame(0xaa, 0, 0, b"")),
    ]
}

/// Reads up to a request of HTTP/2: the first head on a stream.
async fn request(from: &mut (impl AsyncRead + Unpin)) {
    let mut preface = [0; 24];
    from.read_exact(&mut preface).await.unwrap();
    loop {
        let mut head = [0; 9];
        from.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        from.read_exact(&mut payload).await.unwrap();
        if head[3] == 1 {
            return;
        }
    }
}

/// Sends until the client has closed the connection. How much that was.
async fn pour<T: AsyncRead + AsyncWrite>(
    mut from: ReadHalf<T>,
    mut to: impl AsyncWrite + Unpin,
    (_, first, again): &Flood,
) -> usize {
    let sending = async {
        let mut sent = first.len();
        let many = again.repeat(16384 / again.len());
        drop(to.write_all(first).await);
        while to.write_all(&many).await.is_ok() && to.flush().await.is_ok() {
            sent += many.len();
            assert!(sent < MOST, "nobody ends it");
        }
        sent
    };
    let reading = async {
        drop(tokio::io::copy(&mut from, &mut tokio::io::sink()).await);
        std::future::pending().await
    };
    tokio::select! {
        sent = sending => sent,
        never = reading => never,
    }
}

/// What an attempt at a server with this flood ends with.
async fn attempt(
    exporter: &dyn Exporter,
    listener: &TcpListener,
    tls: Option<&TlsAcceptor>,
    http2: bool,
    flood: &Flood,
) -> Result<Exported, ExportError> {
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        match tls {
            Some(tls) => {
                let (mut from, to) = split(tls.accept(stream).await.unwrap());
                request(&mut from).await;
                pour(from, to, flood).await
            }
            None => {
                let (from, mut to) = split(stream);
                let mut from = BufReader::new(from);
                if http2 {
                    request(&mut from).await;
                    to.write_all(&frame(4, 0, 0, b"")).await.unwrap();
                } else {
                    read_head(&mut from).await.unwrap();
                }
                pour(from.into_inner(), to, flood).await
            }
        }
    };
    let telemetry = spans();
    let both = async { tokio::join!(exporter.export(&telemetry), serving) };
    let ended = tokio::time::timeout(Duration::from_secs(60), both).await;
    let (result, _) = ended.unwrap_or_else(|_| panic!("{} have no end", flood.0));
    result
}

async fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn over_http(addr: SocketAddr) -> Box<dyn Exporter> {
    build::<otlp_http::Config>(json!({ "endpoint": format!("http://{addr}") }))
}

/// The certificate to trust, and a server that speaks HTTP/2 alone.
fn http2() -> (String, TlsAcceptor) {
    let authority = authority("test");
    let (cert, key) = &authority.server_pem;
    let chain = CertificateDer::pem_slice_iter(cert.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    (authority.ca, TlsAcceptor::from(Arc::new(tls)))
}

fn over_http2(addr: SocketAddr, ca: &str) -> Box<dyn Exporter> {
    build::<otlp_http::Config>(json!({
        "endpoint": format!("https://{addr}"),
        "tls": { "ca_pem": ca, "server_name_override": "otel.test" },
    }))
}

fn retried(result: Result<Exported, ExportError>, flood: &Flood) -> String {
    match result {
        Err(ExportError::Retry { after: None, why }) => why,
        other => panic!("{}: {other:?}", flood.0),
    }
}

fn taken_unread(result: Result<Exported, ExportError>, flood: &Flood) {
    let exported = result.unwrap_or_else(|error| panic!("{}: {error:?}", flood.0));
    assert!(exported.message.starts_with("partial success unread: "), "{}", flood.0);
}

#[tokio::test]
async fn interim_answers_without_end_end_the_attempt_and_some_do_not() {
    let (listener, addr) = listening().await;
    let exporter = over_http(addr);
    let interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".to_vec();
    let flood = ("interim answers", vec![], interim.clone());
    let why = retried(attempt(&*exporter, &listener, None, false, &flood).await, &flood);
    assert_eq!(why, "more than 100 interim answers (1xx) came in place of an answer");
    let some = [interim.repeat(100), b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()];
    let flood = ("answers", some.concat(), b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
    let result = attempt(&*exporter, &listener, None, false, &flood).await;
    assert_eq!(result, Ok(Exported::default()));
}

#[tokio::test]
async fn no_answer_over_http_is_without_end() {
    let (listener, addr) = listening().await;
    let exporter = over_http(addr);
    let chunked = |status: &str, rest: &str| {
        format!("HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\n\r\n{rest}").into_bytes()
    };
    let taken = "200 OK";
    for (flood, is_taken) in [
        (("headers", b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: b\r\n".to_vec()), false),
        (("a header", b"HTTP/1.1 200 OK\r\na: ".to_vec(), b"aaaa".to_vec()), false),
        // It was taken, whatever is said about that.
        (("trailers", chunked(taken, "0\r\n"), b"a: b\r\n".to_vec()), true),
        (("extensions", chunked(taken, "1;"), b"aaaa".to_vec()), true),
        (("small pieces", chunked(taken, ""), b"1\r\na\r\n".to_vec()), true),
        (
            ("large pieces", chunked(taken, ""), [&b"1000\r\n"[..], &[7; 4096], b"\r\n"].concat()),
            true,
        ),
    ] {
        let result = attempt(&*exporter, &listener, None, false, &flood).await;
        match is_taken {
            true => taken_unread(result, &flood),
            false => drop(retried(result, &flood)),
        }
    }
    // The words of a refusal are not needed.
    let flood = ("small pieces", chunked("503 Busy", ""), b"1\r\na\r\n".to_vec());
    let why = retried(attempt(&*exporter, &listener, None, false, &flood).await, &flood);
    assert_eq!(why, "503 Service Unavailable");
}

#[tokio::test]
async fn no_frames_over_http2_are_without_end() {
    let (ca, tls) = http2();
    let pings = ("pings when all is said", frame(1, 5, 1, b"\x88"), frame(6, 0, 0, &[7; 8]));
    for mut flood in floods_of_frames(b"\x88").into_iter().chain([pings]) {
        let (listener, addr) = listening().await;
        let exporter = over_http2(addr, &ca);
        flood.1 = [frame(4, 0, 0, b""), flood.1].concat();
        let result = attempt(&*exporter, &listener, Some(&tls), true, &flood).await;
        match flood.0 {
            "pings when all is said" => assert_eq!(result, Ok(Exported::default())),
            // They stand behind a head that says that the request was taken.
            "empty frames of a body" | "small frames of a body" | "small messages" => {
                taken_unread(result, &flood);
            }
            _ => drop(retried(result, &flood)),
        }
    }
}

#[tokio::test]
async fn no_frames_over_grpc_are_without_end() {
    // `:status: 200` and `content-type: application/grpc`.
    let head = [&b"\x88\x0f\x10\x10"[..], b"application/grpc"].concat();
    for flood in floods_of_frames(&head) {
        let (listener, addr) = listening().await;
        match attempt(&*plain(addr), &listener, None, true, &flood).await {
            Err(ExportError::Reject { why }) if flood.0.starts_with("small") => {
                assert_eq!(why, "Internal: there are several messages in the answer");
            }
            result => drop(retried(result, &flood)),
        }
    }
}

/// How often ten attempts at a time connect to a server that takes its leave of each connection at once.
async fn connections(
    exporter: Box<dyn Exporter>,
    listener: &TcpListener,
    tls: Option<&TlsAcceptor>,
) -> usize {
    let farewell = [frame(4, 0, 0, b""), frame(7, 0, 0, &[0; 8])].concat();
    let mut count = 0;
    let serving = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count += 1;
            match tls {
                Some(tls) => drop(tls.accept(stream).await.unwrap().write_all(&farewell).await),
                None => drop(stream.write_all(&farewell).await),
            }
        }
    };
    let exporter: Arc<dyn Exporter> = Arc::from(exporter);
    let attempts: JoinSet<_> = (0..10)
        .map(|_| Arc::clone(&exporter))
        .map(|exporter| async move { exporter.export(&spans()).await })
        .collect();
    let results = tokio::select! {
        results = attempts.join_all() => results,
        never = serving => never,
    };
    for result in results {
        retried(result, &("farewells", vec![], vec![]));
    }
    count
}

#[tokio::test]
async fn a_server_that_takes_its_leave_at_once_is_not_connected_to_again_and_again() {
    let (listener, addr) = listening().await;
    let count = connections(plain(addr), &listener, None).await;
    assert!(count <= 20, "{count}");
    let (ca, tls) = http2();
    let count = connections(over_http2(addr, &ca), &listener, Some(&tls)).await;
    assert!(count <= 20, "{count}");
}
