//! Which items a backend can take, as far as their ids go: the rule of the wire check, for messages
//! that are already decoded.
//!
//! A span needs both of its ids, of the right length and not zero (trace.proto). Every other id may be
//! missing, but one of another length makes strict backends refuse the whole request it travels in.

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Exemplar;
use opentelemetry_proto::tonic::trace::v1::Span;

/// Bytes of a trace id.
pub const TRACE_ID: usize = 16;

/// Bytes of a span id.
pub const SPAN_ID: usize = 8;

/// Whether the ids of a span and of its links are usable.
pub fn span(span: &Span) -> bool {
    given(&span.trace_id, TRACE_ID)
        && given(&span.span_id, SPAN_ID)
        && absent_or(&span.parent_span_id, SPAN_ID)
        && span.links.iter().all(|link| pair(&link.trace_id, &link.span_id))
}

/// Whether the ids of a log record are usable.
pub fn log_record(record: &LogRecord) -> bool {
    pair(&record.trace_id, &record.span_id)
}

/// Whether the ids of a data point's exemplars are usable.
pub fn exemplars(exemplars: &[Exemplar]) -> bool {
    exemplars.iter().all(|exemplar| pair(&exemplar.trace_id, &exemplar.span_id))
}

/// Whether an id is there: of that length and not all zero.
pub(super) fn given(id: &[u8], len: usize) -> bool {
    id.len() == len && id.iter().any(|b| *b != 0)
}

/// Whether an id is missing or of that length.
pub(super) fn absent_or(id: &[u8], len: usize) -> bool {
    id.is_empty() || id.len() == len
}

fn pair(trace: &[u8], span: &[u8]) -> bool {
    absent_or(trace, TRACE_ID) && absent_or(span, SPAN_ID)
}
