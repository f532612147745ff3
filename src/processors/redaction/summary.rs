//! Tells a holder of attributes what became of them: how many of its keys were removed, masked, let through or
//! passed over, and their names where that is wanted. Never a value.
//!
//! Names and meaning are those of the Collector's processor. What a summary before said is kept and added to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::otlp::Holder;
use crate::otlp::wire::compose::{Attributes, Value};
use crate::otlp::wire::view::View;

/// Says how much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verbosity {
    /// Tells counts and names.
    Debug,
    /// Tells counts.
    Info,
    /// Tells nothing.
    #[default]
    Silent,
}

/// Says what became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was removed with its value.
    Redacted,
    /// Something in its value was masked.
    Masked,
    /// Something in its value would have been masked but is allowed.
    Allowed,
    /// Nobody looked at its value.
    Ignored,
}

/// The attributes of each fate: of names (none where they are never told) and of the count. First for a holder's
/// own attributes, then for a log's body.
const ATTRIBUTES: [[(Option<&str>, &str); 4]; 2] = [
    [
        (Some("redaction.redacted.keys"), "redaction.redacted.count"),
        (Some("redaction.masked.keys"), "redaction.masked.count"),
        (Some("redaction.allowed.keys"), "redaction.allowed.count"),
        (None, "redaction.ignored.count"),
    ],
    [
        (Some("redaction.body.redacted.keys"), "redaction.body.redacted.count"),
        (Some("redaction.body.masked.keys"), "redaction.body.masked.count"),
        (Some("redaction.body.allowed.keys"), "redaction.body.allowed.count"),
        (None, "redaction.body.ignored.count"),
    ],
];

/// Between names in one attribute.
const SEPARATOR: &str = ",";
/// Says how many names are told of one holder and fate, so that a flood of keys makes no flood of names.
const MAX_NAMES: usize = 64;

/// Says whether an attribute of that name is part of a summary.
pub(super) fn is_summary(name: &str) -> bool {
    name.starts_with("redaction.")
        && ATTRIBUTES.iter().flatten().any(|(names, count)| *names == Some(name) || *count == name)
}

/// Counts what became of the keys of the holders at hand: an event stands within a span.
#[derive(Debug)]
pub(super) struct Summary {
    level: Verbosity,
    /// By [`Holder`]; then for attributes, and for the body; then by [`Fate`].
    counts: Vec<[[Keys; 4]; 2]>,
    /// A bit for each holder at hand that has something to tell.
    holders: u16,
}

#[derive(Clone, Debug, Default)]
struct Keys {
    count: i64,
    names: Vec<String>,
}

impl Summary {
    pub(super) fn of(level: Verbosity) -> Self {
        let counts =
            if level == Verbosity::Silent { Vec::new() } else { vec![Default::default(); HOLDERS] };
        Summary { level, counts, holders: 0 }
    }

    /// Says whether anything is told at all.
    pub(super) fn speaks(&self) -> bool {
        self.level != Verbosity::Silent
    }

    /// Notes what became of a key of a holder, or of its body. `name` is one that may be shown.
    pub(super) fn note(&mut self, holder: Holder, in_body: bool, fate: Fate, name: &str) {
        let Some(of) = self.counts.get_mut(holder as usize) else { return };
        let keys = &mut of[usize::from(in_body)][fate as usize];
        keys.count += 1;
        self.holders |= 1 << holder as u16;
        if self.level == Verbosity::Debug && keys.names.len() < MAX_NAMES && !name.is_empty() {
            keys.names.push(name.to_owned());
        }
    }

    /// Notes that a holder has a summary already, whose attributes go: what it says is said again.
    pub(super) fn keep(&mut self, holder: Holder) {
        self.holders |= 1 << holder as u16;
    }

    /// Writes the summary of a holder, all of which was shown, and forgets it.
    ///
    /// What others wrote there is a text like any other: names that may not be shown go.
    pub(super) fn write(
        &mut self,
        of: View<'_>,
        out: &mut Attributes<'_>,
        mut may_show: impl FnMut(&str) -> bool,
    ) {
        let holder = of.holder();
        let bit = 1 << holder as u16;
        if self.holders & bit == 0 {
            return;
        }
        self.holders &= !bit;
        let Some(counts) = self.counts.get_mut(holder as usize) else { return };
        let both = counts.iter_mut().flatten().zip(ATTRIBUTES.iter().flatten());
        for (keys, (names, count)) in both {
            let Keys { count: n, names: mut told } = std::mem::take(keys);
            let before = of.attribute(count).and_then(|value| value.int()).unwrap_or(0);
            let n = n.saturating_add(before.max(0));
            if let Some(names) = names {
                let before = of.attribute(names).and_then(|value| value.text());
                let before = before.into_iter().flat_map(|names| names.split(SEPARATOR));
                told.extend(
                    before.filter(|name| !name.is_empty() && may_show(name)).map(str::to_owned),
                );
                told.sort_unstable();
                told.dedup();
                told.truncate(MAX_NAMES);
                if !told.is_empty() {
                    out.add(names, Value::Text(&told.join(SEPARATOR)));
                }
            }
            if n > 0 {
                out.add(count, Value::Int(n));
            }
        }
    }
}

/// Says how many holders there are.
const HOLDERS: usize = Holder::LogRecord as usize + 1;
