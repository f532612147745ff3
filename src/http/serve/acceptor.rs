//! Accepts from a listening socket and deals connections to threads.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::Ends;
use super::slots::{Slot, Slots};
use crate::http::sockets::turn_away;
use crate::metrics::Counter;

/// After a failure to accept (no descriptors left): the next try.
const BREATH: Duration = Duration::from_millis(50);

/// An accepted connection on its way to its worker.
pub(crate) struct Arrival {
    pub(crate) stream: StdStream,
    pub(crate) peer: SocketAddr,
    pub(crate) slot: Slot,
}

/// Accepts connections and deals them to the workers.
pub(crate) struct Acceptor {
    pub(crate) listener: Arc<StdListener>,
    pub(crate) slots: Arc<Slots>,
    /// Says where connections go, by worker.
    pub(crate) workers: Vec<mpsc::Sender<Arrival>>,
    pub(crate) tls: bool,
    pub(crate) turned_away: Counter,
}

impl Acceptor {
    /// Accepts until `stop`. Blocks.
    pub(crate) fn run(self, stop: impl Ends) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.accept(stop))
    }

    async fn accept(self, mut stop: impl Ends) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener.try_clone()?)?;
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.given() => return Ok(()),
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

    async fn hand_out(&self, stream: StdStream, peer: SocketAddr) {
        let Some(slot) = self.slots.take() else {
            self.turned_away.add(1);
            if !self.tls {
                turn_away(stream);
            }
            return;
        };
        // A worker that is gone is one that is stopping.
        self.workers[slot.worker].send(Arrival { stream, peer, slot }).await.ok();
    }
}
