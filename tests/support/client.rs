//! A client of HTTP/1.1 without manners.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::process::PATIENCE;

/// A connection, byte by byte.
pub(crate) struct Client(pub(crate) BufReader<TcpStream>);

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Header lines in lower case names, in order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Trailers of a chunked body.
    pub(crate) trailers: Vec<(String, String)>,
}

impl Client {
    pub(crate) fn to(address: &str) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(BufReader::new(stream))
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).unwrap();
        String::from_utf8(line).unwrap()
    }

    /// Status and headers of a response.
    pub(crate) fn head(&mut self) -> (u16, Vec<(String, String)>) {
        let first = self.line();
        let status = first.split(' ').nth(1).unwrap_or_else(|| panic!("no response: {first:?}"));
        (status.parse().unwrap(), self.header_lines())
    }

    fn header_lines(&mut self) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.trim_end().split_once(':') else { return headers };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
    }

    /// A chunk of a chunked body; empty at the end.
    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        let size = self.line();
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or_else(|_| panic!("{size:?}"));
        let mut chunk = vec![0; size];
        self.0.read_exact(&mut chunk).unwrap();
        if size > 0 {
            self.line();
        }
        chunk
    }

    /// A whole response.
    pub(crate) fn answer(&mut self) -> Answer {
        let (status, headers) = self.head();
        let find = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let (mut body, mut trailers) = (Vec::new(), Vec::new());
        if find("transfer-encoding").is_some() {
            loop {
                let chunk = self.chunk();
                if chunk.is_empty() {
                    break;
                }
                body.extend(chunk);
            }
            trailers = self.header_lines();
        } else if let Some(length) = find("content-length") {
            body.resize(length.parse().unwrap(), 0);
            self.0.read_exact(&mut body).unwrap();
        } else if !matches!(status, 204 | 304) {
            self.0.read_to_end(&mut body).unwrap();
        }
        Answer { status, headers, body, trailers }
    }

    /// Whether the other side has closed or reset the connection, with nothing more to read.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        !matches!(self.0.read(&mut byte), Ok(1))
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
