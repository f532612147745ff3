//! OTLP over gRPC: one unary method in three services, with the bytes of a message as they are.
//!
//! gRPC over HTTP/2 as its protocol document has it. There is no reflection and no health service; the
//! connections, and what is common with HTTP, are elsewhere.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};

use super::answer::{Form, Success, message, rpc_status};
use super::body::{self, Length, PREFIX};
use super::intake::{ExportRequest, Intake};
use super::refusal::{Reason, Refusal};
use super::single::{Differing, single};
use super::unpack::Coding;
use crate::http::bearer::Bearer;
use crate::http::serve::port::Answer;
use crate::http::serve::reply::Reply;
use crate::http::serve::usage::keeps_no_place;
use crate::telemetry::Signal;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Holds what answers gRPC.
pub(super) struct Service {
    pub(super) intake: Arc<Intake>,
    pub(super) token: Option<Bearer>,
}

impl Answer for Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        if !is_grpc(request.headers()) {
            self.intake.counters.refused(Reason::ContentType);
            let words =
                "mcpcol: this is OTLP over gRPC; OTLP over HTTP has a port of its own, 4318\n";
            let mut response = Response::new(Reply::of(words));
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            keeps_no_place(&mut response);
            return response;
        }
        match self.serve(request).await {
            Ok(success) => {
                self.intake.counters.taken();
                taken(&success)
            }
            Err(refusal) => {
                self.intake.counters.refused(refusal.reason);
                refused(&refusal)
            }
        }
    }
}

impl Service {
    async fn serve(&self, request: Request<Incoming>) -> Result<Success, Refusal> {
        let (head, body) = request.into_parts();
        let (signal, coding) = self.admit(&head)?;
        // Its size is the client's choice, and it keeps what it was read into: it is gone while the body comes.
        drop(head);
        let mut hold = self.intake.hold()?;
        let body = body::read(body, Length::Prefixed, self.intake.max, &mut hold).await?;
        let (bytes, coding) = unframe(body, coding)?;
        self.intake.take(ExportRequest { signal, form: Form::Protobuf, coding, bytes, hold }).await
    }

    /// Gives what a head alone can be refused for.
    fn admit(&self, head: &Parts) -> Result<(Signal, Coding), Refusal> {
        if let Some(token) = &self.token
            && !token.shown_in(&head.headers, &AUTHORIZATION)
        {
            return Err(Refusal::new(Reason::Token, "a valid bearer token is needed"));
        }
        let signal = method(head.uri.path()).filter(|_| head.method == Method::POST);
        let signal = signal.ok_or_else(|| {
            Refusal::new(Reason::Path, "only the Export methods of OTLP 1 are served")
        })?;
        self.intake.wants(signal)?;
        let named = match single(&head.headers, &GRPC_ENCODING) {
            Ok(named) => named.map_or(Some(""), |named| named.to_str().ok()),
            Err(Differing) => None,
        };
        let coding = named.and_then(Coding::named).ok_or_else(|| {
            let why = "one compression is undone, and no others than gzip, zstd and deflate";
            Refusal::new(Reason::Coding, why)
        })?;
        Ok((signal, coding))
    }
}

/// Says whether a request is gRPC at all.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = single(headers, &CONTENT_TYPE).ok().flatten();
    let kind = kind.map_or(&b""[..], HeaderValue::as_bytes);
    match kind.strip_prefix(b"application/grpc") {
        Some(rest) => matches!(rest.first(), None | Some(b';')) || rest.starts_with(b"+proto"),
        None => false,
    }
}

fn method(path: &str) -> Option<Signal> {
    match path {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Some(Signal::Traces),
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Some(Signal::Metrics),
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Some(Signal::Logs),
        _ => None,
    }
}

/// The one message of a call, and whether it is compressed.
fn unframe(mut body: Bytes, coding: Coding) -> Result<(Bytes, Coding), Refusal> {
    let malformed = |why: &'static str| Refusal::new(Reason::Malformed, why);
    if body.len() < PREFIX {
        return Err(malformed("there is no message in the call"));
    }
    let prefix = body.split_to(PREFIX);
    let said = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    if said != body.len() {
        return Err(malformed("the call does not hold exactly one message"));
    }
    match prefix[0] {
        0 => Ok((body, Coding::Identity)),
        1 if coding == Coding::Identity => {
            Err(malformed("the message is compressed, but grpc-encoding does not say how"))
        }
        1 => Ok((body, coding)),
        _ => Err(malformed("the call does not begin with a message")),
    }
}

fn taken(success: &Success) -> Response<Reply> {
    let message = message(success);
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(&message);
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let mut response = Response::new(Reply::of(framed).with_trailers(trailers));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// A refusal: headers alone.
pub(super) fn refused(refusal: &Refusal) -> Response<Reply> {
    let mut response = rpc_status(refusal).into_http::<Reply>();
    if refusal.after.is_none() {
        keeps_no_place(&mut response);
    }
    if refusal.reason == Reason::Coding {
        let known = HeaderValue::from_static("identity,gzip,zstd,deflate");
        response.headers_mut().insert(GRPC_ACCEPT_ENCODING, known);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unframed(body: &'static [u8], coding: Coding) -> Option<(Bytes, Coding)> {
        unframe(Bytes::from_static(body), coding).ok()
    }

    #[test]
    fn a_call_holds_exactly_one_message() {
        let message = Bytes::from_static(b"ab");
        let plain = Some((message.clone(), Coding::Identity));
        assert_eq!(unframed(b"\0\0\0\0\x02ab", Coding::Identity), plain);
        assert_eq!(unframed(b"\0\0\0\0\x02ab", Coding::Gzip), plain);
        assert_eq!(unframed(b"\x01\0\0\0\x02ab", Coding::Gzip), Some((message, Coding::Gzip)));
        for body in [
            &b""[..],
            b"\0\0\0\0",
            b"\0\0\0\0\x03ab",
            b"\0\0\0\0\x01ab",
            b"\x01\0\0\0\x02ab",
            b"\x02\0\0\0\x02ab",
            b"\0\0\0\0\x02ab\0\0\0\0\x00",
        ] {
            assert_eq!(unframed(body, Coding::Identity), None, "{body:?}");
        }
    }

    #[test]
    fn only_grpc_in_protobuf_is_grpc() {
        for (kind, is) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;x", true),
            ("application/grpc+json", false),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            assert_eq!(is_grpc(&headers), is, "{kind}");
        }
    }
}
