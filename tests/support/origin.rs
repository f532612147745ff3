//! A server that does what a test tells it, byte by byte, and nobody where one might be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

use crate::process::PATIENCE;

/// A listening server; its threads end with the test's process.
pub(crate) struct Origin {
    pub(crate) address: String,
    connections: Arc<AtomicUsize>,
}

/// One connection of it.
pub(crate) struct Conn(BufReader<TcpStream>);

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The request line.
    pub(crate) line: String,
    /// Header lines as they came.
    pub(crate) headers: Vec<(String, String)>,
}

impl Origin {
    /// Serves every connection with `serve`, on a thread of its own.
    pub(crate) fn serve(serve: impl Fn(Conn) + Send + Sync + 'static) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (serve, connections) = (Arc::new(serve), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                count.fetch_add(1, Ordering::SeqCst);
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_nodelay(true).unwrap();
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(Conn(BufReader::new(stream))));
            }
        });
        Origin { address, connections }
    }

    /// Answers every request with the JSON-RPC result `{}` under its id.
    pub(crate) fn echo() -> Origin {
        Origin::serve(|mut conn| {
            while let Some(asked) = conn.asked() {
                let body = conn.body(&asked);
                conn.json(&result_for(&body));
            }
        })
    }

    /// The same, and tells what it was asked.
    pub(crate) fn telling() -> (Origin, Receiver<Asked>) {
        let (tell, told) = sync_channel(100);
        let tell = Mutex::new(tell);
        let origin = Origin::serve(move |mut conn| {
            while let Some(asked) = conn.asked() {
                let body = conn.body(&asked);
                tell.lock().unwrap().send(asked).unwrap();
                conn.json(&result_for(&body));
            }
        });
        (origin, told)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A result for the request in `body`.
pub(crate) fn result_for(body: &[u8]) -> String {
    let request: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    serde_json::json!({ "jsonrpc": "2.0", "id": request["id"], "result": {} }).to_string()
}

impl Conn {
    /// The head of the next request; `None` when the client is gone.
    pub(crate) fn asked(&mut self) -> Option<Asked> {
        let line = self.line()?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        Some(Asked { line, headers })
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(n) if n > 0 => Some(line.trim_end().to_owned()),
            _ => None,
        }
    }

    /// Its body, by length or chunks, without trailers.
    pub(crate) fn body(&mut self, asked: &Asked) -> Vec<u8> {
        self.body_and_trailers(asked).0
    }

    pub(crate) fn body_and_trailers(&mut self, asked: &Asked) -> (Vec<u8>, Vec<String>) {
        let mut body = Vec::new();
        if let Some(length) = asked.header("content-length") {
            body.resize(length.parse().unwrap(), 0);
            self.0.read_exact(&mut body).unwrap();
        } else if asked.header("transfer-encoding").is_some() {
            loop {
                let size = usize::from_str_radix(&self.line().unwrap(), 16).unwrap();
                if size == 0 {
                    break;
                }
                let start = body.len();
                body.resize(start + size, 0);
                self.0.read_exact(&mut body[start..]).unwrap();
                self.line();
            }
            let mut trailers = Vec::new();
            while let Some(line) = self.line().filter(|line| !line.is_empty()) {
                trailers.push(line);
            }
            return (body, trailers);
        }
        (body, Vec::new())
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // A client that is gone is some tests' point.
        self.0.get_mut().write_all(bytes.as_ref()).ok();
    }

    /// 200 with a JSON body.
    pub(crate) fn json(&mut self, body: &str) {
        self.write(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
    }

    /// 200 and the beginning of an event stream.
    pub(crate) fn stream(&mut self) {
        self.write(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        );
    }

    pub(crate) fn chunk(&mut self, text: &str) {
        self.write(format!("{:x}\r\n{text}\r\n", text.len()));
    }

    pub(crate) fn event(&mut self, data: &str) {
        self.chunk(&format!("event: message\ndata: {data}\n\n"));
    }

    /// Whether the client has closed or reset the connection.
    pub(crate) fn is_gone(&mut self) -> bool {
        let mut byte = [0];
        !matches!(self.0.read(&mut byte), Ok(1))
    }

    pub(crate) fn read_exact(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.0.read_exact(bytes)
    }

    pub(crate) fn get_mut(&mut self) -> &mut TcpStream {
        self.0.get_mut()
    }
}

impl Asked {
    /// Its head as text.
    pub(crate) fn text(&self) -> String {
        let lines = self.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
        format!("{}\n{}", self.line, lines.collect::<String>())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }
}

/// A port where nobody listens, and where nobody can while this is held.
pub(crate) struct Nobody {
    pub(crate) port: u16,
    _socket: OwnedFd,
}

impl Nobody {
    pub(crate) fn new() -> Nobody {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let bound = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
        Nobody { port: bound.port(), _socket: socket }
    }
}
