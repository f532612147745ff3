//! Judges a value by the name above it: whether it goes, stays as it is, is masked, or is looked at.
//!
//! Names repeat in every span. The usual ones are judged once, when the processor is built.

use std::collections::{HashMap, HashSet};

use super::sanitizers::Sanitizers;
use super::summary::is_summary;
use crate::privacy::digest::is_digest;
use crate::privacy::redact::{Found, Redactor, RuleId, Scan, Under};
use crate::telemetry::names;

/// Says what becomes of a name and the value under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Treatment {
    pub(super) value: Way,
    /// It is not on the list of those that stay.
    pub(super) removed: bool,
    /// A rule matches the name itself.
    pub(super) secret: bool,
    /// It is part of a summary.
    pub(super) summary: bool,
}

/// Says how a value is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By all rules.
    Open,
    /// Not at all: the settings say so.
    Ignored,
    /// By all rules, after it was sanitized.
    Url,
    /// It is masked as a query.
    Query,
    /// Not at all where it has this form, else by all rules.
    Exact(Form),
    /// It is masked whole.
    Masked(RuleId),
}

/// Names the forms of what mcpcol writes itself: ids, digests, words of its own lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// 16 to 64 hex digits in lower case.
    Hex,
    /// A digest as [`is_digest`] has it.
    Digest,
    /// One word in lower case.
    Word,
}

/// The names that nearly every span of a tap has.
const USUAL: [&str; 28] = [
    names::SERVICE_NAME,
    names::SERVICE_VERSION,
    names::SERVER_NAME,
    names::METHOD,
    names::PROTOCOL_VERSION,
    names::RESOURCE_URI,
    names::REQUEST_ID,
    names::STATUS_CODE,
    names::ERROR_TYPE,
    names::OPERATION,
    names::TOOL,
    names::PROMPT,
    names::TRANSPORT,
    names::NETWORK_PROTOCOL,
    names::NETWORK_VERSION,
    names::SERVER_ADDRESS,
    names::SERVER_PORT,
    names::HTTP_STATUS,
    names::PEER_SERVICE,
    names::SESSION_ID,
    names::OUTCOME,
    names::REQUEST_SIZE,
    names::RESPONSE_SIZE,
    names::CLIENT_NAME,
    names::CLIENT_VERSION,
    names::SERVER_INFO_NAME,
    names::SERVER_INFO_VERSION,
    names::ARGUMENTS_DIGEST,
];

/// Our attributes whose values have an exact form.
const EXACT: [(&str, Form); 10] = [
    (names::SESSION_ID, Form::Hex),
    (names::TASK_ID, Form::Hex),
    (names::ARGUMENTS_DIGEST, Form::Digest),
    (names::RESULT_DIGEST, Form::Digest),
    (names::OUTCOME, Form::Word),
    (names::CANCELLED_BY, Form::Word),
    (names::INITIATOR, Form::Word),
    (names::OBSERVED, Form::Word),
    (names::LINK, Form::Word),
    (names::OPERATION, Form::Word),
];

impl Form {
    pub(super) fn fits(self, text: &str) -> bool {
        match self {
            Form::Hex => {
                let hex = |b| matches!(b, b'0'..=b'9' | b'a'..=b'f');
                (16..=64).contains(&text.len()) && text.bytes().all(hex)
            }
            Form::Digest => is_digest(text),
            Form::Word => {
                text.len() <= 32 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            }
        }
    }
}

/// Decides by names.
#[derive(Debug)]
pub(super) struct Names {
    /// Those that stay; all if there is no list.
    allowed: Option<HashSet<String>>,
    usual: HashMap<&'static str, Treatment, foldhash::fast::RandomState>,
}

impl Names {
    pub(super) fn new(
        allowed: Option<HashSet<String>>,
        redactor: &Redactor,
        sanitizers: &Sanitizers,
    ) -> Self {
        let mut names = Names { allowed, usual: HashMap::default() };
        let mut scan = redactor.scan();
        for name in USUAL {
            let treatment = names.judge(name, redactor, sanitizers, &mut scan);
            names.usual.insert(name, treatment);
        }
        names
    }

    /// Gives what is known of a usual name.
    pub(super) fn usual(&self, name: &str) -> Option<Treatment> {
        self.usual.get(name).copied()
    }

    /// Judges a name.
    pub(super) fn judge(
        &self,
        name: &str,
        redactor: &Redactor,
        sanitizers: &Sanitizers,
        scan: &mut Scan<'_>,
    ) -> Treatment {
        let summary = is_summary(name);
        let named = |list: &[String]| list.iter().any(|listed| listed == name);
        let exact = EXACT.iter().find(|(own, _)| *own == name);
        let under = redactor.judge_name(name);
        let value = match under {
            Under::Ignored => Way::Ignored,
            Under::Masked(rule) => Way::Masked(rule),
            Under::Open if named(&sanitizers.queries) => Way::Query,
            Under::Open if named(&sanitizers.urls) => Way::Url,
            Under::Open => exact.map_or(Way::Open, |(_, form)| Way::Exact(*form)),
        };
        let listed = self.allowed.as_ref().is_none_or(|allowed| allowed.contains(name));
        let removed = !listed && !summary && under != Under::Ignored;
        let secret = scan.name(name) != Found::Nothing;
        Treatment { value, removed, secret, summary }
    }
}

impl Treatment {
    /// Says how a captured value under the name is looked at; `None` where the name is not one that stays. It is
    /// always looked at: whoever captures content relies on that.
    pub(super) fn of_captured(self) -> Option<Under> {
        let under = if self.value == Way::Ignored { Under::Open } else { self.value.under() };
        (!self.removed).then_some(under)
    }
}

impl Way {
    /// Counts the marks that stand before those of rules.
    const RULES: u16 = 16;

    /// Writes it as a mark of the editor.
    pub(super) fn mark(self) -> u16 {
        match self {
            Way::Open => 0,
            Way::Ignored => 1,
            Way::Url => 2,
            Way::Query => 3,
            Way::Exact(Form::Hex) => 4,
            Way::Exact(Form::Digest) => 5,
            Way::Exact(Form::Word) => 6,
            Way::Masked(rule) => Self::RULES + rule.index(),
        }
    }

    /// Says what that means to a scan.
    pub(super) fn under(self) -> Under {
        match self {
            Way::Ignored => Under::Ignored,
            Way::Masked(rule) => Under::Masked(rule),
            Way::Open | Way::Url | Way::Query | Way::Exact(_) => Under::Open,
        }
    }

    /// Reads such a mark.
    pub(super) fn of(mark: u16) -> Self {
        match mark {
            1 => Way::Ignored,
            2 => Way::Url,
            3 => Way::Query,
            4 => Way::Exact(Form::Hex),
            5 => Way::Exact(Form::Digest),
            6 => Way::Exact(Form::Word),
            Self::RULES.. => Way::Masked(RuleId::of(mark - Self::RULES)),
            _ => Way::Open,
        }
    }
}
