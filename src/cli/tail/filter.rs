//! Says which calls are wanted.

use crate::extensions::stats::v1::{CallInFlight, FinishedCall};

/// What a call must have to be shown.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct Filter {
    /// Only calls of the server of this name
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Only calls of this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Only calls of the session whose id begins so
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only calls of the client of this name
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Only calls that ended so, such as `ok` or `tool_error`; `error` for all that failed
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
}

impl Filter {
    /// Says whether a call that ended is wanted.
    pub(super) fn takes(&self, call: &FinishedCall) -> bool {
        let is =
            |wanted: &Option<String>, it: &str| wanted.as_ref().is_none_or(|wanted| wanted == it);
        let ended = match self.outcome.as_deref() {
            Some("error") => !call.error_type.is_empty(),
            _ => is(&self.outcome, &call.outcome),
        };
        ended
            && is(&self.client, &call.client)
            && self.belongs(&call.server, &call.tool, &call.session)
    }

    /// Says whether a call that waits is wanted: how it ends and whose it is nobody knows.
    pub(super) fn takes_waiting(&self, call: &CallInFlight) -> bool {
        self.belongs(&call.server, &call.tool, &call.session)
    }

    fn belongs(&self, server: &str, tool: &str, session: &str) -> bool {
        let is =
            |wanted: &Option<String>, it: &str| wanted.as_ref().is_none_or(|wanted| wanted == it);
        is(&self.server, server)
            && is(&self.tool, tool)
            && self.session.as_ref().is_none_or(|wanted| session.starts_with(wanted))
    }
}
