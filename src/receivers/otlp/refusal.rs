//! Why a request is not taken, and how each protocol says so. Pure.
//!
//! OTLP ("Failures", "Failures (HTTP)") decides which of them a client sends again. A pipeline that refuses
//! for good is INTERNAL and 500 as in the Collector: the request was well-formed, so INVALID_ARGUMENT would
//! blame its sender; neither is sent again.

use std::borrow::Cow;
use std::time::Duration;

use hyper::StatusCode;
use tonic::Code;

use super::budget::Full;

/// Names what a client that has to come again is told to wait, where nobody knows better.
const SOON: Duration = Duration::from_secs(1);

/// A request that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    /// Holds what its sender is told.
    pub(super) why: Cow<'static, str>,
    /// Says when to send it again, if at all.
    pub(super) after: Option<Duration>,
}

/// The kinds of refusal, which are also what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// No token, or a wrong one.
    Token,
    /// A path, method or service that is not served.
    Path,
    /// Another method than POST.
    Method,
    /// Neither protobuf nor JSON.
    ContentType,
    /// A compression that is not known.
    Coding,
    /// Not what it says it is.
    Malformed,
    /// Larger than the limit.
    TooLarge,
    /// All requests together hold too much.
    InFlight,
    /// Its bytes stopped coming.
    Stalled,
    /// No pipeline takes this signal.
    NoPipeline,
    /// The pipelines refuse for now.
    Pipeline,
    /// The pipelines refuse for good.
    Rejected,
    /// The receiver stops.
    Stopping,
    /// A bug of ours.
    Failed,
}

impl Refusal {
    pub(super) fn new(reason: Reason, why: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { reason, why: why.into(), after: None }
    }

    /// To be sent again.
    pub(super) fn retry(
        reason: Reason,
        why: impl Into<Cow<'static, str>>,
        after: Option<Duration>,
    ) -> Refusal {
        Refusal { reason, why: why.into(), after: Some(after.unwrap_or(SOON)) }
    }

    /// A body over the limit.
    pub(super) fn too_large(max: usize) -> Refusal {
        let why = format!("the request is larger than {max} bytes, which is the limit here");
        Refusal::new(Reason::TooLarge, why)
    }
}

impl From<Full> for Refusal {
    fn from(full: Full) -> Refusal {
        match full {
            Full::Now => {
                let why = "too much is in flight; send it again later";
                Refusal::retry(Reason::InFlight, why, None)
            }
            // It would not fit later either.
            Full::Never => {
                let why = "the request takes more memory than max_in_flight_bytes is in all; send it in parts";
                Refusal::new(Reason::TooLarge, why)
            }
        }
    }
}

impl Reason {
    /// Its word in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Reason::Token => "token",
            Reason::Path => "path",
            Reason::Method => "method",
            Reason::ContentType => "content_type",
            Reason::Coding => "coding",
            Reason::Malformed => "malformed",
            Reason::TooLarge => "too_large",
            Reason::InFlight => "in_flight",
            Reason::Stalled => "stalled",
            Reason::NoPipeline => "no_pipeline",
            Reason::Pipeline => "pipeline",
            Reason::Rejected => "rejected",
            Reason::Stopping => "stopping",
            Reason::Failed => "failed",
        }
    }

    /// Says how HTTP says it.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Reason::Token => StatusCode::UNAUTHORIZED,
            Reason::Path | Reason::NoPipeline => StatusCode::NOT_FOUND,
            Reason::Method => StatusCode::METHOD_NOT_ALLOWED,
            Reason::ContentType | Reason::Coding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Reason::Malformed => StatusCode::BAD_REQUEST,
            Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Reason::Stalled => StatusCode::REQUEST_TIMEOUT,
            Reason::InFlight | Reason::Pipeline | Reason::Stopping => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Reason::Rejected | Reason::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Says how gRPC says it.
    pub(super) fn code(self) -> Code {
        match self {
            Reason::Token => Code::Unauthenticated,
            Reason::Path | Reason::Method | Reason::NoPipeline | Reason::Coding => {
                Code::Unimplemented
            }
            Reason::ContentType | Reason::Malformed => Code::InvalidArgument,
            Reason::TooLarge => Code::ResourceExhausted,
            Reason::InFlight | Reason::Pipeline | Reason::Stopping => Code::Unavailable,
            Reason::Stalled => Code::DeadlineExceeded,
            Reason::Rejected | Reason::Failed => Code::Internal,
        }
    }
}
