//! Asks running processes which calls wait for their answers.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::client::{Peer, ask};
use crate::calls::Call;
use crate::extensions::stats::v1::{CallInFlight, GetCallsRequest, GetCallsResponse};

/// Says how long is waited for an answer: one that is stopped must not hold up what the others say.
const PATIENCE: Duration = Duration::from_secs(2);

/// Holds what waits, as several processes told it.
#[derive(Debug, Default)]
pub(in crate::cli) struct Calls {
    pub(in crate::cli) waiting: Vec<CallInFlight>,
    /// Calls that were not told for want of room.
    pub(in crate::cli) left_out: u64,
    /// Processes that answered, and those that are there and did not.
    pub(in crate::cli) answered: usize,
    pub(in crate::cli) silent: usize,
}

/// Asks all of them at once. One that is gone has nothing to tell; one that refuses, or cannot be reached otherwise, is
/// an error.
pub(in crate::cli) async fn calls(peers: Vec<Peer>) -> anyhow::Result<Calls> {
    let mut asked = JoinSet::new();
    for peer in peers {
        asked.spawn(async move { timeout(PATIENCE, of(&peer)).await });
    }
    let mut calls = Calls::default();
    while let Some(answer) = asked.join_next().await {
        match answer? {
            Ok(Ok(Some(answer))) => {
                calls.answered += 1;
                calls.left_out += answer.left_out;
                calls.waiting.extend(answer.calls);
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => calls.silent += 1,
        }
    }
    calls.waiting.sort_by_key(|call| std::cmp::Reverse(call.age_nanos));
    Ok(calls)
}

/// Asks one; nothing of a socket whose process has ended.
async fn of(peer: &Peer) -> anyhow::Result<Option<GetCallsResponse>> {
    let local = matches!(peer, Peer::Socket(_));
    let mut client = match peer.connect().await {
        Err(_) if local => return Ok(None),
        connected => connected?,
    };
    match client.get_calls(ask(GetCallsRequest {})).await {
        Ok(answer) => Ok(Some(answer.into_inner())),
        // It ended in between.
        Err(status) if local && status.code() == tonic::Code::Unavailable => Ok(None),
        Err(status) => Err(peer.refused(&status)),
    }
}

/// Reads it as a call, as far as a filter looks: how it will end is not known, nor whose client it is.
pub(in crate::cli) fn as_call(waits: &CallInFlight) -> Call<'_> {
    Call {
        server: &waits.server,
        method: &waits.method,
        tool: &waits.tool,
        session: &waits.session,
        start: waits.began_unix_nano,
        end: waits.began_unix_nano.saturating_add(waits.age_nanos),
        ..Call::default()
    }
}
