//! The server that is called: HTTP/1.1 by hand, quick enough that what is before it dominates.
//!
//! One thread answers all plain JSON calls; a connection on which something else is asked for gets a
//! thread of its own. A request says what it wants in its `x-bench` header: `large`, `events N` or
//! `hold`. It deliberately understands no more of HTTP than its clients, nginx and the tap, send.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use memchr::memmem;
use rustix::event::{PollFd, PollFlags, poll};

/// Bytes of a large reply's body.
pub(crate) const LARGE: usize = 1_000_000;
/// Where the id is in requests and replies, which begin alike and have ids of eight digits.
pub(crate) const HEAD: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":";
pub(crate) const DIGITS: usize = 8;
/// What the time of sending follows in an event.
pub(crate) const SENT: &[u8] = b"\"message\":\"";

const EVENT_EVERY: Duration = Duration::from_millis(1);

pub(crate) fn run() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    // Whoever started this ends it by closing its stdin.
    thread::spawn(|| {
        io::copy(&mut io::stdin(), &mut io::sink()).ok();
        std::process::exit(0);
    });

    let mut connections: Vec<Connection> = Vec::new();
    loop {
        let ready = {
            let mut fds: Vec<_> = connections
                .iter()
                .map(|connection| PollFd::new(&connection.stream, PollFlags::IN))
                .chain([PollFd::new(&listener, PollFlags::IN)])
                .collect();
            poll(&mut fds, None)?;
            fds.iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<_>>()
        };
        // From the end: what is removed moves nothing that is still to be looked at.
        for at in (0..connections.len()).rev().filter(|&at| ready[at]) {
            match connections[at].turn() {
                Ok(Turn::Stay) => {}
                Ok(Turn::Special) => {
                    let connection = connections.swap_remove(at);
                    thread::Builder::new().stack_size(64 * 1024).spawn(|| connection.alone())?;
                }
                Err(_) => drop(connections.swap_remove(at)),
            }
        }
        if ready.last() == Some(&true) {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            connections.push(Connection { stream, buffer: Box::new([0; 8192]), filled: 0 });
        }
    }
}

enum Turn {
    Stay,
    /// A whole request is there that the one thread must not answer.
    Special,
}

struct Connection {
    stream: TcpStream,
    buffer: Box<[u8; 8192]>,
    filled: usize,
}

impl Connection {
    fn turn(&mut self) -> io::Result<Turn> {
        self.read()?;
        let Some(asked) = self.request() else { return Ok(Turn::Stay) };
        if asked == Asked::Json {
            self.json()?;
            return Ok(Turn::Stay);
        }
        Ok(Turn::Special)
    }

    /// Goes on with the request that is there, and then takes what comes.
    fn alone(mut self) {
        while self.answer().and_then(|()| self.read()).is_ok() {}
    }

    fn answer(&mut self) -> io::Result<()> {
        match self.request() {
            None => Ok(()),
            Some(Asked::Json) => self.json(),
            Some(Asked::Large) => self.large(),
            Some(Asked::Events(count)) => self.events(count),
            Some(Asked::Hold) => self.hold(),
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let read = self.stream.read(&mut self.buffer[self.filled..])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.filled += read;
        Ok(())
    }

    /// What the request asks for, once all of it is there. Clients wait for the answer, so there is
    /// never more than one.
    fn request(&self) -> Option<Asked> {
        let bytes = &self.buffer[..self.filled];
        let head = memmem::find(bytes, b"\r\n\r\n")? + 4;
        let body = &bytes[head..];
        let whole = match header(&bytes[..head], "content-length") {
            Some(length) => body.len() >= number(length),
            None => body.ends_with(b"\r\n0\r\n\r\n"), // chunked
        };
        whole.then(|| match header(&bytes[..head], "x-bench") {
            None => Asked::Json,
            Some(b"large") => Asked::Large,
            Some(b"hold") => Asked::Hold,
            Some(events) => Asked::Events(number(events)),
        })
    }

    /// The id of the request, which is then forgotten.
    fn take_id(&mut self) -> [u8; DIGITS] {
        let bytes = &self.buffer[..self.filled];
        let at = memmem::find(bytes, HEAD).map_or(0, |at| at + HEAD.len());
        let mut id = [b'0'; DIGITS];
        id.copy_from_slice(&bytes[at..at + DIGITS]);
        self.filled = 0;
        id
    }

    fn json(&mut self) -> io::Result<()> {
        const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 200\r\n\r\n\
            {\"jsonrpc\":\"2.0\",\"id\":00000000,\"result\":{\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":\"";
        let mut reply = [b'x'; 512];
        reply[..REPLY.len()].copy_from_slice(REPLY);
        let body = memmem::find(REPLY, b"\r\n\r\n").map_or(0, |at| at + 4);
        reply[body + HEAD.len()..][..DIGITS].copy_from_slice(&self.take_id());
        let end = body + 200;
        reply[end - TAIL.len()..end].copy_from_slice(TAIL);
        self.stream.write_all(&reply[..end])
    }

    fn large(&mut self) -> io::Result<()> {
        let mut reply = Vec::with_capacity(LARGE + 128);
        write!(
            reply,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {LARGE}\r\n\r\n"
        )?;
        let body = reply.len();
        reply.extend_from_slice(HEAD);
        reply.extend_from_slice(&self.take_id());
        reply.extend_from_slice(
            b",\"result\":{\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":\"",
        );
        reply.resize(body + LARGE - TAIL.len(), b'x');
        reply.extend_from_slice(TAIL);
        self.stream.write_all(&reply)
    }

    fn events(&mut self, count: usize) -> io::Result<()> {
        let id = self.take_id();
        self.stream.write_all(STREAM)?;
        let mut chunk = Vec::with_capacity(512);
        for n in 0..count {
            thread::park_timeout(EVENT_EVERY);
            self.event(&mut chunk, n)?;
        }
        let id = String::from_utf8_lossy(&id);
        let last = format!(
            "data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"resultType\":\"complete\"}}}}\n\n"
        );
        write!(self.stream, "{:x}\r\n{last}\r\n0\r\n\r\n", last.len())
    }

    fn event(&mut self, chunk: &mut Vec<u8>, n: usize) -> io::Result<()> {
        // The length is that of any event: numbers of fixed width.
        const LENGTH: usize = 155;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        chunk.clear();
        write!(chunk, "{LENGTH:x}\r\n")?;
        let begin = chunk.len();
        write!(
            chunk,
            "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":\
             {{\"progressToken\":1,\"progress\":1{n:06},\"message\":\"{now:020}\"}}}}\n\n"
        )?;
        chunk.splice(
            begin + 6..begin + 6,
            std::iter::repeat_n(b' ', LENGTH - (chunk.len() - begin)),
        );
        chunk.extend_from_slice(b"\r\n");
        self.stream.write_all(chunk)
    }

    /// One event, then silence until the other side goes.
    fn hold(&mut self) -> io::Result<()> {
        self.take_id();
        self.stream.write_all(STREAM)?;
        self.event(&mut Vec::with_capacity(512), 0)?;
        self.read()
    }
}

const TAIL: &[u8] = b"\"}]}}";
const STREAM: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Json,
    Large,
    Events(usize),
    Hold,
}

/// The value of a header; `head` ends with the empty line.
pub(crate) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|&byte| byte == b'\n').find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value =
            value.strip_prefix(b":").filter(|_| found.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(value.trim_ascii())
    })
}

pub(crate) fn number(text: &[u8]) -> usize {
    text.iter().fold(0, |number, digit| number * 10 + usize::from(digit.wrapping_sub(b'0') % 10))
}
