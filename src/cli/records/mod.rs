//! Reads recorded telemetry, for all commands that do: finds the files of their sources and hands out what is in them.
//!
//! Files are OTLP JSON lines, as taps, the `file` exporter and the Collector's file exporter write them. Nothing here
//! prints what was read, and nothing asks a process: that would be another source of the same.

pub(super) mod record;
pub(super) mod backwards;
pub(super) mod sources;
pub(super) mod place;
pub(super) mod ends;
pub(super) mod stream;
pub(super) mod lines;
pub(super) mod selection;
pub(super) mod spans;
pub(super) mod findings;
