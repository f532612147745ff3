//! An HTTP/1.1 backend that keeps what it is sent and answers what it is told to, byte by byte.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// One request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// What stands in the request line.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as it was before compression.
    pub(crate) fn plain(&self) -> Vec<u8> {
        match self.header("content-encoding") {
            None => self.body.clone(),
            Some("gzip") => {
                let mut out = Vec::new();
                flate2::read::GzDecoder::new(&*self.body).read_to_end(&mut out).unwrap();
                out
            }
            Some("zstd") => zstd::stream::decode_all(&*self.body).unwrap(),
            Some(other) => panic!("{other}"),
        }
    }
}

/// What a sink does about a request.
pub(crate) enum Reply {
    /// Sends these bytes and goes on.
    Say(Vec<u8>),
    /// Sends these bytes and closes the connection.
    Last(Vec<u8>),
    /// Sends these bytes and then nothing, for ever.
    Stall(Vec<u8>),
}

/// A whole answer.
pub(crate) fn says(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut out = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    Reply::Say(out)
}

/// The answer to a request that was taken.
pub(crate) fn ok() -> Reply {
    says("200 OK", &[], b"")
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A listening backend: it ends with this.
pub(crate) struct HttpSink {
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl HttpSink {
    pub(crate) async fn answering(
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> HttpSink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        HttpSink::serving(listener, None, Arc::new(answer))
    }

    pub(crate) async fn taking_all() -> HttpSink {
        HttpSink::answering(|_| ok()).await
    }

    pub(crate) async fn with_tls(tls: ServerConfig) -> HttpSink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        HttpSink::serving(listener, Some(TlsAcceptor::from(Arc::new(tls))), Arc::new(|_| ok()))
    }

    pub(crate) fn serving(
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        answer: Arc<Answer>,
    ) -> HttpSink {
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let mut server = JoinSet::new();
        let (all, count) = (Arc::clone(&seen), Arc::clone(&connections));
        server.spawn(async move {
            let mut tasks = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let (seen, answer, tls) = (Arc::clone(&all), Arc::clone(&answer), tls.clone());
                tasks.spawn(async move {
                    match tls {
                        None => converse(stream, &seen, &*answer).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, &seen, &*answer).await;
                            }
                        }
                    }
                });
            }
        });
        HttpSink { addr, seen, connections, _server: server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What came in since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<Seen>>,
    answer: &Answer,
) {
    let mut stream = BufReader::new(stream);
    while let Some(mut request) = read_head(&mut stream).await {
        let length = request.header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        request.body = body;
        let reply = answer(&request);
        seen.lock().unwrap().push(request);
        let (Reply::Say(bytes) | Reply::Last(bytes) | Reply::Stall(bytes)) = &reply;
        // A client that went away is its own test's business.
        drop(stream.get_mut().write_all(bytes).await);
        drop(stream.get_mut().flush().await);
        match reply {
            Reply::Say(_) => {}
            Reply::Last(_) => return,
            Reply::Stall(_) => std::future::pending().await,
        }
    }
}

/// The head of the next request; `None` at the end of the connection.
pub(crate) async fn read_head(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|n| *n > 0)?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    Some(Seen { target, headers, body: Vec::new() })
}

/// A proxy that tunnels every `CONNECT` to one address, whatever was asked for, and keeps the heads.
pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    pub(crate) heads: Arc<Mutex<Vec<Seen>>>,
    _server: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn to(sink: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heads);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut tunnels = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = BufReader::new(stream);
                let Some(head) = read_head(&mut stream).await else { continue };
                all.lock().unwrap().push(head);
                let mut stream = stream.into_inner();
                let mut to = TcpStream::connect(sink).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                tunnels.spawn(async move {
                    drop(tokio::io::copy_bidirectional(&mut stream, &mut to).await);
                });
            }
        });
        Proxy { addr, heads, _server: server }
    }
}
