//! Writes what the objectives say as OTLP: metrics, cumulative since each series began, and log records of alerts.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value as Any,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::notice::Notice;
use super::shown::{Shown, number, of_key};
use super::time::Moment;
use crate::metrics::{Info, OVERFLOW, names};
use crate::otlp::wire::compose::{
    About, LogRecords, Logs, Metrics, NumberPoint, ScopeMetrics, Temporality, Value,
};
use crate::pipeline::surroundings;
use crate::slo::engine::{Engine, Key, Row};
use crate::slo::objective::Objective;
use crate::slo::words::exact;
use crate::telemetry::Nanos;
use crate::telemetry::names::{SCOPE, SERVICE_NAME, SERVICE_VERSION};

/// The most series in one request: servers refuse requests of more than 4 MiB, as gRPC does by default, and a series
/// has about twenty points.
const MOST: usize = 100;

/// Writes all series of an engine, as they were shown last.
pub(super) fn metrics(engine: &Engine, shown: &Shown, now: Moment) -> Vec<Metrics> {
    let entries = engine.entries();
    let rows = |rows: &[Row]| {
        let (resource, scope) = origin();
        let mut out = ScopeMetrics::of(&resource, &scope, rows.len() * 2_000);
        let all: Vec<_> = rows.iter().map(|row| (&entries[row.objective].objective, row)).collect();
        write(&mut out, &all, shown, engine.now(), now);
        out.finish()
    };
    engine.rows().chunks(MOST).map(rows).collect()
}

/// A series and its objective.
type Of<'a> = (&'a Objective, &'a Row);

fn write(out: &mut ScopeMetrics, rows: &[Of<'_>], shown: &Shown, now: u64, moment: Moment) {
    let wall = moment.wall;
    let begun = |row: &Row| {
        let age = now.saturating_sub(row.series.since).saturating_mul(1_000_000_000);
        wall.saturating_sub(age)
    };
    for (info, bad) in [(names::SLO_EVENTS.info(), false), (names::SLO_BAD.info(), true)] {
        let points = rows.iter().filter_map(|of| {
            let counters = shown.counters(&of.0.name, &of.1.key)?;
            let counter = if bad { &counters.bad } else { &counters.events };
            Some((*of, counter.get()))
        });
        out.sum(about(info), Temporality::Cumulative, true, points, |point, ((of, row), n)| {
            point.times(begun(row), wall);
            point.int(i64::try_from(n).unwrap_or(i64::MAX));
            labels(point, of, &row.key);
        });
    }
    out.gauge(about(names::SLO_BUDGET_REMAINING.info()), rows, |point, (of, row)| {
        point.times(0, wall);
        point.double(of.budget_left(row.series.whole(of)));
        labels(point, of, &row.key);
    });
    out.gauge(about(names::SLO_COVERAGE.info()), rows, |point, (of, row)| {
        point.times(0, wall);
        point.double(row.series.coverage(of, now));
        labels(point, of, &row.key);
    });
    let burns = rows.iter().flat_map(|(of, row)| {
        let windows = row.series.all_windows(of).into_iter();
        windows.filter_map(|w| Some((*of, *row, exact(w.length), w.counts.burn(of.budget)?)))
    });
    out.gauge(about(names::SLO_BURN_RATE.info()), burns, |point, (of, row, length, burn)| {
        point.times(0, wall);
        point.double(burn);
        labels(point, of, &row.key);
        point.attribute("window", Value::Text(&length));
    });
    let states = rows.iter().flat_map(|(of, row)| {
        of.rules
            .iter()
            .zip(row.series.states(of))
            .map(move |(rule, state)| (*of, *row, rule, state.0))
    });
    out.gauge(about(names::SLO_ALERT_STATE.info()), states, |point, (of, row, rule, state)| {
        point.times(0, wall);
        point.int(number(state));
        labels(point, of, &row.key);
        point.attribute("rule", Value::Text(&rule.id));
        point.attribute("severity", Value::Text(rule.severity.name()));
    });
}

fn about(info: &Info) -> About<'_> {
    About { name: info.name, description: info.help, unit: info.unit }
}

fn labels(point: &mut NumberPoint<'_>, of: &Objective, key: &Key) {
    point.attribute("slo", Value::Text(&of.name));
    for (label, value) in of_key(key) {
        let value = if label == OVERFLOW.0 { Value::Bool(true) } else { Value::Text(value) };
        point.attribute(label, value);
    }
}

/// Writes log records of these alerts.
pub(super) fn logs(notices: &[Notice], wall: Nanos) -> Logs {
    let (resource, scope) = origin();
    let mut out = LogRecords::of(&resource, &scope, notices.len() * 1_000);
    for notice in notices {
        out.add(|record| notice.write(record, wall));
    }
    out.finish()
}

/// The process, and the scope of what it makes.
fn origin() -> (Resource, InstrumentationScope) {
    let version = env!("CARGO_PKG_VERSION");
    let ours = [(SERVICE_NAME, SCOPE), (SERVICE_VERSION, version)];
    let around = surroundings().iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let attributes = ours
        .into_iter()
        .chain(around)
        .map(|(key, value)| {
            let value = Some(AnyValue { value: Some(Any::StringValue(value.to_owned())) });
            KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
        })
        .collect();
    let resource = Resource { attributes, ..Resource::default() };
    let scope = InstrumentationScope {
        name: SCOPE.to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    (resource, scope)
}
