//! A tap that was told to change what it forwards: what servers and clients get, byte by byte.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use super::tap::{Tap, tap, with_routes};
use super::versions::{Text, collect};
use crate::client::{Answer, Client};
use crate::origin::{Asked, Conn, Origin};
use crate::spans::attribute;

const MODERN: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
const OTEL: &str = r#""otel":{"traces":{"request":true,"detailed":false}}"#;
const SPANS: &str = r#""otel":{"traces":{"resourceSpans":[{"x":1.50}]}}"#;
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
const ASK: &str = "passback: { request: true }";
const POST: &str = "POST /mcp\ncontent-type: application/json; charset=utf-8";

fn call(id: &str, meta: &str) -> String {
    format!(
        "{{\"method\":\"tools/call\" ,\r\n \"params\":{{\"arguments\":{{\"n\":1e2,\"n\":0.10}},\"_meta\":{{{meta}}}}},\"id\":{id}}}"
    )
}

fn answer(id: &str, meta: &str) -> String {
    format!(
        "{{\"result\":{{\"content\":[],\n\"_meta\":{{{meta}}}}},\"jsonrpc\":\"2.0\",\"id\":{id}}}"
    )
}

/// An answer without its spans.
fn bare(id: &str) -> String {
    format!("{{\"result\":{{\"content\":[]}},\"jsonrpc\":\"2.0\",\"id\":{id}}}")
}

/// A server that tells what it got.
fn telling(
    reply: impl Fn(&mut Conn, &Asked, &[u8]) + Send + Sync + 'static,
) -> (Origin, Receiver<(Asked, String)>) {
    let (tell, told) = sync_channel(100);
    let tell = Mutex::new(tell);
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            reply(&mut conn, &asked, &body);
            let body = String::from_utf8(body).unwrap();
            tell.lock().unwrap().send((asked, body)).unwrap();
        }
    });
    (origin, told)
}

fn chunked(tap: &Tap, body: &str, size: usize) -> Answer {
    let mut client = tap.connect();
    let head = tap.request(&format!("{POST}\ntransfer-encoding: chunked"), "");
    client.send(head);
    for chunk in body.as_bytes().chunks(size) {
        client.send([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    client.send("0\r\n\r\n");
    client.answer()
}

#[test]
fn requests_change_their_length_follows_and_answers_are_what_they_would_have_been() {
    let (origin, told) = telling(|conn, _, body| {
        let id = if body.ends_with(b"1}") { "1" } else { "\"x\"" };
        conn.json(&answer(id, SPANS));
    });
    let tap = tap(&origin.url(), ASK);
    let got = tap.ask(POST, &call("1", MODERN));
    assert_eq!(got.text(), bare("1"));
    assert_eq!(got.header("content-length"), Some(bare("1").len().to_string().as_str()));
    let expected = call("1", &format!("{MODERN},{OTEL}"));
    let (asked, body) = told.recv().unwrap();
    assert_eq!(body, expected);
    assert_eq!(asked.header("content-length"), Some(expected.len().to_string().as_str()));

    for size in [1, 7, 4096] {
        let got = chunked(&tap, &call("\"x\"", MODERN), size);
        assert_eq!(got.text(), bare("\"x\""));
        let (asked, body) = told.recv().unwrap();
        assert_eq!(body, call("\"x\"", &format!("{MODERN},{OTEL}")));
        assert_eq!(asked.header("content-length"), None, "chunked stays chunked");
    }

    let own = call("1", &format!(r#"{MODERN},"otel":{{"traces":{{"request":true}}}}"#));
    assert_eq!(tap.ask(POST, &own).text(), answer("1", SPANS), "what it asked for is the client's");
    assert_eq!(told.recv().unwrap().1, own);
    let end = tap.end();
    assert_eq!(end.outcomes(), ["tools/call ok"; 5]);
    let sizes: Vec<_> =
        end.spans.iter().map(|span| attribute(span, "mcpcol.response.size").unwrap()).collect();
    assert_eq!(sizes[0], answer("1", SPANS).len().to_string(), "the original bytes are observed");
}

#[test]
fn the_tap_is_a_hop_and_headers_of_the_context_stay() {
    let (origin, told) = telling(|conn, _, _| conn.json("{}"));
    let tap = tap(&origin.url(), "propagate: inject");
    let other = PARENT.replace("0af7", "1bf7");
    let head = format!("{POST}\ntraceparent: {other}\ntracestate: k=v");
    for (meta, trace, rest) in [
        (
            format!(r#""traceparent":"{PARENT}","tracestate":"a=b""#),
            &PARENT[..36],
            r#","tracestate":"a=b""#,
        ),
        (String::new(), &other[..36], r#","tracestate":"k=v""#),
    ] {
        tap.ask(&head, &call("1", &meta));
        let (asked, body) = told.recv().unwrap();
        assert_eq!(asked.header("traceparent"), Some(other.as_str()));
        let at = body.find("00-").unwrap();
        let new = &body[at..at + 55];
        assert_eq!((&new[..36], &new[52..]), (trace, "-01"));
        assert!(new != PARENT && new != other);
        assert_eq!(body, call("1", &format!(r#""traceparent":"{new}"{rest}"#)));
    }
}

#[test]
fn what_cannot_be_changed_passes_as_it_is() {
    let (origin, told) = telling(|conn, _, _| conn.json(&answer("1", SPANS)));
    let tap = tap(&origin.url(), &format!("{ASK}\npropagate: inject"));
    let long = call("1", &format!(r#"{MODERN},"x":"{}""#, "y".repeat(1 << 20)));
    let one = call("1", MODERN);
    let batch = format!("[{one}]");
    let digest = format!("{POST}\ncontent-digest: sha-256=:x:");
    let coded = format!("{POST}\ncontent-encoding: gzip");
    for (head, body) in [
        (POST, &long),
        (POST, &batch),
        (&digest, &one),
        (&coded, &one),
        ("POST /mcp\ncontent-type: text/plain", &one),
        (POST, &"{\"half\":".to_owned()),
        (POST, &String::new()),
    ] {
        assert_eq!(tap.ask(head, body).text(), answer("1", SPANS));
        let (asked, got) = told.recv().unwrap();
        assert!(got == *body, "{head}");
        let length = (!body.is_empty()).then(|| body.len().to_string());
        assert_eq!(asked.header("content-length"), length.as_deref());
    }
    assert_eq!(chunked(&tap, &long, 60_000).text(), answer("1", SPANS));
    assert!(told.recv().unwrap().1 == long);
}

#[test]
fn of_a_stream_only_the_answers_event_changes_and_the_others_come_at_once() {
    let (go, wait) = sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    let (origin, _told) = telling(move |conn, _, _| {
        conn.stream();
        conn.chunk(": hello\r\n\r\nid: 1\r\ndata: \r\n\r\n");
        wait.lock().unwrap().recv().unwrap();
        conn.chunk("data: {\"method\":\"notifications/progress\"}\n\nevent: mess");
        wait.lock().unwrap().recv().unwrap();
        let last = answer("1", SPANS).replace('\n', "");
        let (first, rest) = last.split_at(30);
        conn.chunk(&format!("age\nid: 2\ndata: {first}"));
        conn.chunk(&format!("{rest}\n\n: bye"));
        conn.write("0\r\n\r\n");
    });
    let tap = tap(&origin.url(), ASK);
    let mut client = tap.connect();
    client.send(tap.request(POST, &call("1", MODERN)));
    let (status, headers) = client.head();
    assert_eq!(status, 200);
    assert!(headers.iter().any(|(name, _)| name == "transfer-encoding"));
    let until = |client: &mut Client, end: &str| {
        let mut got = Vec::new();
        while !got.ends_with(end.as_bytes()) {
            got.extend(client.chunk());
        }
        String::from_utf8(got).unwrap()
    };
    assert_eq!(until(&mut client, "data: \r\n\r\n"), ": hello\r\n\r\nid: 1\r\ndata: \r\n\r\n");
    go.send(()).unwrap();
    let progress = "data: {\"method\":\"notifications/progress\"}\n\nevent: mess";
    assert_eq!(until(&mut client, "mess"), progress);
    go.send(()).unwrap();
    assert_eq!(until(&mut client, ": bye"), format!("age\nid: 2\ndata: {}\n\n: bye", bare("1")));
    assert!(client.chunk().is_empty());
}

#[test]
fn in_a_legacy_session_the_answer_may_come_on_another_stream() {
    let answers = Arc::new((Mutex::new(None::<String>), std::sync::Condvar::new()));
    let coming = Arc::clone(&answers);
    let (origin, told) = telling(move |conn, asked, body| {
        let session = "mcp-session-id: s1\r\n";
        if asked.line.starts_with("GET") {
            conn.stream();
            let (slot, rung) = &*coming;
            let mut slot = rung.wait_while(slot.lock().unwrap(), |slot| slot.is_none()).unwrap();
            conn.event(&slot.take().unwrap());
            conn.write("0\r\n\r\n");
        } else if body.windows(10).any(|w| w == b"initialize") {
            let hello = r#"{"id":0,"result":{"capabilities":{"serverExecutionTelemetry":{}}}}"#;
            conn.write(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{session}content-length: {}\r\n\r\n{hello}",
                hello.len()
            ));
        } else {
            // A stream that its server ends before the answer (2025-11-25).
            conn.stream();
            conn.chunk("id: 7\ndata: \n\n");
            conn.write("0\r\n\r\n");
        }
    });
    let tap = tap(&origin.url(), ASK);
    assert!(!tap.ask(POST, &call("9", "")).text().contains("x"), "nothing is known of the server");
    assert_eq!(told.recv().unwrap().1, call("9", ""));
    let hello = r#"{"id":0,"method":"initialize","params":{}}"#;
    assert!(tap.ask(POST, hello).text().contains("serverExecutionTelemetry"));
    assert_eq!(told.recv().unwrap().1, hello);
    let session = format!("{POST}\nmcp-session-id: s1");
    assert_eq!(tap.ask(&session, &call("1", "")).text(), "id: 7\ndata: \n\n");
    assert_eq!(told.recv().unwrap().1, call("1", OTEL));
    let other = format!("{POST}\nmcp-session-id: s2");
    tap.ask(&other, &call("1", ""));
    assert_eq!(told.recv().unwrap().1, call("1", ""), "another session's server said nothing");

    let mut client = tap.connect();
    client.send(tap.request("GET /mcp\nmcp-session-id: s1\nlast-event-id: 7", ""));
    assert_eq!(client.head().0, 200);
    *answers.0.lock().unwrap() = Some(answer("1", SPANS).replace('\n', ""));
    answers.1.notify_all();
    let mut got = Vec::new();
    loop {
        let chunk = client.chunk();
        if chunk.is_empty() {
            break;
        }
        got.extend(chunk);
    }
    let expected = format!("event: message\ndata: {}\n\n", bare("1"));
    assert_eq!(String::from_utf8(got).unwrap(), expected);
}

#[test]
fn answers_that_cannot_be_read_pass_as_they_are() {
    let long = answer("1", &format!(r#""x":"{}",{SPANS}"#, "y".repeat(1 << 20)));
    let body = long.clone();
    let (origin, _told) = telling(move |conn, asked, _| {
        match asked.header("x-kind") {
        Some("coded") => conn.write(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: br\r\ncontent-length: {}\r\n\r\n{}",
            answer("1", SPANS).len(),
            answer("1", SPANS)
        )),
        Some("long") => {
            conn.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n");
            conn.chunk(&body);
            conn.write("0\r\n\r\n");
        }
        _ => {
            // Longer by its head than what comes.
            conn.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{\"id\":");
            conn.get_mut().shutdown(std::net::Shutdown::Both).unwrap();
        }
    }
    });
    let tap = tap(&origin.url(), ASK);
    let ask = |kind| tap.ask(&format!("{POST}\nx-kind: {kind}"), &call("1", MODERN));
    assert_eq!(ask("coded").text(), answer("1", SPANS));
    assert!(ask("long").text() == long);
    let mut client = tap.connect();
    client.send(tap.request(&format!("{POST}\nx-kind: half"), &call("1", MODERN)));
    let (status, headers) = client.head();
    assert_eq!(status, 200);
    assert!(headers.contains(&("content-length".to_owned(), "999".to_owned())));
    let mut half = [0; 6];
    std::io::Read::read_exact(&mut client.0, &mut half).unwrap();
    assert_eq!(&half, b"{\"id\":");
    assert!(client.is_closed(), "and breaks off as it did");
}

#[test]
fn a_client_that_goes_while_its_answer_is_held_takes_its_request_with_it() {
    let (tell, told) = sync_channel(1);
    let tell = Mutex::new(tell);
    let origin = Origin::serve(move |mut conn| {
        let asked = conn.asked().unwrap();
        conn.body(&asked);
        conn.write(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{",
        );
        tell.lock().unwrap().send(None).unwrap();
        let gone = conn.is_gone();
        tell.lock().unwrap().send(Some(gone)).unwrap();
    });
    let tap = tap(&origin.url(), ASK);
    let mut client = tap.connect();
    client.send(tap.request(POST, &call("1", MODERN)));
    assert_eq!(told.recv().unwrap(), None);
    drop(client);
    assert_eq!(told.recv().unwrap(), Some(true));
    assert_eq!(tap.end().outcomes(), ["tools/call cancelled"]);
}

#[test]
fn a_request_that_breaks_off_while_it_is_held_goes_nowhere() {
    let (origin, told) = telling(|conn, _, _| conn.json("{}"));
    let tap = tap(&origin.url(), ASK);
    let mut client = tap.connect();
    client.send(tap.request(&format!("{POST}\ncontent-length: 100"), ""));
    client.send("{\"id\":");
    drop(client);
    assert_eq!(tap.ask(POST, "{}").text(), "{}");
    assert_eq!(told.recv().unwrap().1, "{}", "nothing came before");
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn over_http2_lengths_follow_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let (tell, told) = sync_channel(10);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let tell = tell.clone();
            async move {
                let length = request.headers().get("content-length").cloned();
                let length = length.map(|length| length.to_str().unwrap().to_owned());
                let body = collect(request.into_body()).await;
                tell.send((length, String::from_utf8(body).unwrap())).unwrap();
                let response = Response::builder().header("content-type", "application/json");
                let text = answer("1", SPANS);
                let response = response.header("content-length", text.len());
                Ok::<_, Infallible>(response.body(Text(Some(text.into()))).unwrap())
            }
        });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(TokioIo::new(stream), service).await.ok();
    });
    let routes = format!("[{{ upstream: \"http://{upstream}/mcp\", name: two, protocol: http2 }}]");
    let tap = with_routes(&routes, ASK);
    let stream = TcpStream::connect(&tap.address).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tasks.spawn(async move { connection.await.unwrap_or_default() });
    for measured in [true, false] {
        let text = call("1", MODERN);
        let request = Request::post(format!("http://{}/mcp", tap.address))
            .header("content-type", "application/json");
        let request = if measured { request.header("content-length", text.len()) } else { request };
        let request = request.body(Text(Some(text.into()))).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let length = response.headers()["content-length"].to_str().unwrap().to_owned();
        let body = String::from_utf8(collect(response.into_body()).await).unwrap();
        assert_eq!((body, length), (bare("1"), bare("1").len().to_string()));
        let (length, body) = told.recv().unwrap();
        assert_eq!(body, call("1", &format!("{MODERN},{OTEL}")));
        assert_eq!(length, measured.then(|| body.len().to_string()));
    }
}
