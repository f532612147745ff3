//! Names the members that the proposal SEP-2448, "server execution telemetry", defines. It is not adopted
//! and its key may move, so the words stand here and nowhere else in this room.

/// In `_meta`: what telemetry has to do with.
pub(super) const OTEL: &[u8] = b"otel";
/// In `otel`: the wish for spans, or the spans.
pub(super) const TRACES: &[u8] = b"traces";
/// In the wish: spans are welcome.
pub(super) const REQUEST: &[u8] = b"request";
/// In the spans: OTLP/JSON of an export request, as most servers write it and as the Collector takes it.
pub(super) const RESOURCE_SPANS: [&[u8]; 2] = [b"resourceSpans", b"resource_spans"];
/// Beside them, in no text but in the only implementation: spans are missing.
pub(super) const TRUNCATED: &[u8] = b"truncated";
/// And how many.
pub(super) const LEFT_OUT: &[u8] = b"droppedSpanCount";
/// In `_meta` and in what is posted to us: the context that the request had.
pub(super) const TRACEPARENT: &[u8] = b"traceparent";
