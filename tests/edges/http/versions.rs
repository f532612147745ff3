//! HTTP/2 on either side.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::tap::{tap, with_routes};
use crate::origin::Origin;
use crate::spans::attribute;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// One text as a body.
pub(super) struct Text(pub(super) Option<Bytes>);

impl Body for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.0.take().map(|text| Ok(hyper::body::Frame::data(text))))
    }
}

/// All of a body.
pub(super) async fn collect(mut body: Incoming) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        match frame {
            None => return out,
            Some(frame) => out.extend(frame.unwrap().into_data().unwrap_or_default()),
        }
    }
}

/// Many requests at once on one connection of HTTP/2 with prior knowledge.
async fn ask_over_http2(address: &str, requests: usize) -> Vec<(Version, String)> {
    let stream = TcpStream::connect(address).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::task::JoinSet::from_iter([async { connection.await.unwrap() }]);
    let mut asked = tokio::task::JoinSet::new();
    for id in 0..requests {
        let mut sender = sender.clone();
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let request = Request::post(format!("http://{address}/mcp"))
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .body(Text(Some(body.into())))
            .unwrap();
        asked.spawn(async move {
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            let version = response.version();
            (version, String::from_utf8(collect(response.into_body()).await).unwrap())
        });
    }
    let mut answers = asked.join_all().await;
    drop(connection);
    answers.sort_by_key(|(_, text)| (text.len(), text.clone()));
    answers
}

#[tokio::test]
async fn what_is_refused_over_http1_is_over_http2() {
    let origin = Origin::echo();
    let tap = tap(&origin.url(), "max_headers: 20");
    let stream = TcpStream::connect(&tap.address).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    let _connection = JoinSet::from_iter([async { connection.await.unwrap() }]);
    let (here, elsewhere) = (format!("http://{}/mcp", tap.address), "http://evil.example/mcp");
    for (method, uri, fields, status) in [
        ("POST", here.as_str(), 15, 200),
        ("POST", &here, 150, 431),
        ("POST", elsewhere, 0, 403),
        ("HEAD", elsewhere, 0, 403),
    ] {
        let fields = (0..fields).map(|n| (format!("x-{n}").parse().unwrap(), "1".parse().unwrap()));
        let mut request = Request::new(Text(Some(PING.into())));
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = uri.parse().unwrap();
        request.headers_mut().extend(fields.map(|(name, value)| (Some(name), value)));
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), status, "{method} {uri}");
        // A body to HEAD would break the stream.
        assert_eq!(collect(response.into_body()).await.is_empty(), method == "HEAD");
    }
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn a_client_of_http2_reaches_a_server_of_http1() {
    let (origin, told) = Origin::telling();
    let tap = tap(&origin.url(), "");
    let answers = ask_over_http2(&tap.address, 40).await;
    for (id, (version, text)) in answers.iter().enumerate() {
        assert_eq!((*version, text.contains(&format!("\"id\":{id},"))), (Version::HTTP_2, true));
    }
    let asked = told.recv().unwrap();
    assert_eq!(asked.all("cookie"), ["a=1; b=2"]);
    assert_eq!(asked.header("host"), Some(origin.address.as_str()));
    let end = tap.end();
    assert_eq!(end.spans.len(), 40);
    let version = attribute(&end.spans[0], "network.protocol.version");
    assert_eq!(version.as_deref(), Some("2"));
}

/// A server of HTTP/2 that allows so many requests at once on a connection. `/big` is 8 MiB, `/hang` has no
/// end, anything else is an empty result.
struct Two {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Two {
    async fn serve(streams: u32) -> Two {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, mut tasks) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        let count = Arc::clone(&accepted);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                builder.max_concurrent_streams(streams);
                connections.spawn(async move {
                    let service = service_fn(Two::answer);
                    builder.serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        Two { address, accepted, _tasks: tasks }
    }

    async fn answer(request: Request<Incoming>) -> Result<Response<Text>, Infallible> {
        assert_eq!(request.version(), Version::HTTP_2);
        let host = request.uri().authority().unwrap().to_string();
        let path = request.uri().path().to_owned();
        let body = collect(request.into_body()).await;
        let text = match path.as_str() {
            "/big" => Bytes::from(vec![b'x'; 8 << 20]),
            "/hang" => std::future::pending().await,
            _ => crate::origin::result_for(&body).into(),
        };
        Ok(Response::builder().header("x-host", host).body(Text(Some(text))).unwrap())
    }

    fn tap(&self) -> super::tap::Tap {
        let routes = format!("[{{ upstream: \"http://{}/mcp\", protocol: http2 }}]", self.address);
        with_routes(&routes, "workers: 1")
    }

    fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_server_of_http2_is_reached_by_any_client() {
    let server = Two::serve(100).await;
    let (tap, host) = (server.tap(), server.address.to_string());
    let asked = ask_over_http2(&tap.address, 20).await;
    assert!(asked.iter().all(|(version, _)| *version == Version::HTTP_2));
    let end = tokio::task::spawn_blocking(move || {
        let answer = tap.post(PING);
        assert_eq!((answer.status, answer.header("x-host")), (200, Some(host.as_str())));
        tap.end()
    });
    assert_eq!(end.await.unwrap().spans.len(), 21);
    assert_eq!(server.connections(), 1, "one connection for all");
}

/// The largest limit that can be said, which some servers say for "none".
#[tokio::test]
async fn a_server_that_allows_any_number_of_requests_is_reached() {
    let server = Two::serve(u32::MAX).await;
    let tap = server.tap();
    let status = tokio::task::spawn_blocking(move || tap.post(PING).status);
    assert_eq!(status.await.unwrap(), 200);
}

#[tokio::test]
async fn where_a_server_allows_no_more_requests_another_connection_is_opened() {
    let server = Two::serve(2).await;
    let tap = server.tap();
    let served = tokio::task::spawn_blocking(move || {
        let hanging: Vec<_> = (0..5)
            .map(|_| {
                let mut client = tap.connect();
                client.send(tap.request("POST /hang", PING));
                client
            })
            .collect();
        assert_eq!(tap.post(PING).status, 200);
        drop(hanging);
        tap.post(PING).status
    });
    assert_eq!(served.await.unwrap(), 200);
    assert!(server.connections() >= 3, "{} connections", server.connections());
}

/// All of them share one connection to the server.
#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody_else() {
    let server = Two::serve(100).await;
    let tap = server.tap();
    let served = tokio::task::spawn_blocking(move || {
        let slow: Vec<_> = (0..3)
            .map(|_| {
                let mut client = tap.connect();
                client.send(tap.request("GET /big", ""));
                assert_eq!(client.head().0, 200);
                client
            })
            .collect();
        for _ in 0..20 {
            assert_eq!(tap.post(PING).status, 200);
        }
        assert_eq!(tap.ask("GET /big", "").body.len(), 8 << 20);
        drop(slow);
    });
    served.await.unwrap();
    assert_eq!(server.connections(), 1);
}
