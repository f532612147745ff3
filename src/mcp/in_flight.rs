//! Requests that wait for their answers, as others may see them: views of the state machine, and the rows that are
//! made of them for a board.
//!
//! There is no content in them. Names of tools and methods are the peers' own: whoever shows them escapes them.

use std::borrow::Cow;

use super::call::{Call, Subject};
use super::{Direction, SessionName};
use crate::telemetry::Nanos;

/// Shows one request that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub struct InFlight<'a> {
    call: &'a Call,
    server: &'a str,
    session: &'a str,
}

/// Tells of one request that waits for its answer: a row of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallInFlight {
    /// Names the server, as spans do.
    pub server: String,
    /// Names the session, as spans do; empty where there is none.
    pub session: String,
    /// Names the method.
    pub method: Cow<'static, str>,
    /// Names the tool, if one is called.
    pub tool: Option<String>,
    /// Tells which way it went: the server may ask, too.
    pub direction: Direction,
    /// Says when it was asked, by the wall clock as it stood then.
    pub began: Nanos,
    /// The same in the process's steady time, for its age.
    pub since: Nanos,
    /// It may have been answered: something went by unobserved.
    pub doubtful: bool,
}

/// Sums up what waits at one server: a row of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLoad {
    /// Names the server, as spans do.
    pub server: String,
    /// Counts the requests that wait for their answers, both ways. Doubtful ones are not counted.
    pub calls: usize,
    /// Says when the oldest of them was asked, in steady time; those aside for which long is normal.
    pub oldest: Option<Nanos>,
}

impl<'a> InFlight<'a> {
    pub(super) fn of(call: &'a Call, server: &'a str, session: Option<&'a SessionName>) -> Self {
        InFlight { call, server, session: session.map_or("", |session| &session.shown) }
    }

    /// Names the server.
    pub fn server(&self) -> &'a str {
        self.server
    }

    /// Returns when it was asked, in steady time.
    pub fn since(&self) -> Nanos {
        self.call.start
    }

    /// Makes a row of it.
    pub fn row(&self) -> CallInFlight {
        let Call { start, offset, direction, doubtful, ref method, ref subject, .. } = *self.call;
        let tool = if let Subject::Tool(tool) = subject { Some(tool.clone()) } else { None };
        CallInFlight {
            server: self.server.to_owned(),
            session: self.session.to_owned(),
            method: method.clone(),
            tool,
            direction,
            began: offset.wall(start),
            since: start,
            doubtful,
        }
    }
}

impl ServerLoad {
    /// Makes the row of a server at which nothing waits.
    pub fn none(server: &str) -> Self {
        ServerLoad { server: server.to_owned(), calls: 0, oldest: None }
    }

    /// Counts a request that waits there.
    pub fn add(&mut self, waiting: &InFlight<'_>) {
        if waiting.call.doubtful {
            return;
        }
        self.calls += 1;
        let since = (!waiting.call.waits()).then_some(waiting.since());
        self.oldest = self.oldest.into_iter().chain(since).min();
    }
}
