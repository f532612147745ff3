//! One exchange whose messages may change on their way: JSON that a POST brings, and its answer
//! wherever it comes.
//!
//! A body is held until it is whole, up to a limit; of an event stream one event at a time. Its length in
//! the head follows. What is compressed, vouched for by a header or an announced trailer, or too long passes
//! as it is, and is counted. Headers of the trace context stay: they are about HTTP.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, TRAILER};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};

use super::body::{Forwarded, Gathered, ProxyBody};
use super::decode::Coding;
use super::events;
use super::headers::{Present, SESSION, TRACEPARENT, TRACESTATE, coding};
use super::recorder::BodyRecorder;
use crate::mcp::edit::Scope;
use crate::mcp::{Id, TraceContext};
use crate::receivers::tap::{Around, Editing, HOLD, Room, why};

/// Headers, and trailers, that vouch for the bytes of a body (RFC 9530, RFC 3230, RFC 1864).
const VOUCHERS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// Edits the messages of one exchange.
pub(super) struct Edits {
    editing: Arc<Editing>,
    route: usize,
    /// The request may hold a message.
    post: bool,
    exchange: Scope,
    /// The session that the request names.
    session: Option<Scope>,
    /// Says who answers: that session, or whoever is at the target.
    peer: Scope,
    carrier: Option<TraceContext>,
    /// The request whose answer matters.
    awaited: RefCell<Option<(Scope, Id)>>,
}

/// Strips the events of a response.
pub(super) struct Stripping {
    edits: Rc<Edits>,
    /// Whom the server tells what it can do.
    peer: Scope,
}

impl Edits {
    /// Those of the exchange that begins with this head; `None` if nothing can change in it.
    pub(super) fn of(editing: &Arc<Editing>, route: usize, head: &Parts) -> Option<Rc<Self>> {
        let post = head.method == Method::POST && is_json(&head.headers);
        let session = head.headers.get(SESSION).map(|id| editing.session((route, id.as_bytes())));
        let stream = head.method == Method::GET && session.is_some() && editing.wants_answers();
        if !post && !stream {
            return None;
        }
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let value = |name| head.headers.get(name).map(HeaderValue::as_bytes);
        let state = value(TRACESTATE).and_then(|state| std::str::from_utf8(state).ok());
        Some(Rc::new(Edits {
            editing: Arc::clone(editing),
            route,
            post,
            exchange: editing.exchange(),
            session,
            peer: session.unwrap_or_else(|| editing.session((route, target))),
            carrier: value(TRACEPARENT).and_then(|parent| TraceContext::parse(parent, state)),
            awaited: RefCell::new(None),
        }))
    }

    fn around(&self, peer: Scope) -> Around<'_> {
        let session = self.session.unwrap_or(self.exchange);
        Around { exchange: self.exchange, session, peer, carrier: self.carrier.as_ref() }
    }

    /// The request as it goes on; an error if it breaks off before that.
    pub(super) async fn request(
        &self,
        mut request: Request<ProxyBody>,
    ) -> Result<Request<ProxyBody>, ()> {
        if !self.post {
            return Ok(request);
        }
        let around = self.around(self.peer);
        let headers = request.headers();
        let length = content_length(headers);
        if let Some(why) = unreadable(headers, length) {
            self.editing.pass_request(&[], &around, why);
            return Ok(request);
        }
        let ProxyBody::Forwarded(body) = request.body_mut() else { return Ok(request) };
        if body.is_over() {
            return Ok(request);
        }
        let recorder = body.swap_recorder(BodyRecorder::none());
        let gathered = body.gather(length.is_none(), Room::new(&self.editing)).await;
        drop(body.swap_recorder(recorder));
        match gathered {
            Gathered::Whole(text) => {
                let new = self.change(&text, &around, body);
                let now = new.len();
                body.put(new);
                if length.is_some() {
                    request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(now));
                }
            }
            Gathered::Parted(head, why) => {
                self.editing.pass_request(&head, &around, why);
                let last = body.is_over();
                body.recorder().bytes(&head, last);
                body.put(head);
            }
            Gathered::Broken(head) => {
                body.recorder().bytes(&head, false);
                return Err(());
            }
        }
        Ok(request)
    }

    /// Tells of the whole text of a request and gives it as it goes on.
    fn change(&self, text: &Bytes, around: &Around<'_>, body: &mut Forwarded) -> Bytes {
        let change = self.editing.request(text, around);
        *self.awaited.borrow_mut() = change.awaited;
        let edited = change.edit.as_ref().map(|(_, edited)| edited);
        body.recorder().whole(edited, text);
        let Some((edit, _)) = change.edit else { return text.clone() };
        let mut out = Vec::with_capacity(text.len() + 256);
        edit.apply(text, &mut out);
        out.into()
    }

    /// The response as it goes on.
    pub(super) async fn response(
        self: &Rc<Self>,
        mut response: Response<ProxyBody>,
    ) -> Response<ProxyBody> {
        if self.post && self.awaited.borrow().is_none() {
            return response;
        }
        let headers = response.headers();
        let events = is(headers, "text/event-stream");
        let length = content_length(headers);
        let peer = headers.get(SESSION);
        let peer = peer.map(|id| self.editing.session((self.route, id.as_bytes())));
        let peer = peer.unwrap_or(self.peer);
        let limit = if events { None } else { length };
        if let Some(why) = unreadable(headers, limit) {
            self.give_up(Some(why));
            return response;
        }
        let json = is_json(headers);
        let ProxyBody::Forwarded(body) = response.body_mut() else { return response };
        if events {
            let room = Room::new(&self.editing);
            let stripping = Stripping { edits: Rc::clone(self), peer };
            body.edit_events(Box::new(stripping), room);
            response.headers_mut().remove(CONTENT_LENGTH);
        } else if self.post
            && json
            && let Some(now) = self.strip(body, length.is_none(), peer).await
            && length.is_some()
        {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(now));
        }
        response
    }

    /// Holds a body and takes out what was asked for; its length then, if it came whole.
    async fn strip(&self, body: &mut Forwarded, unmeasured: bool, peer: Scope) -> Option<usize> {
        match body.gather(unmeasured, Room::new(&self.editing)).await {
            Gathered::Whole(text) => {
                let edit = self.editing.answer(&text, &self.around(peer));
                let new = edit.map_or_else(
                    || text.clone(),
                    |edit| {
                        let mut out = Vec::with_capacity(text.len());
                        edit.apply(&text, &mut out);
                        Bytes::from(out)
                    },
                );
                let now = new.len();
                body.put(new);
                Some(now)
            }
            Gathered::Parted(head, why) => {
                self.editing.pass_answer(&head, &self.around(peer), why);
                body.put(head);
                None
            }
            Gathered::Broken(head) => {
                body.put(head);
                None
            }
        }
    }

    /// The answer does not come where it can be seen.
    fn give_up(&self, why: Option<&'static str>) {
        if let Some(awaited) = self.awaited.take() {
            self.editing.give_up(awaited, why);
        }
    }
}

impl Drop for Edits {
    fn drop(&mut self) {
        // In a session the answer may come another way, later.
        if matches!(&*self.awaited.borrow(), Some((Scope::Exchange(_), _))) {
            self.give_up(None);
        }
    }
}

impl events::Edit for Stripping {
    fn event(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let edit = self.edits.editing.answer(data, &self.edits.around(self.peer))?;
        let mut out = Vec::with_capacity(data.len());
        edit.apply(data, &mut out);
        Some(out)
    }

    fn several_lines(&mut self, data: &[u8]) {
        self.edits.editing.pass_answer(data, &self.edits.around(self.peer), why::MULTI_LINE);
    }

    fn too_long(&mut self, head: &[u8]) {
        self.edits.editing.pass_answer(head, &self.edits.around(self.peer), why::TOO_LONG);
    }
}

/// Says why a body with this head is not looked into, if it is not.
fn unreadable(headers: &HeaderMap, length: Option<u64>) -> Option<&'static str> {
    match () {
        () if coding(headers, Present::among(headers)) != Coding::Identity => Some(why::ENCODED),
        () if is_vouched_for(headers) => Some(why::DIGEST),
        () if length.is_some_and(|length| length > HOLD as u64) => Some(why::TOO_LONG),
        () => None,
    }
}

/// Says whether a header vouches for the body, or a trailer is announced that will.
fn is_vouched_for(headers: &HeaderMap) -> bool {
    let is_voucher = |name: &[u8]| VOUCHERS.iter().any(|v| name.eq_ignore_ascii_case(v.as_bytes()));
    let announced =
        headers.get_all(TRAILER).iter().flat_map(|names| names.as_bytes().split(|b| *b == b','));
    VOUCHERS.iter().any(|name| headers.contains_key(*name))
        || announced.into_iter().any(|name| is_voucher(name.trim_ascii()))
}

fn is_json(headers: &HeaderMap) -> bool {
    is(headers, "application/json")
}

fn is(headers: &HeaderMap, kind: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let essence = value.split(|b| *b == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(kind.as_bytes())
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_not_changed_that_a_header_or_an_announced_trailer_vouches_for() {
        for (name, value, vouched) in [
            ("content-digest", "sha-256=:x:", true),
            ("digest", "sha-256=x", true),
            ("trailer", "content-digest", true),
            ("trailer", "X-Sum,Repr-Digest", true),
            ("trailer", "x-sum , DIGEST ", true),
            ("trailer", "Content-MD5", true),
            ("trailer", "x-sum, x-digest", false),
            ("x-sum", "content-digest", false),
        ] {
            let mut headers = HeaderMap::new();
            // The second of two counts like the first.
            headers.append(TRAILER, HeaderValue::from_static("x-other"));
            headers.append(name, HeaderValue::from_static(value));
            let reason = vouched.then_some(why::DIGEST);
            assert_eq!(unreadable(&headers, None), reason, "{name}: {value}");
        }
    }
}
