//! Hears of calls as they end: from one process, or from all taps of this machine, those that start later included.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::stdio::stdout;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tonic::Streaming;

use crate::cli::live::{self, Peer};
use crate::extensions::stats::v1::{FinishedCall, WatchResponse, watch_response::Event};

/// Says how often is looked for taps that started.
const LOOK: Duration = Duration::from_millis(200);
/// Says how often is looked whether anybody reads what is shown.
const READ: Duration = Duration::from_millis(500);
/// Taps that are watched at once.
const MOST: usize = 256;

/// Names what is heard.
pub(super) enum Heard {
    /// A call ended.
    Call(Box<FinishedCall>),
    /// So many calls were missed.
    Lost(u64),
}

/// Tells what all taps of this machine do, for ever.
pub(super) async fn all(hear: mpsc::Sender<Heard>) {
    let mut watched: HashSet<PathBuf> = HashSet::new();
    let mut taps = JoinSet::new();
    loop {
        for socket in live::sockets() {
            if watched.len() < MOST && watched.insert(socket.clone()) {
                let hear = hear.clone();
                taps.spawn(async move {
                    tap(&socket, hear).await;
                    socket
                });
            }
        }
        sleep(LOOK).await;
        while let Some(ended) = taps.try_join_next() {
            if let Ok(socket) = ended {
                watched.remove(&socket);
            }
        }
    }
}

/// Tells what one tap does, until it ends or cannot be asked.
async fn tap(socket: &std::path::Path, hear: mpsc::Sender<Heard>) {
    let Ok(mut client) = Peer::Socket(socket.to_owned()).connect().await else { return };
    if let Ok(stream) = client.watch(live::ask(Default::default())).await {
        one(stream.into_inner(), hear).await;
    }
}

/// Tells what one process does, until it ends.
pub(super) async fn one(mut stream: Streaming<WatchResponse>, hear: mpsc::Sender<Heard>) {
    while let Ok(Some(told)) = stream.message().await {
        let heard = match told.event {
            Some(Event::Call(call)) => Heard::Call(Box::new(call)),
            Some(Event::Lost(calls)) => Heard::Lost(calls),
            None => continue,
        };
        if hear.send(heard).await.is_err() {
            return;
        }
    }
}

/// Returns once nobody reads stdout any more.
pub(super) async fn nobody_reads() {
    let gone = PollFlags::ERR.union(PollFlags::HUP);
    loop {
        sleep(READ).await;
        let out = stdout();
        let mut one = [PollFd::new(&out, PollFlags::empty())];
        let asked = poll(&mut one, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        if asked.is_ok_and(|ready| ready > 0) && one[0].revents().intersects(gone) {
            return;
        }
    }
}
