//! The requests whose answers matter to a tap that edits, until they are answered.
//!
//! Forgetting one means that its answer passes with the spans in it; whoever asks is told, and counts.

use crate::mcp::Id;
use crate::mcp::recent::Recent;

/// Says how many requests are remembered, over all scopes: far more than servers work on at once.
const REMEMBERED: usize = 4096;

/// Says where an id is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// In a legacy session, or on a stdio connection.
    Session(u64),
    /// In one HTTP exchange.
    Exchange(u64),
}

/// Names what an answer is to the tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// It tells what a legacy server can do.
    Handshake,
    /// The tap asked for the spans in it.
    Spans,
}

/// See the module.
#[derive(Debug)]
pub struct Asked {
    requests: Recent<(Scope, Id), Awaited>,
    /// Says where an integer was written as a text in the id of a request: there such a text means itself.
    spelling: Recent<Scope, ()>,
    /// Says where servers said that they hand spans back.
    capable: Recent<Scope, ()>,
}

impl Default for Asked {
    fn default() -> Self {
        let (requests, spelling) = (Recent::new(REMEMBERED), Recent::new(REMEMBERED));
        Asked { requests, spelling, capable: Recent::new(REMEMBERED) }
    }
}

impl Asked {
    /// A request goes to the server. Whatever its id meant before, from here on it means this one; what
    /// its answer is `awaited` for, if for anything. True if an answer that holds our spans is
    /// forgotten for want of room.
    pub fn request(&mut self, scope: Scope, id: Id, awaited: Option<Awaited>) -> bool {
        if matches!(scope, Scope::Session(_)) && id.spelled().is_some() {
            self.spelling.insert(scope, ());
        }
        let Some(awaited) = awaited else {
            self.requests.remove(&(scope, id));
            return false;
        };
        self.requests.insert((scope, id), awaited) == Some(Awaited::Spans)
    }

    /// An answer comes, or never will: what it was awaited for, if for anything. Its id is taken as
    /// [clients do](Id::spelled): as it is, else as the integer that it spells.
    pub fn take(&mut self, scope: Scope, id: Id) -> Option<Awaited> {
        if self.requests.is_empty() {
            return None;
        }
        let number = id.spelled().filter(|_| self.spelling.get(&scope).is_none());
        let exact = self.requests.remove(&(scope, id));
        exact.or_else(|| self.requests.remove(&(scope, Id::Int(number?))))
    }

    /// Says whether no answer is awaited.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// A message that cannot be read went to the server and may have used any id again: forgets those
    /// of its scope, and says how many of their answers hold our spans.
    pub fn forget(&mut self, scope: Scope) -> u64 {
        let mut ours = 0;
        self.requests.retain(|(other, _), awaited| {
            let stays = *other != scope;
            ours += u64::from(!stays && *awaited == Awaited::Spans);
            stays
        });
        ours
    }

    /// The server said that it hands spans back, or that it does not.
    pub fn set_capable(&mut self, scope: Scope, capable: bool) {
        if capable {
            self.capable.insert(scope, ());
        } else {
            self.capable.remove(&scope);
        }
    }

    /// Says whether it said so.
    pub fn is_capable(&self, scope: Scope) -> bool {
        self.capable.get(&scope).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Scope = Scope::Session(1);

    #[test]
    fn an_id_means_its_latest_use_in_its_scope() {
        let mut asked = Asked::default();
        assert!(!asked.request(HERE, Id::Int(1), Some(Awaited::Spans)));
        assert_eq!(asked.take(Scope::Session(2), Id::Int(1)), None);
        assert_eq!(asked.take(Scope::Exchange(1), Id::Int(1)), None);
        assert_eq!(asked.take(HERE, Id::Int(1)), Some(Awaited::Spans));
        assert_eq!(asked.take(HERE, Id::Int(1)), None);
        asked.request(HERE, Id::Int(1), Some(Awaited::Spans));
        asked.request(HERE, Id::Int(1), None);
        assert!(asked.is_empty(), "the client's own use of it is not ours");
    }

    #[test]
    fn an_integer_is_answered_by_its_text_too_unless_the_client_writes_such_texts() {
        let mut asked = Asked::default();
        asked.request(HERE, Id::Int(7), Some(Awaited::Spans));
        assert_eq!(asked.take(Scope::Session(2), Id::Text("7".into())), None);
        assert_eq!(asked.take(HERE, Id::Text("8".into())), None);
        assert_eq!(asked.take(HERE, Id::Text(" 7".into())), Some(Awaited::Spans));
        asked.request(HERE, Id::Text("7".into()), Some(Awaited::Spans));
        assert_eq!(asked.take(HERE, Id::Int(7)), None);
        asked.request(HERE, Id::Int(7), Some(Awaited::Spans));
        assert_eq!(asked.take(HERE, Id::Text("7".into())), Some(Awaited::Spans), "its own");
        assert_eq!(asked.take(HERE, Id::Text("7".into())), None, "the client's, not asked by us");
        assert_eq!(asked.take(HERE, Id::Int(7)), Some(Awaited::Spans));
    }

    #[test]
    fn the_oldest_is_forgotten_and_that_is_told() {
        let mut asked = Asked::default();
        let forgotten =
            (0..5000).filter(|n| asked.request(HERE, Id::Int(*n), Some(Awaited::Spans))).count();
        assert_eq!(forgotten, 5000 - REMEMBERED);
        assert_eq!(asked.take(HERE, Id::Int(0)), None);
        assert_eq!(asked.take(HERE, Id::Int(4999)), Some(Awaited::Spans));
        asked.request(HERE, Id::Int(7), Some(Awaited::Handshake));
        asked.request(Scope::Session(2), Id::Int(7), Some(Awaited::Spans));
        assert_eq!(asked.forget(HERE), REMEMBERED as u64 - 3);
        assert_eq!(asked.take(Scope::Session(2), Id::Int(7)), Some(Awaited::Spans));
        assert!(asked.is_empty());
    }

    #[test]
    fn what_a_server_can_do_is_its_last_word() {
        let mut asked = Asked::default();
        assert!(!asked.is_capable(HERE));
        asked.set_capable(HERE, true);
        assert!(asked.is_capable(HERE));
        asked.set_capable(HERE, false);
        assert!(!asked.is_capable(HERE));
    }
}
