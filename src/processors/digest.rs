//! `digest`: says which arguments a tool was called with, without saying what they were.
//!
//! ```yaml
//! digest:
//!   key_file: ./digest.key            # or key, or keys for a rotation; without one: plain SHA-256
//!   exclude: [/nonce]                 # JSON pointers into the arguments, `*` for every item of an array
//!   tools:
//!     search: { exclude: [/page/cursor], fields: [/query] }
//!   result: false                     # a digest of the result as well
//! ```
//! Calls that a tap saw get `mcpcol.arguments.digest`: what is hashed is the RFC 8785 form of
//! `params.arguments`, whose text never becomes an attribute. Attributes by which other instrumentations
//! carry content, on any telemetry, are replaced by the digest of their value: the same arguments have
//! the same digest wherever they were recorded. It does not look into log bodies or for secrets in
//! other attributes: that is redaction's work.

mod about;
mod keys;
mod settings;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use self::about::{About, Whose};
use crate::metrics::{Counter, Metrics, names};
use crate::otlp::Holder;
use crate::otlp::wire::compose::{Attributes, Value};
use crate::otlp::wire::edit::{Change, Edit, Holders, Take, Wants, length_bit};
use crate::otlp::wire::view::{Item, ValueView, View};
use crate::pipeline::{Flow, Pass, Processor};
use crate::privacy::canonical::Canonicalizer;
use crate::privacy::digest::{Digester, Key, is_digest};
use crate::privacy::{Paths, Reason, Rejected};
use crate::telemetry::names::{ARGUMENTS_DIGEST, RESULT_DIGEST, TOOL, TOOL_ARGUMENTS};
use crate::telemetry::{Batch, Content, Needs, Raw, Seen, Signal};

pub use settings::Config;

/// The attributes of one digest.
struct Names {
    digest: &'static str,
    /// Bytes of the canonical text that was hashed.
    size: &'static str,
    /// `true` when a number lost value on the way into it.
    lossy: &'static str,
    /// Says why there is no digest.
    error: &'static str,
    /// The digests under the other keys of a rotation.
    also: &'static str,
}

impl Names {
    fn all(&self) -> [&'static str; 5] {
        [self.digest, self.size, self.lossy, self.error, self.also]
    }
}

const ARGUMENTS: Names = Names {
    digest: ARGUMENTS_DIGEST,
    size: "mcpcol.arguments.digest.size",
    lossy: "mcpcol.arguments.digest.lossy",
    error: "mcpcol.arguments.digest.error",
    also: "mcpcol.arguments.digest.also",
};

const RESULT: Names = Names {
    digest: RESULT_DIGEST,
    size: "mcpcol.result.digest.size",
    lossy: "mcpcol.result.digest.lossy",
    error: "mcpcol.result.digest.error",
    also: "mcpcol.result.digest.also",
};

/// Names what an attribute becomes whose value has no digest, with the reason behind it: its content must not stay.
const WITHHELD: &str = "withheld:";

/// The key of `mode: ephemeral`: one for the process, gone with it.
static EPHEMERAL: LazyLock<Key> = LazyLock::new(|| {
    let bytes: [u8; 32] = rand::random();
    Key::from_bytes(&bytes, None).expect("32 bytes are a key, and its own name is a name")
});

/// One instance: settings made ready. All calls share it.
struct Digest {
    /// `None` where the key could not be had: then there are no digests, and no content either.
    digester: Option<Digester>,
    /// Digests under the other keys are written too.
    also: bool,
    /// For tools without settings of their own.
    arguments: Plan,
    /// For results.
    answer: Plan,
    tools: HashMap<String, Plan>,
    result: bool,
    max_bytes: usize,
    /// Names of the attributes that are replaced.
    replaced: Vec<String>,
    /// Says how long they are, to pass over most others without a look: a bit a length.
    lengths: u64,
    /// Says how long the names are under which calls are described, likewise.
    said_lengths: u64,
    rejected: Arc<Rejections>,
}

/// Holds what is hashed of the arguments of one tool.
#[derive(Default)]
struct Plan {
    paths: Paths,
    /// The attribute of each field.
    fields: Vec<String>,
}

impl Processor for Digest {
    fn process(&self, mut batch: Batch, pass: &mut Pass) -> Flow {
        let Batch { telemetry, content, .. } = &batch;
        let describes = telemetry.signal() == Signal::Traces && !content.is_empty();
        let mut work = Work::new(self, describes.then_some(content));
        let edited = telemetry.edited(&mut work);
        let rejected = work.rejected;
        batch.telemetry = edited;
        if !rejected.is_empty() {
            let counters = Arc::clone(&self.rejected);
            pass.once_accepted(move || rejected.into_iter().for_each(|r| counters.count(r)));
        }
        Flow::Pass(batch)
    }

    fn needs(&self) -> Needs {
        Needs { arguments: true, results: self.result, ..Needs::NONE }
    }
}

impl Digest {
    /// Says whether an attribute of this name may be content: its length is looked at first.
    fn may_replace(&self, name: &str) -> bool {
        self.lengths & length_bit(name.len()) != 0
            && self.replaced.iter().any(|replaced| replaced == name)
    }

    fn plan(&self, tool: Option<&str>) -> &Plan {
        tool.and_then(|tool| self.tools.get(tool)).unwrap_or(&self.arguments)
    }
}

/// Takes the attributes that describe a call.
type Say<'s, 'd> = &'s mut dyn FnMut(&'d str, Value<'_>);

/// The work on one batch: a pass over it, with the buffers that its texts share.
struct Work<'a, 'd> {
    digest: &'d Digest,
    /// Holds what was seen of the calls behind the spans, if any is to be described.
    content: Option<&'d Content>,
    /// The names that the span at hand is to get, and the attributes as they will stand in it.
    names: Vec<&'d str>,
    said: Vec<u8>,
    /// Remembers what is hashed of arguments on the holder at hand, which may be nothing but arguments.
    of_tool: Option<(View<'a>, &'d Paths)>,
    canonicalizer: Canonicalizer,
    /// The canonical text.
    text: Vec<u8>,
    /// The JSON form of an attribute.
    json: Vec<u8>,
    /// A digest.
    digested: String,
    /// Says why there was no digest.
    rejected: Vec<Reason>,
}

impl<'a> Edit<'a> for Work<'a, '_> {
    fn wants(&self) -> Wants {
        let describes = self.content.is_some();
        Wants {
            items: describes,
            attributes: Holders::ALL,
            lengths: self.digest.lengths | if describes { self.digest.said_lengths } else { 0 },
            more: if describes { Holders::only(Holder::Span) } else { Holders::default() },
            ..Wants::default()
        }
    }

    fn item(&mut self, item: &Item<'a>) -> Take {
        self.names.clear();
        self.said.clear();
        let (trace, span) = item.own.ids();
        if let Some(seen) = self.content.and_then(|content| content.of(trace, span)) {
            let (whose, about) = (Whose::of(item.scope.name()), About::of(item.own));
            if whose.concerns(&about) {
                self.describe(seen, whose, about.tool);
            }
        }
        Take::Keep
    }

    fn attribute(&mut self, of: View<'a>, name: &'a str, value: ValueView<'a>) -> Change<'_> {
        if of.holder() == Holder::Span && self.names.contains(&name) {
            // It is said anew.
            return Change::Drop;
        }
        if !self.digest.may_replace(name) || !is_content(value) {
            return Change::Keep;
        }
        // Arguments are hashed as the tap hashes them, so that the two digests are one.
        let paths = if name == TOOL_ARGUMENTS { self.paths(of) } else { &WHOLE };
        self.stand_in(value, paths);
        Change::Value(Value::Text(&self.digested))
    }

    fn more(&mut self, _: View<'a>, out: &mut Attributes<'_>) {
        out.part(&self.said);
    }
}

/// Nothing of a value is left out.
static WHOLE: LazyLock<Paths> = LazyLock::new(Paths::default);

impl<'a, 'd> Work<'a, 'd> {
    fn new(digest: &'d Digest, content: Option<&'d Content>) -> Self {
        Work {
            digest,
            content,
            names: Vec::new(),
            said: Vec::new(),
            of_tool: None,
            canonicalizer: Canonicalizer::new(digest.max_bytes),
            text: Vec::new(),
            json: Vec::new(),
            digested: String::new(),
            rejected: Vec::new(),
        }
    }

    /// Says what is hashed of arguments that stand on `of`.
    fn paths(&mut self, of: View<'a>) -> &'d Paths {
        match self.of_tool {
            Some((known, paths)) if known.is(of) => paths,
            _ => {
                let tool = of.attribute(TOOL).and_then(|tool| tool.text());
                self.of_tool.insert((of, &self.digest.plan(tool).paths)).1
            }
        }
    }

    /// Notes what a span is to say of its call.
    fn describe(&mut self, seen: &Seen, whose: Whose, tool: Option<&str>) {
        let (mut names, mut said) =
            (std::mem::take(&mut self.names), std::mem::take(&mut self.said));
        let say = &mut |name: &'d str, value: Value<'_>| {
            names.push(name);
            Attributes::of_span(&mut said).add(name, value);
        };
        self.tell(say, seen, whose, tool);
        (self.names, self.said) = (names, said);
    }

    /// Says what a call was made with, and what it returned if that is wanted.
    fn tell(&mut self, say: Say<'_, 'd>, seen: &Seen, whose: Whose, tool: Option<&str>) {
        let digest = self.digest;
        let plan = digest.plan(tool);
        match &seen.arguments {
            // What was handed back does not say.
            Raw::Absent if whose == Whose::Servers => {}
            // A call without arguments is a call with none.
            Raw::Absent => self.write(say, &ARGUMENTS, plan, Ok(b"{}")),
            Raw::Cut => self.write(say, &ARGUMENTS, plan, Err(Reason::Size)),
            Raw::Deep => self.write(say, &ARGUMENTS, plan, Err(Reason::Depth)),
            Raw::Unread => self.write(say, &ARGUMENTS, plan, Err(Reason::Unread)),
            Raw::Whole(text) => self.write(say, &ARGUMENTS, plan, Ok(text)),
        }
        match &seen.result {
            _ if !digest.result => {}
            Raw::Absent => {}
            Raw::Cut => self.write(say, &RESULT, &digest.answer, Err(Reason::Size)),
            Raw::Deep => self.write(say, &RESULT, &digest.answer, Err(Reason::Depth)),
            Raw::Unread => self.write(say, &RESULT, &digest.answer, Err(Reason::Unread)),
            Raw::Whole(text) => self.write(say, &RESULT, &digest.answer, Ok(text)),
        }
    }

    /// Writes the digest of `raw`, or why there is none.
    fn write(
        &mut self,
        say: Say<'_, 'd>,
        names: &'static Names,
        plan: &'d Plan,
        raw: Result<&[u8], Reason>,
    ) {
        let Digest { digester, also, .. } = self.digest;
        let Some(digester) = digester else { return self.refuse(say, names, Reason::NoKey) };

        let mut fields = Vec::new();
        self.text.clear();
        let written = raw.and_then(|raw| {
            self.canonicalizer
                .write_selected(raw, &plan.paths, &mut self.text, &mut |field, value| {
                    fields.push((field, digester.digest(value)));
                })
                .map_err(|Rejected { reason, .. }| reason)
        });
        let written = match written {
            Ok(written) => written,
            Err(reason) => return self.refuse(say, names, reason),
        };
        self.digested.clear();
        digester.write(&self.text, &mut self.digested);
        say(names.digest, Value::Text(&self.digested));
        // The canonical text is at most a few times `max_bytes`.
        say(names.size, Value::Int(self.text.len() as i64));
        if written.lossy {
            say(names.lossy, Value::Bool(true));
        }
        if *also {
            let others: Vec<String> = digester.others(&self.text).collect();
            say(names.also, Value::Texts(&others));
        }
        for (field, digest) in fields {
            say(&plan.fields[field], Value::Text(&digest));
        }
    }

    fn refuse(&mut self, say: Say<'_, 'd>, names: &'static Names, reason: Reason) {
        self.rejected.push(reason);
        say(names.error, Value::Text(reason.name()));
    }

    /// Makes the text that stands in for an attribute's value.
    fn stand_in(&mut self, value: ValueView<'_>, paths: &Paths) {
        let digester = self.digest.digester.as_ref().ok_or(Reason::NoKey);
        let canonical =
            digester.and_then(|digester| self.canonical(value, paths).map(|()| digester));
        self.digested.clear();
        match canonical {
            Ok(digester) => digester.write(&self.text, &mut self.digested),
            Err(reason) => {
                self.rejected.push(reason);
                self.digested.push_str(WITHHELD);
                self.digested.push_str(reason.name());
            }
        }
    }

    /// Makes the canonical text of an attribute's value: of the JSON text it holds, else of the value
    /// itself as JSON.
    fn canonical(&mut self, value: ValueView<'_>, paths: &Paths) -> Result<(), Reason> {
        self.text.clear();
        if let Some(text) = value.text() {
            let text = text.as_bytes();
            let as_json =
                self.canonicalizer.write_selected(text, paths, &mut self.text, &mut |_, _| {});
            if as_json.is_ok() {
                return Ok(());
            }
        }
        self.json.clear();
        value.write_json(&mut self.json).ok_or(Reason::Depth)?;
        self.text.clear();
        let written =
            self.canonicalizer.write_selected(&self.json, paths, &mut self.text, &mut |_, _| {});
        written.map(drop).map_err(|Rejected { reason, .. }| reason)
    }
}

/// Says whether it is a value, and not one that was put in place of content.
fn is_content(value: ValueView<'_>) -> bool {
    !value.is_empty() && value.text().is_none_or(|text| !is_made_here(text))
}

/// Says whether `text` is what this processor puts in place of content.
fn is_made_here(text: &str) -> bool {
    let withheld = |reason: &str| Reason::ALL.iter().any(|known| known.name() == reason);
    is_digest(text) || text.strip_prefix(WITHHELD).is_some_and(withheld)
}

/// Holds what had no digest, by reason.
struct Rejections([(Reason, Counter); Reason::ALL.len()]);

impl Rejections {
    fn new(metrics: &Metrics, processor: &str) -> Self {
        Rejections(Reason::ALL.map(|reason| {
            let labels = [("processor", processor), ("reason", reason.name())];
            (reason, metrics.counter(&names::DIGEST_REJECTED, &labels))
        }))
    }

    fn count(&self, reason: Reason) {
        for (_, counter) in self.0.iter().filter(|(known, _)| *known == reason) {
            counter.add(1);
        }
    }
}

#[cfg(test)]
mod tests;
