//! Decoded OTLP, for those who print it and for tests: on the way of a batch nothing is decoded.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::{DecodeError, Message};

use super::request::Request;

/// Holds the messages of one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Messages {
    /// Spans, by resource.
    Traces(Vec<ResourceSpans>),
    /// Metrics, by resource.
    Metrics(Vec<ResourceMetrics>),
    /// Log records, by resource.
    Logs(Vec<ResourceLogs>),
}

impl Messages {
    /// Decodes a request. Bytes that passed the check decode.
    pub fn decode(request: Request, wire: Bytes) -> Result<Messages, DecodeError> {
        Ok(match request {
            Request::Traces => {
                Messages::Traces(ExportTraceServiceRequest::decode(wire)?.resource_spans)
            }
            Request::Metrics => {
                Messages::Metrics(ExportMetricsServiceRequest::decode(wire)?.resource_metrics)
            }
            Request::Logs => Messages::Logs(ExportLogsServiceRequest::decode(wire)?.resource_logs),
        })
    }

    /// Says which request they are.
    pub fn request(&self) -> Request {
        match self {
            Messages::Traces(_) => Request::Traces,
            Messages::Metrics(_) => Request::Metrics,
            Messages::Logs(_) => Request::Logs,
        }
    }

    /// Encodes them: field 1 of each request is the list.
    pub fn encode(&self) -> Vec<u8> {
        fn all<M: Message>(list: &[M]) -> Vec<u8> {
            let mut out = Vec::new();
            list.iter().for_each(|m| prost::encoding::message::encode(1, m, &mut out));
            out
        }
        match self {
            Messages::Traces(list) => all(list),
            Messages::Metrics(list) => all(list),
            Messages::Logs(list) => all(list),
        }
    }
}
