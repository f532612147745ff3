//! What a replayed session puts out, as text that people can read and compare.
//!
//! `UPDATE_GOLDEN=1` writes the golden files anew; then they are to be read against the recordings.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::PathBuf;

use mcpcol::mcp::Counts;
use mcpcol::otlp::Messages;
use mcpcol::telemetry::{Content, Nanos, Raw, Telemetry, names};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// An arbitrary moment, so that times are as long as real ones; of recordings with times of their own the
/// moment when they began.
pub(crate) const BASE: Nanos = 1_795_000_000_000_000_000;

pub(crate) fn base(session: &str) -> Nanos {
    match session {
        "weather-stdio" => 1_795_190_825_678_000_000,
        "weather-http" => 1_795_190_944_613_000_000,
        _ => BASE,
    }
}

/// Everything a session puts out, as text.
pub(crate) struct Output {
    /// Those of the tap.
    pub(crate) spans: Vec<Span>,
    /// Those that servers handed back, with resource and scope.
    pub(crate) handed_back: Vec<(String, Span)>,
    pub(crate) counts: Counts,
    content: Vec<Content>,
    resource: String,
    /// Times are told from here.
    base: Nanos,
}

impl Output {
    pub(crate) fn since(base: Nanos) -> Self {
        Output {
            spans: Vec::new(),
            handed_back: Vec::new(),
            counts: Counts::default(),
            content: Vec::new(),
            resource: String::new(),
            base,
        }
    }

    /// Adds what a tap put out; `counts` are its books by then.
    pub(crate) fn add(&mut self, taken: Vec<(Telemetry, Content)>, counts: Counts) {
        for (telemetry, content) in taken {
            let Messages::Traces(all) = telemetry.messages() else { panic!("a tap makes spans") };
            for resource in all {
                let told = attributes(&resource.resource.as_ref().unwrap().attributes, |_| true);
                for scope in &resource.scope_spans {
                    let name = &scope.scope.as_ref().unwrap().name;
                    if name == names::SCOPE {
                        self.resource.clone_from(&told);
                        self.spans.extend_from_slice(&scope.spans);
                    } else {
                        let from = format!("{told}, scope {name}");
                        let handed = scope.spans.iter().map(|span| (from.clone(), span.clone()));
                        self.handed_back.extend(handed);
                    }
                }
            }
            self.content.push(content);
        }
        assert!(counts.balanced(), "{counts:?}");
        self.counts = counts;
    }

    fn seen(&self, span: &Span) -> String {
        let Some(seen) = self.content.iter().find_map(|c| c.of(&span.trace_id, &span.span_id))
        else {
            return String::new();
        };
        let mut out = String::new();
        for (what, raw) in
            [("arguments", &seen.arguments), ("result", &seen.result), ("error", &seen.error_text)]
        {
            match raw {
                Raw::Absent => {}
                Raw::Cut => write!(out, " {what} cut").unwrap(),
                Raw::Deep => write!(out, " {what} too deep").unwrap(),
                Raw::Unread => write!(out, " {what} unread").unwrap(),
                Raw::Whole(b) if b.len() <= 100 => {
                    write!(out, " {what} {}", String::from_utf8_lossy(b)).unwrap();
                }
                Raw::Whole(b) => write!(out, " {what} of {} bytes", b.len()).unwrap(),
            }
        }
        out
    }

    /// The golden form: what all spans share first, then a block for each span.
    pub(crate) fn golden(&self) -> String {
        let common = common(&self.spans);
        let mut out = format!("resource\n  {}\n", self.resource);
        let shared = attributes(&self.spans[0].attributes, |a| common.contains_key(&a.key));
        writeln!(out, "all spans\n  {shared}").unwrap();
        let mut names = Names::default();
        for span in &self.spans {
            out.push('\n');
            self.block(span, &common, &mut names, &mut out);
        }
        self.handed_back(&mut names, &mut out);
        out.push_str(&nonzero(&format!("\n{:#?}\n", self.counts)));
        out
    }

    /// What servers handed back, by the ids that they gave; traces are those above.
    fn handed_back(&self, names: &mut Names, out: &mut String) {
        let mut before = "";
        for (from, span) in &self.handed_back {
            if from != before {
                writeln!(out, "\nhanded back by {from}").unwrap();
                before = from;
            }
            let ms = |at: Nanos| (at - self.base) as f64 / 1e6;
            let parent = match span.parent_span_id.as_slice() {
                [] => "root".to_owned(),
                id => format!("under {}", hex(id)),
            };
            writeln!(
                out,
                "\n{}\n  kind {} {:.3} to {:.3} ms, status {}, trace {} span {} {parent}, flags {:x}",
                span.name,
                span.kind,
                ms(span.start_time_unix_nano),
                ms(span.end_time_unix_nano),
                span.status.as_ref().map_or(0, |status| status.code),
                names.trace(&span.trace_id),
                hex(&span.span_id),
                span.flags,
            )
            .unwrap();
            assert!(span.status.as_ref().is_none_or(|status| status.message.is_empty()));
            writeln!(out, "  {}", attributes(&span.attributes, |_| true)).unwrap();
            for event in &span.events {
                let told = attributes(&event.attributes, |_| true);
                writeln!(
                    out,
                    "  event {} at {:.3} ms {told}",
                    event.name,
                    ms(event.time_unix_nano)
                )
                .unwrap();
            }
            let seen = self.seen(span);
            if !seen.is_empty() {
                writeln!(out, "  content{seen}").unwrap();
            }
        }
    }

    fn block(
        &self,
        span: &Span,
        common: &BTreeMap<String, String>,
        names: &mut Names,
        out: &mut String,
    ) {
        let ms = |at: Nanos| (at - self.base) as f64 / 1e6;
        let status = span.status.as_ref().unwrap();
        assert_eq!(status.message, "", "error texts are content");
        let own = names.span(&span.trace_id, &span.span_id);
        let parent = match span.parent_span_id.as_slice() {
            [] => "root".to_owned(),
            id => format!("under {}", hex(id)),
        };
        writeln!(
            out,
            "{}\n  {} {:.3} to {:.3} ms, {}, {own} {parent}, flags {:x}{}",
            span.name,
            SpanKind::try_from(span.kind).unwrap().as_str_name(),
            ms(span.start_time_unix_nano),
            ms(span.end_time_unix_nano),
            ["UNSET", "OK", "ERROR"][status.code as usize],
            span.flags,
            if span.trace_state.is_empty() {
                String::new()
            } else {
                format!(", state {}", span.trace_state)
            },
        )
        .unwrap();
        writeln!(out, "  {}", attributes(&span.attributes, |a| !common.contains_key(&a.key)))
            .unwrap();
        for event in &span.events {
            let at = ms(event.time_unix_nano);
            let told = attributes(&event.attributes, |_| true);
            writeln!(out, "  event {} at {at:.3} ms {told}", event.name).unwrap();
        }
        for link in &span.links {
            let to = names.span(&link.trace_id, &link.span_id);
            let told = attributes(&link.attributes, |_| true);
            writeln!(out, "  link to {to}, flags {:x} {told}", link.flags).unwrap();
        }
        let seen = self.seen(span);
        if !seen.is_empty() {
            writeln!(out, "  content{seen}").unwrap();
        }
    }
}

/// Counts without the lines and groups that say nothing.
fn nonzero(counts: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for line in counts.split_inclusive('\n').filter(|line| !line.ends_with(": 0,\n")) {
        let empty = line.trim() == "}," && kept.last().is_some_and(|last| last.ends_with(" {\n"));
        if empty {
            kept.pop();
        } else {
            kept.push(line);
        }
    }
    kept.concat()
}

/// Readable stand-ins for random ids, in order of appearance.
#[derive(Default)]
struct Names {
    traces: HashMap<Vec<u8>, usize>,
    spans: HashMap<Vec<u8>, usize>,
}

impl Names {
    fn trace(&mut self, trace: &[u8]) -> usize {
        let next = self.traces.len() + 1;
        *self.traces.entry(trace.to_vec()).or_insert(next)
    }

    fn span(&mut self, trace: &[u8], span: &[u8]) -> String {
        let trace = self.trace(trace);
        let next = self.spans.len() + 1;
        let span = *self.spans.entry(span.to_vec()).or_insert(next);
        format!("trace {trace} span {span}")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn value(attribute: &KeyValue) -> String {
    text(attribute.value.as_ref().unwrap().value.as_ref().unwrap())
}

fn text(value: &Value) -> String {
    match value {
        Value::StringValue(s) => s.clone(),
        Value::IntValue(n) => n.to_string(),
        Value::DoubleValue(n) => n.to_string(),
        Value::BoolValue(b) => b.to_string(),
        Value::ArrayValue(array) => {
            let items = array.values.iter().map(|v| text(v.value.as_ref().unwrap()));
            format!("[{}]", items.collect::<Vec<_>>().join(","))
        }
        other => panic!("no span has {other:?}"),
    }
}

fn attributes(all: &[KeyValue], which: impl Fn(&KeyValue) -> bool) -> String {
    let chosen = all.iter().filter(|a| which(a));
    chosen.map(|a| format!("{}={}", a.key, value(a))).collect::<Vec<_>>().join(" ")
}

fn common(spans: &[Span]) -> BTreeMap<String, String> {
    let has = |span: &Span, a: &KeyValue| span.attributes.contains(a);
    let first = spans[0].attributes.iter();
    let shared = first.filter(|a| spans.iter().all(|span| has(span, a)));
    shared.map(|a| (a.key.clone(), value(a))).collect()
}

/// A file of the recordings, or of what is expected of them.
pub(crate) fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

/// One connected trace for each answer with spans: the client's span, which is not here; the tap's under
/// it; the server's root beside that, and everything else below the root.
pub(crate) fn check_connected(output: &Output) {
    let claimed = |span: &Span, key| span.attributes.iter().find(|a| a.key == key).map(value);
    for (_, span) in &output.handed_back {
        let same_call = |other: &&Span| {
            other.trace_id == span.trace_id
                && claimed(other, names::REQUEST_ID) == claimed(span, names::REQUEST_ID)
        };
        let call = output.spans.iter().find(same_call).expect("its call is there");
        assert_eq!(claimed(span, names::PASSBACK).as_deref(), Some("true"));
        let parent = &span.parent_span_id;
        let siblings = output.handed_back.iter().map(|(_, other)| other);
        let below = siblings
            .filter(|other| other.trace_id == span.trace_id)
            .any(|other| other.span_id == *parent);
        assert!(below || *parent == call.parent_span_id, "{} hangs on nothing", span.name);
        assert!(span.start_time_unix_nano >= call.start_time_unix_nano - 2_000_000);
        assert!(span.end_time_unix_nano <= call.end_time_unix_nano + 2_000_000);
    }
}

/// Compares with the golden file of that name, or writes it anew if that is asked for.
pub(crate) fn check(name: &str, output: &Output) {
    let file = data(&format!("golden/{name}.txt"));
    let golden = output.golden();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &golden).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    for (i, (got, want)) in golden.lines().zip(expected.lines()).enumerate() {
        assert_eq!(got, want, "{} line {}", file.display(), i + 1);
    }
    assert_eq!(golden, expected);
}
