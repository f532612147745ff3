//! Responses of OTLP over HTTP, in the encoding of the request ("OTLP/HTTP Response"). Pure.
//!
//! A refusal carries a `google.rpc.Status`; a request that is neither protobuf nor JSON gets a line of text.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::refusal::{Reason, Refusal};
use crate::http::serve::reply::Reply;
use crate::json::write_string;
use crate::telemetry::Signal;

/// Names the encoding of a request and its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Protobuf,
    Json,
}

/// Describes a request that was taken, perhaps without some of its items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Success {
    pub(super) rejected: usize,
    pub(super) message: String,
}

impl Form {
    /// The form that a content type stands for, whatever its parameters.
    pub(super) fn of(content_type: &[u8]) -> Option<Form> {
        let end = content_type.iter().position(|b| *b == b';').unwrap_or(content_type.len());
        let kind = content_type[..end].trim_ascii();
        if kind.eq_ignore_ascii_case(b"application/x-protobuf") {
            Some(Form::Protobuf)
        } else if kind.eq_ignore_ascii_case(b"application/json") {
            Some(Form::Json)
        } else {
            None
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Form::Protobuf => "application/x-protobuf",
            Form::Json => "application/json",
        })
    }
}

/// 200, with what was left out.
pub(super) fn success(signal: Signal, form: Form, success: &Success) -> Response<Reply> {
    let body = match form {
        Form::Protobuf => message(success),
        Form::Json => json(signal, success).into(),
    };
    with_type(StatusCode::OK, form.content_type(), body)
}

/// The response message. Those of the three services differ in names only: field 1 is the partial success,
/// in it field 1 the number of rejected items and field 2 the message.
pub(super) fn message(success: &Success) -> Bytes {
    if *success == Success::default() {
        return Bytes::new();
    }
    let partial = ExportTracePartialSuccess {
        rejected_spans: i64::try_from(success.rejected).unwrap_or(i64::MAX),
        error_message: success.message.clone(),
    };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec().into()
}

fn json(signal: Signal, success: &Success) -> String {
    if *success == Success::default() {
        return "{}".to_owned();
    }
    let name = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
    };
    let (rejected, said) = (success.rejected, quoted(&success.message));
    format!(r#"{{"partialSuccess":{{"{name}":"{rejected}","errorMessage":{said}}}}}"#)
}

/// A refusal, in the form of the request if that is known.
pub(super) fn refused(refusal: &Refusal, form: Option<Form>) -> Response<Reply> {
    let status = refusal.reason.status();
    let mut response = match form {
        Some(Form::Protobuf) => {
            // The details of a gRPC status are this very message.
            let body = Bytes::copy_from_slice(rpc_status(refusal).details());
            with_type(status, Form::Protobuf.content_type(), body)
        }
        Some(Form::Json) => {
            with_type(status, Form::Json.content_type(), status_json(refusal).into())
        }
        None => {
            let kind = HeaderValue::from_static("text/plain; charset=utf-8");
            with_type(status, kind, format!("mcpcol: {}\n", refusal.why).into())
        }
    };
    let headers = response.headers_mut();
    if let Some(after) = refusal.after {
        headers.insert(RETRY_AFTER, whole_seconds(after).into());
    }
    match refusal.reason {
        Reason::Token => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"mcpcol\""));
        }
        Reason::Method => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        Reason::Coding => {
            let known = HeaderValue::from_static("gzip, zstd, deflate");
            headers.insert(ACCEPT_ENCODING, known);
        }
        _ => {}
    }
    response
}

/// Answers a refused request over gRPC: with `RetryInfo` where the request may come again.
pub(super) fn rpc_status(refusal: &Refusal) -> Status {
    let details = match refusal.after {
        Some(after) => ErrorDetails::with_retry_info(Some(after)),
        None => ErrorDetails::new(),
    };
    Status::with_error_details(refusal.reason.code(), refusal.why.clone(), details)
}

fn status_json(refusal: &Refusal) -> String {
    let (code, said) = (i32::from(refusal.reason.code()), quoted(&refusal.why));
    let details = refusal.after.map_or(String::new(), |after| {
        let delay = after.as_secs_f64();
        let kind = "type.googleapis.com/google.rpc.RetryInfo";
        format!(r#","details":[{{"@type":"{kind}","retryDelay":"{delay}s"}}]"#)
    });
    format!(r#"{{"code":{code},"message":{said}{details}}}"#)
}

/// `Retry-After` has whole seconds, and none would be no wait.
fn whole_seconds(after: Duration) -> u64 {
    (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1)
}

fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

fn with_type(status: StatusCode, kind: HeaderValue, body: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply::of(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_whole_seconds_and_never_none() {
        for (millis, seconds) in [(0, 1), (100, 1), (1000, 1), (1001, 2), (30_000, 30)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }

    #[test]
    fn the_form_is_told_by_the_content_type_alone() {
        for (kind, form) in [
            ("application/x-protobuf", Some(Form::Protobuf)),
            ("Application/JSON; charset=utf-8", Some(Form::Json)),
            ("application/json ;x", Some(Form::Json)),
            ("application/protobuf", None),
            ("text/plain", None),
            ("", None),
        ] {
            assert_eq!(Form::of(kind.as_bytes()), form, "{kind}");
        }
    }

    #[test]
    fn a_status_in_json_is_googles_rpc_status() {
        let refusal =
            Refusal::retry(Reason::Pipeline, "say \"when\"", Some(Duration::from_millis(1500)));
        let status: serde_json::Value = serde_json::from_str(&status_json(&refusal)).unwrap();
        assert_eq!(status["code"], 14);
        assert_eq!(status["message"], "say \"when\"");
        assert_eq!(status["details"][0]["retryDelay"], "1.5s");
        let refusal = Refusal::new(Reason::Malformed, "no");
        assert_eq!(status_json(&refusal), r#"{"code":3,"message":"no"}"#);
    }
}
