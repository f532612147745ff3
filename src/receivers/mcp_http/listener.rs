//! The listening socket, and who accepts from it.
//!
//! A reload that changes the receiver keeps its address: the new one takes the socket over while the old
//! one still has it, so no client finds the port closed in between.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::sync::mpsc;

use super::slots::Slots;
use super::worker::{Arrival, turn_away};
use crate::pipeline::{Counter, Stop};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// After a failure to accept (no descriptors left): the next try.
const BREATH: Duration = Duration::from_millis(50);

/// The sockets that receivers of this process listen on, by the address as written.
#[derive(Debug, Default)]
pub(super) struct Sockets(Mutex<HashMap<String, Weak<StdListener>>>);

impl Sockets {
    /// The socket of that address: one that is open already, else a new one.
    pub(super) async fn open(&self, endpoint: &str) -> anyhow::Result<Arc<StdListener>> {
        let known = self.map().get(endpoint).and_then(Weak::upgrade);
        if let Some(listener) = known {
            return Ok(listener);
        }
        let listener = bind(endpoint).await.with_context(|| {
            format!("cannot listen on {endpoint}; choose another `endpoint` (--listen)")
        })?;
        let listener = Arc::new(listener);
        self.map().insert(endpoint.to_owned(), Arc::downgrade(&listener));
        Ok(listener)
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<String, Weak<StdListener>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of the addresses that a name has, IPv4 goes first, as in the Collector.
async fn bind(endpoint: &str) -> io::Result<StdListener> {
    let mut addresses: Vec<SocketAddr> = lookup_host(endpoint).await?.collect();
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

/// What accepting needs.
pub(super) struct Acceptor {
    pub(super) listener: Arc<StdListener>,
    pub(super) slots: Arc<Slots>,
    /// Where connections go, by worker.
    pub(super) workers: Vec<mpsc::Sender<Arrival>>,
    pub(super) tls: bool,
    pub(super) turned_away: Counter,
}

impl Acceptor {
    /// Accepts until `stop`. Blocks.
    pub(super) fn run(self, stop: Stop) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.accept(stop))
    }

    async fn accept(self, mut stop: Stop) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener.try_clone()?)?;
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.given() => return Ok(()),
            };
            match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
                Ok((stream, peer)) => {
                    failing = false;
                    self.hand_out(stream, peer).await;
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!("cannot accept connections for now: {error}");
                    }
                    failing = true;
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    async fn hand_out(&self, stream: std::net::TcpStream, peer: SocketAddr) {
        let Some(slot) = self.slots.take() else {
            self.turned_away.add(1);
            return turn_away(stream, self.tls);
        };
        // A worker that is gone is one that is stopping.
        self.workers[slot.worker].send(Arrival { stream, peer, slot }).await.ok();
    }
}
