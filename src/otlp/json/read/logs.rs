//! logs/v1

use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};

use super::common::{any_value, key_value, resource, scope};
use crate::otlp::json::input::Reader;
use crate::otlp::json::members::{Result, hex, list, members, named, text, u32, u64};

pub(super) fn resource_logs(r: &mut Reader<'_>) -> Result<ResourceLogs> {
    let mut m = ResourceLogs::default();
    members(r, |r, key| {
        match key {
            b"resource" => m.resource = Some(resource(r)?),
            b"scopeLogs" => m.scope_logs = list(r, scope_logs)?,
            b"schemaUrl" => m.schema_url = text(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn scope_logs(r: &mut Reader<'_>) -> Result<ScopeLogs> {
    let mut m = ScopeLogs::default();
    members(r, |r, key| {
        match key {
            b"scope" => m.scope = Some(scope(r)?),
            b"logRecords" => m.log_records = list(r, log_record)?,
            b"schemaUrl" => m.schema_url = text(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn log_record(r: &mut Reader<'_>) -> Result<LogRecord> {
    let mut m = LogRecord::default();
    members(r, |r, key| {
        match key {
            b"timeUnixNano" => m.time_unix_nano = u64(r)?,
            b"observedTimeUnixNano" => m.observed_time_unix_nano = u64(r)?,
            b"severityNumber" => m.severity_number = named(r, severity)?,
            b"severityText" => m.severity_text = text(r)?,
            b"body" => m.body = Some(any_value(r)?),
            b"attributes" => m.attributes = list(r, key_value)?,
            b"droppedAttributesCount" => m.dropped_attributes_count = u32(r)?,
            b"flags" => m.flags = u32(r)?,
            b"traceId" => m.trace_id = hex(r)?,
            b"spanId" => m.span_id = hex(r)?,
            b"eventName" => m.event_name = text(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn severity(name: &str) -> Option<i32> {
    SeverityNumber::from_str_name(name).map(|value| value as i32)
}
