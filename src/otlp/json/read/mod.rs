//! The messages of OTLP from JSON objects, in the order of the .proto files.
//!
//! Recursion is bounded by the reader's limit on nesting, which is stricter than protobuf's: what was
//! read here can be encoded and decoded again. What lists may take in memory is bounded by the document's
//! own size.

mod common;
mod logs;
mod metrics;
mod traces;

use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

use super::Error;
use super::input::Reader;
use super::members::{Result, list, members};

pub(super) use self::common::{array_value, key_value_list};
pub(super) use self::traces::{span_kind, status_code};

/// Reads a `TracesData` document, which is also the body of an export request.
pub fn read_traces(json: &[u8]) -> std::result::Result<Vec<ResourceSpans>, Error> {
    document(json, "resourceSpans", traces::resource_spans)
}

/// Reads a `MetricsData` document.
pub fn read_metrics(json: &[u8]) -> std::result::Result<Vec<ResourceMetrics>, Error> {
    document(json, "resourceMetrics", metrics::resource_metrics)
}

/// Reads a `LogsData` document.
pub fn read_logs(json: &[u8]) -> std::result::Result<Vec<ResourceLogs>, Error> {
    document(json, "resourceLogs", logs::resource_logs)
}

/// Whether a document has members but not `known`, which is all that it may have: it says something, and
/// nothing of it is OTLP. `false` for what is no object.
pub fn is_strange(json: &[u8], known: &str) -> bool {
    let mut r = Reader::new(json);
    let (mut named, mut others) = (false, false);
    let read = members(&mut r, |_, key| {
        named |= key == known.as_bytes();
        others |= key != known.as_bytes();
        Ok(false)
    });
    read.is_ok() && others && !named
}

/// The one list that a document of each signal has.
fn document<'a, T>(
    json: &'a [u8],
    name: &str,
    item: impl Fn(&mut Reader<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut r = Reader::new(json);
    let mut all = Vec::new();
    members(&mut r, |r, key| {
        let known = key == name.as_bytes();
        if known {
            all = list(r, &item)?;
        }
        Ok(known)
    })?;
    r.end()?;
    Ok(all)
}
