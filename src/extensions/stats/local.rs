//! Serves the processes of the same user, over a Unix socket that is there for as long as it is served.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::door::Door;
use crate::http::unix;
use crate::pipeline::Stop;

/// Connections at once; one more waits.
const MAX_CONNECTIONS: usize = 32;
/// Requests at once on one connection.
const MAX_STREAMS: u32 = 16;
/// After a failure to accept (no descriptors left): the next try.
const BREATH: Duration = Duration::from_millis(50);
/// Names what watchers may take at the stop for the last calls: the end of a tap does not wait for them.
const LAST_WORDS: Duration = Duration::from_millis(50);
/// From one sign of life to the next, and the longest wait for one.
const PING: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(20)];

/// A socket that is listened at. It goes with this.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    listener: UnixListener,
}

impl Socket {
    /// Makes it, in place of one that a dead process left there.
    pub(super) fn open(path: PathBuf) -> io::Result<Socket> {
        if unix::is_abandoned(&path) {
            fs::remove_file(&path)?;
        }
        Ok(Socket { listener: unix::listen(&path)?, path })
    }

    /// Serves until the stop.
    pub(super) async fn serve(self, door: Door, mut stop: Stop) {
        let door = Arc::new(door);
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&places) => accepted,
                Some(_) = connections.join_next() => continue,
                _ = stop.given() => break,
            };
            match accepted {
                Ok((stream, place)) => {
                    let (door, stop) = (Arc::clone(&door), stop.clone());
                    connections.spawn(async move {
                        connection(stream, &door, stop).await;
                        drop(place);
                    });
                }
                Err(_) => sleep(BREATH).await,
            }
        }
        // Nobody else finds it from here on.
        drop(self);
        let all = async { while connections.join_next().await.is_some() {} };
        timeout(LAST_WORDS, all).await.ok();
        connections.shutdown().await;
    }

    async fn accept(
        &self,
        places: &Arc<Semaphore>,
    ) -> io::Result<(UnixStream, OwnedSemaphorePermit)> {
        let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _) = self.listener.accept().await?;
        Ok((stream, place))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

async fn connection(stream: UnixStream, door: &Arc<Door>, mut stop: Stop) {
    let door = Arc::clone(door);
    let service = service_fn(move |request: Request<Incoming>| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.enter(request).await) }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING[0])
        .keep_alive_timeout(PING[1]);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // Of an error nobody is left to be told.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.given() => connection.as_mut().graceful_shutdown(),
    }
    connection.await.ok();
}
