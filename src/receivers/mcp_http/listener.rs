//! Who accepts from the listening socket.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::slots::Slots;
use super::worker::Arrival;
use crate::metrics::Counter;
use crate::pipeline::Stop;
use crate::receivers::listening::turn_away;

/// After a failure to accept (no descriptors left): the next try.
const BREATH: Duration = Duration::from_millis(50);

/// Accepts connections and deals them to the workers.
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

    async fn hand_out(&self, stream: std::net::TcpStream, peer: SocketAddr) {
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
