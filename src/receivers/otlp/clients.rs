//! What clients may do with a connection, on real sockets and with time that is not waited for.

use std::net::TcpListener as StdListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::body::{self, Length};
use super::budget::Budget;
use crate::http::descriptors::Descriptors;
use crate::http::serve::frame_limit::Floods;
use crate::http::serve::port::{Answer, Listener, Timing};
use crate::http::serve::reply::Reply;
use crate::http::serve::usage::keeps_no_place;
use crate::metrics::Counter;
use crate::pipeline::Stop;
use hyper::body::Incoming;
use hyper::{Request, Response};

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const ACK: u8 = 1;
/// END_STREAM and END_HEADERS.
const WHOLE: u8 = 5;
/// POST http `/`, of the static table (RFC 7541 appendix A).
const POST: &[u8] = &[0x83, 0x86, 0x84];

/// Reads a request and answers with so many bytes, or refuses for good.
struct Fake {
    reply: usize,
    refuses: bool,
}

impl Answer for Fake {
    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        let mut hold = Budget::new(1 << 20).hold().unwrap();
        let read = body::read(request.into_body(), Length::Said(None), 1 << 20, &mut hold).await;
        let mut response = Response::new(Reply::of(Bytes::from(vec![b'x'; self.reply])));
        if self.refuses || read.is_err() {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            keeps_no_place(&mut response);
        }
        response
    }
}

/// As the receiver has them for HTTP, and for gRPC.
fn timings() -> [Timing; 2] {
    let secs = Duration::from_secs;
    let http = Timing {
        head: secs(60),
        idle: Some(secs(60)),
        age: None,
        ping: None,
        unread: secs(30),
        parting: secs(5),
        drain: secs(10),
    };
    [http, Timing { idle: None, ping: Some((secs(60), secs(20))), ..http }]
}

/// A door with one place.
struct Narrow {
    address: std::net::SocketAddr,
    turned_away: Counter,
    displaced: Counter,
    floods: Counter,
    switch: crate::pipeline::Switch,
    tasks: JoinSet<()>,
}

impl Narrow {
    fn open(timing: Timing, answer: Fake) -> Narrow {
        Narrow::over(None, timing, answer)
    }

    fn over(tls: Option<TlsAcceptor>, timing: Timing, answer: Fake) -> Narrow {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (switch, stop) = Stop::switch();
        let [turned_away, displaced, floods] = [(); 3].map(|()| Counter::default());
        let door = Listener {
            socket: Arc::new(listener),
            tls,
            timing,
            max_streams: 100,
            max_connections: 1,
            turned_away: turned_away.clone(),
            displaced: displaced.clone(),
            floods: Floods::counted(floods.clone()),
            words: false,
            descriptors: Descriptors::of(9).share("door"),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { door.serve(answer, stop).await.unwrap() });
        Narrow { address, turned_away, displaced, floods, switch, tasks }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Says how long it takes until the next client has the place.
    async fn free(&self) -> Duration {
        let began = Instant::now();
        loop {
            let mut next = self.connect().await;
            next.write_all(REQUEST).await.ok();
            let mut first = [0; 12];
            if next.read_exact(&mut first).await.is_ok() && first.starts_with(b"HTTP/1.1 ") {
                return began.elapsed();
            }
            assert!(began.elapsed() < Duration::from_secs(3600), "the place is kept for ever");
            sleep(Duration::from_secs(1)).await;
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Answers pings, and nothing else, until the connection is closed.
async fn pong(stream: TcpStream) {
    let (mut read, mut write) = stream.into_split();
    loop {
        let mut head = [0; 9];
        if read.read_exact(&mut head).await.is_err() {
            return;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        if read.read_exact(&mut payload).await.is_err() {
            return;
        }
        if head[3] == PING && head[4] & ACK == 0 {
            write.write_all(&frame(PING, ACK, 0, &payload)).await.ok();
        }
    }
}

fn settings() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// SETTINGS_INITIAL_WINDOW_SIZE is 0.
fn no_window() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])].concat()
}

const SOON: Duration = Duration::from_secs(150);

#[tokio::test(start_paused = true)]
async fn who_goes_no_further_keeps_no_place() {
    let whole = || frame(HEADERS, WHOLE, 1, POST);
    let half = |stream| frame(HEADERS, WHOLE, stream, &[0; 40])[..20].to_vec();
    let bodiless = frame(HEADERS, 4, 1, POST);
    for timing in timings() {
        for (name, bytes) in [
            ("nothing", vec![]),
            ("half a preface", PREFACE[..10].to_vec()),
            ("half a head", REQUEST[..20].to_vec()),
            ("settings", settings()),
            ("half a HEADERS frame", [settings(), half(1)].concat()),
            ("half a HEADERS frame after a request", [settings(), whole(), half(3)].concat()),
            ("no body", [settings(), bodiless.clone()].concat()),
            (
                "no body over HTTP/1.1",
                b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nx".to_vec(),
            ),
        ] {
            let door = Narrow::open(timing, Fake { reply: 0, refuses: false });
            let mut client = door.connect().await;
            client.write_all(&bytes).await.unwrap();
            let took = door.free().await;
            assert!(took < SOON, "{name}: {took:?} {timing:?}");
            assert!(door.turned_away.get() > 0, "{name}: it had no place");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_answers_pings_and_nothing_else_keeps_no_place() {
    let whole = |stream| frame(HEADERS, WHOLE, stream, POST);
    for timing in timings() {
        for (name, bytes, reply) in [
            ("settings", settings(), 0),
            ("no window", no_window(), 0),
            ("a reply that is not taken", [no_window(), whole(1)].concat(), 10),
            ("two", [no_window(), whole(1), whole(3)].concat(), 100_000),
        ] {
            let mut door = Narrow::open(timing, Fake { reply, refuses: false });
            let mut client = door.connect().await;
            client.write_all(&bytes).await.unwrap();
            door.tasks.spawn(pong(client));
            let took = door.free().await;
            assert!(took < SOON, "{name}: {took:?} {timing:?}");
            assert!(door.turned_away.get() > 0, "{name}: it had no place");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_keeps_no_place() {
    for timing in timings() {
        for refuses in [false, true] {
            let door = Narrow::open(timing, Fake { reply: 1 << 20, refuses });
            let mut client = door.connect().await;
            let many = REQUEST.repeat(100);
            timeout(Duration::from_secs(1), client.write_all(&many)).await.ok();
            let took = door.free().await;
            assert!(took < SOON, "{took:?} {timing:?}");
            assert!(door.turned_away.get() > 0, "it had no place");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_keeps_no_place_however_often_it_is_asked_for() {
    for timing in timings() {
        let mut door = Narrow::open(timing, Fake { reply: 1, refuses: true });
        let mut client = door.connect().await;
        door.tasks.spawn(async move {
            let mut seen = [0; 4096];
            while client.write_all(REQUEST).await.is_ok()
                && matches!(client.read(&mut seen).await, Ok(1..))
            {
                sleep(Duration::from_secs(10)).await;
            }
        });
        sleep(Duration::from_secs(1)).await;
        let took = door.free().await;
        assert!(took < SOON, "{took:?} {timing:?}");
        assert!(door.turned_away.get() > 0, "it had no place");
    }
}

/// The beginning of a ClientHello, of 512 bytes.
const HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];

fn acceptor() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_stops_half_way_keeps_no_place_and_holds_no_stop_up() {
    let secs = Duration::from_secs;
    for (stops, limit) in [(false, secs(60)), (true, secs(1))] {
        let [timing, _] = timings();
        let door = Narrow::over(Some(acceptor()), timing, Fake { reply: 1, refuses: false });
        let mut client = door.connect().await;
        client.write_all(HELLO).await.unwrap();
        // Whoever comes next is turned away by now: the other one is being served.
        assert!(matches!(door.connect().await.read(&mut [0]).await, Ok(0) | Err(_)));
        if stops {
            door.switch.end(crate::pipeline::Deadline::within(secs(100)));
        }
        let began = Instant::now();
        assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)));
        assert!(began.elapsed() <= limit, "{:?}", began.elapsed());
    }
}

/// An exporter of gRPC that has nothing to send for hours, and answers pings.
#[tokio::test(start_paused = true)]
async fn a_long_silence_keeps_its_place_over_grpc_until_somebody_needs_it() {
    let [_, timing] = timings();
    let door = Narrow::open(timing, Fake { reply: 1, refuses: false });
    let mut client = door.connect().await;
    let bytes = [settings(), frame(HEADERS, WHOLE, 1, POST)].concat();
    client.write_all(&bytes).await.unwrap();
    let mut silent = pin!(pong(client));
    assert!(timeout(Duration::from_secs(7200), silent.as_mut()).await.is_err());
    let took = {
        let free = door.free();
        let (took, ()) = tokio::join!(free, silent);
        took
    };
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!((door.displaced.get(), door.turned_away.get()), (1, 0), "it was waited for");
}

#[tokio::test(start_paused = true)]
async fn who_is_answered_or_was_a_moment_ago_gives_way_to_nobody() {
    let bodiless = frame(HEADERS, 4, 1, POST);
    let [_, timing] = timings();
    let door = Narrow::open(timing, Fake { reply: 1, refuses: false });
    let mut client = door.connect().await;
    client.write_all(&[settings(), bodiless].concat()).await.unwrap();
    let turned_away = async || matches!(door.connect().await.read(&mut [0]).await, Ok(0) | Err(_));
    for _ in 0..2 {
        assert!(turned_away().await);
        sleep(Duration::from_secs(10)).await;
    }
    // The end of its body.
    client.write_all(&frame(0, 1, 1, b"x")).await.unwrap();
    let mut seen = [0; 1024];
    while !seen.windows(9).any(|frame| frame == [0, 0, 1, 0, 1, 0, 0, 0, 1]) {
        assert!(client.read(&mut seen).await.unwrap() > 0);
    }
    assert!(turned_away().await);
    assert_eq!((door.turned_away.get(), door.displaced.get()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_frames_that_ask_for_nothing_ends_its_connection() {
    for timing in timings() {
        for (kind, stream, payload) in [(SETTINGS, 0, 0), (PING, 0, 8), (2, 1, 5), (0x42, 0, 0)] {
            let door = Narrow::open(timing, Fake { reply: 0, refuses: false });
            let mut client = door.connect().await;
            let bytes = [settings(), frame(HEADERS, WHOLE, 1, POST)].concat();
            client.write_all(&bytes).await.unwrap();
            let flood = frame(kind, 0, stream, &vec![0; payload]).repeat(1000);
            let (mut read, mut write) = client.into_split();
            let floods = async { while write.write_all(&flood).await.is_ok() {} };
            let listens = async { while matches!(read.read(&mut [0; 4096]).await, Ok(1..)) {} };
            tokio::join!(floods, listens);
            assert_eq!(door.floods.get(), 1, "{kind} {timing:?}");
        }
    }
}
