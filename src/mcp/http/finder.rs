//! Looks for the place that an HTTP+SSE stream (2024-11-05) sends its client's messages to, as the stream
//! passes: a proxy that routes by path has to know where they belong. It reads the first event and no
//! more.

use super::endpoint::resolve;
use super::sse::Sse;

/// Says how much of a stream is looked at: the first event is short.
const MAX_LOOK: usize = 4096;

/// Names what the beginning of a stream has told.
#[derive(Debug, PartialEq, Eq)]
pub enum Looked {
    /// Nothing yet.
    More,
    /// It names where its messages go.
    Found {
        /// Path and query as its client resolves it.
        asked: Vec<u8>,
        /// Path and query as it is meant: they differ where somebody in between swaps paths.
        meant: Vec<u8>,
    },
    /// It names no place.
    Nothing,
}

/// The beginning of one stream.
#[derive(Debug)]
pub struct EndpointFinder {
    /// Says where the stream is for its client, and where for its server.
    bases: [Box<[u8]>; 2],
    sse: Sse,
    left: usize,
}

impl EndpointFinder {
    /// A stream that its client asked for at `asked`, which is `served` at its server.
    pub fn new(asked: &[u8], served: &[u8]) -> Self {
        let bases = [asked.into(), served.into()];
        EndpointFinder { bases, sse: Sse::default(), left: MAX_LOOK }
    }

    /// Takes bytes of it in, at any boundary.
    pub fn push(&mut self, chunk: &[u8]) -> Looked {
        let chunk = &chunk[..chunk.len().min(self.left)];
        self.left -= chunk.len();
        let ([asked, served], mut looked) = (&self.bases, Looked::More);
        self.sse.push(chunk, MAX_LOOK, |event| {
            if looked != Looked::More {
                return;
            }
            looked = match (resolve(asked, event.data), resolve(served, event.data)) {
                (Some(asked), Some(meant)) if event.name == b"endpoint" => {
                    Looked::Found { asked, meant }
                }
                _ => Looked::Nothing,
            };
        });
        if looked == Looked::More && self.left == 0 { Looked::Nothing } else { looked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(asked: &str, served: &str, stream: &str, size: usize) -> Looked {
        let mut finder = EndpointFinder::new(asked.as_bytes(), served.as_bytes());
        for chunk in stream.as_bytes().chunks(size) {
            match finder.push(chunk) {
                Looked::More => {}
                looked => return looked,
            }
        }
        Looked::More
    }

    fn found(asked: &str, meant: &str) -> Looked {
        Looked::Found { asked: asked.into(), meant: meant.into() }
    }

    #[test]
    fn the_first_event_names_the_place_at_any_boundary() {
        let stream =
            ": hi\r\n\r\nevent: endpoint\r\ndata: /messages/?session_id=1\r\n\r\nevent: x\n\n";
        for size in [1, 7, 1000] {
            let place = "/messages/?session_id=1";
            assert_eq!(look("/a/sse", "/b/c/sse", stream, size), found(place, place));
        }
        assert_eq!(look("/sse", "/sse", "event: message\ndata: {}\n\n", 100), Looked::Nothing);
        assert_eq!(look("/sse", "/sse", "event: endpoint\n", 100), Looked::More);
        let endless = "x".repeat(2 * MAX_LOOK);
        assert_eq!(look("/sse", "/sse", &endless, 100), Looked::Nothing);
    }

    #[test]
    fn a_relative_place_is_another_one_where_paths_are_swapped() {
        let stream = "event: endpoint\ndata: messages?s=1\n\n";
        assert_eq!(
            look("/a/sse", "/a/sse", stream, 9),
            found("/a/messages?s=1", "/a/messages?s=1")
        );
        assert_eq!(look("/desk", "/a/sse?x", stream, 9), found("/messages?s=1", "/a/messages?s=1"));
    }
}
