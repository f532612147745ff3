//! Waiting for the upstream is part of the call: it begins when its request was read, and whoever gives up
//! meanwhile has made one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::SystemTime;

use rustls::{ServerConfig, ServerConnection, Stream};
use serde_json::Value;

use super::tap::{Tap, tap, with_routes};
use super::tls::{Identity, provider};
use crate::origin::result_for;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;

/// An upstream to which a tap connects in vain, until it is told to go on.
struct Stalled {
    tap: Tap,
    /// Heard once the tap is connecting.
    connecting: Receiver<()>,
    go: SyncSender<()>,
}

impl Stalled {
    /// Each connection is kept waiting, then served.
    fn serving(
        routes: impl FnOnce(u16) -> String,
        settings: &str,
        serve: impl FnOnce(TcpStream) + Send + 'static,
    ) -> Stalled {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ((tell, connecting), (go, gone_on)) = (sync_channel(10), sync_channel(10));
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            tell.send(()).unwrap();
            if gone_on.recv().is_ok() {
                serve(stream);
            }
        });
        Stalled { tap: with_routes(&routes(port), settings), connecting, go }
    }

    /// One that says nothing in answer to a TLS handshake.
    fn over_tls(dir: &std::path::Path) -> Stalled {
        let identity = Identity::new();
        identity.write(dir, "upstream");
        let ca = dir.join("upstream.pem").display().to_string();
        let routes = |port| {
            format!("[{{ upstream: \"https://localhost:{port}/\", tls: {{ ca_file: {ca} }} }}]")
        };
        Stalled::serving(routes, "", move |mut stream| {
            let config = ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(identity.chain(), identity.private())
                .unwrap();
            let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
            answer(&mut Stream::new(&mut tls, &mut stream));
        })
    }

    /// One of HTTP/2 that does not send its SETTINGS.
    fn over_http2() -> Stalled {
        let routes =
            |port| format!("[{{ upstream: \"http://127.0.0.1:{port}/\", protocol: http2 }}]");
        Stalled::serving(routes, "", |stream| serve_http2(stream, |body| result_for(&body)))
    }

    /// A call that waits, and when it is known to.
    fn call(&self) -> (crate::client::Client, u128) {
        let mut client = self.tap.connect();
        client.send(self.tap.request("POST /mcp\ncontent-type: application/json", CALL));
        self.connecting.recv().unwrap();
        (client, now())
    }

    fn answered(self) {
        let (mut client, then) = self.call();
        self.go.send(()).unwrap();
        assert_eq!(client.answer().status, 200);
        drop(client);
        lasted(self.tap, "tools/call slow ok", then);
    }

    fn given_up(self) {
        let (client, then) = self.call();
        drop(client);
        lasted(self.tap, "tools/call cancelled", then);
    }
}

fn now() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos()
}

/// Answers what comes by one connection of HTTP/2.
fn serve_http2(stream: TcpStream, answer: impl Fn(Vec<u8>) -> String + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = Rc::new(answer);
    runtime.block_on(tokio::task::LocalSet::new().run_until(async {
        stream.set_nonblocking(true).unwrap();
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
            let answer = Rc::clone(&answer);
            async move {
                let body = super::versions::collect(request.into_body()).await;
                let text = super::versions::Text(Some(answer(body).into()));
                Ok::<_, std::convert::Infallible>(hyper::Response::new(text))
            }
        });
        hyper::server::conn::http2::Builder::new(LocalExecutor)
            .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
            .await
            .ok();
    }));
}

/// Starts what belongs to a connection on its thread.
#[derive(Clone)]
struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

/// Reads one request and answers it.
fn answer(stream: &mut (impl Read + Write)) {
    let mut got = Vec::new();
    while !got.ends_with(CALL.as_bytes()) {
        let mut some = [0; 1024];
        let read = stream.read(&mut some).unwrap();
        got.extend_from_slice(&some[..read]);
    }
    let result = result_for(CALL.as_bytes());
    let length = result.len();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{result}").unwrap();
    stream.flush().unwrap();
}

/// The only span of a tap has that outcome, and was under way at that time.
fn lasted(tap: Tap, outcome: &str, then: u128) {
    let end = tap.end();
    assert_eq!(end.outcomes(), [outcome], "{}", end.log);
    let at = |key: &str| -> u128 { Value::as_str(&end.spans[0][key]).unwrap().parse().unwrap() };
    assert!(at("startTimeUnixNano") <= then, "it began when the connection was there");
    assert!(at("endTimeUnixNano") >= then);
}

#[test]
fn a_call_that_waits_for_a_tls_handshake() {
    let dir = tempfile::tempdir().unwrap();
    Stalled::over_tls(dir.path()).answered();
    Stalled::over_tls(dir.path()).given_up();
}

#[test]
fn a_call_that_waits_for_the_settings_of_http2() {
    Stalled::over_http2().answered();
    Stalled::over_http2().given_up();
}

/// A call whose message is changed on its way waits like others.
#[test]
fn a_call_that_is_edited_waits_like_others() {
    let routes = |port| format!("[{{ upstream: \"http://127.0.0.1:{port}/\", protocol: http2 }}]");
    Stalled::serving(routes, "passback: { request: true }", drop).given_up();
}

/// A call whose body comes in pieces, and more of it than is read ahead.
#[test]
fn a_long_request_passes_whole_after_the_wait() {
    let (tell, told) = sync_channel(10);
    let routes = |port| format!("[{{ upstream: \"http://127.0.0.1:{port}/\", protocol: http2 }}]");
    let stalled = Stalled::serving(routes, "", |stream| {
        serve_http2(stream, move |body| {
            tell.send(body).unwrap();
            "{}".to_owned()
        });
    });
    let pieces: Vec<String> = (0..400).map(|n| format!("{n:0999}")).collect();
    let mut client = stalled.tap.connect();
    client.send(format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n\r\n",
        stalled.tap.address
    ));
    pieces[..200].iter().for_each(|piece| client.send(format!("3e7\r\n{piece}\r\n")));
    stalled.connecting.recv().unwrap();
    stalled.go.send(()).unwrap();
    pieces[200..].iter().for_each(|piece| client.send(format!("3e7\r\n{piece}\r\n")));
    client.send("0\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    assert_eq!(told.recv().unwrap(), pieces.concat().into_bytes());
}

/// A listener of which nobody accepts and that has no room: connecting to it is not answered at all.
#[cfg(target_os = "linux")]
mod backlog {
    use super::*;
    use crate::process::eventually;

    struct Full {
        listener: TcpListener,
        tap: Tap,
        _waits: TcpStream,
    }

    impl Full {
        fn new() -> Full {
            use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
            let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            bind(&socket, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
            listen(&socket, 0).unwrap();
            let listener = TcpListener::from(socket);
            let address = listener.local_addr().unwrap();
            let waits = TcpStream::connect(address).unwrap();
            let tap = tap(&format!("http://{address}/"), "");
            Full { listener, tap, _waits: waits }
        }

        fn call(&self) -> (crate::client::Client, u128) {
            let mut client = self.tap.connect();
            client.send(self.tap.request("POST /mcp", CALL));
            let port = self.listener.local_addr().unwrap().port();
            eventually("the tap connects", || is_connecting(port));
            (client, now())
        }
    }

    /// Whether a connection to a port of this machine waits for an answer.
    fn is_connecting(port: u16) -> bool {
        const SYN_SENT: &str = "02";
        let to = format!("0100007F:{port:04X}");
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        table.lines().skip(1).any(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            fields[2] == to && fields[3] == SYN_SENT
        })
    }

    #[test]
    fn a_call_that_waits_for_room_in_it() {
        let full = Full::new();
        let (mut client, then) = full.call();
        drop(full.listener.accept().unwrap());
        answer(&mut full.listener.accept().unwrap().0);
        assert_eq!(client.answer().status, 200);
        drop(client);
        lasted(full.tap, "tools/call slow ok", then);
    }

    #[test]
    fn a_call_that_is_given_up() {
        let full = Full::new();
        let (client, then) = full.call();
        drop(client);
        lasted(full.tap, "tools/call cancelled", then);
    }
}
