//! What the head of a request shows of secrets: credentials that it carries, for the redaction of what is told of that
//! exchange and of nothing else.
//!
//! Held in memory for as long as they are used, and a little longer; nothing of them is told.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use super::RequestHead;
use crate::mcp::pairing::Recent;
use crate::privacy::redact::{KnownValues, is_secret_name, parts_of_credential};
use crate::telemetry::Nanos;

/// How many sets of credentials are remembered: a client sends the same ones again and again.
const REMEMBERED: usize = 256;
/// How long after their last use, in nanoseconds.
const FORGOTTEN_AFTER: Nanos = Duration::from_secs(10 * 60).as_nanos() as Nanos;
/// The most secrets of one head.
const MAX_VALUES: usize = 64;

/// Knows the secrets of heads.
#[derive(Debug)]
pub(super) struct Credentials {
    keys: RandomState,
    recent: Recent<u64, (Arc<KnownValues>, Nanos)>,
    looked_through: Nanos,
}

impl Default for Credentials {
    fn default() -> Self {
        Credentials { keys: RandomState::new(), recent: Recent::new(REMEMBERED), looked_through: 0 }
    }
}

impl Credentials {
    /// Finds the secrets of a head; `None` if it carries none.
    pub(super) fn of(&mut self, head: &RequestHead<'_>, now: Nanos) -> Option<Arc<KnownValues>> {
        self.forget(now);
        let query = query(head.target);
        let carries = |header: &Option<&[u8]>| header.is_some();
        if !head.credentials.iter().any(carries) && head.session.is_none() && query.is_empty() {
            return None;
        }
        let key = self.keys.hash_one((head.credentials, head.session, query));
        let known = match self.recent.get(&key) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(KnownValues::new(values(head))),
        };
        self.recent.insert(key, (Arc::clone(&known), now));
        (!known.is_empty()).then_some(known)
    }

    fn forget(&mut self, now: Nanos) {
        if now.saturating_sub(self.looked_through) > FORGOTTEN_AFTER / 10 {
            self.looked_through = now;
            self.recent.retain(|_, (_, used)| now.saturating_sub(*used) < FORGOTTEN_AFTER);
        }
    }
}

fn values(head: &RequestHead<'_>) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers =
        head.credentials.iter().flatten().flat_map(|value| parts_of_credential(&text(value)));
    let parameters = text(query(head.target));
    let parameters = parameters.split('&').filter_map(|parameter| parameter.split_once('='));
    let secret =
        parameters.filter(|(name, _)| is_secret_name(name)).map(|(_, value)| value.to_owned());
    headers.chain(head.session.map(text)).chain(secret).take(MAX_VALUES).collect()
}

fn query(target: &[u8]) -> &[u8] {
    target.iter().position(|b| *b == b'?').map_or(&[], |at| &target[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::Verb;

    fn head<'a>(credential: Option<&'a [u8]>, target: &'a [u8]) -> RequestHead<'a> {
        RequestHead {
            server: 0,
            verb: Verb::Post,
            target,
            http_version: 11,
            session: None,
            protocol_version: None,
            traceparent: None,
            tracestate: None,
            resumes: false,
            credentials: [credential, None, None, None],
        }
    }

    #[test]
    fn a_head_has_the_secrets_of_its_headers_session_and_query() {
        let head = RequestHead {
            session: Some(b"session-1"),
            ..head(Some(b"Bearer abc"), b"/mcp?token=def&x=1")
        };
        assert_eq!(values(&head), ["Bearer abc", "abc", "session-1", "def"]);
    }

    #[test]
    fn equal_credentials_share_a_set_until_they_are_forgotten() {
        let (mut credentials, minute) = (Credentials::default(), FORGOTTEN_AFTER / 10);
        assert!(credentials.of(&head(None, b"/mcp"), 0).is_none());
        let mine = head(Some(b"Bearer kettle-window"), b"/mcp");
        let one = credentials.of(&mine, 0).unwrap();
        let other = credentials.of(&head(Some(b"Bearer kettle-door-1"), b"/mcp"), 0).unwrap();
        assert!(!Arc::ptr_eq(&one, &other));
        let again = credentials.of(&mine, 9 * minute).unwrap();
        assert!(Arc::ptr_eq(&one, &again));
        assert!(Arc::ptr_eq(&one, &credentials.of(&mine, 18 * minute).unwrap()), "used meanwhile");
        assert!(!Arc::ptr_eq(&one, &credentials.of(&mine, 29 * minute).unwrap()));
        assert!(credentials.of(&head(Some(b"x"), b"/mcp"), 0).is_none(), "too short to tell");
    }
}
