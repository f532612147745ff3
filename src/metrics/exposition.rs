//! Writes metrics in Prometheus' text format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! Counters end in `_total`, whatever they are called where they are declared; other names stay as they are. What a
//! label's name may not hold there, such as a dot, becomes an underscore. Reads and serves nothing.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::{Buckets, Family, Kind, Labels, Reading};

/// The media type of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics that has room for so many bytes. A metric that finds no room is left out whole: half of one would
/// be taken for all of it.
#[derive(Debug)]
pub struct Exposition {
    text: String,
    room: usize,
    left_out: usize,
}

/// A page that is done.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// Holds what it says.
    pub text: String,
    /// Says how many metrics had no room on it.
    pub left_out: usize,
}

impl Exposition {
    /// An empty page with so much room, in bytes.
    pub fn within(room: usize) -> Self {
        Exposition { text: String::new(), room, left_out: 0 }
    }

    /// Writes a metric with all of its series.
    pub fn family(&mut self, family: &Family) {
        let info = &family.info;
        let (name, kind) = match info.kind {
            Kind::Counter => (format!("{}_total", info.name), "counter"),
            Kind::Gauge => (info.name.to_owned(), "gauge"),
            Kind::Histogram(_) => (info.name.to_owned(), "histogram"),
        };
        let begun = self.text.len();
        self.head(&name, kind, info.help);
        for (labels, reading) in &family.series {
            let labels = pairs(labels);
            match reading {
                Reading::Counter(n) => self.sample(&name, &labels, n),
                Reading::Gauge(n) => self.sample(&name, &labels, n),
                Reading::Ratio(n) | Reading::Seconds(n) => self.sample(&name, &labels, Number(*n)),
                Reading::Histogram(buckets) => self.buckets(&name, &labels, buckets),
            }
            if self.text.len() > self.room {
                break;
            }
        }
        self.keep_from(begun);
    }

    /// Writes a gauge that is always 1 and tells by its labels: `target_info`, which says what a process is
    /// (OpenTelemetry's "Prometheus and OpenMetrics Compatibility").
    pub fn told<'a>(
        &mut self,
        name: &str,
        help: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        let begun = self.text.len();
        self.head(name, "gauge", help);
        self.sample(name, &joined(labels), 1);
        self.keep_from(begun);
    }

    /// Returns the page.
    pub fn done(self) -> Page {
        Page { text: self.text, left_out: self.left_out }
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        write(&mut self.text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl fmt::Display) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        write(&mut self.text, format_args!("{name}{labels} {value}\n"));
    }

    fn buckets(&mut self, name: &str, labels: &str, buckets: &Buckets) {
        let comma = if labels.is_empty() { "" } else { "," };
        let bounds = buckets.bounds.iter().copied().chain([f64::INFINITY]);
        let mut so_far = 0;
        for (bound, count) in bounds.zip(&buckets.counts) {
            so_far += count;
            let bound = Number(bound);
            self.sample(
                &format!("{name}_bucket"),
                &format!("{labels}{comma}le=\"{bound}\""),
                so_far,
            );
        }
        self.sample(&format!("{name}_sum"), labels, Number(buckets.sum));
        self.sample(&format!("{name}_count"), labels, so_far);
    }

    /// Takes back what was written from there on, if it is more than there is room for.
    fn keep_from(&mut self, begun: usize) {
        if self.text.len() > self.room {
            self.text.truncate(begun);
            self.left_out += 1;
        }
    }
}

/// A number as Go reads it.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            n if n.is_nan() => f.write_str("NaN"),
            n => write!(f, "{n}"),
        }
    }
}

/// The labels of a series, whose names we chose.
fn pairs(labels: &Labels) -> String {
    let pair = |(name, value): &(&str, String)| format!("{}=\"{}\"", usable(name), escaped(value));
    labels.iter().map(pair).collect::<Vec<_>>().join(",")
}

/// Labels whose names somebody else chose: of those that become one name, the values are joined, as OpenTelemetry's
/// specification asks.
fn joined<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in labels {
        all.entry(usable(name))
            .and_modify(|known| {
                known.push(';');
                known.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    let pair = |(name, value): (&String, &String)| format!("{name}=\"{}\"", escaped(value));
    all.iter().map(pair).collect::<Vec<_>>().join(",")
}

/// A label's name in the alphabet of the format, where no two underscores stand side by side: names that begin with two
/// are Prometheus' own.
fn usable(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        out.push_str("key_");
    }
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '_' };
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    out
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn write(text: &mut String, what: fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    text.write_fmt(what).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Counter, Gauge, Histogram, Metric, Metrics, Ratio};

    static SENT: Metric<Counter> = Metric::counter("a_sent", "{item}", "Items \\ sent\nby us");
    static LEVEL: Metric<Gauge> = Metric::gauge("b_level", "By", "Bytes held");
    static PART: Metric<Ratio> = Metric::ratio("bb_part", "1", "Part left");
    static TOOK: Metric<Histogram> =
        Metric::histogram("c_seconds", "s", "Time taken", &[0.01, 1.0, 300.0]);

    fn page(metrics: &Metrics, room: usize) -> Page {
        let mut exposition = Exposition::within(room);
        metrics.read().iter().for_each(|family| exposition.family(family));
        exposition.done()
    }

    #[test]
    fn each_kind_is_written_as_the_format_asks() {
        let metrics = Metrics::default();
        metrics.counter(&SENT, &[("exporter", "otlp/a"), ("otel.signal", "traces")]).add(3);
        metrics.counter(&SENT, &[("exporter", "a\\b\"c\nd"), ("otel.signal", "logs")]);
        metrics.gauge(&LEVEL, &[]).set(-7);
        metrics.ratio(&PART, &[]).set(-0.5);
        let took = metrics.histogram(&TOOK, &[("outcome", "success")]);
        [0.005, 0.5, 0.5, 1000.0].into_iter().for_each(|value| took.record(value));
        let expected = "\
# HELP a_sent_total Items \\\\ sent\\nby us
# TYPE a_sent_total counter
a_sent_total{exporter=\"a\\\\b\\\"c\\nd\",otel_signal=\"logs\"} 0
a_sent_total{exporter=\"otlp/a\",otel_signal=\"traces\"} 3
# HELP b_level Bytes held
# TYPE b_level gauge
b_level -7
# HELP bb_part Part left
# TYPE bb_part gauge
bb_part -0.5
# HELP c_seconds Time taken
# TYPE c_seconds histogram
c_seconds_bucket{outcome=\"success\",le=\"0.01\"} 1
c_seconds_bucket{outcome=\"success\",le=\"1\"} 3
c_seconds_bucket{outcome=\"success\",le=\"300\"} 3
c_seconds_bucket{outcome=\"success\",le=\"+Inf\"} 4
c_seconds_sum{outcome=\"success\"} 1001.005
c_seconds_count{outcome=\"success\"} 4
";
        let page = page(&metrics, 1 << 20);
        assert_eq!((page.text.as_str(), page.left_out), (expected, 0));
    }

    #[test]
    fn what_has_no_room_is_left_out_whole() {
        let metrics = Metrics::default();
        for n in 0..100 {
            metrics.counter(&SENT, &[("tool", &n.to_string())]).add(1);
        }
        metrics.gauge(&LEVEL, &[]).set(1);
        let page = page(&metrics, 200);
        assert_eq!(page.left_out, 1);
        assert!(page.text.starts_with("# HELP b_level ") && page.text.ends_with("b_level 1\n"));
    }

    #[test]
    fn what_a_process_is_stands_in_labels_with_names_of_the_format() {
        let mut exposition = Exposition::within(1 << 20);
        let labels = [
            ("service.name", "mcpcol"),
            ("a.b", "1"),
            ("a_b", "2"),
            ("7", "x"),
            ("a..c", "\""),
            ("", "e"),
        ];
        exposition.told("target_info", "Target metadata", labels);
        let text = exposition.done().text;
        let line = text.lines().last().unwrap();
        assert_eq!(
            line,
            "target_info{a_b=\"1;2\",a_c=\"\\\"\",key_=\"e\",key_7=\"x\",service_name=\"mcpcol\"} 1"
        );
    }

    #[test]
    fn numbers_are_those_that_go_reads() {
        let told = [1.0, 0.25, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e21];
        let told = told.map(|n| Number(n).to_string());
        assert_eq!(told, ["1", "0.25", "+Inf", "-Inf", "NaN", "1000000000000000000000"]);
    }
}
