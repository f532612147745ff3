//! `mcpcol redact`: takes secrets out of text and of OTLP JSON lines, as the redaction processor does.
//!
//! Each line that is an OTLP/JSON document stays one; all else is text, line by line, a key in PEM as a whole. It
//! knows no secrets by their values, as a tap does.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

use super::config_args::Loading;
use crate::config::{Opens, Options, Sources};
use crate::metrics::{Metrics, Sample};
use crate::otlp::{Messages, Request, json, wire};
use crate::pipeline::{
    Accounts, Build, ComponentConfig, Flow, Id, Pass, Processor, ProcessorConfig, Shared,
};
use crate::processors::redaction;
use crate::telemetry::{Batch, Clock, Signal, Telemetry};

/// The longest line, in bytes: what is longer is looked at in pieces.
const MAX_LINE: usize = 16 << 20;
/// Says how many lines of a key in PEM are looked at as one text.
const MAX_PEM_LINES: usize = 500;

/// Mask secrets in text or in OTLP JSON lines, as the redaction processor does
#[derive(Debug, clap::Args)]
pub(super) struct Redact {
    /// Take the settings of the redaction processor in this configuration; default: those of `redaction: {}`
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// Say on stderr which rule matched where; never what
    #[arg(long)]
    explain: bool,
    /// Print no text; exit 1 if anything was found
    #[arg(long)]
    check: bool,
    /// The text; `-` or nothing for stdin
    file: Option<PathBuf>,
}

impl Redact {
    /// Reads to the end and prints what it reads without secrets. Exit code 1 where `--check` finds any.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (out, err) = (&mut io::stdout().lock(), &mut io::stderr().lock());
        let accounts = Accounts::default();
        let Some(processor) = self.processor(&accounts)? else { return Ok(ExitCode::from(2)) };
        let redacting = Redacting::new(processor, accounts.metrics().clone());
        let found = match self.file.as_deref().filter(|file| file.as_os_str() != "-") {
            None => self.print(redacting, io::stdin().lock(), out, err)?,
            Some(file) => match File::open(file) {
                Ok(text) => self.print(redacting, BufReader::new(text), out, err)?,
                Err(why) => {
                    writeln!(err, "mcpcol: cannot open `{}`: {why}", file.display())?;
                    return Ok(ExitCode::from(2));
                }
            },
        };
        Ok(if self.check && found > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// Makes the processor; `None` for a configuration that cannot run, after what is wrong was said.
    fn processor(&self, accounts: &Accounts) -> anyhow::Result<Option<Box<dyn Processor>>> {
        let (id, shared) = (Id::parse("redaction").map_err(anyhow::Error::msg)?, Shared::default());
        let cx = |base| Build::alone(&id, accounts, Clock::start(), base, &shared);
        let Some(file) = &self.config else {
            let config = redaction::Config::default();
            return config.build(&cx(Path::new(""))).map(Some);
        };
        let sources = Sources { config: vec![file.clone()], set: Vec::new() };
        let options = Options { opens: Opens::Nothing, ..Options::default() };
        let loading = Loading { sources: &sources, options: &options, flags: None };
        let Some(plan) = loading.load()? else { return Ok(None) };
        let mut of_kind = plan.processors.iter().filter(|p| p.kind == redaction::Config::NAME);
        match (of_kind.next(), of_kind.next()) {
            (Some(one), None) => one.config.build(&cx(&plan.base)).map(Some),
            (None, _) => anyhow::bail!("no pipeline of `{file}` has a redaction processor"),
            (Some(_), Some(_)) => {
                anyhow::bail!(
                    "`{file}` has several redaction processors; make a file with the one that is meant"
                )
            }
        }
    }

    fn print(
        &self,
        mut redacting: Redacting,
        mut text: impl BufRead,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> anyhow::Result<u64> {
        let mut number = 0;
        loop {
            let mut line = read_line(&mut text)?;
            if line.is_empty() {
                break;
            }
            let first = number + 1;
            number += 1;
            while opens_a_key(&line) && number - first < MAX_PEM_LINES && line.len() < MAX_LINE {
                let more = read_line(&mut text)?;
                if more.is_empty() {
                    break;
                }
                number += 1;
                line.extend_from_slice(&more);
            }
            let redacted = redacting.line(&line);
            if !self.check {
                out.write_all(&redacted)?;
            }
            if self.explain {
                redacting.explain(first, err)?;
            } else {
                redacting.findings.clear();
            }
        }
        out.flush()?;
        Ok(redacting.found)
    }
}

/// Reads one line with its end, or as much as a line may have.
fn read_line(text: &mut impl BufRead) -> anyhow::Result<Vec<u8>> {
    let mut line = Vec::new();
    io::Read::take(text, MAX_LINE as u64)
        .read_until(b'\n', &mut line)
        .context("cannot read the input")?;
    Ok(line)
}

/// Tells whether a key in PEM begins in a text and does not end in it.
fn opens_a_key(text: &[u8]) -> bool {
    let last = |mark: &[u8]| memchr::memmem::rfind(text, mark);
    let (begin, end) = (last(b"-----BEGIN "), last(b"-----END "));
    begin.is_some_and(|begin| {
        end.is_none_or(|end| end < begin)
            && memchr::memmem::find(&text[begin..], b"PRIVATE KEY-----").is_some()
    })
}

/// Redacts one line after the other, and remembers what was found.
struct Redacting {
    processor: Box<dyn Processor>,
    metrics: Metrics,
    /// Holds the counters as they stood last, by rule and place.
    counted: BTreeMap<(String, String), i128>,
    /// Lists the matches that were not told yet.
    findings: Vec<Finding>,
    found: u64,
}

/// One rule at one place of one item.
struct Finding {
    rule: String,
    place: String,
    times: i128,
    /// The id of the span; empty for what is none.
    span: String,
}

impl Redacting {
    fn new(processor: Box<dyn Processor>, metrics: Metrics) -> Self {
        Redacting { processor, metrics, counted: BTreeMap::new(), findings: Vec::new(), found: 0 }
    }

    fn line(&mut self, line: &[u8]) -> Vec<u8> {
        let end = line.trim_ascii_end().len();
        match document(&line[..end]) {
            Some(telemetry) => {
                let mut out = Vec::new();
                self.document(telemetry).write_json(&mut out);
                out.extend_from_slice(&line[end..]);
                out
            }
            None => self.text(line),
        }
    }

    /// Redacts a document item by item, so that each match has its span.
    fn document(&mut self, telemetry: Telemetry) -> Telemetry {
        let whole = telemetry.clone();
        let parts: Vec<Telemetry> =
            telemetry.split(1).into_iter().map(|part| self.pass(part)).collect();
        // Without items there is nothing to split, but there may be a resource.
        if parts.is_empty() { self.pass(whole) } else { Telemetry::join(parts).unwrap_or(whole) }
    }

    /// Redacts text as the body of a log record.
    fn text(&mut self, line: &[u8]) -> Vec<u8> {
        let end = line.strip_suffix(b"\n").map_or(line.len(), <[u8]>::len);
        let text = String::from_utf8_lossy(&line[..end]).into_owned();
        let body = Some(AnyValue { value: Some(any_value::Value::StringValue(text)) });
        let log_records = vec![LogRecord { body, ..LogRecord::default() }];
        let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
        let logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
        let told = self.findings.len();
        let redacted = self.pass(Messages::Logs(logs).into()).messages();
        // That it was a record's body for a moment is nothing to tell.
        let new = self.findings[told..].iter_mut();
        let of_body = new.filter(|finding| finding.place.starts_with("log_record."));
        of_body.for_each(|finding| finding.place = "text".to_owned());
        let mut out = body_of(redacted).unwrap_or_default().into_bytes();
        out.extend_from_slice(&line[end..]);
        out
    }

    fn pass(&mut self, telemetry: Telemetry) -> Telemetry {
        let mut pass = Pass::new(0);
        match self.processor.process(Batch::new(telemetry), &mut pass) {
            Flow::Pass(batch) => {
                pass.entrust(&batch.receipt);
                self.note(&batch.telemetry);
                batch.telemetry
            }
            Flow::Done(_) | Flow::Refused(..) => {
                unreachable!("redaction passes all that it is given")
            }
        }
    }

    /// Notes what the counters say that they did not say before.
    fn note(&mut self, telemetry: &Telemetry) {
        let mut span = String::new();
        if telemetry.signal() == Signal::Traces {
            telemetry.each_item(|item| {
                span = item.own.ids().1.iter().map(|b| format!("{b:02x}")).collect()
            });
        }
        for Sample { labels, value, .. } in self.metrics.samples() {
            let label = |name: &str| {
                labels.iter().find(|(label, _)| *label == name).map(|(_, value)| value.clone())
            };
            let (rule, place) = match (label("rule"), label("place"), label("reason")) {
                (Some(rule), Some(place), _) => (rule, place),
                (_, _, Some(reason)) => ("unscanned".to_owned(), reason),
                _ => continue,
            };
            let before = self.counted.insert((rule.clone(), place.clone()), value).unwrap_or(0);
            let times = value - before;
            if times > 0 {
                self.found += 1;
                self.findings.push(Finding { rule, place, times, span: span.clone() });
            }
        }
    }

    /// Says what was found in the line of that number.
    fn explain(&mut self, line: usize, err: &mut impl Write) -> io::Result<()> {
        for Finding { rule, place, times, span } in self.findings.drain(..) {
            let of = if span.is_empty() { String::new() } else { format!("  span {span}") };
            let times = if times > 1 { format!("  {times} times") } else { String::new() };
            writeln!(err, "line {line:<5} {rule:<16} {place}{of}{times}")?;
        }
        Ok(())
    }
}

/// Reads a line that is an OTLP/JSON document; `None` for any other.
fn document(line: &[u8]) -> Option<Telemetry> {
    if !line.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    [Request::Traces, Request::Metrics, Request::Logs].into_iter().find_map(|request| {
        if json::is_strange(request, line) {
            return None;
        }
        let bytes = json::read(request, line).ok().filter(|bytes| !bytes.is_empty())?;
        let checked = wire::check(request, bytes.into()).ok()?.repaired().ok()?;
        Some(Telemetry::from(checked))
    })
}

fn body_of(messages: Messages) -> Option<String> {
    let Messages::Logs(mut all) = messages else { return None };
    let record = all.pop()?.scope_logs.pop()?.log_records.pop()?;
    match record.body?.value? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> String {
        ["gh", "p_", "A1b2C3d4E5f6", "G7h8I9j0K1l2", "M3n4O5p6Q7r8"].concat()
    }

    /// Runs the command over a text; returns its stdout, its stderr, and how much it found.
    fn answer(explain: bool, check: bool, text: &str) -> (String, String, u64) {
        let command = Redact { config: None, explain, check, file: None };
        let accounts = Accounts::default();
        let processor = command.processor(&accounts).unwrap().unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let redacting = Redacting::new(processor, accounts.metrics().clone());
        let found = command.print(redacting, text.as_bytes(), &mut out, &mut err).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), found)
    }

    #[test]
    fn text_stays_text_line_by_line() {
        let token = token();
        let text = format!("clean\r\na {token}\n\n{{\"t\":\"{token}\"}}\nno end {token}");
        let expected = "clean\r\na [REDACTED:github]\n\n{\"t\":\"[REDACTED:github]\"}\nno end [REDACTED:github]";
        assert_eq!(answer(false, false, &text), (expected.into(), String::new(), 3));
        assert_eq!(answer(false, false, expected).2, 0);
    }

    #[test]
    fn a_key_is_taken_out_as_a_whole() {
        let mark = |what: &str| ["-----", what, " RSA PRIVATE", " KEY-----"].concat();
        let text = format!("before\n{}\nabc\ndef\n{}\nbehind\n", mark("BEGIN"), mark("END"));
        let (out, _, found) = answer(false, false, &text);
        assert_eq!((&*out, found), ("before\n[REDACTED:private_key]\nbehind\n", 1));
        let cut = format!("{}\nabc\ndef", mark("BEGIN"));
        assert_eq!(answer(false, false, &cut).0, "[REDACTED:private_key]");
    }

    #[test]
    fn documents_stay_documents_and_each_match_has_its_span() {
        let token = token();
        let span = |id: &str, name: &str| {
            format!(
                r#"{{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"{id}","name":"{name}"}}"#
            )
        };
        let line = |names: [&str; 2]| {
            let spans =
                [span("0102030405060701", names[0]), span("0102030405060702", names[1])].join(",");
            format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{spans}]}}]}}]}}\n")
        };
        let (out, err, found) = answer(true, false, &line(["clean", &token]));
        assert!(!out.contains(&token) && out.starts_with("{\"resourceSpans\":["), "{out}");
        assert_eq!(err, "line 1     github           span.name  span 0102030405060702\n");
        assert_eq!(found, 1);
        assert!(
            out.contains("0102030405060701") && out.ends_with("}\n") && out.lines().count() == 1
        );
    }

    #[test]
    fn matches_in_text_are_told_by_line() {
        let (_, err, found) = answer(true, true, &format!("clean\n{} {}\n", token(), token()));
        assert_eq!((&*err, found), ("line 2     github           text  2 times\n", 1));
    }

    #[test]
    fn a_check_prints_nothing() {
        assert_eq!(answer(false, true, &token()), (String::new(), String::new(), 1));
        assert_eq!(answer(false, true, "clean").2, 0);
    }
}
