//! Listening sockets that outlive a reload, and their addresses as they are written.
//!
//! A reload that changes a receiver keeps its address: the new one takes the socket over while the old
//! one still has it, so no client finds the port closed in between. Nothing here accepts or speaks.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::net::{TcpSocket, lookup_host};

use crate::settings::{bare_ipv6, is_ipv6};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Holds the sockets that receivers of this process listen on, by host and port: `[127.0.0.1]:80` is `127.0.0.1:80`.
#[derive(Debug, Default)]
pub(crate) struct Sockets(Mutex<HashMap<Address, Weak<StdListener>>>);

/// Names a host, in lower case and without brackets, and a port.
type Address = (String, u16);

impl Sockets {
    /// The socket of that address: one that is open already, else a new one.
    pub(crate) async fn open(&self, endpoint: &str) -> io::Result<Arc<StdListener>> {
        let (host, port) = host_port(endpoint).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "it is not host and port")
        })?;
        let address = (host.to_ascii_lowercase(), port);
        let known = self.map().get(&address).and_then(Weak::upgrade);
        if let Some(listener) = known {
            return Ok(listener);
        }
        let listener = Arc::new(bind(&address).await?);
        self.map().insert(address, Arc::downgrade(&listener));
        Ok(listener)
    }

    fn map(&self) -> MutexGuard<'_, HashMap<Address, Weak<StdListener>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of the addresses that a name has, IPv4 goes first, as in the Collector.
async fn bind((host, port): &Address) -> io::Result<StdListener> {
    let mut addresses: Vec<SocketAddr> = lookup_host((host.as_str(), *port)).await?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let mut last = io::Error::other("the name has no address");
    for address in addresses {
        match bind_to(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_to(address: SocketAddr) -> io::Result<StdListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Takes a listening address apart: the host without brackets, and the port; 0 lets the system choose. As in the
/// Collector (Go's `net.SplitHostPort`) any host may stand in brackets, and an IPv6 address must.
pub(crate) fn host_port(endpoint: &str) -> Option<(&str, u16)> {
    let (host, port) = endpoint.rsplit_once(':')?;
    let inner = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|inner| !inner.contains(':') || is_ipv6(inner)),
        None => Some(host).filter(|host| !host.contains(':')),
    }?;
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    if inner.contains(['[', ']', '/', '@', ' ']) || !digits {
        return None;
    }
    Some((inner, port.parse().ok()?))
}

/// Says why an endpoint is no [`host_port`]; `port` is the one that everybody expects there.
pub(crate) fn no_address(endpoint: &str, port: u16) -> String {
    bare_ipv6(endpoint, &format!("[::1]:{port}"))
        .unwrap_or_else(|| format!("is host and port, such as `localhost:{port}`"))
}

/// Says whether a name always means this machine (RFC 6761 section 6.3 for `localhost`).
pub(crate) fn is_loopback(host: &str) -> bool {
    const BELOW: &[u8] = b".localhost";
    let inner = host.trim_start_matches('[').trim_end_matches(']');
    let end = inner.len().checked_sub(BELOW.len()).map(|at| &inner.as_bytes()[at..]);
    inner.eq_ignore_ascii_case("localhost")
        || end.is_some_and(|end| end.eq_ignore_ascii_case(BELOW))
        || inner.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Turns a client without TLS away for want of room, in words if they fit at once.
pub(crate) fn turn_away(mut stream: StdStream) {
    const WORDS: &[u8] =
        b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
        content-length: 0\r\n\r\n";
    // Of what has come, so much is read.
    const MOST: u64 = 64 << 10;
    stream.set_nonblocking(true).ok();
    stream.write_all(WORDS).ok();
    stream.shutdown(Shutdown::Write).ok();
    // What has come and is not read would have the system reset the connection, words and all.
    io::copy(&mut stream.take(MOST), &mut io::sink()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_the_same_with_brackets_and_without() {
        let sockets = Sockets::default();
        let one = sockets.open("[127.0.0.1]:0").await.unwrap();
        for again in ["127.0.0.1:0", "[127.0.0.1]:0"] {
            assert!(Arc::ptr_eq(&one, &sockets.open(again).await.unwrap()), "{again}");
        }
        let named = sockets.open("[localhost]:0").await.unwrap();
        assert!(named.local_addr().unwrap().ip().is_loopback());
        assert!(Arc::ptr_eq(&named, &sockets.open("LOCALHOST:0").await.unwrap()));
        assert!(sockets.open("::1:0").await.is_err());
    }
}
