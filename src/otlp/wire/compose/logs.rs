//! Writes log records, one at a time under one resource and scope.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::attributes::{Attributes, Value};
use super::fields::{fixed32, fixed64, message_of, number, slice, text};
use super::group::{Group, give_back};

/// The field number of a log record's attributes.
const ATTRIBUTES: u32 = 6;
/// About what a record takes, in bytes.
const USUAL: usize = 300;

/// Holds an `ExportLogsServiceRequest` in the making.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    bytes: Vec<u8>,
    records: usize,
}

/// Holds log records of one resource and one scope, one after the other.
#[derive(Debug)]
pub struct LogRecords(Group);

/// Writes one log record.
#[derive(Debug)]
pub struct LogRecord<'a>(&'a mut Vec<u8>);

impl Logs {
    /// Adds another request.
    pub fn join(&mut self, other: Logs) {
        if self.bytes.is_empty() {
            *self = other;
            return;
        }
        self.records += other.records;
        self.bytes.extend_from_slice(&other.bytes);
    }

    /// Gives the bytes, and how many records are in them. No more than a little of the memory that was
    /// reserved is kept.
    pub fn into_parts(mut self) -> (Vec<u8>, usize) {
        give_back(&mut self.bytes);
        (self.bytes, self.records)
    }
}

impl LogRecords {
    /// Begins with none; they will take about `size` bytes.
    pub fn of(resource: &Resource, scope: &InstrumentationScope, size: usize) -> Self {
        LogRecords(Group::of(resource, scope, size))
    }

    /// Adds the record that `write` writes.
    pub fn add(&mut self, write: impl FnOnce(&mut LogRecord<'_>)) {
        self.0.add(USUAL, |out| write(&mut LogRecord(out)));
    }

    /// Tells how many bytes they take.
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// Ends them: the request that they are.
    pub fn finish(self) -> Logs {
        let (bytes, records) = self.0.finish();
        Logs { bytes, records }
    }
}

impl LogRecord<'_> {
    /// Writes `time_unix_nano`.
    pub fn time(&mut self, time: u64) {
        fixed64(self.0, 1, time, false);
    }

    /// Writes `severity_number` (0 for none) and `severity_text`.
    pub fn severity(&mut self, severity: u8, as_written: &str) {
        number(self.0, 2, severity.into());
        text(self.0, 3, as_written);
    }

    /// Writes `body`, a string, the empty one too.
    pub fn body(&mut self, body: &str) {
        message_of(self.0, 5, body.len() + 4, |out| slice(out, 1, body.as_bytes()));
    }

    /// Adds one of `attributes`. Names must differ.
    pub fn attribute(&mut self, name: &str, value: Value<'_>) {
        Attributes::of(self.0, ATTRIBUTES).add(name, value);
    }

    /// Writes `flags`, `trace_id` and `span_id`.
    pub fn span(&mut self, flags: u32, trace: &[u8; 16], span: &[u8; 8]) {
        fixed32(self.0, 8, flags, false);
        slice(self.0, 9, trace);
        slice(self.0, 10, span);
    }

    /// Writes `observed_time_unix_nano`.
    pub fn observed(&mut self, time: u64) {
        fixed64(self.0, 11, time, false);
    }

    /// Writes `event_name`.
    pub fn event_name(&mut self, name: &str) {
        text(self.0, 12, name);
    }
}
