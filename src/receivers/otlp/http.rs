//! OTLP over HTTP: protobuf and JSON, posted to one path a signal.
//!
//! What stands at which path is one table ([`Places`]); the connections, and what is common with gRPC, are
//! elsewhere.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderName, HeaderValue, ORIGIN,
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

/// How much of a refused request is read for nothing, in bytes, so that the answer arrives.
const COURTESY: usize = 4 << 20;

/// What answers HTTP.
pub(super) struct Service {
    pub(super) intake: Arc<Intake>,
    pub(super) token: Option<Bearer>,
    pub(super) places: Places,
    pub(super) cors: Option<Rules>,
    /// Headers of every response.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is served, by path.
pub(super) struct Places(Vec<(String, Place)>);

impl Places {
    pub(super) fn new(http: &config::Http) -> Places {
        Places(http.paths().map(|(path, place)| (path.to_owned(), place)).into())
    }

    fn at(&self, path: &str) -> Option<Place> {
        self.0.iter().find(|(known, _)| known == path).map(|(_, place)| *place)
    }
}

impl Answer for Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        let (head, body) = request.into_parts();
        let asked = self.cors.as_ref().and_then(|cors| cors.preflight(&head));
        if let Some(leave) = asked {
            return leave;
        }
        let mut response = match self.serve(&head, body).await {
            Ok(response) => {
                self.intake.counters.taken();
                response
            }
            Err(refusal) => {
                self.intake.counters.refused(refusal.reason);
                let mut response = if grpc::is_grpc(&head.headers) {
                    grpc::refused(&refusal)
                } else {
                    answer::refused(&refusal, form(&head).ok())
                };
                if refusal.after.is_none() {
                    keeps_no_place(&mut response);
                }
                response
            }
        };
        if let Some(cors) = &self.cors {
            cors.decorate(head.headers.get(ORIGIN), response.headers_mut());
        }
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }
}

impl Service {
    async fn serve(&self, head: &Parts, body: Incoming) -> Result<Response<Reply>, Refusal> {
        let (place, form, coding) = match self.admit(head) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                // Who waits for leave to send sends nothing now.
                if head.version < Version::HTTP_2 && !head.headers.contains_key(EXPECT) {
                    body::discard(body, COURTESY).await;
                }
                return Err(refusal);
            }
        };
        let signal = place.signal();
        self.intake.wants(signal)?;
        let _head = self.intake.hold_head(&head.headers)?;
        let mut hold = self.intake.hold()?;
        let length = Length::Said(content_length(head));
        let bytes = body::read(body, length, self.intake.max, &mut hold).await?;
        let request = ExportRequest { signal, form, coding, bytes, hold };
        let success = match place {
            Place::Export(_) => self.intake.take(request).await?,
            Place::Passback => {
                self.intake.take_handed_back(request, Named::of(&head.headers)?).await?
            }
        };
        Ok(answer::success(signal, form, &success))
    }

    /// What a head alone can be refused for.
    fn admit(&self, head: &Parts) -> Result<(Place, Form, Coding), Refusal> {
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
        if content_length(head).is_some_and(|said| said > self.intake.max as u64) {
            return Err(Refusal::too_large(self.intake.max));
        }
        Ok((place, form, coding))
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
