//! What is in an answer: a response message of OTLP where the request was taken, a `google.rpc.Status`
//! where it was not. In the encoding that the answer names, else in the request's.
//!
//! The status line alone decides what becomes of the batch. An answer that cannot be read changes
//! nothing about that: some backends say `ok`.

use hyper::header::CONTENT_TYPE;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde::Deserialize;
use serde_json::Value;
use tonic_types::pb;

use super::Encoding;
use crate::exporters::http::{Answer, text_of};
use crate::exporters::peer::words;
use crate::pipeline::Exported;

/// Gives what the backend took of `items`.
pub(super) fn exported(answer: &Answer, asked: Encoding, items: usize) -> Exported {
    if let Some(why) = answer.unread {
        return Exported { rejected: 0, message: why.to_owned() };
    }
    let partial = match encoding(answer, asked) {
        Some(Encoding::Proto) => of_proto(&answer.body),
        Some(Encoding::Json) => of_json(&answer.body),
        None => None,
    };
    let Some((rejected, message)) = partial else { return Exported::default() };
    Exported { rejected: rejected.min(items), message: words(&message) }
}

/// Gives what the backend says about why it did not take the request.
pub(super) fn said(answer: &Answer, asked: Encoding) -> String {
    let message = match encoding(answer, asked) {
        Some(Encoding::Proto) => pb::Status::decode(answer.body.clone()).ok().map(|s| s.message),
        Some(Encoding::Json) => {
            let status: Option<Status> = serde_json::from_slice(&answer.body).ok();
            status.map(|status| status.message)
        }
        None => None,
    };
    message.unwrap_or_else(|| text_of(answer).to_owned())
}

/// The encoding of an answer; `None` if it is none of OTLP's.
fn encoding(answer: &Answer, asked: Encoding) -> Option<Encoding> {
    let Some(value) = answer.headers.get(CONTENT_TYPE) else { return Some(asked) };
    let value = value.to_str().unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim();
    match kind.to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Some(Encoding::Proto),
        "application/json" => Some(Encoding::Json),
        _ => None,
    }
}

/// The responses of the three signals differ in names only: field 1 is the partial success, in it field
/// 1 the number of rejected items and field 2 the message.
fn of_proto(body: &[u8]) -> Option<(usize, String)> {
    let partial = ExportTraceServiceResponse::decode(body).ok()?.partial_success?;
    Some((usize::try_from(partial.rejected_spans).unwrap_or(0), partial.error_message))
}

fn of_json(body: &[u8]) -> Option<(usize, String)> {
    let partial = serde_json::from_slice::<Response>(body).ok()?.partial_success?;
    Some((count(&partial.rejected), partial.error_message))
}

/// A number too large for us is all there is.
fn count(said: &Value) -> usize {
    let digits = match said {
        Value::String(digits) => digits.clone(),
        // In digits, whatever its form: larger ones than 64 bits hold are read as floats.
        Value::Number(number) => match number.as_f64() {
            Some(float) if !number.is_u64() => format!("{float:.0}"),
            _ => number.to_string(),
        },
        _ => return 0,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().unwrap_or(if is_number { usize::MAX } else { 0 })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    partial_success: Option<Partial>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Partial {
    /// A string, as 64-bit integers are, or the number that many write.
    #[serde(alias = "rejectedSpans", alias = "rejectedDataPoints", alias = "rejectedLogRecords")]
    rejected: Value,
    error_message: String,
}

#[derive(Deserialize)]
struct Status {
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_items_are_counted_however_many_there_are() {
        for (said, counted) in [
            ("3", 3),
            ("\"3\"", 3),
            ("3.0", 3),
            ("0", 0),
            ("-5", 0),
            ("\"-5\"", 0),
            ("-1e30", 0),
            ("\"some\"", 0),
            ("\"\"", 0),
            ("null", 0),
            ("[]", 0),
            ("9223372036854775808", 10),
            ("\"9223372036854775808\"", 10),
            ("99999999999999999999", 10),
            ("\"99999999999999999999\"", 10),
            ("1e300", 10),
        ] {
            let body = format!("{{\"partialSuccess\":{{\"rejectedSpans\":{said}}}}}");
            let (status, headers) = (hyper::StatusCode::OK, hyper::HeaderMap::new());
            let answer = Answer { status, headers, body: body.into(), unread: None };
            assert_eq!(exported(&answer, Encoding::Json, 10).rejected, counted, "{said}");
        }
    }
}
