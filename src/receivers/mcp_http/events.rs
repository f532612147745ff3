//! An event stream whose data may change on their way, event by event.
//!
//! Only lines of data are held, until their event ends; whatever comes before them in an event passes at
//! once, and so do comments. Line ends stay as they are. Pure: bytes in at any boundary, bytes out.

use memchr::memchr2;

const MARK: &[u8] = b"\xef\xbb\xbf";
const DATA: &[u8] = b"data";

/// Edits the data of a stream's events.
pub(super) trait Edit {
    /// The data of an event: what comes in their place, if anything does.
    fn event(&mut self, data: &[u8]) -> Option<Vec<u8>>;
    /// Data that pass as they are, because they stand on several lines.
    fn several_lines(&mut self, data: &[u8]);
    /// Data that pass as they are, because they are too long; `head` is their beginning.
    fn too_long(&mut self, head: &[u8]);
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Holds what is not passed on yet. Begins where a line begins, unless one is passing.
    held: Vec<u8>,
    /// The lines of `held` before this belong to an event that has not ended.
    seen: usize,
    state: State,
    /// The last byte that passed was a CR: an LF after it belongs to it.
    after_cr: bool,
    begun: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// At the beginning of a line.
    #[default]
    Line,
    /// In a line that passes as it comes.
    Passing,
    /// In an event that passes as it comes, at the beginning of a line.
    EventLine,
    /// In such an event, in a line that has begun.
    Event,
}

impl Events {
    /// Takes the next bytes and appends what is due to `out`. Of an event no more than `limit` bytes are
    /// held.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
        edit: &mut dyn Edit,
    ) {
        self.held.extend_from_slice(bytes);
        while !self.held.is_empty() {
            if self.after_cr {
                self.after_cr = false;
                if self.held[0] == b'\n' {
                    self.pass(1, out);
                    continue;
                }
            }
            let on = match self.state {
                State::Line => self.line(limit, out, edit),
                State::Passing => self.rest_of_line(State::Line, out),
                State::EventLine if is_end(self.held[0]) => self.rest_of_line(State::Line, out),
                State::EventLine | State::Event => {
                    self.state = State::Event;
                    self.rest_of_line(State::EventLine, out)
                }
            };
            if !on {
                return;
            }
        }
    }

    /// Says how much is held, in bytes.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// The stream ended: what is held passes, the last event as if a blank line had come.
    pub(super) fn end(&mut self, out: &mut Vec<u8>, edit: &mut dyn Edit) {
        let rest = std::mem::take(&mut self.held);
        if self.state == State::Line && rest.starts_with(DATA) {
            write_event(&rest, out, edit);
        } else {
            out.extend_from_slice(&rest);
        }
    }

    /// At the beginning of a line that may be one of data; `false` if more is needed.
    fn line(&mut self, limit: usize, out: &mut Vec<u8>, edit: &mut dyn Edit) -> bool {
        if !self.begun {
            let begin = &self.held[..self.held.len().min(MARK.len())];
            if MARK.starts_with(begin) && begin.len() < MARK.len() {
                return false;
            }
            self.begun = true;
            if begin == MARK {
                self.pass(MARK.len(), out);
                return true;
            }
        }
        let line = &self.held[..self.held.len().min(DATA.len())];
        if !DATA.starts_with(line) {
            self.state = State::Passing;
            return true;
        }
        let Some(end) = self.event_end() else {
            if self.held.len() <= limit {
                return false;
            }
            let head = data(&self.held).next().unwrap_or_default();
            edit.too_long(&self.held[head]);
            // Where the last line has begun it goes on as it is.
            let open = self.seen < self.held.len();
            self.state = if open { State::Event } else { State::EventLine };
            self.pass(self.held.len(), out);
            return true;
        };
        write_event(&self.held[..end], out, edit);
        self.after_cr = self.held[end - 1] == b'\r';
        self.held.drain(..end);
        self.seen = 0;
        true
    }

    /// Says where the event that is held ends, right after its blank line.
    fn event_end(&mut self) -> Option<usize> {
        loop {
            let at = self.seen;
            if at > 0 && self.held[at - 1] == b'\r' && self.held.get(at) == Some(&b'\n') {
                self.seen += 1;
            }
            let (length, next) = line_end(&self.held[self.seen..])?;
            self.seen += next;
            if length == 0 {
                return Some(self.seen);
            }
        }
    }

    /// Passes the rest of the line, as far as it has come.
    fn rest_of_line(&mut self, then: State, out: &mut Vec<u8>) -> bool {
        match line_end(&self.held) {
            Some((_, next)) => {
                self.state = then;
                self.pass(next, out);
            }
            None => self.pass(self.held.len(), out),
        }
        true
    }

    fn pass(&mut self, length: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.held[..length]);
        self.after_cr = length > 0 && self.held[length - 1] == b'\r';
        self.held.drain(..length);
        self.seen = 0;
    }
}

/// Writes an event whose first line may be one of data.
fn write_event(event: &[u8], out: &mut Vec<u8>, edit: &mut dyn Edit) {
    let mut lines = data(event);
    match (lines.next(), lines.next()) {
        (Some(at), None) => {
            if let Some(new) = edit.event(&event[at.clone()]) {
                out.extend_from_slice(&event[..at.start]);
                out.extend_from_slice(&new);
                out.extend_from_slice(&event[at.end..]);
                return;
            }
        }
        (Some(_), Some(_)) => {
            let all: Vec<_> = data(event).map(|at| &event[at]).collect();
            edit.several_lines(&all.join(&b'\n'));
        }
        (None, _) => {}
    }
    out.extend_from_slice(event);
}

/// Says where the values of the lines of data stand.
fn data(event: &[u8]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at;
            if start >= event.len() {
                return None;
            }
            let (length, next) =
                line_end(&event[start..]).unwrap_or((event.len() - start, event.len() - start));
            at = start + next;
            let line = &event[start..start + length];
            let Some(value) = line.strip_prefix(DATA) else { continue };
            if value.is_empty() {
                return Some(start + length..start + length);
            }
            let Some(value) = value.strip_prefix(b":") else { continue };
            let value = value.strip_prefix(b" ").unwrap_or(value);
            return Some(start + length - value.len()..start + length);
        }
    })
}

/// The length of the line at the start of `bytes`, and where the next begins; `None` if it has not ended.
fn line_end(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = memchr2(b'\n', b'\r', bytes)?;
    let pair = bytes[end] == b'\r' && bytes.get(end + 1) == Some(&b'\n');
    Some((end, end + 1 + usize::from(pair)))
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::Sse;
    use proptest::prelude::*;

    /// Writes every datum in brackets.
    #[derive(Default)]
    struct Brackets {
        left: Vec<String>,
    }

    impl Edit for Brackets {
        fn event(&mut self, data: &[u8]) -> Option<Vec<u8>> {
            (!data.is_empty()).then(|| [b"[", data, b"]"].concat())
        }

        fn several_lines(&mut self, data: &[u8]) {
            self.left.push(String::from_utf8_lossy(data).into_owned());
        }

        fn too_long(&mut self, head: &[u8]) {
            self.left.push(format!("{}..", String::from_utf8_lossy(head)));
        }
    }

    fn run(pieces: &[&[u8]], limit: usize) -> (Vec<String>, Vec<String>) {
        let (mut events, mut edit) = (Events::default(), Brackets::default());
        let mut outs: Vec<_> = pieces
            .iter()
            .map(|piece| {
                let mut out = Vec::new();
                events.push(piece, limit, &mut out, &mut edit);
                String::from_utf8_lossy(&out).into_owned()
            })
            .collect();
        let mut out = Vec::new();
        events.end(&mut out, &mut edit);
        outs.push(String::from_utf8_lossy(&out).into_owned());
        (outs, edit.left)
    }

    #[test]
    fn only_data_wait_for_the_end_of_their_event() {
        let pieces: [&[u8]; 8] = [
            b": ping\n",
            b"event: mes",
            b"sage\nid: 1\nda",
            b"ta: x",
            b"y\n",
            b"\n: p\n\n",
            b"database: 1\n",
            b"\n",
        ];
        let expected = [
            ": ping\n",
            "event: mes",
            "sage\nid: 1\n",
            "",
            "",
            "data: [xy]\n\n: p\n\n",
            "",
            "database: 1\n\n",
            "",
        ];
        assert_eq!(run(&pieces, 100).0, expected);
    }

    #[test]
    fn line_ends_stay_and_may_be_split() {
        for stream in
            ["data:x\r\n\r\ndata: y\r\n\r\n", "data:x\r\rdata: y\r\r", "data:x\n\ndata: y\n\n"]
        {
            let expected = stream.replace('x', "[x]").replace('y', "[y]");
            let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            assert_eq!(run(&bytes, 100).0.concat(), expected);
            assert_eq!(run(&[stream.as_bytes()], 100).0.concat(), expected);
        }
    }

    #[test]
    fn a_mark_before_the_first_event_may_be_cut_anywhere() {
        let stream = b"\xef\xbb\xbfdata: x\n\n";
        for size in 1..=stream.len() {
            let (mut events, mut edit) = (Events::default(), Brackets::default());
            let mut out = Vec::new();
            for piece in stream.chunks(size) {
                events.push(piece, 100, &mut out, &mut edit);
            }
            assert_eq!(out, "\u{feff}data: [x]\n\n".as_bytes(), "{size}");
        }
        for part in [&b"\xef"[..], b"\xef\xbb"] {
            let (mut events, mut edit) = (Events::default(), Brackets::default());
            let mut out = Vec::new();
            events.push(part, 100, &mut out, &mut edit);
            events.end(&mut out, &mut edit);
            assert_eq!(out, part, "nothing is lost where no more comes");
        }
    }

    #[test]
    fn data_on_several_lines_and_long_data_pass_and_that_is_told() {
        let (out, left) =
            run(&[b"data: a\nid: 1\ndata: b\n\ndata: 12345678\n", b"data: 9\n\ndata: x\n\n"], 14);
        assert_eq!(
            out.concat(),
            "data: a\nid: 1\ndata: b\n\ndata: 12345678\ndata: 9\n\ndata: [x]\n\n"
        );
        assert_eq!(left, ["a\nb", "12345678.."]);
        let (out, left) = run(&[b"data: 123456789", b"012345\n\ndata: x\n\n"], 14);
        assert_eq!(out.concat(), "data: 123456789012345\n\ndata: [x]\n\n");
        assert_eq!(left, ["123456789.."]);
    }

    #[test]
    fn an_event_without_its_blank_line_is_still_one_and_priming_events_stay() {
        assert_eq!(run(&[b"data: x\n"], 100).0, ["", "data: [x]\n"]);
        assert_eq!(run(&[b"id: 1\ndata: \n\ndata\n\n"], 100).0[0], "id: 1\ndata: \n\ndata\n\n");
    }

    fn messages(stream: &[u8]) -> Vec<Vec<u8>> {
        let (mut sse, mut found) = (Sse::default(), Vec::new());
        sse.push(stream, usize::MAX, |event| found.push(event.data.to_vec()));
        found
    }

    proptest! {
        /// Boundaries decide nothing, the brackets are all that is new, and clients read the same events.
        #[test]
        fn whatever_the_boundaries_the_same_comes_out(
            words in prop::collection::vec(
                prop::sample::select(vec!["data", ":", " ", "\n", "\r", "\r\n", "x", "é", "id: 1", "data: y"]), 0..40),
            size in 1usize..9,
        ) {
            let stream = words.concat();
            let whole = run(&[stream.as_bytes()], 1000).0.concat();
            let pieces: Vec<_> = stream.as_bytes().chunks(size).collect();
            let mut out = Vec::new();
            let (mut events, mut edit) = (Events::default(), Brackets::default());
            for piece in &pieces {
                events.push(piece, 1000, &mut out, &mut edit);
            }
            events.end(&mut out, &mut edit);
            let out = String::from_utf8(out).unwrap();
            prop_assert_eq!(&out, &whole);
            prop_assert_eq!(out.replace(['[', ']'], ""), stream.clone());
            let expected = messages(stream.as_bytes()).into_iter().map(|data| {
                if data.contains(&b'\n') { data } else { [b"[", &data[..], b"]"].concat() }
            });
            prop_assert_eq!(messages(out.as_bytes()), expected.collect::<Vec<_>>());
        }
    }
}
