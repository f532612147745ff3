//! Shows statistics to people, as a table, or to programs, as one JSON object.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::InFlight;
use crate::calls::{By, Figures, Key, RELATIVE_ERROR, Row};
use crate::cli::records::findings::Findings;
use crate::cli::shown::{self, millis, size, took};
use crate::cli::table::Table;
use crate::exporters::debug::Timestamp;

/// Says how the answer is told.
pub(super) struct Page {
    pub(super) by: By,
    pub(super) window: Option<Duration>,
    pub(super) colours: bool,
    /// Findings by server and session, where they were counted.
    pub(super) findings: Option<Findings>,
    /// Calls that wait for their answers, where running taps were asked.
    pub(super) in_flight: Option<InFlight>,
}

/// The quantiles that are told, with their columns.
const QUANTILES: [(f64, &str); 3] = [(0.5, ">p50"), (0.95, ">p95"), (0.99, ">p99")];

impl Page {
    /// Makes the table. Quantiles of which no row has enough calls are left out, and so is what no row has.
    pub(super) fn text(&self, rows: &[(Key, Row)], other: Option<&Row>) -> String {
        let mut lines: Vec<_> = rows.iter().map(|(key, row)| (self.names(key), key, row)).collect();
        let rest = Key { server: "(other)".into(), ..Key::default() };
        lines.extend(other.map(|row| (self.names(&rest), &rest, row)));
        let told = |part: f64| lines.iter().any(|(.., row)| row.all.quantile(part).is_some());
        let quantiles: Vec<_> = QUANTILES.into_iter().filter(|(part, _)| told(*part)).collect();
        let mut columns = self.columns().to_vec();
        columns.push(">calls");
        columns.extend(quantiles.iter().map(|(_, column)| *column));
        columns.extend([">max", ">in", ">out", ">/min"]);
        let window = self.window.map(|window| format!(">last {}", short(window)));
        columns.extend(window.as_deref());
        let findings = lines.iter().any(|(_, key, _)| self.findings(key).is_some_and(|n| n > 0));
        columns.extend(findings.then_some(">findings"));
        let waits = |key: &Key| self.in_flight(key).filter(|count| *count > 0);
        let in_flight = lines.iter().any(|(_, key, _)| waits(key).is_some());
        columns.extend(in_flight.then_some(">in flight"));
        columns.push("errors");
        let mut table = Table::new(&columns);
        for (names, key, row) in lines {
            let all = &row.all;
            let quantile = |(part, _): &(f64, &str)| all.quantile(*part).map_or("-".into(), took);
            let mut cells = names;
            cells.push(all.count.to_string());
            cells.extend(quantiles.iter().map(quantile));
            let rate = all.per_minute().map_or("-".into(), rate);
            let max = if all.count > 0 { took(all.max) } else { "-".into() };
            cells.extend([max, size(all.request_bytes), size(all.response_bytes), rate]);
            cells.extend(window.as_ref().map(|_| in_window(row.window.as_ref())));
            cells.extend(findings.then(|| self.findings(key).unwrap_or(0).to_string()));
            cells.extend(in_flight.then(|| waits(key).unwrap_or(0).to_string()));
            cells.push(errors(all));
            table.row(cells);
        }
        let errors = columns.len() - 1;
        table.painted(self.colours, move |column, _| (column == errors).then_some(31)).to_string()
    }

    fn columns(&self) -> &'static [&'static str] {
        match self.by {
            By::Server => &["server"],
            By::Tool => &["server", "tool"],
            By::Session => &["session", "server", "client"],
            By::Client => &["client", "server"],
        }
    }

    fn names(&self, key: &Key) -> Vec<String> {
        let Key { server, method, tool, session, client } = key;
        let server = shown::name(server);
        match self.by {
            By::Server => vec![server],
            By::Tool => vec![server, shown::call(method, tool)],
            By::Session => vec![shown::name(session), server, shown::name(client)],
            By::Client => vec![shown::name(client), server],
        }
    }

    /// Gives the findings of a row; `None` where they are not known.
    fn findings(&self, key: &Key) -> Option<u64> {
        let findings = self.findings.as_ref()?;
        let is_of = |(server, session): &(String, String)| {
            *server == key.server && (self.by == By::Server || *session == key.session)
        };
        Some(findings.iter().filter(|(of, _)| is_of(of)).map(|(_, count)| count).sum())
    }

    /// Counts the calls of a row that wait; `None` where they are not known.
    fn in_flight(&self, key: &Key) -> Option<u64> {
        self.in_flight.as_ref()?.of(self.by, key)
    }

    /// Makes the JSON object.
    pub(super) fn json(&self, rows: &[(Key, Row)], other: Option<&Row>) -> String {
        let window = self.window.map(|window| window.as_secs_f64());
        let rows = rows.iter().map(|(key, row)| JsonRow::of(self, key, row)).collect();
        let other = other.map(|row| Told::of(&row.all));
        let by = match self.by {
            By::Server => "server",
            By::Tool => "tool",
            By::Session => "session",
            By::Client => "client",
        };
        let all = Json { version: 1, by, relative_error: RELATIVE_ERROR, window, rows, other };
        serde_json::to_string(&all).unwrap_or_default() + "\n"
    }
}

/// Tells the errors by class, the most frequent first; nothing where there are none.
fn errors(figures: &Figures) -> String {
    let mut classes: Vec<_> = figures.classes.iter().collect();
    classes.sort_by(|a, b| b.1.cmp(a.1));
    let told = classes.iter().map(|(class, count)| format!("{count} {}", shown::name(class)));
    told.collect::<Vec<_>>().join(", ")
}

fn in_window(figures: Option<&Figures>) -> String {
    let Some(figures) = figures.filter(|figures| figures.count > 0) else { return "0".into() };
    let errors = match figures.errors {
        0 => String::new(),
        errors => format!(", {errors} failed"),
    };
    let median = figures.quantile(0.5).map_or(String::new(), |p50| format!(", p50 {}", took(p50)));
    format!("{}{errors}{median}", figures.count)
}

fn rate(per_minute: f64) -> String {
    if per_minute < 10.0 { format!("{per_minute:.1}") } else { format!("{per_minute:.0}") }
}

/// Shows a length of time as people write it.
fn short(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        _ if length.subsec_nanos() > 0 || seconds == 0 => format!("{length:?}"),
        _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// Holds what `--format json` prints. Fields are added, never changed, while `version` is the same.
#[derive(Serialize)]
struct Json<'a> {
    version: u8,
    by: &'static str,
    /// Says how far a quantile may be off, in parts of itself.
    relative_error: f64,
    /// Length of the window in seconds.
    window: Option<f64>,
    rows: Vec<JsonRow<'a>>,
    /// Holds what did not fit into the rows.
    other: Option<Told<'a>>,
}

#[derive(Serialize)]
struct JsonRow<'a> {
    server: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(flatten)]
    all: Told<'a>,
    /// Holds what was wrong on the wire; `null` where it is not known.
    findings: Option<u64>,
    /// Of those that ended in the window, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<Told<'a>>,
}

impl<'a> JsonRow<'a> {
    fn of(page: &Page, key: &'a Key, row: &'a Row) -> Self {
        let by = page.by;
        let tool = Some(key.tool.as_str()).filter(|tool| !tool.is_empty());
        let told = |told: &[By], name: &'a str| told.contains(&by).then_some(name);
        JsonRow {
            server: &key.server,
            tool: (by == By::Tool).then_some(tool),
            method: told(&[By::Tool], &key.method),
            session: told(&[By::Session], &key.session),
            client: told(&[By::Session, By::Client], &key.client),
            all: Told { in_flight: page.in_flight(key), ..Told::of(&row.all) },
            findings: page.findings(key),
            window: row.window.as_ref().map(Told::of),
        }
    }
}

#[derive(Serialize)]
struct Told<'a> {
    count: u64,
    errors: u64,
    errors_by_class: &'a BTreeMap<Box<str>, u64>,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: f64,
    request_bytes: u64,
    response_bytes: u64,
    per_minute: Option<f64>,
    doubtful: u64,
    first: Option<String>,
    last: Option<String>,
    /// Calls that wait for their answers; `null` where they are not known: records have none.
    in_flight: Option<u64>,
}

impl<'a> Told<'a> {
    fn of(figures: &'a Figures) -> Self {
        let [p50_ms, p95_ms, p99_ms] =
            QUANTILES.map(|(part, _)| figures.quantile(part).map(millis));
        let time = |time| (figures.count > 0).then(|| Timestamp(time).to_string());
        Told {
            count: figures.count,
            errors: figures.errors,
            errors_by_class: &figures.classes,
            p50_ms,
            p95_ms,
            p99_ms,
            max_ms: millis(figures.max),
            request_bytes: figures.request_bytes,
            response_bytes: figures.response_bytes,
            per_minute: figures.per_minute(),
            doubtful: figures.doubtful,
            first: time(figures.first),
            last: time(figures.last),
            in_flight: None,
        }
    }
}
