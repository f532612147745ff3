//! Finds the credentials that heads carry, for the redaction of what is told of that exchange or session and of
//! nothing else.
//!
//! Equal heads share what is made of them: making it takes longer than all else that a head is looked at for.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Weak};

use super::HeadContent;
use crate::mcp::recent::Recent;
use crate::mcp::secrets::{FORGOTTEN_AFTER, HeadSecrets};
use crate::privacy::redact::{KnownValues, is_secret_name, parts_of_credential};
use crate::telemetry::Nanos;

/// Says how many heads with credentials are remembered: a client sends the same ones again and again.
const REMEMBERED: usize = 256;
/// Says how much all that are in use have of values, in bytes; what a head has beyond is not searched for, and counted.
/// 4,096 sessions with tokens of 2 KB fit.
const MAX_LIVE: usize = 8 << 20;
/// The shortest token that is searched for without the scheme before it, in bytes.
const TELLING: usize = 16;
/// Counts the bytes that a set takes besides.
const SET: usize = 256;

/// Knows the secrets of heads.
#[derive(Debug)]
pub(super) struct Credentials {
    keys: RandomState,
    recent: Recent<u64, (Arc<HeadSecrets>, Nanos)>,
    /// Sets that may be in use, by whomever, and what they have of values.
    live: Vec<(Weak<KnownValues>, usize)>,
    live_bytes: usize,
}

impl Default for Credentials {
    fn default() -> Self {
        Credentials {
            keys: RandomState::new(),
            recent: Recent::new(REMEMBERED),
            live: Vec::new(),
            live_bytes: 0,
        }
    }
}

impl Credentials {
    /// Finds the secrets of a head; `None` if it carries none. A response has no target. Fails where there is no room
    /// for more.
    pub(super) fn of(
        &mut self,
        content: &HeadContent<'_>,
        session: Option<&[u8]>,
        target: &[u8],
        now: Nanos,
    ) -> Result<Option<Arc<HeadSecrets>>, NoRoom> {
        let query = query(target);
        if content.credentials.is_empty() && session.is_none() && query.is_empty() {
            return Ok(None);
        }
        let key = self.keys.hash_one((content.credentials, session, query));
        let known = match self.recent.get(&key) {
            Some((known, _)) => Arc::clone(known),
            None => self.make(values(content.credentials, session, query))?,
        };
        self.recent.insert(key, (Arc::clone(&known), now));
        Ok((!known.secrets.is_empty()).then_some(known))
    }

    fn make(&mut self, values: Vec<String>) -> Result<Arc<HeadSecrets>, NoRoom> {
        if self.live_bytes > MAX_LIVE {
            self.live.retain(|(set, _)| set.strong_count() > 0);
            self.live_bytes = self.live.iter().map(|(_, bytes)| bytes).sum();
        }
        if self.live_bytes > MAX_LIVE {
            return Err(NoRoom);
        }
        let known = HeadSecrets::new(values);
        for set in known.secrets.sets() {
            let bytes = known.bytes() + SET;
            self.live.push((Arc::downgrade(set), bytes));
            self.live_bytes += bytes;
        }
        Ok(Arc::new(known))
    }

    /// Forgets heads that were not seen for a while.
    pub(super) fn forget(&mut self, now: Nanos) {
        self.recent.retain(|_, (_, used)| now.saturating_sub(*used) < FORGOTTEN_AFTER);
    }
}

/// Says that there are too many secrets in use.
#[derive(Debug)]
pub(super) struct NoRoom;

/// Lists the values: of the session first, because there may be more than are kept.
fn values(credentials: &[&[u8]], session: Option<&[u8]>, query: &[u8]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = credentials.iter().flat_map(|value| parts_of_credential(&text(value)));
    let mut all: Vec<String> =
        session.map(text).into_iter().chain(headers).chain(secrets_of_query(query)).collect();
    // Where a token is found, the scheme before it says nothing.
    let whole = |i: usize| {
        let token = all[i].split_once(' ').map(|(_, token)| token.trim_start());
        token.is_some_and(|token| token.len() >= TELLING && all.iter().any(|one| one == token))
    };
    let wholes: Vec<bool> = (0..all.len()).map(whole).collect();
    let mut wholes = wholes.into_iter();
    all.retain(|_| !wholes.next().unwrap_or(false));
    all
}

/// Lists the values of the parameters whose names say secret, as they are and decoded.
fn secrets_of_query(query: &[u8]) -> impl Iterator<Item = String> {
    let parameters = query.split(|b| matches!(b, b'&' | b';'));
    let pairs = parameters.filter_map(|parameter| {
        let equals = parameter.iter().position(|b| *b == b'=')?;
        Some((decoded(&parameter[..equals]), &parameter[equals + 1..]))
    });
    let secret = |name: &str| is_secret_name(name) || names_session(name);
    pairs.filter(move |(name, _)| secret(name)).flat_map(|(_, value)| {
        let (raw, plain) = (String::from_utf8_lossy(value).into_owned(), decoded(value));
        let changed = plain != raw;
        [Some(raw), changed.then_some(plain)].into_iter().flatten()
    })
}

/// Says whether a parameter names a session, as those of HTTP+SSE (2024-11-05) do: `sessionId`, `session_id`.
fn names_session(name: &str) -> bool {
    let letters = name.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase());
    letters.collect::<Vec<u8>>().ends_with(b"sessionid")
}

/// Undoes percent-encoding (RFC 3986 section 2.1) and the plus signs of forms.
fn decoded(text: &[u8]) -> String {
    let digit = |b: &u8| char::from(*b).to_digit(16);
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((first, after)) = rest.split_first() {
        let pair = after.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = pair.and_then(|[high, low]| u8::try_from(digit(high)? * 16 + digit(low)?).ok());
        out.push(byte.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn query(target: &[u8]) -> &[u8] {
    target.iter().position(|b| *b == b'?').map_or(&[], |at| &target[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_the_secrets_of_its_headers_session_and_query() {
        let query = query(b"/mcp?token=a%2Fb+c&x=1&api_key=%zz%4&access%5Ftoken=q&sessionId=r");
        assert_eq!(
            values(&[b"Bearer abc", b"sid=x1"], Some(b"session-1"), query),
            [
                "session-1",
                "Bearer abc",
                "abc",
                "sid=x1",
                "x1",
                "a%2Fb+c",
                "a/b c",
                "%zz%4",
                "q",
                "r"
            ]
        );
    }

    #[test]
    fn equal_credentials_share_a_set_until_they_are_forgotten() {
        let (mut credentials, minute) = (Credentials::default(), FORGOTTEN_AFTER / 10);
        let mut of = |credential: &[u8], now| {
            let credential = [credential];
            let content = HeadContent { credentials: &credential, headers: &[] };
            credentials.forget(now);
            credentials.of(&content, None, b"/mcp", now).unwrap()
        };
        let one = of(b"Bearer kettle-window", 0).unwrap();
        let other = of(b"Bearer kettle-door-1", 0).unwrap();
        assert!(!Arc::ptr_eq(&one, &other));
        let mut again = |now| Arc::ptr_eq(&one, &of(b"Bearer kettle-window", now).unwrap());
        assert!(again(9 * minute));
        assert!(again(18 * minute), "used meanwhile");
        assert!(!again(29 * minute));
        assert!(of(b"x", 0).is_none(), "too short to tell");
        let nothing = HeadContent::default();
        assert!(credentials.of(&nothing, None, b"/mcp?x=1", 0).unwrap().is_none());
        assert!(credentials.of(&nothing, None, b"", 0).unwrap().is_none());
    }

    #[test]
    fn a_scheme_says_nothing_before_a_token_that_is_searched_for() {
        let token = "kettle-window-door";
        let bearer = format!("Bearer {token}");
        assert_eq!(values(&[bearer.as_bytes()], None, b""), [token]);
    }

    #[test]
    fn there_is_room_again_once_those_in_use_are_fewer() {
        let mut credentials = Credentials::default();
        let mut of = |i: u32| {
            let value = format!("{i:010}{}", "kettle".repeat(600));
            let credential = [value.as_bytes()];
            let content = HeadContent { credentials: &credential, headers: &[] };
            credentials.of(&content, None, b"", 0)
        };
        let mut used: Vec<_> = (0..5000).map_while(|i| of(i).ok()).collect();
        assert!(used.len() < 3000, "{}", used.len());
        assert!(of(5001).is_err());
        used.truncate(100);
        assert!(of(5001).is_ok());
    }
}
