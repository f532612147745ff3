//! Two directions of arbitrary bytes, losses included, at arbitrary boundaries: no panic, everything
//! in bounds, the books balanced at every step, and the same lines as in one piece.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mcpcol::mcp::{Direction, Identity, Lines, Session, Settings};

fuzz_target!(|steps: Vec<(bool, u8, Vec<u8>)>| {
    let settings = Settings {
        max_message_bytes: 64,
        max_in_flight: 8,
        max_content_bytes: 256,
        ..Settings::default()
    };
    let mut session = Session::new(Arc::new(settings), Identity::default(), [7; 32]);
    let (mut lines, mut chunked, mut all) = (Lines::default(), Vec::new(), Vec::new());
    for (now, (up, what, bytes)) in (0u64..).zip(&steps) {
        let now = now << 34;
        let direction = Direction::BOTH[usize::from(*up)];
        match what {
            0 => session.gap(direction, bytes.len() as u64, u64::from(*what), now),
            1 => session.cut(direction, bytes.len() as u64 * 1000, bytes, now),
            2 => session.eof(direction, now),
            3 => session.tick(now),
            _ => session.bytes(direction, bytes, now),
        }
        let counts = session.counts();
        assert!(counts.balanced(), "{counts:?}");
        assert!(counts.in_flight <= 16);
        lines.push(bytes, 64, |line| {
            assert!(line.text.len() <= 64);
            chunked.push((line.text.to_vec(), line.cut.map(|cut| (cut.size, cut.tail.to_vec()))));
        });
        all.extend_from_slice(bytes);
    }
    session.end(u64::MAX);
    assert_eq!(session.counts().in_flight, 0);
    let mut whole = Vec::new();
    Lines::default().push(&all, 64, |line| {
        whole.push((line.text.to_vec(), line.cut.map(|cut| (cut.size, cut.tail.to_vec()))));
    });
    assert_eq!(chunked, whole);
});
