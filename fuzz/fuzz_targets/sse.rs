//! Event streams of arbitrary bytes at arbitrary boundaries: no panic, everything in bounds, and the
//! same events as in one piece.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpcol::mcp::{Event, Sse, TAIL};

type Owned = (Vec<u8>, Option<Vec<u8>>, Vec<u8>, Option<(u64, Vec<u8>)>);

fn owned(event: Event<'_>, max: usize) -> Owned {
    assert!(event.data.len() <= max && event.name.len() <= 32);
    let cut = event.cut.map(|cut| (cut.size, cut.tail.to_vec()));
    assert!(cut.as_ref().is_none_or(|(_, tail)| tail.len() <= TAIL));
    (event.name.to_vec(), event.id.map(<[u8]>::to_vec), event.data.to_vec(), cut)
}

fuzz_target!(|input: (u8, Vec<Vec<u8>>)| {
    let (max, chunks) = input;
    let max = usize::from(max);
    let (mut sse, mut chunked, mut whole) = (Sse::default(), Vec::new(), Vec::new());
    for chunk in &chunks {
        sse.push(chunk, max, |event| chunked.push(owned(event, max)));
    }
    Sse::default().push(&chunks.concat(), max, |event| whole.push(owned(event, max)));
    assert_eq!(chunked, whole);
});
