//! Framing of event streams, by the text and at any boundary.

use super::*;
use proptest::prelude::*;

type Owned = (String, Option<String>, String, Option<(u64, Vec<u8>)>);

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn owned(event: Event<'_>) -> Owned {
    let cut = event.cut.map(|cut| (cut.size, cut.tail.to_vec()));
    (text(event.name), event.id.map(text), text(event.data), cut)
}

fn chunks(chunks: &[&[u8]], max: usize) -> Vec<Owned> {
    let (mut sse, mut out) = (Sse::default(), Vec::new());
    chunks.iter().for_each(|chunk| sse.push(chunk, max, |event| out.push(owned(event))));
    out
}

fn data(stream: &str) -> Vec<String> {
    let bytewise: Vec<_> = stream.as_bytes().chunks(1).collect();
    let events = chunks(&[stream.as_bytes()], 1000);
    assert_eq!(events, chunks(&bytewise, 1000));
    events.into_iter().map(|(_, _, data, _)| data).collect()
}

#[test]
fn lines_end_in_lf_or_cr_or_both() {
    assert_eq!(data("data: a\n\ndata: b\r\rdata: c\r\n\r\ndata: d\n\r\n"), ["a", "b", "c", "d"]);
    assert_eq!(data("data: a\r\n\rdata: b\n\n"), ["a", "b"]);
}

#[test]
fn a_byte_order_mark_may_come_first_and_only_first() {
    assert_eq!(data("\u{feff}data: a\n\n\u{feff}data: b\n\n"), ["a"]);
    assert_eq!(data("\u{feff}\ndata: a\n\n"), ["a"]);
    assert_eq!(data("\u{feff}:c\n\u{feff}data: a\n\n"), [""; 0]);
}

#[test]
fn comments_and_unknown_fields_are_no_data() {
    let stream = ": ping\n\nretry: 10\nfoo: x\ndata2: y\ndat: z\nevents: q\n\ndata: a\n:\n\n";
    assert_eq!(data(stream), ["a"]);
}

#[test]
fn one_space_after_the_colon_is_dropped() {
    assert_eq!(data("data:a\n\ndata:  a\n\ndata: \n\ndata\n\ndata:\n\n"), ["a", " a"]);
}

#[test]
fn data_lines_are_joined_by_a_line_feed() {
    assert_eq!(data("data: a\ndata: b\ndata\ndata:c\n\n"), ["a\nb\n\nc"]);
    assert_eq!(data("data\ndata\n\n"), ["\n"]);
}

#[test]
fn an_event_cut_off_by_the_end_is_none() {
    assert_eq!(data("data: a\n\ndata: b\n"), ["a"]);
    assert_eq!(data("data: a\n\ndata: b"), ["a"]);
}

#[test]
fn names_and_ids_belong_to_one_event() {
    let stream =
        "event: endpoint\nid: 7\ndata: a\n\ndata: b\n\nid: 8\n\nid: 9\ndata:\n\ndata: c\n\n";
    let events = chunks(&[stream.as_bytes()], 1000);
    assert_eq!(events[0], ("endpoint".into(), Some("7".into()), "a".into(), None));
    assert_eq!(events[1], (String::new(), None, "b".into(), None));
    assert_eq!(events[2], (String::new(), None, "c".into(), None));
}

#[test]
fn an_id_alone_makes_a_stream_resumable() {
    for (stream, resumable) in [
        ("id: 1\ndata:\n\n", true),
        ("id\n\n", false),
        ("id: a\0b\n", false),
        ("data: a\n\n", false),
    ] {
        let mut sse = Sse::default();
        sse.push(stream.as_bytes(), 100, |_| {});
        assert_eq!(sse.has_ids(), resumable, "{stream}");
    }
}

#[test]
fn long_data_keep_head_and_tail() {
    let long = format!("data: {}TAIL\n\n", "x".repeat(50_000));
    let events = chunks(&[long.as_bytes()], 100);
    assert_eq!(events[0].2, "x".repeat(100));
    let (size, tail) = events[0].3.clone().unwrap();
    assert_eq!((size, tail.len()), (50_004, crate::mcp::TAIL));
    assert!(tail.ends_with(b"xTAIL"));
}

#[test]
fn bytes_left_out_are_in_the_size() {
    let (mut sse, mut out) = (Sse::default(), Vec::new());
    let mut push =
        |sse: &mut Sse, text: &str| sse.push(text.as_bytes(), 100, |e| out.push(owned(e)));
    push(&mut sse, "data: abc");
    sse.skip(1000, 100);
    push(&mut sse, "xyz\n\ndat");
    sse.skip(1000, 100);
    push(&mut sse, "xyz\n\n");
    sse.skip(0, 100);
    push(&mut sse, "data: a\n\n");
    assert_eq!(out[0].2, "abc");
    assert_eq!(out[0].3, Some((1006, b"xyz".to_vec())));
    assert_eq!((out[1].2.as_str(), &out[1].3), ("", &Some((1003, b"xyz".to_vec()))));
    assert_eq!(out[2].2, "a");
}

#[test]
fn nothing_grows_however_long_a_line_is() {
    let mut sse = Sse::default();
    for field in ["", "data:", "\nid:", "\nevent:", "\nretry: ", "\n: "] {
        sse.push(field.as_bytes(), 1000, |_| {});
        for _ in 0..100 {
            sse.push(&[b'x'; 1000], 1000, |_| {});
        }
        assert!(sse.held() <= 1000 + 2 * crate::mcp::TAIL);
        assert!(sse.id.len() <= MAX_EVENT_ID + 1 && sse.name.len() <= MAX_EVENT_NAME);
        assert!(sse.field_name.len() <= MAX_FIELD_NAME + 1);
    }
}

/// The text's own algorithm, on the whole stream at once.
fn by_the_book(stream: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let stream = stream.strip_prefix(BOM).unwrap_or(stream);
    let (mut lines, mut line, mut at) = (Vec::new(), Vec::new(), 0);
    while at < stream.len() {
        match stream[at] {
            b'\r' | b'\n' => {
                at += usize::from(stream[at..].starts_with(b"\r\n"));
                lines.push(std::mem::take(&mut line));
            }
            other => line.push(other),
        }
        at += 1;
    }
    let (mut out, mut name, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        if line.is_empty() {
            data.pop();
            if !data.is_empty() {
                out.push((name.clone(), data.clone()));
            }
            (name, data) = (Vec::new(), Vec::new());
            continue;
        }
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => data.extend(value.iter().chain(b"\n")),
            b"event" => name = value.to_vec(),
            _ => {}
        }
    }
    out
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop::sample::select(vec![
        "\u{feff}", "\n", "\r", "\r\n", ":", " ", "data", "data:", "data: x", "event: e", "id: 1",
        "id", "é", "\0", "longer",
    ]);
    prop::collection::vec(parts, 0..40).prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    #[test]
    fn chunk_boundaries_do_not_matter(
        stream in stream(),
        cuts in prop::collection::vec(0usize..200, 0..20),
        max in 1usize..20,
    ) {
        let mut cuts: Vec<_> = cuts.into_iter().map(|c| c.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|w| &stream[w[0]..w[1]]).collect();
        prop_assert_eq!(chunks(&pieces, max), chunks(&[&stream], max));
    }

    #[test]
    fn events_are_those_of_the_text(stream in stream()) {
        let ours = chunks(&[&stream], 1000).into_iter();
        let ours: Vec<_> = ours.map(|(name, _, data, _)| (name, data)).collect();
        let book = by_the_book(&stream).into_iter();
        prop_assert_eq!(ours, book.map(|(n, d)| (text(&n[..n.len().min(MAX_EVENT_NAME)]), text(&d))).collect::<Vec<_>>());
    }
}
