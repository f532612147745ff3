//! Answers the methods of the stats service out of what the process publishes.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::broadcast::{self, error::RecvError};
use tonic::codegen::tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::ledger::{Ledger, cut};
use super::v1::{self, watch_response::Event};
use crate::mcp::{CallInFlight, Direction};
use crate::metrics::{Gauge, Metric, Sample, names};
use crate::pipeline::{Accounts, Boards, Build, MAX_ROWS, Stop};
use crate::telemetry::{Clock, Nanos};

/// Holds what is told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    ledger: Arc<Ledger>,
    boards: Arc<Boards>,
    accounts: Accounts,
    clock: Clock,
}

/// The service, until the stop.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) told: Told,
    pub(super) stop: Stop,
}

impl Told {
    /// Gives what the process of this component publishes. One ledger does for all who tell of it.
    pub(super) fn new(cx: &Build<'_>) -> Told {
        let ledger = cx.process(|| Ledger::new(&cx.clock));
        cx.onlookers().add(&ledger);
        let (accounts, clock) = (cx.accounts.clone(), cx.clock.clone());
        Told { ledger, boards: cx.boards(), accounts, clock }
    }

    /// Gives what waits at all taps of the process.
    fn calls(&self) -> v1::GetCallsResponse {
        let boards = self.boards.read::<CallInFlight>();
        let now = self.clock.steady();
        let rows = boards.iter().flat_map(|(_, table)| &table.rows);
        let mut calls: Vec<_> = rows.map(|call| in_flight(call, now)).collect();
        calls.sort_by_key(|call| std::cmp::Reverse(call.age_nanos));
        let mut left_out: usize = boards.iter().map(|(_, table)| table.left_out).sum();
        left_out += calls.len().saturating_sub(MAX_ROWS);
        calls.truncate(MAX_ROWS);
        v1::GetCallsResponse { calls, left_out: left_out as u64 }
    }

    /// The sessions, with what waits in them.
    fn sessions(&self) -> v1::GetSessionsResponse {
        let mut told = self.ledger.sessions();
        let boards = self.boards.read::<CallInFlight>();
        let mut waiting: HashMap<(&str, &str), u64> = HashMap::new();
        for call in boards.iter().flat_map(|(_, table)| &table.rows) {
            *waiting.entry((&call.server, &call.session)).or_default() += 1;
        }
        for session in &mut told.sessions {
            let of = (session.server.as_str(), session.session.as_str());
            session.in_flight = waiting.get(&of).copied().unwrap_or(0);
        }
        told
    }

    fn queues(&self) -> v1::GetQueuesResponse {
        let samples = self.accounts.metrics().samples();
        let level = |metric: &Metric<Gauge>, exporter: &str| {
            let is_it = |sample: &&Sample| {
                sample.name == metric.info().name
                    && sample.labels.iter().any(|(_, id)| id == exporter)
            };
            let found = samples.iter().find(is_it);
            found.and_then(|sample| i64::try_from(sample.value).ok()).unwrap_or(0)
        };
        let exporter =
            |(id, account): (String, crate::pipeline::accounting::Account)| v1::Exporter {
                queue_size: level(&names::EXPORTER_QUEUE_SIZE, &id),
                queue_capacity: level(&names::EXPORTER_QUEUE_CAPACITY, &id),
                exporter: id,
                received: account.received,
                sent: account.sent,
                held: account.held(),
                dropped: account.dropped.into_iter().collect(),
                last_failure: account.last_failure.unwrap_or_default(),
            };
        v1::GetQueuesResponse {
            exporters: self.accounts.exporters().into_iter().map(exporter).collect(),
        }
    }

    fn reload(&self) -> v1::GetReloadResponse {
        let mut told = v1::GetReloadResponse { last_successful: true, ..Default::default() };
        for sample in self.accounts.metrics().samples() {
            let value = u64::try_from(sample.value).unwrap_or(0);
            if sample.name == names::CONFIG_RELOADED.info().name {
                told.last_successful = value > 0;
            } else if sample.name == names::CONFIG_RELOADED_AT.info().name {
                told.in_place_unix_nano = value.saturating_mul(1_000_000_000);
            } else if sample.name == names::CONFIG_RELOADS.info().name {
                let succeeded = sample.labels.iter().any(|(_, outcome)| outcome == "success");
                *if succeeded { &mut told.succeeded } else { &mut told.failed } = value;
            }
        }
        told
    }
}

/// Makes what is sent of a call that waits.
fn in_flight(call: &CallInFlight, now: Nanos) -> v1::CallInFlight {
    v1::CallInFlight {
        server: cut(&call.server),
        session: cut(&call.session),
        method: cut(&call.method),
        tool: cut(call.tool.as_deref().unwrap_or_default()),
        from_server: call.direction == Direction::ServerToClient,
        began_unix_nano: call.began,
        age_nanos: now.saturating_sub(call.since),
        doubtful: call.doubtful,
    }
}

#[tonic::async_trait]
impl v1::stats_server::Stats for Service {
    type WatchStream = Watch;

    async fn get_calls(
        &self,
        _: Request<v1::GetCallsRequest>,
    ) -> Result<Response<v1::GetCallsResponse>, Status> {
        Ok(Response::new(self.told.calls()))
    }

    async fn get_statistics(
        &self,
        _: Request<v1::GetStatisticsRequest>,
    ) -> Result<Response<v1::GetStatisticsResponse>, Status> {
        Ok(Response::new(self.told.ledger.statistics()))
    }

    async fn get_sessions(
        &self,
        _: Request<v1::GetSessionsRequest>,
    ) -> Result<Response<v1::GetSessionsResponse>, Status> {
        Ok(Response::new(self.told.sessions()))
    }

    async fn get_queues(
        &self,
        _: Request<v1::GetQueuesRequest>,
    ) -> Result<Response<v1::GetQueuesResponse>, Status> {
        Ok(Response::new(self.told.queues()))
    }

    async fn get_findings(
        &self,
        _: Request<v1::GetFindingsRequest>,
    ) -> Result<Response<v1::GetFindingsResponse>, Status> {
        Ok(Response::new(self.told.ledger.findings()))
    }

    async fn get_reload(
        &self,
        _: Request<v1::GetReloadRequest>,
    ) -> Result<Response<v1::GetReloadResponse>, Status> {
        Ok(Response::new(self.told.reload()))
    }

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Result<Response<Watch>, Status> {
        Ok(Response::new(Watch::new(self.told.ledger.watch(), self.stop.clone())))
    }
}

type Calls = broadcast::Receiver<Arc<v1::FinishedCall>>;
type Next = Pin<Box<dyn Future<Output = Option<(Event, Calls, Stop)>> + Send>>;

/// Streams calls as they end, until the stop.
pub(super) struct Watch(Next);

impl Watch {
    fn new(calls: Calls, stop: Stop) -> Watch {
        Watch(Box::pin(next(calls, stop)))
    }
}

/// Waits for the next thing to tell; `None` at the stop, once everything has been told.
async fn next(mut calls: Calls, mut stop: Stop) -> Option<(Event, Calls, Stop)> {
    let received = tokio::select! {
        biased;
        received = calls.recv() => received,
        _ = stop.given() => return None,
    };
    let event = match received {
        Ok(call) => Event::Call(Arc::unwrap_or_clone(call)),
        Err(RecvError::Lagged(lost)) => Event::Lost(lost),
        Err(RecvError::Closed) => return None,
    };
    Some((event, calls, stop))
}

impl Stream for Watch {
    type Item = Result<v1::WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll(cx).map(|told| {
            let (event, calls, stop) = told?;
            self.0 = Box::pin(next(calls, stop));
            Some(Ok(v1::WatchResponse { event: Some(event) }))
        })
    }
}
