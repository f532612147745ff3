//! One request and its response: let through, routed, handed over, forwarded, answered.
//!
//! The order is the law's: what was read is in the observer's queue before it is written on. Nothing
//! here waits for anything but the two peers.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http_body::Body;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use tokio::time::timeout;

use super::body::{Broken, ExchangeGuard, ProxyBody, RequestPrefix, Upload, Whole};
use super::decode::Coding;
use super::destination::Destination;
use super::edits::Edits;
use super::endpoint_watcher::EndpointWatcher;
use super::guard::Guard;
use super::headers::Present;
use super::location::Places;
use super::recorder::{BodyRecorder, ExchangeRecorder, Recording};
use super::routes::{Found, Routes};
use super::session_endpoints::{Named, SessionEndpoints};
use super::{answer, headers, heads};
use crate::http::descriptors::Share;
use crate::http::forward::{Lease, Upstream};
use crate::http::forwarded;
use crate::http::forwarded::{Client, TrustedProxies};
use crate::http::headers as hop;
use crate::http::serve::connections::RequestGuard;
use crate::http::serve::slots::Admitted;
use crate::http::trailers::Sieve;
use crate::http::unread::CountedBody;
use crate::mcp::{BodyKind, EndpointFinder, Party, Verb};
use crate::metrics::{Counter, Metrics, RateLimitedLog, names};
use crate::receivers::tap::Editing;

/// Says how much of a request whose upstream is not there is read for its span and its answer, and how long that may
/// take.
const LEFTOVER: usize = 1 << 20;
const LEFTOVER_TIME: Duration = Duration::from_secs(1);

/// Shares with all workers of one receiver what they decide by and count.
pub(super) struct Rules {
    pub(super) id: String,
    pub(super) guard: Guard,
    pub(super) routes: Arc<Routes>,
    pub(super) detours: Arc<SessionEndpoints>,
    /// Those in front whose word on where a request is from is passed on.
    pub(super) trusted_proxies: TrustedProxies,
    /// Says where requests go, by route.
    pub(super) destinations: Arc<[Destination]>,
    /// Says how the servers are called, by route.
    pub(super) names: Vec<String>,
    /// Headers that the user wants to see.
    pub(super) shown: Vec<HeaderName>,
    pub(super) metrics: Metrics,
    /// Requests passed on.
    pub(super) forwarded: Counter,
    /// Requests in flight, at most so many.
    pub(super) in_flight: Arc<AtomicUsize>,
    pub(super) max_in_flight: usize,
    pub(super) descriptors: Arc<Share>,
    /// The most header fields of a request.
    pub(super) max_headers: usize,
    /// The hint for OAuth servers was given.
    pub(super) hinted: AtomicBool,
    /// Requests that were refused, and upstreams that were not there, by route.
    pub(super) refusals: RateLimitedLog,
    pub(super) failures: Vec<RateLimitedLog>,
    /// Says how messages are changed on the way, if any are.
    pub(super) editing: Option<Arc<Editing>>,
}

/// Holds the proxy state of one worker thread.
pub(super) struct Proxy {
    pub(super) rules: Arc<Rules>,
    pub(super) recording: Rc<Recording>,
    pub(super) upstreams: Vec<Rc<Upstream<ProxyBody>>>,
}

/// A request that was let through, until its response goes out.
pub(super) struct Exchange {
    route: usize,
    version: Version,
    /// Gone once something of it is written.
    request: Option<Request<ProxyBody>>,
    /// It asks for a stream, or a document.
    get: bool,
    /// Keeps the client's target, where any route swaps paths.
    asked: Option<PathAndQuery>,
    edits: Option<Rc<Edits>>,
    waiting: Waiting,
    recorder: Option<Rc<ExchangeRecorder>>,
    upload: Rc<Upload>,
    admitted: Admitted,
}

impl Exchange {
    /// Returns what lasts as long as the response's body.
    pub(super) fn kept(self) -> ExchangeGuard {
        let alone = self.version < Version::HTTP_2;
        ExchangeGuard { admitted: self.admitted, upload: self.upload, alone }
    }
}

/// Says why a request leads nowhere.
enum Lost {
    NoRoute,
    /// Streams of the routes at these places named it.
    Ambiguous(Vec<Arc<str>>),
}

/// Says that the client is gone if the response's head never goes out.
struct Waiting(Option<Rc<ExchangeRecorder>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(recorder) = &self.0 {
            recorder.broken(Party::Client);
        }
    }
}

impl Rules {
    /// Finds where a request goes. What a stream named leads to its own route only where no other serves that
    /// path: no server gets what was for another one, whatever it names.
    fn find(&self, head: &Parts) -> Result<Found, Lost> {
        let routed = self.routes.find(&head.uri);
        if let Some(found) = routed.as_ref().filter(|f| f.aside || self.routes.swaps(f.route)) {
            return Ok(found.clone());
        }
        match (self.detours.find(&self.routes, &head.method, &head.uri), routed) {
            (Named::By(named), Some(routed)) if named.route != routed.route => Ok(routed),
            (Named::By(named), _) => Ok(named),
            (Named::Nowhere | Named::Ambiguous(_), Some(routed)) => Ok(routed),
            (Named::Nowhere, None) => Err(Lost::NoRoute),
            (Named::Ambiguous(places), None) => Err(Lost::Ambiguous(places)),
        }
    }

    /// Answers a request that leads nowhere.
    fn lost(&self, why: &Lost) -> Response<ProxyBody> {
        let words = match why {
            Lost::NoRoute => {
                self.count_refused("no_route");
                "no route leads there"
            }
            Lost::Ambiguous(places) => {
                self.count_ambiguous(places);
                "several servers name this place for messages, so it leads to none of them"
            }
        };
        answer::text(StatusCode::NOT_FOUND, words)
    }

    /// Says where a request goes and gives it its place; an answer if it is refused.
    fn let_in(
        &self,
        head: &Parts,
        present: Present,
        bodiless: bool,
    ) -> Result<(Found, Admitted), Box<Response<ProxyBody>>> {
        if let Err(denied) = self.guard.check(head, present, bodiless) {
            self.count_refused(denied.name());
            return Err(Box::new(answer::denied(denied)));
        }
        if head.headers.len() > self.max_headers {
            // hyper counts those of HTTP/1.1 only.
            self.count_refused("headers");
            let words = "more header fields than `max_headers` allows";
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Err(Box::new(answer::text(status, words)));
        }
        let found = self.find(head).map_err(|lost| Box::new(self.lost(&lost)))?;
        if present.has(Present::TRANSFER_ENCODING) && !hop::only_chunked(&head.headers) {
            self.count_refused("transfer_coding");
            let words = "a Transfer-Encoding other than chunked is not served";
            return Err(Box::new(answer::text(StatusCode::NOT_IMPLEMENTED, words)));
        }
        let Some(admitted) = Admitted::among(&self.in_flight, self.max_in_flight) else {
            self.count_refused("busy");
            return Err(Box::new(answer::busy()));
        };
        Ok((found, admitted))
    }

    fn count_refused(&self, reason: &str) {
        self.refused(reason).add(1);
        if let Some(unsaid) = self.refusals.due() {
            tracing::warn!(receiver = %self.id, reason, unsaid, "a request was refused");
        }
    }

    fn refused(&self, reason: &str) -> Counter {
        let labels = [("receiver", self.id.as_str()), ("reason", reason)];
        self.metrics.counter(&names::HTTP_REFUSED, &labels)
    }

    /// Counts a request for a place that streams of routes at `places` named, and says so once in a while.
    fn count_ambiguous(&self, places: &[Arc<str>]) {
        self.refused("ambiguous").add(1);
        let Some(unsaid) = self.detours.ambiguous.due() else { return };
        let routes = places.iter().filter_map(|place| self.routes.at_place(place));
        let servers: BTreeSet<&str> = routes.map(|route| self.names[route].as_str()).collect();
        tracing::warn!(
            receiver = %self.id,
            ?servers,
            unsaid,
            "one place for messages (HTTP+SSE) was named twice, so it leads to none of these servers; give each \
             a tap of its own"
        );
    }

    fn count_failed(&self, route: usize, why: &str) {
        let server = self.names[route].as_str();
        let labels = [("receiver", self.id.as_str()), ("server", server)];
        self.metrics.counter(&names::HTTP_FAILED, &labels).add(1);
        if let Some(unsaid) = self.failures[route].due() {
            tracing::warn!(server, unsaid, "no answer from the upstream: {why}");
        }
    }
}

impl Proxy {
    /// Lets a request through, or answers it. What is not waited for is done here: the future of an
    /// exchange is moved about by hyper, so it holds no more than it needs.
    pub(super) fn accept(
        &self,
        client: Client,
        asked: RequestGuard,
        request: Request<CountedBody>,
    ) -> Result<Exchange, Box<Response<ProxyBody>>> {
        let (head, body) = request.into_parts();
        let present = Present::among(&head.headers);
        let (found, admitted) = self.rules.let_in(&head, present, body.is_end_stream())?;
        let admitted = self.provide(&asked, found.route, admitted)?;
        let prefix = (head.method == Method::POST).then(RequestPrefix::default);
        let upload = Upload::of(asked, prefix);
        let coding = headers::coding(&head.headers, present);
        let recorder = self.observe(&found, &head, present, coding);
        let body_recorder =
            recorder.as_ref().map_or_else(BodyRecorder::none, |recorder| recorder.request(coding));
        let whole = Whole::of(head.version);
        let body = ProxyBody::request(body, whole, body_recorder, Rc::clone(&upload));
        let editing = self.rules.editing.as_ref();
        let swaps = self.rules.routes.any_swaps();
        Ok(Exchange {
            route: found.route,
            version: head.version,
            get: head.method == Method::GET,
            asked: head.uri.path_and_query().filter(|_| swaps).cloned(),
            edits: editing.and_then(|editing| Edits::of(editing, found.route, &head)),
            request: Some(self.rewrite(client, &found, (head, present), body)),
            waiting: Waiting(recorder.clone()),
            recorder,
            upload,
            admitted,
        })
    }

    /// Sees to it that there is a descriptor for its upstream: a client's place includes one, and a connection of
    /// HTTP/2 may carry many requests.
    fn provide(
        &self,
        asked: &RequestGuard,
        route: usize,
        admitted: Admitted,
    ) -> Result<Admitted, Box<Response<ProxyBody>>> {
        if !asked.is_beside_others() || self.upstreams[route].is_shared() {
            return Ok(admitted);
        }
        admitted.with_extra(&self.rules.descriptors).ok_or_else(|| {
            self.rules.descriptors.complain();
            self.rules.count_refused("busy");
            Box::new(answer::busy())
        })
    }

    /// Brings it to its upstream, and the response back.
    pub(super) async fn forward(&self, exchange: &mut Exchange) -> Response<ProxyBody> {
        if let Some(edits) = &exchange.edits
            && let Some(request) = exchange.request.take()
        {
            match Box::pin(edits.request(request)).await {
                Ok(edited) => exchange.request = Some(edited),
                Err(()) => return self.broke_off(exchange),
            }
        }
        self.rules.forwarded.add(1);
        match self.upstreams[exchange.route].send(&mut exchange.request).await {
            Ok((response, _)) if !is_ours_to_pass(&response) => {
                let why = "the upstream's response is none that can be passed on".to_owned();
                Box::pin(self.failed(exchange, why)).await
            }
            Ok((response, mut lease)) => {
                exchange.waiting.0 = None;
                lease.begun(exchange.upload.over.get());
                let mut response = self.pass_on(response, lease, exchange);
                if let Some(edits) = &exchange.edits {
                    response = Box::pin(edits.response(response)).await;
                }
                *response.version_mut() = exchange.version;
                response
            }
            Err(_) if exchange.upload.broken.get().is_some() => self.broke_off(exchange),
            Err(why) => Box::pin(self.failed(exchange, why)).await,
        }
    }

    /// The response as the client gets it.
    fn pass_on(
        &self,
        response: Response<CountedBody>,
        mut lease: Lease<ProxyBody>,
        exchange: &Exchange,
    ) -> Response<ProxyBody> {
        let (mut head, body) = response.into_parts();
        self.hint(&head.headers, head.status);
        let present = Present::among(&head.headers);
        let seen = heads::Response::of(head.status, &head.headers, present, &self.rules.shown);
        let body_recorder = exchange
            .recorder
            .as_ref()
            .map_or_else(BodyRecorder::none, |recorder| recorder.response(&seen));
        let streams = exchange.get && seen.kind == BodyKind::Sse;
        let lookout = if streams { self.lookout(exchange, seen.coding) } else { None };
        if present.has(Present::KEEP_ALIVE)
            && let Some(patience) = hop::patience(&head.headers)
        {
            lease.wait_for(patience);
        }
        if present.has(Present::LOCATION) {
            self.relocate(exchange, &mut head.headers);
        }
        if present.has(Present::CONTENT_LENGTH) {
            hop::say_length_once(&mut head.headers);
        }
        if headers::has_two_ends(head.status, &head.headers, present) {
            // RFC 9112 section 6.3: its chunks framed the body, whatever length was said beside them. What follows by
            // that connection may be an answer to nobody.
            head.headers.remove(CONTENT_LENGTH);
            lease.wait_for(Duration::ZERO);
        }
        let sieve = Sieve::of(if present.has(Present::HOP_BY_HOP) {
            hop::strip_hop_by_hop(&mut head.headers)
        } else {
            Vec::new()
        });
        if present.has(Present::TRAILER) {
            sieve.announce(&mut head.headers);
        }
        // RFC 9110 section 6.4.1; what HTTP/2 frames all the same is empty.
        let whole = match head.status {
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Whole::Bodiless,
            _ => Whole::of(head.version),
        };
        let mut body = ProxyBody::response(body, whole, body_recorder, lease, lookout);
        body.sift(sieve);
        Response::from_parts(head, body)
    }

    /// For a stream in which the server may name a path of its own, where its client would come to another.
    fn lookout(&self, exchange: &Exchange, coding: Coding) -> Option<EndpointWatcher> {
        let (asked, rules) = (exchange.asked.as_ref()?, &self.rules);
        let served = rules.routes.find(&Uri::from(asked.clone()))?.target;
        let finder = EndpointFinder::new(asked.as_str().as_bytes(), served.as_str().as_bytes());
        let lookout =
            EndpointWatcher::new(finder, coding, exchange.route, &rules.detours, &rules.routes);
        if lookout.is_none()
            && let Some(unsaid) = rules.detours.unread.due()
        {
            tracing::warn!(
                server = rules.names[exchange.route].as_str(),
                unsaid,
                "a stream's coding cannot be read, or too many streams of this server are packed: a place for \
                 messages that it names (HTTP+SSE) is not reached"
            );
        }
        lookout
    }

    /// Has what its upstream says of its own places lead through the tap.
    fn relocate(&self, exchange: &Exchange, headers: &mut HeaderMap) {
        let (route, routes) = (exchange.route, &self.rules.routes);
        if let Some(upstream) = &self.rules.destinations[route].origin {
            let asked = exchange.asked.as_ref().filter(|_| routes.swaps(route));
            Places { routes, route, upstream, asked }.rewrite(headers);
        }
    }

    /// Begins to tell of an exchange that may be MCP.
    fn observe(
        &self,
        found: &Found,
        head: &Parts,
        present: Present,
        coding: Coding,
    ) -> Option<Rc<ExchangeRecorder>> {
        let verb = heads::verb(&head.method)?;
        if found.aside && verb == Verb::Get {
            return None;
        }
        let route = u16::try_from(found.route).ok()?;
        let request = heads::Request::of((route, verb), head, present, coding, &self.rules.shown);
        Some(ExchangeRecorder::start(&self.recording, request))
    }

    /// The request as the upstream gets it: what is about this hop is ours, the rest the client's.
    fn rewrite(
        &self,
        client: Client,
        found: &Found,
        (mut head, present): (Parts, Present),
        mut body: ProxyBody,
    ) -> Request<ProxyBody> {
        let to = &self.rules.destinations[found.route];
        let mut ours = if present.has(Present::HOP_BY_HOP) {
            hop::strip_hop_by_hop(&mut head.headers)
        } else {
            Vec::new()
        };
        if present.has(Present::EXPECT) {
            hop::strip_expectation(&mut head.headers);
        }
        if let Some(token) = self.rules.guard.token_header() {
            head.headers.remove(token);
        }
        let wanted = to.forwarded_headers || to.preserve_host;
        let host = wanted.then(|| host_of(&head)).flatten();
        let trusted = to.forwarded_headers.then(|| self.rules.trusted_proxies.has(client.ip));
        if let Some(trusted) = trusted {
            forwarded::tell(&mut head.headers, client, host.as_ref(), trusted);
        }
        let host = host.filter(|_| to.preserve_host);
        head.headers.insert(HOST, host.unwrap_or_else(|| to.server.host_header.clone()));
        for (name, value) in &to.headers {
            head.headers.insert(name, value.clone());
        }
        if present.has(Present::TRAILER) || body.may_have_trailers() {
            ours.extend(self.rules.guard.token_header().cloned());
            ours.extend(to.headers.iter().map(|(name, _)| name.clone()));
            let sieve = Sieve::of(ours).guarding(trusted);
            sieve.announce(&mut head.headers);
            body.sift(sieve);
        }
        head.uri = found.target.clone().into();
        head.extensions.clear();
        Request::from_parts(head, body)
    }

    /// Answers in the upstream's place.
    async fn failed(&self, exchange: &mut Exchange, why: String) -> Response<ProxyBody> {
        let name = &self.rules.names[exchange.route];
        self.rules.count_failed(exchange.route, &why);
        if let Some(unsent) = exchange.request.take() {
            // What of the request has not been read yet: its span and its answer need it.
            timeout(LEFTOVER_TIME, read_on(unsent.into_body())).await.ok();
        }
        if let Some(recorder) = &exchange.recorder {
            recorder.broken(Party::Server);
        }
        answer::unreachable(name, exchange.upload.prefix.borrow_mut().as_mut())
    }

    /// Answers a request that its client broke off; what had begun of it at the upstream is broken off too.
    fn broke_off(&self, exchange: &Exchange) -> Response<ProxyBody> {
        let status = StatusCode::BAD_REQUEST;
        let unreadable = exchange.upload.broken.get() == Some(Broken::Unreadable);
        if unreadable {
            self.rules.count_refused("body");
        }
        match &exchange.recorder {
            Some(recorder) if unreadable => recorder.answered(status.as_u16()),
            Some(recorder) => recorder.broken(Party::Client),
            None => {}
        }
        answer::text(status, "the request broke off")
    }

    /// Some OAuth servers hand out tokens for their own URL only.
    fn hint(&self, headers: &HeaderMap, status: StatusCode) {
        if status == StatusCode::UNAUTHORIZED
            && headers
                .get_all(WWW_AUTHENTICATE)
                .iter()
                .any(|value| memchr::memmem::find(value.as_bytes(), b"resource_metadata").is_some())
            && !self.rules.hinted.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "an upstream wants OAuth. If its login refuses this address, put the tap in front of \
                 a bridge instead: mcpcol stdio -- npx mcp-remote URL"
            );
        }
    }
}

/// Returns the name that the client calls us by: HTTP/2 has it in the target only.
fn host_of(head: &Parts) -> Option<HeaderValue> {
    let host = head.headers.get(HOST).cloned();
    host.or_else(|| head.uri.authority().and_then(|authority| authority.as_str().parse().ok()))
}

/// Says whether a response is one that a proxy can pass on: no switch of protocols, which nobody asked for, and no
/// coding of the transfer that would be lost.
fn is_ours_to_pass(response: &Response<CountedBody>) -> bool {
    response.status() != StatusCode::SWITCHING_PROTOCOLS && hop::only_chunked(response.headers())
}

/// Reads what is left of a body, as far as it helps.
async fn read_on(mut body: ProxyBody) {
    let mut read = 0;
    while read < LEFTOVER {
        let next = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        let Some(Ok(frame)) = next else { return };
        read += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
}
