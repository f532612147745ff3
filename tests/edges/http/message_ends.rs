//! Ends of messages that are no data frame: trailers, lengths, empty bodies, the end of a connection. None
//! of them is a break.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_blocking};

use super::tap::{End, Tap, tap, with_routes};
use crate::origin::Origin;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
const JSON: &str = "content-type: application/json";
/// As it passes, and with both kinds of edits.
const SETTINGS: [&str; 2] =
    ["workers: 1", "workers: 1\npropagate: inject\npassback: { request: true }"];

/// An origin that answers with `answer`, and closes its connection then if told so.
fn fixed(answer: String, close: bool) -> Origin {
    Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            conn.body(&asked);
            conn.write(&answer);
            if close {
                return;
            }
        }
    })
}

fn chunked(head: &str, body: &str, trailers: &str) -> String {
    let chunk =
        if body.is_empty() { String::new() } else { format!("{:x}\r\n{body}\r\n", body.len()) };
    format!(
        "HTTP/1.1 200 OK\r\n{JSON}\r\n{head}transfer-encoding: chunked\r\n\r\n{chunk}0\r\n{trailers}\r\n"
    )
}

/// Asks twice, with and without leave to send trailers; the trailers that came with it.
fn ask_twice(tap: &Tap) -> Vec<(String, String)> {
    tap.ask(&format!("POST /mcp\n{JSON}"), CALL);
    tap.ask(&format!("POST /mcp\n{JSON}\nte: trailers"), CALL).trailers
}

fn is_whole(end: &End, what: &str) {
    let outcomes = end.outcomes();
    assert_eq!(outcomes.len(), 2, "{what}: {outcomes:?}");
    assert!(!outcomes.iter().any(|outcome| outcome.ends_with("cancelled")), "{what}: {outcomes:?}");
}

#[test]
fn a_response_of_http1_is_whole_however_it_ends() {
    let announced = "trailer: x-sum\r\n";
    for (answer, kept, trailers) in [
        (chunked("", RESULT, ""), true, 0),
        (chunked("", RESULT, "x-sum: 6\r\n"), true, 0),
        (chunked(announced, RESULT, "x-sum: 6\r\n"), true, 1),
        (
            format!(
                "HTTP/1.1 200 OK\r\n{JSON}\r\ncontent-length: {}\r\n\r\n{RESULT}",
                RESULT.len()
            ),
            true,
            0,
        ),
        (format!("HTTP/1.0 200 OK\r\n{JSON}\r\n\r\n{RESULT}"), false, 0),
    ] {
        for settings in SETTINGS {
            let origin = fixed(answer.clone(), !kept);
            let tap = tap(&origin.url(), settings);
            assert_eq!(ask_twice(&tap).len(), trailers, "{answer} {settings}");
            let end = tap.end();
            assert_eq!(end.outcomes(), ["tools/list ok"; 2], "{answer} {settings}");
            assert_eq!(origin.connections(), if kept { 1 } else { 2 }, "{answer} {settings}");
        }
    }
}

#[test]
fn an_empty_response_of_http1_is_whole_however_it_ends() {
    for answer in [
        chunked("", "", ""),
        chunked("", "", "x-sum: 6\r\n"),
        chunked("trailer: x-sum\r\n", "", "x-sum: 6\r\n"),
        "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(),
    ] {
        for settings in SETTINGS {
            let origin = fixed(answer.clone(), false);
            let tap = tap(&origin.url(), settings);
            ask_twice(&tap);
            is_whole(&tap.end(), &answer);
            assert_eq!(origin.connections(), 1, "{answer}");
        }
    }
}

#[test]
fn a_request_of_http1_is_whole_with_trailers() {
    for settings in SETTINGS {
        let origin = Origin::echo();
        let tap = tap(&origin.url(), settings);
        for announced in ["", "trailer: x-up\r\n", ""] {
            let mut client = tap.connect();
            client.send(format!(
                "POST /mcp HTTP/1.1\r\nhost: {}\r\n{JSON}\r\n{announced}transfer-encoding: chunked\r\n\r\n\
                 {:x}\r\n{CALL}\r\n0\r\nx-up: 1\r\n\r\n",
                tap.address,
                CALL.len()
            ));
            assert_eq!(client.answer().status, 200);
        }
        assert_eq!(tap.end().outcomes(), ["tools/list ok"; 3], "{settings}");
        assert_eq!(origin.connections(), 1, "{settings}");
    }
}

/// A server that needs no more than the head to answer, as redirects and refusals do.
#[test]
fn a_request_that_comes_after_its_response_is_a_call() {
    for (status, outcome) in [(307, "client_error"), (401, "auth")] {
        let (tell, told) = sync_channel(10);
        let tell = Mutex::new(tell);
        let origin = Origin::serve(move |mut conn| {
            while let Some(asked) = conn.asked() {
                conn.write(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n"));
                tell.lock().unwrap().send(conn.body(&asked)).unwrap();
            }
        });
        let tap = tap(&origin.url(), "");
        let mut client = tap.connect();
        client.send(format!(
            "POST /mcp HTTP/1.1\r\nhost: {}\r\n{JSON}\r\ncontent-length: {}\r\n\r\n",
            tap.address,
            CALL.len()
        ));
        assert_eq!(client.answer().status, status);
        client.send(CALL);
        assert_eq!(told.recv().unwrap(), CALL.as_bytes());
        assert_eq!(tap.end().outcomes(), [format!("tools/list {outcome}")]);
    }
}

/// A body of these frames, whose end is told with the last one or after it.
pub(super) struct Frames {
    left: VecDeque<Frame<Bytes>>,
    with_last: bool,
}

impl Frames {
    /// One frame of data, and trailers.
    pub(super) fn with(data: &str, fields: HeaderMap) -> Frames {
        let data = Frame::data(data.to_owned().into());
        Frames { left: [data, Frame::trailers(fields)].into(), with_last: true }
    }

    fn of(data: &str, with_last: bool, trailers: bool) -> Frames {
        let data = (!data.is_empty()).then(|| Frame::data(data.to_owned().into()));
        let trailers = trailers.then(|| {
            let mut fields = HeaderMap::new();
            fields.insert("x-sum", "6".parse().unwrap());
            Frame::trailers(fields)
        });
        Frames { left: data.into_iter().chain(trailers).collect(), with_last }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.left.pop_front().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.with_last && self.left.is_empty()
    }
}

/// Responses of HTTP/2: status, body, whether its length is in the head, and how it ends.
const TWO: [(&str, u16, &str, bool, bool, bool); 9] = [
    ("/last", 200, RESULT, false, true, false),
    ("/after", 200, RESULT, false, false, false),
    ("/length", 200, RESULT, true, false, false),
    ("/trailers", 200, RESULT, false, false, true),
    ("/length-trailers", 200, RESULT, true, false, true),
    ("/empty", 202, "", true, false, false),
    ("/none", 204, "", false, false, false),
    ("/same", 304, "", false, false, false),
    ("/empty-trailers", 200, "", false, false, true),
];

/// A server of HTTP/2 that answers as [`TWO`] says; how many connections it took.
async fn two() -> (SocketAddr, Arc<AtomicUsize>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, taken) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let (count, mut tasks) = (Arc::clone(&taken), JoinSet::new());
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            connections.spawn(async move {
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await.ok();
            });
        }
    });
    (address, taken, tasks)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Frames>, Infallible> {
    let path = request.uri().path().to_owned();
    super::versions::collect(request.into_body()).await;
    let (_, status, body, length, with_last, trailers) =
        *TWO.iter().find(|row| row.0 == path).unwrap();
    let mut response =
        Response::builder().status(status).header("content-type", "application/json");
    if length {
        response = response.header("content-length", body.len());
    }
    Ok(response.body(Frames::of(body, with_last, trailers)).unwrap())
}

fn over_http2(address: SocketAddr, settings: &str) -> Tap {
    with_routes(&format!("[{{ upstream: \"http://{address}\", protocol: http2 }}]"), settings)
}

#[tokio::test]
async fn a_response_of_http2_is_whole_however_it_ends() {
    let (address, taken, _tasks) = two().await;
    for settings in SETTINGS {
        for (path, status, body, ..) in TWO {
            let tap = over_http2(address, settings);
            let before = taken.load(Ordering::SeqCst);
            let end = spawn_blocking(move || {
                for _ in 0..2 {
                    let answer = tap.ask(&format!("POST {path}\n{JSON}"), CALL);
                    assert_eq!((answer.status, answer.text()), (status, body), "{path}");
                }
                tap.end()
            });
            let end = end.await.unwrap();
            is_whole(&end, path);
            if !body.is_empty() {
                assert_eq!(end.outcomes(), ["tools/list ok"; 2], "{path} {settings}");
            }
            assert_eq!(taken.load(Ordering::SeqCst) - before, 1, "{path}");
        }
    }
}

/// A client of HTTP/2, and what carries its requests.
pub(super) async fn client(
    address: &str,
) -> (hyper::client::conn::http2::SendRequest<Frames>, JoinSet<()>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    (sender, JoinSet::from_iter([async { connection.await.unwrap() }]))
}

#[tokio::test]
async fn trailers_of_http2_pass_unannounced() {
    let (address, _, _tasks) = two().await;
    for settings in SETTINGS {
        let tap = over_http2(address, settings);
        let (mut sender, _connection) = client(&tap.address).await;
        for path in ["/trailers", "/length-trailers", "/empty-trailers"] {
            let request = Request::post(format!("http://{}{path}", tap.address))
                .header("content-type", "application/json")
                .body(Frames::of(CALL, true, false))
                .unwrap();
            let mut body = sender.send_request(request).await.unwrap().into_body();
            let mut trailers = None;
            while let Some(frame) =
                std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
            {
                trailers = frame.unwrap().into_trailers().ok();
            }
            assert_eq!(trailers.unwrap()["x-sum"], "6", "{path} {settings}");
        }
    }
}

#[tokio::test]
async fn a_request_of_http2_is_whole_however_it_ends() {
    for settings in SETTINGS {
        let origin = Origin::echo();
        let tap = tap(&origin.url(), settings);
        let (mut sender, _connection) = client(&tap.address).await;
        for (length, with_last, trailers) in [
            (false, true, false),
            (false, false, false),
            (true, false, false),
            (false, false, true),
            (true, false, true),
        ] {
            let mut request = Request::post(format!("http://{}/mcp", tap.address))
                .header("content-type", "application/json");
            if length {
                request = request.header("content-length", CALL.len());
            }
            let request = request.body(Frames::of(CALL, with_last, trailers)).unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            super::versions::collect(response.into_body()).await;
        }
        let end = spawn_blocking(move || tap.end()).await.unwrap();
        assert_eq!(end.outcomes(), ["tools/list ok"; 5], "{settings}");
        assert_eq!(origin.connections(), 1, "{settings}");
    }
}
