//! `redaction`: takes secrets and personal data out of every text of every signal.
//!
//! ```yaml
//! redaction:
//!   presets: [credentials, pii]
//!   blocked_key_patterns: ["(^|\\.)internal_notes$"]
//!   rules: [{ name: ticket, pattern: "ACME-[0-9]{8}" }]
//!   allowed_values: ["support@example\\.com"]
//! ```
//! The settings of the Collector's processor of that name mean here what they mean there. What is looked at is
//! not a list of places but the whole request: names, values at any depth, JSON within strings, numbers, bytes.
//! What the taps captured of a call is written onto its span here, after it was looked at. A value that cannot
//! be looked at is withheld, never passed. It does not find what is base64 (known values apart) and judges no
//! content by its meaning.

mod places;
mod summary;
mod sanitizers;
mod names;
mod counts;
mod captured;
mod clean;
mod settings;

use std::collections::HashMap;
use std::sync::Arc;

use self::captured::Captured;
use self::clean::CleanTexts;
use self::counts::{Counters, Counts};
use self::names::{Names, Treatment, Way};
use self::places::Spot;
use self::sanitizers::{QUERY, Sanitizers, is_query};
use self::summary::{Fate, Summary, Verbosity};
use crate::otlp::Holder;
use crate::otlp::wire::compose::Attributes;
use crate::otlp::wire::edit::{At, Edit, Holders, Named, Number, Place, Take, Wants};
use crate::otlp::wire::view::{Item, View};
use crate::pipeline::{Flow, Pass, Processor, Secrets};
use crate::privacy::redact::{Found, KnownValues, Redactor, Scan, Under};
use crate::telemetry::{Batch, CallSecrets, Content, Needs, Signal};

pub use settings::Config;

/// One instance: settings made ready. All batches share it.
struct Redaction {
    redactor: Arc<Redactor>,
    names: Names,
    sanitizers: Sanitizers,
    /// Says whether numbers under names that say nothing are looked at.
    numbers: bool,
    summary: Verbosity,
    secrets: Arc<Secrets>,
    counters: Arc<Counters>,
}

impl Processor for Redaction {
    fn process(&self, mut batch: Batch, pass: &mut Pass) -> Flow {
        let Batch { telemetry, content, .. } = &batch;
        let calls = telemetry.signal() == Signal::Traces && !content.is_empty();
        let mut work = Work::new(self, calls.then_some(content), content.secrets());
        let edited = telemetry.edited(&mut work);
        let counts = work.counts;
        batch.telemetry = edited;
        if !counts.is_empty() {
            let counters = Arc::clone(&self.counters);
            pass.once_accepted(move || counters.count(counts));
        }
        Flow::Pass(batch)
    }

    /// Asks for the secrets that came with calls. Content that is captured the taps keep by themselves.
    fn needs(&self) -> Needs {
        Needs { secrets: true, ..Needs::NONE }
    }
}

/// The work on one batch: a pass over it, with the memory that its texts share.
struct Work<'a, 'r> {
    redaction: &'r Redaction,
    scan: Scan<'r>,
    /// Judges names, apart from what was looked at last.
    judge: Scan<'r>,
    /// The secrets of the process, and those that came with the batch.
    secrets: Vec<Arc<KnownValues>>,
    /// Says whether secrets of the item at hand are searched for besides.
    own: bool,
    /// The name at hand, and how it is treated: it is asked for twice.
    named: Option<(&'a str, Treatment)>,
    /// Short texts of this batch in which nothing was found.
    clean: CleanTexts<'a>,
    /// Says how names of this batch are treated that are not among the usual ones.
    treated: HashMap<&'a str, Treatment, foldhash::fast::RandomState>,
    /// Holds what was seen of the calls behind the spans, if anything was.
    content: Option<&'r Content>,
    captured: Captured<'r>,
    /// Remembers what was noted last of the value at hand.
    noted: Option<Fate>,
    summary: Summary,
    counts: Counts,
    out: String,
}

impl<'a> Edit<'a> for Work<'a, '_> {
    fn wants(&self) -> Wants {
        let calls = self.content.is_some();
        let more = match self.summary.speaks() {
            true => Holders::ALL,
            false if calls => Holders::only(Holder::Span),
            false => Holders::default(),
        };
        Wants { items: calls, texts: true, statuses: calls, more, ..Wants::default() }
    }

    fn item(&mut self, item: &Item<'a>) -> Take {
        let (trace, span) = item.own.ids();
        let seen = self.content.and_then(|content| content.of(trace, span));
        self.captured = Captured::of(seen, item);
        self.search_for(seen.map_or(&[], |seen| seen.secrets.sets()));
        Take::Keep
    }

    fn name(&mut self, at: &At<'a>, name: &'a str) -> Named {
        if matches!(at.holder, Holder::Resource | Holder::Scope) {
            // What came with a call is searched for in what is told of it alone.
            self.search_for(&[]);
        }
        let in_body = at.place == Place::BodyName;
        if at.depth > 0 && matches!(Way::of(at.mark), Way::Masked(_) | Way::Ignored) {
            // What holds for a whole value holds for all that is in it.
            return Named::Marked(at.mark);
        }
        self.noted = None;
        let treatment = self.treatment(name);
        if treatment.summary && at.depth == 0 && self.summary.speaks() {
            self.summary.keep(at.holder);
            return Named::Drop;
        }
        if at.depth == 0 && self.captured.writes(at.holder, name) {
            return Named::Drop;
        }
        if treatment.removed && (at.depth == 0 || in_body) {
            self.note(at, Fate::Redacted, name);
            return Named::Drop;
        }
        if treatment.value == Way::Ignored {
            self.note(at, Fate::Ignored, name);
        }
        Named::Marked(treatment.value.mark())
    }

    fn text(&mut self, at: &At<'a>, text: &'a str) -> Option<&str> {
        if text.is_empty() {
            return None;
        }
        if matches!(at.holder, Holder::Resource | Holder::Scope) {
            self.search_for(&[]);
        }
        match at.place {
            Place::Name | Place::BodyName => self.a_name(at, text),
            Place::Field("name") if at.holder == Holder::Span => self.span_name(at, text),
            Place::Field("body") => self.body(at, text),
            // Names of attributes: what became of those becomes of these.
            Place::Field("idKeys" | "descriptionKeys") => self.a_name(at, text),
            Place::Field(_) | Place::Value(_) => self.value(at, text),
        }
    }

    fn bytes(&mut self, at: &At<'a>, bytes: &'a [u8]) -> Option<&str> {
        let under = Way::of(at.mark).under();
        let found = self.scan.bytes(bytes, under);
        self.told(at, found)
    }

    fn number(&mut self, at: &At<'a>, number: Number) -> Option<&str> {
        let under = Way::of(at.mark).under();
        if under == Under::Open && !self.redaction.numbers {
            return None;
        }
        self.out.clear();
        match number {
            Number::Int(int) => self.out.push_str(itoa::Buffer::new().format(int)),
            Number::Double(double) => self.out.push_str(&double.to_string()),
        }
        let in_url = self.redaction.sanitizers.url_bodies && at.place == Place::Field("body");
        if let Some(text) = sanitizers::body(&self.out).filter(|_| in_url && under == Under::Open) {
            return self.sanitized(at, text);
        }
        let found = self.scan.number(&self.out, under);
        self.told(at, found)
    }

    fn more(&mut self, of: View<'a>, out: &mut Attributes<'_>) {
        let Work { judge, summary, captured, scan, counts, redaction, .. } = self;
        if of.holder() == Holder::Span {
            let Redaction { names, redactor, sanitizers, .. } = redaction;
            let under = |name: &str| names.judge(name, redactor, sanitizers, judge).of_captured();
            let masked = |name: &str| summary.note(Holder::Span, false, Fate::Masked, name);
            captured.write(under, masked, scan, counts, out);
        }
        summary.write(of, out, |name| judge.name(name) == Found::Nothing);
    }

    fn status_message(&mut self, _: View<'a>) -> Option<&str> {
        let written = self.captured.message(&mut self.scan, &mut self.counts, &mut self.out);
        written.then_some(&*self.out)
    }
}

impl<'a, 'r> Work<'a, 'r> {
    /// Begins a pass over a batch, of whose calls `content` tells, and in all of which `secrets` are searched for.
    fn new(redaction: &'r Redaction, content: Option<&'r Content>, secrets: &CallSecrets) -> Self {
        let mut scan = redaction.redactor.scan();
        let mut judge = redaction.redactor.scan();
        let of_process = redaction.secrets.known();
        let secrets: Vec<_> = of_process.iter().chain(secrets.sets()).cloned().collect();
        scan.know(secrets.iter());
        judge.know(secrets.iter());
        Work {
            redaction,
            scan,
            judge,
            secrets,
            own: false,
            named: None,
            clean: CleanTexts::default(),
            treated: HashMap::default(),
            content,
            captured: Captured::default(),
            noted: None,
            summary: Summary::of(redaction.summary),
            counts: Counts::default(),
            out: String::new(),
        }
    }

    fn treatment(&mut self, name: &'a str) -> Treatment {
        if let Some((_, known)) = self.named.filter(|(last, _)| std::ptr::eq(*last, name)) {
            return known;
        }
        let Redaction { names, redactor, sanitizers, .. } = self.redaction;
        let treatment = names.usual(name).unwrap_or_else(|| {
            let (treated, judge) = (&mut self.treated, &mut self.judge);
            *treated.entry(name).or_insert_with(|| names.judge(name, redactor, sanitizers, judge))
        });
        self.named = Some((name, treatment));
        treatment
    }

    /// Searches for the secrets of the process, and for those that came with the item at hand.
    fn search_for(&mut self, own: &[Arc<KnownValues>]) {
        if !own.is_empty() || self.own {
            self.scan.know(self.secrets.iter().chain(own));
            self.own = !own.is_empty();
        }
    }

    fn a_name(&mut self, at: &At<'a>, name: &'a str) -> Option<&str> {
        if !self.treatment(name).secret && !self.own {
            return None;
        }
        let found = self.scan.name(name);
        self.told(at, found)
    }

    fn value(&mut self, at: &At<'a>, text: &'a str) -> Option<&str> {
        let way = Way::of(at.mark);
        match way {
            Way::Exact(form) if form.fits(text) => None,
            Way::Query if text == QUERY => None,
            Way::Query => self.sanitized(at, QUERY.into()),
            Way::Url => self.look(at, text, sanitizers::url(text), Under::Open),
            Way::Open => {
                // What is searched for besides for one item alone is not remembered.
                if !self.own && self.clean.has(text) {
                    return None;
                }
                let found = self.scan.text(text, Under::Open);
                if found == Found::Nothing && !self.own && !self.scan.allowed() {
                    self.clean.add(text);
                }
                self.told(at, found)
            }
            _ => self.look(at, text, None, way.under()),
        }
    }

    fn span_name(&mut self, at: &At<'a>, name: &'a str) -> Option<&str> {
        let Sanitizers { url_names, query_names, .. } = self.redaction.sanitizers;
        if query_names && is_query(name) {
            return self.sanitized(at, QUERY.into());
        }
        let route = if url_names { sanitizers::route(name) } else { None };
        self.look(at, name, route, Under::Open)
    }

    fn body(&mut self, at: &At<'a>, text: &'a str) -> Option<&str> {
        let Sanitizers { url_bodies, query_bodies, .. } = self.redaction.sanitizers;
        let under = Way::of(at.mark).under();
        let open = under == Under::Open;
        if open && query_bodies && is_query(text) {
            return self.sanitized(at, QUERY.into());
        }
        let route = if open && url_bodies { sanitizers::body(text) } else { None };
        self.look(at, text, route, under)
    }

    /// Looks at a text, or at what a sanitizer made of it.
    fn look(
        &mut self,
        at: &At<'a>,
        text: &'a str,
        sanitized: Option<String>,
        under: Under,
    ) -> Option<&str> {
        let found = self.scan.text(sanitized.as_deref().unwrap_or(text), under);
        match sanitized {
            Some(sanitized) if found == Found::Nothing => self.sanitized(at, sanitized),
            _ => self.told(at, found),
        }
    }

    fn sanitized(&mut self, at: &At<'a>, text: String) -> Option<&str> {
        self.changed(at);
        self.out = text;
        Some(&self.out)
    }

    /// Counts what a look found, and gives what is to stand in the place of it.
    fn told(&mut self, at: &At<'a>, found: Found) -> Option<&str> {
        match found {
            Found::Nothing => {
                if self.scan.allowed() {
                    self.note_once(at, Fate::Allowed);
                }
                return None;
            }
            Found::Masked => self.counts.masked(Spot::of(at), self.scan.hits()),
            Found::Unscanned(why) => self.counts.failed(why),
        }
        self.changed(at);
        Some(self.scan.output())
    }

    fn changed(&mut self, at: &At<'a>) {
        self.note_once(at, Fate::Masked);
    }

    /// Notes what became of the value at hand: once a key, however many parts of it change.
    fn note_once(&mut self, at: &At<'a>, fate: Fate) {
        let name = match at.place {
            Place::Value(name) => name,
            Place::Field("body") => "body",
            Place::Field(_) | Place::Name | Place::BodyName => return,
        };
        if self.summary.speaks() && self.noted.replace(fate) != Some(fate) {
            self.note(at, fate, name);
        }
    }

    fn note(&mut self, at: &At<'a>, fate: Fate, name: &'a str) {
        if !self.summary.speaks() {
            return;
        }
        let in_body = matches!(at.place, Place::BodyName | Place::Field("body"));
        let name = if self.treatment(name).secret { "[REDACTED]" } else { name };
        self.summary.note(at.holder, in_body, fate, name);
    }
}

#[cfg(test)]
mod tests;
