//! Spans that servers hand back in their answers (SEP-2448), from the raw JSON to spans that may be put
//! out.
//!
//! Nothing of them is believed. An answer is looked into only if its request asked for spans; size and
//! depth are known before anything is read. Then, in this order: where each span stands and which
//! ids it has (`outline`); of as many as may be taken, the span itself and what of it may leave (`drafts`,
//! `screen` with the detectors of [`crate::privacy::detect`], `dialect`); whose child it is (`lineage`), its
//! times (`times`), whether it came before (`handed_back`); and these put together (`answer`). What is refused is counted by reason
//! (`counts`). It touches neither the answer nor its call.

mod dialect;
mod handed_back;
mod counts;
mod screen;
mod drafts;
mod outline;
mod lineage;
mod times;
mod answer;
mod posted;

#[cfg(test)]
mod tests;

use self::answer::Answer;
use self::drafts::Drafts;
use self::outline::Outline;
use super::trace::SAMPLED;
use super::{Orphans, Passback, SpanRef, Unsampled};
use crate::otlp::wire::compose::Traces;
use crate::telemetry::{SpanId, SpanKey};

pub(in crate::mcp) use self::times::Window;

pub use self::counts::{PassbackCounts, Refused};
pub use self::handed_back::HandedBack;
pub use self::posted::{Posted, Received};

/// A parent that a server was told.
#[derive(Clone, Copy, Debug)]
pub(in crate::mcp) struct Told {
    pub(in crate::mcp) parent: SpanRef,
    /// In the request itself. What came beside it (a header, the environment) may not have reached the
    /// server's code.
    pub(in crate::mcp) certain: bool,
}

/// Holds what is known of the call whose answer has spans.
#[derive(Clone, Copy, Debug)]
pub(in crate::mcp) struct Expected<'a> {
    pub(in crate::mcp) told: Option<Told>,
    /// Our span of the call, under which orphans are kept; `None` if we did not see it.
    pub(in crate::mcp) own: Option<SpanRef>,
    /// Another span of ours that the server may know.
    pub(in crate::mcp) hop: Option<SpanId>,
    /// Trace flags of the call.
    pub(in crate::mcp) flags: u8,
    pub(in crate::mcp) unsampled: Unsampled,
    pub(in crate::mcp) window: Window,
    /// The server as the user named it; empty if nobody did.
    pub(in crate::mcp) server: &'a str,
    /// The request's id; empty if it is not known.
    pub(in crate::mcp) request_id: &'a str,
}

/// Holds what may be put out of one answer.
#[derive(Debug, Default)]
pub(in crate::mcp) struct Accepted {
    pub(in crate::mcp) spans: Traces,
    /// Holds what they had of content.
    pub(in crate::mcp) content: Vec<(SpanKey, Texts)>,
}

/// Content of a span, as JSON.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::mcp) struct Texts {
    pub(in crate::mcp) arguments: Option<Vec<u8>>,
    pub(in crate::mcp) result: Option<Vec<u8>>,
}

/// Takes in what a server handed back: `json` is the object `traces`.
pub(in crate::mcp) fn take_in(
    json: &[u8],
    expected: &Expected<'_>,
    rules: &Passback,
    known: &HandedBack,
    counts: &mut PassbackCounts,
) -> Accepted {
    if json.len() > rules.max_bytes {
        counts.too_large += 1;
        return Accepted::default();
    }
    let unsampled = expected.flags & SAMPLED == 0 && expected.unsampled == Unsampled::Drop;
    // What is refused whatever it holds is not read.
    let homeless = expected.told.is_none() && rules.orphans != Orphans::Mark;
    let wanted = if unsampled || homeless { 0 } else { rules.max_spans };
    let mut drafts = Drafts::new(rules, expected, if wanted > 0 { json.len() } else { 0 });
    let (mut outline, whole) = Outline::read(json, rules.max_spans, wanted, &mut drafts);
    let all = outline.entries.len() as u64;
    counts.answers += 1;
    counts.malformed += u64::from(!whole);
    counts.left_out = counts.left_out.saturating_add(outline.left_out);
    counts.received += all + outline.beyond;
    counts.refused.excess += outline.beyond;
    if unsampled {
        counts.refused.unsampled += all;
        return Accepted::default();
    }
    let context = lineage::context(expected.told, &outline.entries);
    let orphans = context.is_none();
    let trace = match context {
        Some(parent) => Some(parent.trace),
        None if rules.orphans == Orphans::Mark => lineage::trace_of(&outline.entries),
        None => None,
    };
    let Some(trace) = trace else {
        counts.refused.no_parent += all;
        return Accepted::default();
    };
    let told = context.map(|parent| parent.span);
    let place = match context {
        None => expected.own.map_or((trace, None), |own| (own.trace, Some(own.span))),
        Some(parent) => (trace, Some(parent.span)),
    };
    let read = std::mem::take(&mut outline.drafts);
    let answer = Answer { outline: &outline, expected, rules, orphans, told, trace, place };
    answer.accept(read, &mut drafts, known, counts)
}
