//! HTTP/2 on either side.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use super::origin::Origin;
use super::tap::{End, tap, with_routes};

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
async fn a_client_of_http2_reaches_a_server_of_http1() {
    let (tell, told) = std::sync::mpsc::sync_channel(100);
    let tell = std::sync::Mutex::new(tell);
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            tell.lock().unwrap().send(asked).unwrap();
            conn.json(&super::origin::result_for(&body));
        }
    });
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
    let version = End::attribute(&end.spans[0], "network.protocol.version");
    assert_eq!(version.as_deref(), Some("2"));
}

#[tokio::test]
async fn a_server_of_http2_is_reached_by_any_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let mut servers = tokio::task::JoinSet::new();
    let accepted = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&accepted);
    servers.spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let service = service_fn(|request: Request<Incoming>| async move {
                assert_eq!(request.version(), Version::HTTP_2);
                let host = request.uri().authority().unwrap().to_string();
                let body = collect(request.into_body()).await;
                let text = super::origin::result_for(&body);
                Ok::<_, Infallible>(
                    Response::builder()
                        .header("x-host", host)
                        .body(Text(Some(text.into())))
                        .unwrap(),
                )
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            connections.spawn(async move {
                builder.serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    });
    let routes = format!("[{{ upstream: \"http://{address}/mcp\", protocol: http2 }}]");
    let tap = with_routes(&routes, "workers: 1");
    let asked = ask_over_http2(&tap.address, 20).await;
    assert!(asked.iter().all(|(version, _)| *version == Version::HTTP_2));
    let end = tokio::task::spawn_blocking(move || {
        let answer = tap.post(PING);
        assert_eq!((answer.status, answer.header("x-host")), (200, Some(&*address.to_string())));
        tap.end()
    });
    assert_eq!(end.await.unwrap().spans.len(), 21);
    assert_eq!(accepted.load(std::sync::atomic::Ordering::SeqCst), 1, "one connection for all");
}
