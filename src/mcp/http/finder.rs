//! Looks for the place that an HTTP+SSE stream (2024-11-05) sends its client's messages to, as the stream
//! passes: a proxy that routes by path has to know where they belong. It reads the first event and no
//! more.

use super::endpoint::resolve;
use super::sse::Sse;

/// How much of a stream is looked at: the first event is short.
const MAX_LOOK: usize = 4096;

/// What the beginning of a stream has told.
#[derive(Debug, PartialEq, Eq)]
pub enum Looked {
    /// Nothing yet.
    More,
    /// Its messages go to this path and query, as clients resolve it.
    Found(Vec<u8>),
    /// It names no place.
    Nothing,
}

/// The beginning of one stream.
#[derive(Debug)]
pub struct EndpointFinder {
    base: Box<[u8]>,
    sse: Sse,
    left: usize,
}

impl EndpointFinder {
    /// A stream that was asked for at `target`.
    pub fn new(target: &[u8]) -> Self {
        EndpointFinder { base: target.into(), sse: Sse::default(), left: MAX_LOOK }
    }

    /// Takes bytes of it in, at any boundary.
    pub fn push(&mut self, chunk: &[u8]) -> Looked {
        let chunk = &chunk[..chunk.len().min(self.left)];
        self.left -= chunk.len();
        let (base, mut looked) = (&self.base, Looked::More);
        self.sse.push(chunk, MAX_LOOK, |event| {
            if looked == Looked::More {
                let named = (event.name == b"endpoint").then(|| resolve(base, event.data));
                looked = named.flatten().map_or(Looked::Nothing, Looked::Found);
            }
        });
        if looked == Looked::More && self.left == 0 { Looked::Nothing } else { looked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(target: &str, stream: &str, size: usize) -> Looked {
        let mut finder = EndpointFinder::new(target.as_bytes());
        for chunk in stream.as_bytes().chunks(size) {
            match finder.push(chunk) {
                Looked::More => {}
                looked => return looked,
            }
        }
        Looked::More
    }

    #[test]
    fn the_first_event_names_the_place_at_any_boundary() {
        let found = |text: &str| Looked::Found(text.as_bytes().to_vec());
        let stream =
            ": hi\r\n\r\nevent: endpoint\r\ndata: /messages/?session_id=1\r\n\r\nevent: x\n\n";
        for size in [1, 7, 1000] {
            assert_eq!(look("/a/sse", stream, size), found("/messages/?session_id=1"));
        }
        let relative = "event: endpoint\ndata: messages?s=1\n\n";
        assert_eq!(look("/a/sse", relative, 9), found("/a/messages?s=1"));
        assert_eq!(look("/sse", "event: message\ndata: {}\n\n", 100), Looked::Nothing);
        assert_eq!(look("/sse", "event: endpoint\n", 100), Looked::More);
        let endless = "x".repeat(2 * MAX_LOOK);
        assert_eq!(look("/sse", &endless, 100), Looked::Nothing);
    }
}
