//! The client: one thread, requests made once, nothing allocated for a call. It checks that the answer
//! is the answer to what it asked.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use memchr::memmem;
use rustix::event::{PollFd, PollFlags, poll};

use crate::origin::{DIGITS, HEAD, SENT, header, number};

/// The size of a request's body.
const BODY: usize = 200;
/// Ids of eight digits, all different within a connection.
const FIRST_ID: usize = 10_000_000;

/// One connection, used by one call at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    /// Where the id is in the request.
    id_at: usize,
    id: usize,
    buffer: Box<[u8]>,
    filled: usize,
}

impl Connection {
    pub(crate) fn to(address: &str) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(address).context(address.to_owned())?;
        stream.set_nodelay(true)?;
        let request = request(address, None);
        let id_at = memmem::find(&request, HEAD).map_or(0, |at| at + HEAD.len());
        let buffer = vec![0; 1 << 16].into_boxed_slice();
        Ok(Connection { stream, request, id_at, id: FIRST_ID, buffer, filled: 0 })
    }

    fn ask(&mut self) -> io::Result<()> {
        self.id += 1;
        let mut rest = self.id;
        for digit in self.request[self.id_at..][..DIGITS].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.filled = 0;
        (&self.stream).write_all(&self.request)
    }

    /// Reads once; whether the whole answer is there. A body larger than the buffer is counted only.
    fn receive(&mut self) -> anyhow::Result<bool> {
        let room = self.filled.min(self.buffer.len() / 2);
        let read = (&self.stream).read(&mut self.buffer[room..])?;
        ensure!(read > 0, "the connection was closed instead of an answer");
        self.filled += read;
        let bytes = &self.buffer[..(room + read).min(self.filled)];
        let Some(head) = memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4) else {
            return Ok(false);
        };
        let Some(length) = header(&bytes[..head], "content-length").map(number) else {
            bail!("no length in {}", String::from_utf8_lossy(&bytes[..head]));
        };
        if self.filled < head + length {
            return Ok(false);
        }
        ensure!(bytes.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&bytes[..head]));
        let id = &bytes[head + HEAD.len()..][..DIGITS];
        ensure!(id == &self.request[self.id_at..][..DIGITS], "an answer to something else");
        Ok(true)
    }

    fn call(&mut self) -> anyhow::Result<()> {
        self.ask()?;
        while !self.receive()? {}
        Ok(())
    }

    /// Calls one after the other, in microseconds.
    pub(crate) fn latencies(&mut self, calls: usize) -> anyhow::Result<Vec<f64>> {
        let mut took = Vec::with_capacity(calls);
        for _ in 0..calls {
            let started = Instant::now();
            self.call()?;
            took.push(started.elapsed().as_nanos() as f64 / 1e3);
        }
        Ok(took)
    }

    /// Calls for large replies; how long all of them took.
    pub(crate) fn large(&mut self, calls: usize) -> anyhow::Result<Duration> {
        self.request = request(&self.stream.peer_addr()?.to_string(), Some("large"));
        self.id_at = memmem::find(&self.request, HEAD).map_or(0, |at| at + HEAD.len());
        let started = Instant::now();
        (0..calls).try_for_each(|_| self.call())?;
        Ok(started.elapsed())
    }

    /// Takes a stream to its end and notes how late its events were.
    pub(crate) fn events(mut self, count: usize, late: &mut Arrivals) -> anyhow::Result<()> {
        self.request = request(&self.stream.peer_addr()?.to_string(), Some(&count.to_string()));
        self.stream.write_all(&self.request)?;
        let (mut seen, mut filled) = (0, 0);
        loop {
            let read = self.stream.read(&mut self.buffer[filled..])?;
            ensure!(read > 0, "the stream ended after {seen} of {count} events");
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as i64;
            filled += read;
            let mut done = 0;
            while let Some(sent) = sent(&self.buffer[done..filled]) {
                late.0.push((now - sent.at) as f64 / 1e3);
                done += sent.end;
                seen += 1;
            }
            if self.buffer[done..filled].ends_with(b"0\r\n\r\n") {
                ensure!(seen == count, "{seen} of {count} events");
                return Ok(());
            }
            self.buffer.copy_within(done..filled, 0);
            filled -= done;
        }
    }
}

/// How late events were, in microseconds.
#[derive(Clone, Default)]
pub(crate) struct Arrivals(pub(crate) Vec<f64>);

struct Sent {
    at: i64,
    end: usize,
}

/// The first whole event in some bytes.
fn sent(bytes: &[u8]) -> Option<Sent> {
    let digits = memmem::find(bytes, SENT)? + SENT.len();
    let length = memchr::memchr(b'"', &bytes[digits..])?;
    let at = bytes[digits..digits + length].iter().fold(0, |n, d| n * 10 + i64::from(d - b'0'));
    Some(Sent { at, end: digits + length })
}

/// Opens a stream and waits for its first event.
pub(crate) fn hold(address: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&request(address, Some("hold")))?;
    let (mut buffer, mut filled) = ([0; 2048], 0);
    while sent(&buffer[..filled]).is_none() {
        let read = stream.read(&mut buffer[filled..])?;
        ensure!(read > 0, "no stream: {}", String::from_utf8_lossy(&buffer[..filled]));
        filled += read;
    }
    Ok(stream)
}

/// Many connections, each with one call in flight.
pub(crate) struct Crowd(Vec<Connection>);

impl Crowd {
    pub(crate) fn to(address: &str, size: usize) -> anyhow::Result<Crowd> {
        (0..size).map(|_| Connection::to(address)).collect::<anyhow::Result<_>>().map(Crowd)
    }

    /// Makes calls as fast as they are answered; how long all of them took.
    pub(crate) fn call(&mut self, calls: usize) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let (mut asked, mut answered) = (0, 0);
        for connection in &mut self.0 {
            connection.ask()?;
            asked += 1;
        }
        let mut ready = vec![false; self.0.len()];
        while answered < asked {
            self.wait(&mut ready)?;
            for (connection, _) in self.0.iter_mut().zip(&ready).filter(|(_, ready)| **ready) {
                if connection.receive()? {
                    answered += 1;
                    if asked < calls {
                        connection.ask()?;
                        asked += 1;
                    }
                }
            }
        }
        Ok(started.elapsed())
    }

    fn wait(&self, ready: &mut [bool]) -> io::Result<()> {
        let mut fds: [Option<PollFd<'_>>; 64] = [const { None }; 64];
        let mut count = 0;
        for (slot, connection) in fds.iter_mut().zip(&self.0) {
            *slot = Some(PollFd::new(&connection.stream, PollFlags::IN));
            count += 1;
        }
        let mut fds: Vec<PollFd<'_>> = fds.into_iter().take(count).flatten().collect();
        poll(&mut fds, None)?;
        for (ready, fd) in ready.iter_mut().zip(&fds) {
            *ready = !fd.revents().is_empty();
        }
        Ok(())
    }
}

/// A call as a client of 2026-07-28 makes it.
fn request(host: &str, bench: Option<&str>) -> Vec<u8> {
    let mut body = HEAD.to_vec();
    body.extend_from_slice(b"10000000,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"message\":\"");
    body.resize(BODY - 4, b'x');
    body.extend_from_slice(b"\"}}}");
    let bench = bench.map(|bench| format!("x-bench: {bench}\r\n")).unwrap_or_default();
    let mut request = format!(
        "POST /mcp HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\n\
         mcp-method: tools/call\r\nmcp-name: echo\r\n{bench}content-length: {BODY}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(&body);
    request
}
