//! Telemetry in two views: the protobuf bytes and the decoded messages, each made at most once for
//! all holders.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, metric};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message;

use super::{Nanos, SpanKey};
use crate::otlp::wire::edit;
use crate::otlp::wire::fields::Irregular;
use crate::otlp::{json, wire};

/// The three signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metric data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All three, in the order in which people list them.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    /// The word that stands in pipeline ids.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    /// The export request of this signal.
    fn request(self) -> wire::Request {
        match self {
            Signal::Traces => wire::Request::Traces,
            Signal::Metrics => wire::Request::Metrics,
            Signal::Logs => wire::Request::Logs,
        }
    }

    /// What one item is called in the Collector's metric names.
    pub fn items(self) -> &'static str {
        match self {
            Signal::Traces => "spans",
            Signal::Metrics => "metric_points",
            Signal::Logs => "log_records",
        }
    }
}

/// Decoded OTLP of one signal.
#[derive(Clone, Debug, PartialEq)]
pub enum Model {
    /// Spans, by resource.
    Traces(Vec<ResourceSpans>),
    /// Metrics, by resource.
    Metrics(Vec<ResourceMetrics>),
    /// Log records, by resource.
    Logs(Vec<ResourceLogs>),
}

/// OTLP of one signal. Clones share; [`edit`](Telemetry::edit) copies only what is shared.
#[derive(Clone, Debug)]
pub struct Telemetry(Arc<Body>);

#[derive(Debug)]
struct Body {
    signal: Signal,
    items: usize,
    // At least one of the two is set.
    wire: OnceLock<Bytes>,
    model: OnceLock<Model>,
}

impl Telemetry {
    /// Which signal it is.
    pub fn signal(&self) -> Signal {
        self.0.signal
    }

    /// How many spans, data points or log records.
    pub fn items(&self) -> usize {
        self.0.items
    }

    /// The messages, decoded at most once.
    pub fn model(&self) -> &Model {
        self.0.model.get_or_init(|| {
            let wire = self.0.wire.get().expect("a body without a model has its wire view");
            decode(self.0.signal, wire)
        })
    }

    /// The protobuf bytes of the signal's export request, encoded at most once.
    pub fn wire(&self) -> &Bytes {
        self.0.wire.get_or_init(|| {
            let model = self.0.model.get().expect("a body without a wire view has its model");
            encode(model)
        })
    }

    /// The same as bytes alone: for whoever is about to hand it to another thread. Messages are many small
    /// allocations, and freeing those of another thread is what makes them dear; so they go here.
    pub fn into_wire(self) -> Telemetry {
        if self.0.model.get().is_none() {
            return self;
        }
        Telemetry::of(self.0.signal, self.0.items, Some(self.wire().clone()), None)
    }

    /// The length of [`wire`](Self::wire) in bytes, without making it.
    pub fn wire_len(&self) -> usize {
        match self.0.wire.get() {
            Some(wire) => wire.len(),
            None => encoded_len(self.model()),
        }
    }

    /// Appends one OTLP/JSON document, without a newline.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let request = self.0.signal.request();
        if json::write(out, request, self.wire()).is_err() {
            let regular = encode(self.model());
            json::write(out, request, &regular).expect("what is encoded here is regular");
        }
    }

    /// Whether there is an attribute whose name `wanted` says yes to. Decodes nothing; says
    /// yes where only a decoder could tell.
    pub fn any_attribute(&self, wanted: &impl Fn(&[u8]) -> bool) -> bool {
        let request = self.0.signal.request();
        edit::any_attribute(request, self.wire(), wanted).unwrap_or(true)
    }

    /// The key and the start of each span, in order; no key where an id is not one. Nothing for other
    /// signals. Decodes only what cannot be read otherwise.
    pub fn spans(&self) -> Vec<(Option<SpanKey>, Nanos)> {
        if self.0.signal != Signal::Traces {
            return Vec::new();
        }
        let key = |trace: &[u8], span: &[u8]| Some((trace.try_into().ok()?, span.try_into().ok()?));
        let mut all = Vec::with_capacity(self.0.items);
        let each = |trace: &[u8], span: &[u8], start| all.push((key(trace, span), start));
        if edit::each_span(self.wire(), each).is_ok() {
            return all;
        }
        let Model::Traces(resources) = self.model() else { return Vec::new() };
        let spans = resources.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
        spans.map(|s| (key(&s.trace_id, &s.span_id), s.start_time_unix_nano)).collect()
    }

    /// Makes the changes that `change` wants to attributes of spans, without decoding. See
    /// [`edit_attributes`](edit::edit_attributes). Changes nothing where that gives up; then
    /// [`edit`](Self::edit) is the way.
    pub fn edit_attributes(
        &mut self,
        barred: &impl Fn(&[u8]) -> bool,
        change: impl FnMut(&[u8], &edit::SpanView<'_>, &mut edit::Changes) -> Result<(), Irregular>,
    ) -> Result<(), Irregular> {
        debug_assert_eq!(self.0.signal, Signal::Traces);
        if let Some(bytes) = edit::edit_attributes(self.wire(), barred, change)? {
            let bytes = Bytes::from(bytes);
            debug_assert!(wire::check(wire::Request::Traces, bytes.clone()).is_ok());
            *self = Telemetry::of(Signal::Traces, self.0.items, Some(bytes), None);
        }
        Ok(())
    }

    /// Changes the messages. Copies them only if another holder shares them; the bytes are made anew
    /// and the items counted again. The signal cannot change.
    pub fn edit(&mut self, change: impl FnOnce(&mut Model)) {
        self.model();
        let mut model = match Arc::get_mut(&mut self.0) {
            Some(body) => body.model.take().expect("decoded above"),
            None => self.model().clone(),
        };
        change(&mut model);
        debug_assert_eq!(signal_of(&model), self.0.signal);
        *self = Telemetry::from(model);
    }

    /// All of `parts` as one, joined on the wire: a repeated field of a message is its occurrences in
    /// order, so requests join by concatenation. `None` for nothing; the parts must share a signal.
    pub fn join(parts: Vec<Telemetry>) -> Option<Telemetry> {
        let signal = parts.first()?.signal();
        debug_assert!(parts.iter().all(|part| part.signal() == signal));
        if let [_] = parts.as_slice() {
            return parts.into_iter().next();
        }
        let mut wire = Vec::with_capacity(parts.iter().map(|part| part.wire().len()).sum());
        for part in &parts {
            wire.extend_from_slice(part.wire());
        }
        let items = parts.iter().map(Telemetry::items).sum();
        Some(Telemetry::of(signal, items, Some(wire.into()), None))
    }

    fn of(signal: Signal, items: usize, wire: Option<Bytes>, model: Option<Model>) -> Self {
        let body = Body { signal, items, wire: OnceLock::new(), model: OnceLock::new() };
        if let Some(bytes) = wire {
            drop(body.wire.set(bytes));
        }
        if let Some(messages) = model {
            drop(body.model.set(messages));
        }
        Telemetry(Arc::new(body))
    }
}

impl From<Model> for Telemetry {
    fn from(model: Model) -> Self {
        Telemetry::of(signal_of(&model), count(&model), None, Some(model))
    }
}

/// Only checked bytes get in, so decoding cannot fail later.
impl From<wire::Checked> for Telemetry {
    fn from(checked: wire::Checked) -> Self {
        let signal = match checked.request() {
            wire::Request::Traces => Signal::Traces,
            wire::Request::Metrics => Signal::Metrics,
            wire::Request::Logs => Signal::Logs,
        };
        Telemetry::of(signal, checked.items(), Some(checked.into_bytes()), None)
    }
}

/// What was composed decodes by construction.
impl From<wire::compose::Traces> for Telemetry {
    fn from(traces: wire::compose::Traces) -> Self {
        let (bytes, spans) = traces.into_parts();
        let bytes = Bytes::from(bytes);
        debug_assert!(wire::check(wire::Request::Traces, bytes.clone()).is_ok());
        Telemetry::of(Signal::Traces, spans, Some(bytes), None)
    }
}

fn signal_of(model: &Model) -> Signal {
    match model {
        Model::Traces(_) => Signal::Traces,
        Model::Metrics(_) => Signal::Metrics,
        Model::Logs(_) => Signal::Logs,
    }
}

fn count(model: &Model) -> usize {
    match model {
        Model::Traces(all) => all.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum(),
        Model::Logs(all) => {
            all.iter().flat_map(|r| &r.scope_logs).map(|s| s.log_records.len()).sum()
        }
        Model::Metrics(all) => all
            .iter()
            .flat_map(|r| &r.scope_metrics)
            .flat_map(|s| &s.metrics)
            .map(|m| m.data.as_ref().map_or(0, points))
            .sum(),
    }
}

fn points(data: &metric::Data) -> usize {
    match data {
        metric::Data::Gauge(d) => d.data_points.len(),
        metric::Data::Sum(d) => d.data_points.len(),
        metric::Data::Histogram(d) => d.data_points.len(),
        metric::Data::ExponentialHistogram(d) => d.data_points.len(),
        metric::Data::Summary(d) => d.data_points.len(),
    }
}

fn decode(signal: Signal, wire: &Bytes) -> Model {
    const CHECKED: &str = "bytes that passed the wire check decode";
    let wire = wire.clone();
    match signal {
        Signal::Traces => {
            Model::Traces(ExportTraceServiceRequest::decode(wire).expect(CHECKED).resource_spans)
        }
        Signal::Metrics => Model::Metrics(
            ExportMetricsServiceRequest::decode(wire).expect(CHECKED).resource_metrics,
        ),
        Signal::Logs => {
            Model::Logs(ExportLogsServiceRequest::decode(wire).expect(CHECKED).resource_logs)
        }
    }
}

/// Encodes without building the request around it: field 1 of each export request is the list.
fn encode(model: &Model) -> Bytes {
    fn all<M: Message>(list: &[M], size: usize) -> Bytes {
        let mut out = Vec::with_capacity(size);
        for message in list {
            prost::encoding::message::encode(1, message, &mut out);
        }
        out.into()
    }
    let size = encoded_len(model);
    match model {
        Model::Traces(list) => all(list, size),
        Model::Metrics(list) => all(list, size),
        Model::Logs(list) => all(list, size),
    }
}

fn encoded_len(model: &Model) -> usize {
    match model {
        Model::Traces(list) => prost::encoding::message::encoded_len_repeated(1, list),
        Model::Metrics(list) => prost::encoding::message::encoded_len_repeated(1, list),
        Model::Logs(list) => prost::encoding::message::encoded_len_repeated(1, list),
    }
}

#[cfg(test)]
mod tests;
