//! Trailers: what a head may not bring they may not either, over both versions of HTTP and in both directions.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

use http_body::Body;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::message_ends::{Frames, client};
use super::tap::{Tap, with_routes};
use super::versions::Text;
use crate::origin::{Asked, Origin};

/// What clients may not say, and what any may.
const SAID: [&str; 7] = [
    "X-Forwarded-For",
    "Forwarded",
    "CF-Connecting-IP",
    "X-Key",
    "Authorization",
    "Connection",
    "X-Sum",
];

/// An origin that tells of each request its head and its trailers.
fn telling() -> (Origin, Receiver<(Asked, Vec<String>)>) {
    let (tell, told) = sync_channel(10);
    let tell = Mutex::new(tell);
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            let (_, trailers) = conn.body_and_trailers(&asked);
            tell.lock().unwrap().send((asked, trailers)).unwrap();
            conn.json("{}");
        }
    });
    (origin, told)
}

fn tap(origin: &str, route: &str, settings: &str) -> Tap {
    with_routes(
        &format!("[{{ upstream: \"{origin}\", headers: {{ X-Key: fake }}{route} }}]"),
        settings,
    )
}

fn chunked(tap: &Tap, connection: &str) -> String {
    let fields: String = SAID.iter().map(|name| format!("{name}: 1.2.3.4\r\n")).collect();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\ntrailer: {}\r\n{connection}transfer-encoding: chunked\r\n\r\n\
         2\r\n{{}}\r\n0\r\n{fields}\r\n",
        tap.address,
        SAID.join(", ")
    )
}

#[test]
fn trailers_say_no_more_than_heads() {
    let on = ", forwarded_headers: true";
    for (route, settings, connection, left) in [
        (on, "", "", &["x-sum"][..]),
        (on, "trusted_proxies: [10.0.0.0/8]", "", &["x-sum"]),
        (
            on,
            "trusted_proxies: [127.0.0.1]",
            "",
            &["x-forwarded-for", "forwarded", "cf-connecting-ip", "x-sum"],
        ),
        // Nobody asked to look at who calls whom.
        ("", "", "", &["x-forwarded-for", "forwarded", "cf-connecting-ip", "x-sum"]),
        (on, "", "connection: X-Sum\r\n", &[]),
    ] {
        for editing in ["", "propagate: inject"] {
            let (origin, told) = telling();
            let tap = tap(&origin.url(), route, &format!("{settings}\n{editing}"));
            let mut client = tap.connect();
            client.send(chunked(&tap, connection));
            assert_eq!(client.answer().status, 200);
            let (asked, trailers) = told.recv().unwrap();
            let mut names: Vec<_> =
                trailers.iter().map(|line| line.split(':').next().unwrap()).collect();
            names.sort_unstable();
            let mut expected = left.to_vec();
            expected.sort_unstable();
            assert_eq!(names, expected, "{route} {settings} {connection}");
            let announced = asked.header("trailer").unwrap_or_default().to_lowercase();
            assert_eq!(announced, left.join(", "), "{route} {settings} {connection}");
        }
    }
}

/// The same over HTTP/2; only the names of the trailers.
async fn telling_over_http2() -> (SocketAddr, Receiver<Vec<String>>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, (tell, told)) = (listener.local_addr().unwrap(), sync_channel(10));
    let (tell, mut tasks) = (Arc::new(tell), JoinSet::new());
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(move |request: Request<Incoming>| {
            let tell = Arc::clone(&tell);
            async move {
                tell.send(trailers_of(request.into_body()).await).unwrap();
                Ok::<_, Infallible>(Response::new(Text(Some("{}".into()))))
            }
        });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(TokioIo::new(stream), service).await.ok();
    });
    (address, told, tasks)
}

async fn trailers_of(mut body: Incoming) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let trailers = frame.unwrap().into_trailers().unwrap_or_default();
        names.extend(trailers.keys().map(|name| name.as_str().to_owned()));
    }
    names.sort();
    names
}

/// Over HTTP/2 nothing has to be announced.
#[tokio::test]
async fn trailers_of_http2_say_no_more_than_heads() {
    for (route, left) in [
        (", forwarded_headers: true", &["x-sum"][..]),
        ("", &["cf-connecting-ip", "forwarded", "x-forwarded-for", "x-sum"]),
    ] {
        let (address, told, _tasks) = telling_over_http2().await;
        let tap = tap(&format!("http://{address}"), &format!("{route}, protocol: http2"), "");
        let (mut sender, _connection) = client(&tap.address).await;
        for alone in [false, true] {
            // What is about a connection breaks a stream of HTTP/2, whoever sends it.
            let said = SAID.iter().filter(|name| **name != "Connection");
            let said = said.filter(|name| !alone || **name != "X-Sum");
            let name = |name: &&str| name.to_lowercase().parse::<HeaderName>().unwrap();
            let fields: HeaderMap = said.map(|said| (name(said), "1".parse().unwrap())).collect();
            let request = Request::post(format!("http://{}/last", tap.address))
                .body(Frames::with("{}", fields))
                .unwrap();
            assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
            let left: Vec<_> = left.iter().filter(|name| !alone || **name != "x-sum").collect();
            assert_eq!(told.recv().unwrap().iter().collect::<Vec<_>>(), left, "{route}");
        }
    }
}

#[test]
fn trailers_of_answers_frame_nothing() {
    for (announced, fields, left) in [
        (
            "x-sum, content-length, connection",
            "content-length: 9\r\nconnection: close\r\nx-sum: 6\r\n",
            &["x-sum"][..],
        ),
        (
            "connection, transfer-encoding",
            "connection: close\r\ntransfer-encoding: chunked\r\n",
            &[],
        ),
        ("x-sum", "x-sum: 6\r\n", &["x-sum"]),
    ] {
        let origin = Origin::serve(move |mut conn| {
            while let Some(asked) = conn.asked() {
                conn.body(&asked);
                conn.write(format!(
                    "HTTP/1.1 200 OK\r\ntrailer: {announced}\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n{fields}\r\n"
                ));
            }
        });
        let tap = tap(&origin.url(), "", "workers: 1");
        for _ in 0..2 {
            let answer = tap.ask("POST /mcp\nte: trailers", "{}");
            let names: Vec<_> = answer.trailers.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, left, "{announced}");
            assert_eq!(answer.header("trailer").unwrap_or_default(), left.join(", "));
        }
        assert_eq!(origin.connections(), 1);
    }
}
