//! What an answer, or none, means for the batch: OTLP, "OTLP/gRPC Response" and "Failures".

use std::error::Error;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::codec::Response;
use crate::exporters::peer::words;
use crate::pipeline::{ExportError, Exported};

/// Says how tonic begins the status it makes when a response is over its limit, before it is decompressed or after.
const TOO_LARGE: [(Code, &str); 2] = [
    (Code::OutOfRange, "Error, decoded message length too large"),
    (Code::ResourceExhausted, "Error decompressing: size limit"),
];

/// Says whether a message is over the limit of who made this status: the answer over ours, if it came behind the
/// answer's head, else the request over that of a server that is made of tonic too.
pub(super) fn is_over_the_limit(status: &Status) -> bool {
    let said = |(code, words): &(Code, &str)| {
        status.code() == *code && status.message().starts_with(words)
    };
    TOO_LARGE.iter().any(said)
}

/// The backend took the request, perhaps without some items.
pub(super) fn exported(response: Response, items: usize) -> Exported {
    let Some(partial) = response.partial_success else { return Exported::default() };
    let rejected = usize::try_from(partial.rejected_spans).unwrap_or(0);
    Exported { rejected: rejected.min(items), message: words(&partial.error_message) }
}

/// The request ended with a status: the backend's, or one that stands for a broken connection.
pub(super) fn failed(status: &Status, endpoint: &str, secure: bool) -> ExportError {
    // Only a status made on this side has a source.
    if status.source().is_some() {
        return unreachable(status, secure);
    }
    // What HTTP's 404 is here, and what 404 is taken for: somebody else may listen there.
    let at = if status.code() == Code::Unimplemented { endpoint } else { "" };
    let at = if at.is_empty() { String::new() } else { format!(" at {at}") };
    let why = format!("{:?}{at}: {}", status.code(), words(status.message()));
    if is_over_the_limit(status) {
        return ExportError::TooLarge { why };
    }
    let retry_info = status.get_details_retry_info();
    if !is_retryable(status.code(), retry_info.is_some()) {
        return ExportError::Reject { why };
    }
    // How much of that is waited is delivery's to say.
    let after = retry_info.and_then(|info| info.retry_delay);
    ExportError::Retry { after, why }
}

/// There was no answer. That may change.
pub(super) fn unreachable(error: &(dyn Error + 'static), secure: bool) -> ExportError {
    let mut why = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        // A Status prints its source and its metadata too.
        let text = match error.downcast_ref::<Status>() {
            Some(status) => status.message().to_owned(),
            None => error.to_string(),
        };
        // What tonic calls every failure says nothing.
        if !why.contains(&text) && text != "transport error" {
            why.push_str(if why.is_empty() { "" } else { ": " });
            why.push_str(&text);
        }
        next = error.source();
    }
    let hint = hint(&why, secure);
    ExportError::Retry { after: None, why: words(&why) + hint }
}

/// Says how a TLS server's refusal of plaintext looks from here; which of them is a race.
const BROKEN_OFF: &[&str] = &["invalid size", "broken pipe", "Broken pipe", "reset by peer"];

/// Gives what to change when both sides disagree about TLS: the errors themselves never say.
fn hint(why: &str, secure: bool) -> &'static str {
    if secure && why.contains("InvalidContentType") {
        "; the server does not speak TLS: add `tls.insecure: true` or write the endpoint with http://"
    } else if secure && why.contains("UnknownIssuer") {
        "; add the server's authority as `tls.ca_file`"
    } else if !secure && BROKEN_OFF.iter().any(|broken| why.contains(broken)) {
        "; if the server wants TLS, remove `tls.insecure` or write the endpoint with https://"
    } else {
        ""
    }
}

fn is_retryable(code: Code, retry_info: bool) -> bool {
    match code {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => retry_info,
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal
        | Code::Unauthenticated => false,
    }
}
