//! How a call ended: the vocabulary of `mcpcol.outcome`, and what JSON-RPC error codes mean in it.

use crate::json::Text;

/// Says how a call ended, as the SLO engine counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A result.
    Ok,
    /// A result that says `isError: true`.
    ToolError,
    /// A JSON-RPC error that is the server's fault, or nobody knows whose.
    ProtocolError,
    /// A JSON-RPC error that is the caller's fault.
    ClientError,
    /// The client said it waited too long, or we did.
    Timeout,
    /// Taken back, or nobody is there any more to hear the answer.
    Cancelled(CancelledBy),
    /// The one who should have answered is gone.
    ServerGone,
    /// Refused for too many calls.
    RateLimited,
    /// Refused for lack of credentials or rights.
    Auth,
    /// Refused by a gateway's policy.
    PolicyDenied,
    /// An interim answer: more input is wanted, or a task was begun.
    InputRequired,
}

/// Says who cancelled a call: the vocabulary of `mcpcol.cancelled.by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CancelledBy {
    /// Whoever asked, on purpose: by `notifications/cancelled`, by `tasks/cancel`, by ending the session, and
    /// over HTTP in 2026-07-28 by closing the request's stream.
    Client,
    /// Nobody: the connection went away with it.
    Disconnect,
    /// The tap, which was told to stop.
    Tap,
}

impl CancelledBy {
    /// The value of `mcpcol.cancelled.by`.
    pub fn name(self) -> &'static str {
        match self {
            CancelledBy::Client => "client",
            CancelledBy::Disconnect => "disconnect",
            CancelledBy::Tap => "tap",
        }
    }
}

impl Outcome {
    /// Gives what becomes of that which nobody can be blamed for, where everything else ends so: a subscription, a
    /// request of the server's.
    pub(super) fn or_cancelled(self) -> Outcome {
        match self {
            Outcome::Cancelled(_) => self,
            _ => Outcome::Cancelled(CancelledBy::Disconnect),
        }
    }

    /// The value of `mcpcol.outcome`.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::ToolError => "tool_error",
            Outcome::ProtocolError => "protocol_error",
            Outcome::ClientError => "client_error",
            Outcome::Timeout => "timeout",
            Outcome::Cancelled(_) => "cancelled",
            Outcome::ServerGone => "server_gone",
            Outcome::RateLimited => "rate_limited",
            Outcome::Auth => "auth",
            Outcome::PolicyDenied => "policy_denied",
            Outcome::InputRequired => "input_required",
        }
    }

    /// Gives what a JSON-RPC error code means. Some gateways send HTTP status codes there.
    pub(super) fn of_code(code: Option<i64>) -> Outcome {
        match code {
            // -32002 (resource not found) became -32602 in 2026-07-28: the same fault, the same
            // outcome, in either protocol version.
            Some(-32700 | -32602..=-32600 | -32022..=-32020 | -32002) => Outcome::ClientError,
            // URLElicitationRequired (2025-11-25): the call is to be repeated after a person acted.
            Some(-32042) => Outcome::InputRequired,
            Some(401 | 403) => Outcome::Auth,
            Some(429) => Outcome::RateLimited,
            _ => Outcome::ProtocolError,
        }
    }

    /// Gives what the status of a task means for the look at it that told of it; a task that failed says why by a code.
    /// There is nothing to be done about one that works.
    pub(super) fn of_task(status: Text<'_>, is_error: bool) -> Outcome {
        if status.is("input_required") {
            Outcome::InputRequired
        } else if status.is("failed") {
            Outcome::ProtocolError
        } else if status.is("cancelled") {
            Outcome::Cancelled(CancelledBy::Client)
        } else if is_error && !status.is("working") {
            Outcome::ToolError
        } else {
            Outcome::Ok
        }
    }
}

/// Codes by which a SERVER span is no error (MCP conventions, "error.type" on server spans).
pub(super) fn caller_fault(code: i64) -> bool {
    matches!(code, -32700 | -32602..=-32600 | -32002)
}
