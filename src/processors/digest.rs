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
mod attributes;
mod complaints;
mod keys;
mod settings;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message as _;

use self::about::{About, Whose, name_of};
use crate::otlp::wire::compose::Value;
use crate::otlp::wire::edit::{Changes, SpanView, length_bit};
use crate::otlp::wire::fields::Irregular;
use crate::pipeline::{Counter, Flow, Pass, Processor, Vitals};
use crate::privacy::canonical::Canonicalizer;
use crate::privacy::digest::{Digester, Key, is_digest};
use crate::privacy::{Paths, Reason, Rejected};
use crate::telemetry::names::{ARGUMENTS_DIGEST, METHOD, RESULT_DIGEST, TOOL, TOOL_ARGUMENTS};
use crate::telemetry::{Batch, Content, Model, Raw, Reads, Seen, Signal, Telemetry};

pub use settings::Config;

/// The attributes of one digest.
struct Names {
    digest: &'static str,
    /// Bytes of the canonical text that was hashed.
    size: &'static str,
    /// `true` when a number lost value on the way into it.
    lossy: &'static str,
    /// Why there is no digest.
    error: &'static str,
    /// The digests under the other keys of a rotation.
    also: &'static str,
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

/// What an attribute becomes whose value has no digest, with the reason behind it: its content must
/// not stay.
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
    tools: HashMap<String, Plan>,
    result: bool,
    max_bytes: usize,
    /// Names of the attributes that are replaced.
    replaced: Vec<String>,
    /// How long they are, to pass over most others without a look: a bit a length.
    lengths: u64,
    rejected: Arc<Rejections>,
}

/// What is hashed of the arguments of one tool.
#[derive(Default)]
struct Plan {
    paths: Paths,
    /// The attribute of each field.
    fields: Vec<String>,
}

impl Processor for Digest {
    fn process(&self, mut batch: Batch, pass: &mut Pass) -> Flow {
        let Batch { telemetry, content, .. } = &mut batch;
        let traces = telemetry.signal() == Signal::Traces;
        // Most batches have nothing to do.
        let describes = traces && !content.is_empty();
        if !describes && !telemetry.any_attribute(&|name| self.may_replace(name)) {
            return Flow::Pass(batch);
        }
        // The bytes are enough for attributes of spans, the messages are the way for everything else.
        let rejected = match traces.then(|| self.rewrite_in_bytes(telemetry, content)) {
            Some(Ok(rejected)) => rejected,
            Some(Err(Irregular)) | None => self.rewrite(telemetry, content),
        };
        if !rejected.is_empty() {
            let counters = Arc::clone(&self.rejected);
            pass.once_accepted(move || rejected.into_iter().for_each(|r| counters.count(r)));
        }
        Flow::Pass(batch)
    }

    fn reads(&self) -> Reads {
        Reads { arguments: true, answers: self.result }
    }
}

impl Digest {
    /// Replaces content on spans and describes the calls behind them, in their bytes; why there are digests
    /// missing. Gives up where there is content elsewhere.
    fn rewrite_in_bytes(
        &self,
        telemetry: &mut Telemetry,
        content: &Content,
    ) -> Result<Vec<Reason>, Irregular> {
        if [METHOD, TOOL].iter().any(|name| self.may_replace(name.as_bytes())) {
            // What is replaced decides about the rest.
            return Err(Irregular);
        }
        let mut work = Work::new(self);
        telemetry.edit_attributes(&|name| self.may_replace(name), |scope, span, changes| {
            work.replace_in_bytes(span, changes)?;
            let Some(seen) = content.of(span.trace_id, span.span_id) else { return Ok(()) };
            let whose = Whose::of(scope);
            let about = About::in_bytes(span)?;
            if !whose.concerns(&about) {
                return Ok(());
            }
            // One that is there already is for the messages' way.
            let mut all_new = true;
            let say = &mut |name: &str, value: Value<'_>| {
                all_new &= !span.has(name);
                changes.add(name, value);
            };
            work.describe(say, seen, whose, about.tool);
            all_new.then_some(()).ok_or(Irregular)
        })?;
        Ok(work.rejected)
    }

    /// Replaces content and describes calls on the decoded messages, at every place; returns why digests are
    /// missing.
    fn rewrite(&self, telemetry: &mut Telemetry, content: &Content) -> Vec<Reason> {
        // Both are asked first: an edit gives up the wire view, and copies what is shared.
        let replaces = self.replaces_any(telemetry.model());
        if !replaces && !self.describes_any(telemetry.model(), content) {
            return Vec::new();
        }
        let mut work = Work::new(self);
        telemetry.edit(|model| work.rewrite(model, content, replaces));
        work.rejected
    }

    /// Whether there is content to replace.
    fn replaces_any(&self, model: &Model) -> bool {
        let mut found = false;
        attributes::visit(model, &mut |list| {
            found = found || list.iter().any(|attribute| self.replaces(attribute));
        });
        found
    }

    /// Whether there is a call to describe.
    fn describes_any(&self, model: &Model, content: &Content) -> bool {
        let Model::Traces(resources) = model else { return false };
        let mut scopes = resources.iter().flat_map(|r| &r.scope_spans);
        !content.is_empty()
            && scopes.any(|scope| {
                let whose = Whose::of(name_of(scope));
                scope.spans.iter().any(|span| whose.seen(span, content).is_some())
            })
    }

    /// Whether an attribute of this name may be content: its length is looked at first.
    fn may_replace(&self, name: &[u8]) -> bool {
        self.lengths & length_bit(name.len()) != 0
            && self.replaced.iter().any(|replaced| replaced.as_bytes() == name)
    }

    /// Whether this attribute carries content that is to go. A digest is left as it is, so that a
    /// second pass changes nothing.
    fn replaces(&self, attribute: &KeyValue) -> bool {
        self.may_replace(attribute.key.as_bytes())
            && attribute.value.as_ref().is_some_and(is_content)
    }

    fn plan(&self, tool: Option<&[u8]>) -> &Plan {
        if self.tools.is_empty() {
            return &self.arguments;
        }
        let tool = tool.and_then(|tool| std::str::from_utf8(tool).ok());
        tool.and_then(|tool| self.tools.get(tool)).unwrap_or(&self.arguments)
    }
}

/// Takes the attributes that describe a call.
type Say<'a> = &'a mut dyn FnMut(&str, Value<'_>);

/// The work on one batch, with the buffers that its texts share.
struct Work<'a> {
    digest: &'a Digest,
    canonicalizer: Canonicalizer,
    /// The canonical text.
    text: Vec<u8>,
    /// The JSON form of an attribute.
    json: Vec<u8>,
    /// A digest.
    digested: String,
    /// Why there was no digest.
    rejected: Vec<Reason>,
}

impl<'a> Work<'a> {
    fn new(digest: &'a Digest) -> Self {
        let canonicalizer = Canonicalizer::new(digest.max_bytes);
        Work {
            digest,
            canonicalizer,
            text: Vec::new(),
            json: Vec::new(),
            digested: String::new(),
            rejected: Vec::new(),
        }
    }

    fn rewrite(&mut self, model: &mut Model, content: &Content, replaces: bool) {
        if replaces {
            attributes::visit_mut(model, &mut |list| self.replace(list));
        }
        let Model::Traces(resources) = model else { return };
        for scope in resources.iter_mut().flat_map(|r| &mut r.scope_spans) {
            let whose = Whose::of(name_of(scope));
            for span in &mut scope.spans {
                if let Some(seen) = whose.seen(span, content) {
                    let tool = About::in_messages(span).tool;
                    let mut said = Vec::new();
                    let say = &mut |name: &str, value: Value<'_>| {
                        said.push(attributes::attribute(name, value));
                    };
                    self.describe(say, seen, whose, tool);
                    said.into_iter().for_each(|said| attributes::set(&mut span.attributes, said));
                }
            }
        }
    }

    /// Says what a call was made with, and what it returned if that is wanted.
    fn describe(&mut self, say: Say<'_>, seen: &Seen, whose: Whose, tool: Option<&[u8]>) {
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
            Raw::Cut => self.write(say, &RESULT, &Plan::default(), Err(Reason::Size)),
            Raw::Deep => self.write(say, &RESULT, &Plan::default(), Err(Reason::Depth)),
            Raw::Unread => self.write(say, &RESULT, &Plan::default(), Err(Reason::Unread)),
            Raw::Whole(text) => self.write(say, &RESULT, &Plan::default(), Ok(text)),
        }
    }

    /// Writes the digest of `raw`, or why there is none.
    fn write(&mut self, say: Say<'_>, names: &Names, plan: &Plan, raw: Result<&[u8], Reason>) {
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
            say(names.also, Value::Other(&attributes::strings(digester.others(&self.text))));
        }
        for (field, digest) in fields {
            say(&plan.fields[field], Value::Text(&digest));
        }
    }

    fn refuse(&mut self, say: Say<'_>, names: &Names, reason: Reason) {
        self.rejected.push(reason);
        say(names.error, Value::Text(reason.name()));
    }

    /// Says what is to stand in place of a span's content.
    fn replace_in_bytes(
        &mut self,
        span: &SpanView<'_>,
        changes: &mut Changes,
    ) -> Result<(), Irregular> {
        let digest = self.digest;
        if span.lengths & digest.lengths == 0 {
            return Ok(());
        }
        let whole = Paths::default();
        // Looked up once: a span may be nothing but arguments.
        let mut of_tool = None;
        for (place, attribute) in span.attributes.iter().enumerate() {
            if !digest.may_replace(attribute.name) {
                continue;
            }
            let value = AnyValue::decode(attribute.value).map_err(|_| Irregular)?;
            if !is_content(&value) {
                continue;
            }
            let paths = match of_tool {
                _ if attribute.name != TOOL_ARGUMENTS.as_bytes() => &whole,
                Some(paths) => paths,
                None => of_tool.insert(&digest.plan(About::in_bytes(span)?.tool).paths),
            };
            changes.replaced.push((place, self.stand_in(&value, paths)));
        }
        Ok(())
    }

    /// Puts digests in place of content.
    fn replace(&mut self, list: &mut [KeyValue]) {
        let digest = self.digest;
        let whole = Paths::default();
        let tool = list.iter().position(|attribute| attribute.key == TOOL);
        for i in 0..list.len() {
            if !digest.replaces(&list[i]) {
                continue;
            }
            // Arguments are hashed as the tap hashes them, so that the two digests are one.
            let paths = if list[i].key == TOOL_ARGUMENTS {
                let tool = tool.and_then(|tool| attributes::text(&list[tool]));
                &digest.plan(tool.map(str::as_bytes)).paths
            } else {
                &whole
            };
            if let Some(value) = &list[i].value {
                let text = self.stand_in(value, paths);
                list[i].value = Some(attributes::any(Value::Text(&text)));
            }
        }
    }

    /// The text that stands in for an attribute's value.
    fn stand_in(&mut self, value: &AnyValue, paths: &Paths) -> String {
        let digester = self.digest.digester.as_ref().ok_or(Reason::NoKey);
        match digester.and_then(|digester| self.canonical(value, paths).map(|()| digester)) {
            Ok(digester) => digester.digest(&self.text),
            Err(reason) => {
                self.rejected.push(reason);
                format!("{WITHHELD}{reason}")
            }
        }
    }

    /// Makes the canonical text of an attribute's value: of the JSON text it holds, else of the value
    /// itself as JSON.
    fn canonical(&mut self, value: &AnyValue, paths: &Paths) -> Result<(), Reason> {
        self.text.clear();
        if let Some(text) = attributes::string(value) {
            let text = text.as_bytes();
            let as_json =
                self.canonicalizer.write_selected(text, paths, &mut self.text, &mut |_, _| {});
            if as_json.is_ok() {
                return Ok(());
            }
        }
        self.json.clear();
        attributes::write_json(value, &mut self.json)?;
        let written =
            self.canonicalizer.write_selected(&self.json, paths, &mut self.text, &mut |_, _| {});
        written.map(drop).map_err(|Rejected { reason, .. }| reason)
    }
}

/// Whether it is a value, and not one that was put in place of content.
fn is_content(value: &AnyValue) -> bool {
    value.value.is_some() && attributes::string(value).is_none_or(|text| !is_made_here(text))
}

/// Whether `text` is what this processor puts in place of content.
fn is_made_here(text: &str) -> bool {
    let withheld = |reason: &str| Reason::ALL.iter().any(|known| known.name() == reason);
    is_digest(text) || text.strip_prefix(WITHHELD).is_some_and(withheld)
}

/// What had no digest, by reason.
struct Rejections([(Reason, Counter); Reason::ALL.len()]);

impl Rejections {
    fn new(vitals: &Vitals, processor: &str) -> Self {
        Rejections(Reason::ALL.map(|reason| {
            let labels = [("processor", processor), ("reason", reason.name())];
            (reason, vitals.counter("mcpcol_digest_rejected", &labels))
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
