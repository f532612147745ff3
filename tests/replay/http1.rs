//! As much of HTTP/1.1 as the recordings need: heads, bodies by length or in chunks, one after another
//! on each connection.

use std::collections::{HashMap, VecDeque};

use mcpcol::mcp::{Direction, Exchange};

/// What a receiver would tell of an exchange.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Request(Head),
    Response(Head),
    Bytes(Direction, Vec<u8>),
    Ended(Direction),
}

/// A first line and its headers, names in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) start: String,
    headers: Vec<(String, String)>,
}

/// All connections of a recording.
#[derive(Default)]
pub(crate) struct Connections {
    wires: HashMap<u64, Wire>,
    exchanges: Exchange,
}

/// One connection: both directions, and the exchanges whose responses are to come.
#[derive(Default)]
struct Wire {
    ways: [Way; 2],
    waiting: VecDeque<Exchange>,
}

/// One direction.
#[derive(Default)]
struct Way {
    bytes: Vec<u8>,
    state: State,
    exchange: Exchange,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum State {
    #[default]
    Head,
    Length(usize),
    ChunkSize,
    Chunk(usize),
    ChunkEnd,
    LastChunkEnd,
}

impl Head {
    fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8(text.to_vec()).unwrap();
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap().to_owned();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Head { start, headers: lines.map(header).collect() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_bytes())
    }

    fn body(&self) -> State {
        if self.get("transfer-encoding") == Some(b"chunked") {
            return State::ChunkSize;
        }
        let length = self.get("content-length").map(|n| std::str::from_utf8(n).unwrap());
        State::Length(length.map_or(0, |n| n.parse().unwrap()))
    }
}

impl Connections {
    /// One read of a recording.
    pub(crate) fn read(
        &mut self,
        connection: u64,
        direction: Direction,
        bytes: &[u8],
        mut tell: impl FnMut(Exchange, Seen),
    ) {
        let wire = self.wires.entry(connection).or_default();
        wire.ways[direction as usize].bytes.extend_from_slice(bytes);
        while wire.step(direction, &mut self.exchanges, &mut tell) {}
    }
}

impl Wire {
    /// Reads one thing more; `false` if that takes more bytes.
    fn step(
        &mut self,
        direction: Direction,
        exchanges: &mut Exchange,
        tell: &mut impl FnMut(Exchange, Seen),
    ) -> bool {
        let way = &mut self.ways[direction as usize];
        match way.state {
            State::Head => {
                let Some(head) = way.take_until(b"\r\n\r\n") else { return false };
                let head = Head::parse(&head);
                way.state = head.body();
                if direction == Direction::ClientToServer {
                    *exchanges += 1;
                    way.exchange = *exchanges;
                    self.waiting.push_back(way.exchange);
                    tell(way.exchange, Seen::Request(head));
                } else {
                    way.exchange = self.waiting.pop_front().unwrap();
                    tell(way.exchange, Seen::Response(head));
                }
            }
            State::Length(0) | State::LastChunkEnd => {
                if way.state == State::LastChunkEnd && way.take_until(b"\r\n").is_none() {
                    return false;
                }
                way.state = State::Head;
                tell(way.exchange, Seen::Ended(direction));
            }
            State::Length(left) | State::Chunk(left) => {
                let piece: Vec<u8> = way.bytes.drain(..left.min(way.bytes.len())).collect();
                if piece.is_empty() {
                    return false;
                }
                way.state = match way.state {
                    State::Chunk(_) if piece.len() == left => State::ChunkEnd,
                    State::Chunk(_) => State::Chunk(left - piece.len()),
                    _ => State::Length(left - piece.len()),
                };
                tell(way.exchange, Seen::Bytes(direction, piece));
            }
            State::ChunkSize => {
                let Some(line) = way.take_until(b"\r\n") else { return false };
                let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap(), 16).unwrap();
                way.state = if size == 0 { State::LastChunkEnd } else { State::Chunk(size) };
            }
            State::ChunkEnd => {
                if way.take_until(b"\r\n").is_none() {
                    return false;
                }
                way.state = State::ChunkSize;
            }
        }
        true
    }
}

impl Way {
    /// What stands before `end`, which is dropped.
    fn take_until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let at = self.bytes.windows(end.len()).position(|window| window == end)?;
        let taken = self.bytes.drain(..at).collect();
        self.bytes.drain(..end.len());
        Some(taken)
    }
}
