//! Decides which calls count for an objective, and which of them are bad. Pure tables; the order of the questions is the rule.

/// Says how a call ended, as far as objectives tell: a value of `mcpcol.outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A result.
    Ok,
    /// A result that says `isError`.
    ToolError,
    /// An error that is the server's fault, or nobody knows whose.
    ProtocolError,
    /// Nobody waited any longer.
    Timeout,
    /// Whoever should have answered is gone.
    ServerGone,
    /// Refused for too many calls.
    RateLimited,
    /// An error that is the caller's fault.
    ClientError,
    /// Refused for lack of credentials or rights.
    Auth,
    /// Refused by a gateway, as it should.
    PolicyDenied,
    /// Taken back.
    Cancelled,
    /// An interim answer: the operation goes on.
    InputRequired,
}

/// Every outcome with its name.
pub const OUTCOMES: [(Outcome, &str); 11] = [
    (Outcome::Ok, "ok"),
    (Outcome::ToolError, "tool_error"),
    (Outcome::ProtocolError, "protocol_error"),
    (Outcome::Timeout, "timeout"),
    (Outcome::ServerGone, "server_gone"),
    (Outcome::RateLimited, "rate_limited"),
    (Outcome::ClientError, "client_error"),
    (Outcome::Auth, "auth"),
    (Outcome::PolicyDenied, "policy_denied"),
    (Outcome::Cancelled, "cancelled"),
    (Outcome::InputRequired, "input_required"),
];

impl Outcome {
    /// Finds the outcome of that name; none for one from a version to come.
    pub fn parse(name: &str) -> Option<Self> {
        OUTCOMES.iter().find(|(_, known)| *known == name).map(|(outcome, _)| *outcome)
    }

    /// Gives the name of it.
    pub fn name(self) -> &'static str {
        OUTCOMES.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }

    /// Reads the `error.type` of a span that somebody else made: an outcome's name, a JSON-RPC code or an HTTP status.
    /// Of any other it is a failure whose cause nobody knows.
    pub fn of_error(error: &str) -> Self {
        if let Some(known) = Outcome::parse(error) {
            return known;
        }
        match error.parse::<i64>() {
            Ok(-32700 | -32602..=-32600 | -32022..=-32020 | -32002) => Outcome::ClientError,
            Ok(-32042) => Outcome::InputRequired,
            Ok(401 | 403) => Outcome::Auth,
            Ok(408 | 504) => Outcome::Timeout,
            Ok(429) => Outcome::RateLimited,
            Ok(400..=499) => Outcome::ClientError,
            Ok(500..=599) => Outcome::ServerGone,
            _ => Outcome::ProtocolError,
        }
    }
}

/// A set of outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Outcomes(u16);

impl Outcomes {
    /// Failures that are the server's or the way's.
    pub const FAILURES: Outcomes = Outcomes::of(&[
        Outcome::ToolError,
        Outcome::ProtocolError,
        Outcome::Timeout,
        Outcome::ServerGone,
        Outcome::RateLimited,
    ]);
    /// Ends that say nothing about how fast a server is, however long they took.
    const NO_SPEED: Outcomes = Outcomes::of(&[
        Outcome::ClientError,
        Outcome::Auth,
        Outcome::PolicyDenied,
        Outcome::InputRequired,
    ]);

    /// Makes the set of these.
    pub const fn of(outcomes: &[Outcome]) -> Self {
        let mut set = 0;
        let mut at = 0;
        while at < outcomes.len() {
            set |= 1 << outcomes[at] as u16;
            at += 1;
        }
        Outcomes(set)
    }

    /// Says whether it holds that one.
    pub const fn has(self, outcome: Outcome) -> bool {
        self.0 & (1 << outcome as u16) != 0
    }
}

/// Judges calls by one objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Judge {
    /// Holds what makes a call bad.
    pub measure: Measure,
    /// The outcomes that do not count.
    pub exclude: Outcomes,
}

/// Names what makes a call bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// It ends in one of these.
    Failures(Outcomes),
    /// It takes longer than so many nanoseconds; one that takes exactly as long is good.
    Latency(u64),
}

/// Names what a call is to an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It counts.
    Good,
    /// It counts, and takes from the budget.
    Bad,
    /// In neither sum: counting it as good would let one noisy client hide failures, as bad let it burn the budget.
    NotCounted,
}

impl Judge {
    /// Judges a call that ended like this and took that long, in nanoseconds.
    pub fn judge(&self, outcome: Outcome, took: u64) -> Judged {
        if self.exclude.has(outcome) {
            return Judged::NotCounted;
        }
        match self.measure {
            Measure::Failures(bad) if bad.has(outcome) => Judged::Bad,
            // A failure that was taken out of `bad` is a success to whoever did that.
            Measure::Failures(_) if outcome == Outcome::Ok || Outcomes::FAILURES.has(outcome) => {
                Judged::Good
            }
            Measure::Failures(_) => Judged::NotCounted,
            Measure::Latency(_) if Outcomes::NO_SPEED.has(outcome) => Judged::NotCounted,
            Measure::Latency(most) if took > most => Judged::Bad,
            Measure::Latency(_) if outcome == Outcome::Ok => Judged::Good,
            // A fast failure says nothing about speed.
            Measure::Latency(_) => Judged::NotCounted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(measure: Measure, exclude: &[Outcome]) -> Judge {
        Judge { measure, exclude: Outcomes::of(exclude) }
    }

    #[test]
    fn failures_are_the_servers_and_everything_else_but_success_does_not_count() {
        let judge = judge(Measure::Failures(Outcomes::FAILURES), &[]);
        for (outcome, name) in OUTCOMES {
            assert_eq!(Outcome::parse(name), Some(outcome));
            let expected = match name {
                "ok" => Judged::Good,
                "tool_error" | "protocol_error" | "timeout" | "server_gone" | "rate_limited" => {
                    Judged::Bad
                }
                _ => Judged::NotCounted,
            };
            assert_eq!(judge.judge(outcome, u64::MAX), expected, "{name}");
        }
        assert_eq!(Outcome::parse("from a version to come"), None);
    }

    #[test]
    fn errors_of_others_are_read_by_name_or_number_and_else_are_failures() {
        for (error, outcome) in [
            ("tool_error", Outcome::ToolError),
            ("timeout", Outcome::Timeout),
            ("-32602", Outcome::ClientError),
            ("-32603", Outcome::ProtocolError),
            ("-32000", Outcome::ProtocolError),
            ("403", Outcome::Auth),
            ("404", Outcome::ClientError),
            ("429", Outcome::RateLimited),
            ("503", Outcome::ServerGone),
            ("504", Outcome::Timeout),
            ("_OTHER", Outcome::ProtocolError),
            ("java.io.IOException", Outcome::ProtocolError),
        ] {
            assert_eq!(Outcome::of_error(error), outcome, "{error}");
        }
    }

    #[test]
    fn what_is_bad_and_what_is_left_out_can_be_said() {
        let bad = Outcomes::of(&[Outcome::Timeout, Outcome::Auth]);
        let judge = judge(Measure::Failures(bad), &[Outcome::RateLimited]);
        assert_eq!(judge.judge(Outcome::Auth, 0), Judged::Bad);
        assert_eq!(judge.judge(Outcome::Timeout, 0), Judged::Bad);
        assert_eq!(judge.judge(Outcome::ToolError, 0), Judged::Good, "to whoever says so");
        assert_eq!(judge.judge(Outcome::RateLimited, 0), Judged::NotCounted);
        assert_eq!(judge.judge(Outcome::Cancelled, 0), Judged::NotCounted);
    }

    #[test]
    fn slow_is_bad_however_it_ended_and_fast_failures_say_nothing() {
        let plain = judge(Measure::Latency(800), &[]);
        for (outcome, name) in OUTCOMES {
            let [on_time, slow] = match name {
                "ok" => [Judged::Good, Judged::Bad],
                "client_error" | "auth" | "policy_denied" | "input_required" => {
                    [Judged::NotCounted; 2]
                }
                _ => [Judged::NotCounted, Judged::Bad],
            };
            assert_eq!(plain.judge(outcome, 800), on_time, "{name}");
            assert_eq!(plain.judge(outcome, 801), slow, "{name}");
        }
        let judge = judge(Measure::Latency(800), &[Outcome::Cancelled]);
        assert_eq!(judge.judge(Outcome::Cancelled, 801), Judged::NotCounted);
    }
}
