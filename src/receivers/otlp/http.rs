//! OTLP over HTTP: protobuf and JSON, posted to one path a signal.
//!
//! What stands at which path is one table ([`Places`]); the connections, and what is common with gRPC, are
//! elsewhere.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderMap, HeaderName, HeaderValue,
    ORIGIN,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, Version};

use super::answer::{self, Form};
use super::body::{self, Length};
use super::config::{self, Place};
use super::cors::Rules;
use super::grpc;
use super::intake::{ExportRequest, Intake};
use super::passback::Named;
use super::refusal::{Reason, Refusal};
use super::single::{Differing, single};
use super::unpack::Coding;
use crate::http::bearer::Bearer;
use crate::http::serve::port::Answer;
use crate::http::serve::reply::Reply;
use crate::http::serve::usage::keeps_no_place;

/// Says how much of a refused request is read for nothing, in bytes, so that the answer arrives.
const COURTESY: usize = 4 << 20;

/// Holds what answers HTTP.
pub(super) struct Service {
    pub(super) intake: Arc<Intake>,
    pub(super) token: Option<Bearer>,
    pub(super) places: Places,
    pub(super) cors: Option<Rules>,
    /// Headers of every response.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// Holds what is served, by path.
pub(super) struct Places(Vec<(String, Place)>);

impl Places {
    pub(super) fn new(http: &config::Http) -> Places {
        Places(http.paths().map(|(path, place)| (path.to_owned(), place)).into())
    }

    fn at(&self, path: &str) -> Option<Place> {
        self.0.iter().find(|(known, _)| known == path).map(|(_, place)| *place)
    }
}

/// Holds what is known of a request from its head alone, once that is let in.
struct Admitted {
    place: Place,
    form: Form,
    coding: Coding,
    /// Holds what it says of its body's length.
    length: Option<u64>,
    /// Of spans that a server handed back.
    named: Option<Named>,
}

/// Holds what its answer needs of a head, in memory of its own and not much of it.
struct Kept {
    grpc: bool,
    /// The form that an answer has, if that is known.
    form: Option<Form>,
    /// The rest of it comes whatever is answered: who waits for leave to send sends nothing then, and over HTTP/2 it need
    /// not be read.
    sends_anyway: bool,
    /// Holds what lets a page in a browser read the answer.
    leave: HeaderMap,
}

impl Kept {
    fn of(head: &Parts, cors: Option<&Rules>) -> Kept {
        let mut leave = HeaderMap::new();
        if let Some(cors) = cors {
            cors.decorate(head.headers.get(ORIGIN), &mut leave);
        }
        Kept {
            grpc: grpc::is_grpc(&head.headers),
            form: form(head).ok(),
            sends_anyway: head.version < Version::HTTP_2 && !head.headers.contains_key(EXPECT),
            leave,
        }
    }
}

impl Answer for Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        let (head, body) = request.into_parts();
        let asked = self.cors.as_ref().and_then(|cors| cors.preflight(&head));
        if let Some(leave) = asked {
            return leave;
        }
        let kept = Kept::of(&head, self.cors.as_ref());
        let admitted = self.admit(&head);
        // Its size is the client's choice, and it keeps what it was read into: it is gone while the body comes.
        drop(head);
        let mut response = match self.serve(admitted, &kept, body).await {
            Ok(response) => {
                self.intake.counters.taken();
                response
            }
            Err(refusal) => {
                self.intake.counters.refused(refusal.reason);
                let mut response = if kept.grpc {
                    grpc::refused(&refusal)
                } else {
                    answer::refused(&refusal, kept.form)
                };
                if refusal.after.is_none() {
                    keeps_no_place(&mut response);
                }
                response
            }
        };
        response.headers_mut().extend(kept.leave);
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }
}

impl Service {
    async fn serve(
        &self,
        admitted: Result<Admitted, Refusal>,
        kept: &Kept,
        body: Incoming,
    ) -> Result<Response<Reply>, Refusal> {
        let Admitted { place, form, coding, length, named } = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                if kept.sends_anyway {
                    body::discard(body, COURTESY).await;
                }
                return Err(refusal);
            }
        };
        let signal = place.signal();
        self.intake.wants(signal)?;
        let mut hold = self.intake.hold()?;
        let bytes = body::read(body, Length::Said(length), self.intake.max, &mut hold).await?;
        let request = ExportRequest { signal, form, coding, bytes, hold };
        let success = match named {
            None => self.intake.take(request).await?,
            Some(named) => self.intake.take_handed_back(request, named).await?,
        };
        Ok(answer::success(signal, form, &success))
    }

    /// Gives what a head alone can be refused for.
    fn admit(&self, head: &Parts) -> Result<Admitted, Refusal> {
        if let Some(token) = &self.token
            && !token.shown_in(&head.headers, &AUTHORIZATION)
        {
            return Err(Refusal::new(Reason::Token, "a valid bearer token is needed"));
        }
        if grpc::is_grpc(&head.headers) {
            let why = "this is OTLP over HTTP; OTLP over gRPC has a port of its own, 4317";
            return Err(Refusal::new(Reason::Path, why));
        }
        let place = self.places.at(head.uri.path()).ok_or_else(|| {
            let known: Vec<&str> = self.places.0.iter().map(|(path, _)| path.as_str()).collect();
            Refusal::new(Reason::Path, format!("there is only {}", known.join(", ")))
        })?;
        if head.method != Method::POST {
            return Err(Refusal::new(Reason::Method, "only POST is served"));
        }
        let form = form(head).map_err(|why| Refusal::new(Reason::ContentType, why))?;
        if place == Place::Passback && form != Form::Json {
            let why = "spans come as the server handed them back: application/json";
            return Err(Refusal::new(Reason::ContentType, why));
        }
        let coding = coding(head).ok_or_else(|| {
            let why = "one content encoding is undone, and no others than gzip, zstd and deflate";
            Refusal::new(Reason::Coding, why)
        })?;
        let length = content_length(head);
        if length.is_some_and(|said| said > self.intake.max as u64) {
            return Err(Refusal::too_large(self.intake.max));
        }
        let named = match place {
            Place::Export(_) => None,
            Place::Passback => Some(Named::of(&head.headers)?),
        };
        Ok(Admitted { place, form, coding, length, named })
    }
}

/// Reads in which form a request is, or says why it is in none.
fn form(head: &Parts) -> Result<Form, &'static str> {
    let written = single(&head.headers, &CONTENT_TYPE);
    let written = written.map_err(|Differing| "there are two content types, and they differ")?;
    written
        .and_then(|kind| Form::of(kind.as_bytes()))
        .ok_or("the content type is neither application/x-protobuf nor application/json")
}

fn coding(head: &Parts) -> Option<Coding> {
    let mut named = head.headers.get_all(CONTENT_ENCODING).iter();
    let Some(first) = named.next() else { return Some(Coding::Identity) };
    // One after the other is allowed and nobody does it.
    if named.next().is_some() {
        return None;
    }
    Coding::named(first.to_str().ok()?.trim())
}

fn content_length(head: &Parts) -> Option<u64> {
    head.headers.get(hyper::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::receivers::otlp::cors::Cors;

    #[test]
    fn nothing_of_a_head_is_kept_but_short_copies() {
        let read = Bytes::from(vec![b'a'; 60_000]);
        let text = |length| HeaderValue::from_maybe_shared(read.slice(..length)).unwrap();
        for (rules, length, leave) in [
            (None, 9, 0),
            (Some("*"), 9, 2),
            (Some("a*"), 9, 3),
            (Some("a*"), 2000, 1),
            (Some("*"), 50_000, 2),
            (Some("b"), 50_000, 1),
        ] {
            let allowed_origins = rules.iter().map(|&origin| origin.to_owned()).collect();
            let rules = rules.map(|_| Rules::new(&Cors { allowed_origins, ..Cors::default() }));
            let request = Request::builder()
                .uri(&b"/v1/passback"[..])
                .header("traceparent", text(length))
                .header("mcpcol-server-name", text(9))
                .header(ORIGIN, text(length));
            let (head, ()) = request.body(()).unwrap().into_parts();
            let (kept, named) = (Kept::of(&head, rules.as_ref()), Named::of(&head.headers));
            drop(head);
            assert_eq!(kept.leave.len(), leave, "{length}");
            let long = |value: &HeaderValue| value.len() > 1024;
            assert!(!kept.leave.values().any(long), "{length}");
            assert!(named.is_ok(), "{length}");
            assert!(read.is_unique(), "{length}");
        }
    }
}
