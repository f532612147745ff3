//! The form in which the forwarding side tells the observer what it did to a request: in the bytes of a
//! record, so that the records of taps that change nothing stay small.

use crate::mcp::{Edited, Hop};

/// Says how long it is, in bytes.
const LENGTH: usize = 33;
const ASKED: u8 = 1;
const HOP: u8 = 2;

/// The form in the queue.
pub(in crate::receivers) fn encode(edited: &Edited) -> [u8; LENGTH] {
    let mut out = [0; LENGTH];
    out[0] = if edited.asked { ASKED } else { 0 };
    if let Some(Hop { trace, server, client }) = edited.hop {
        out[0] |= HOP;
        out[1..17].copy_from_slice(&trace);
        out[17..25].copy_from_slice(&server);
        out[25..].copy_from_slice(&client);
    }
    out
}

/// Reads that form; `None` for anything else, which would be a bug.
pub(in crate::receivers) fn decode(bytes: &[u8]) -> Option<Edited> {
    let (what, rest) = bytes.split_first()?;
    let (trace, rest) = rest.split_first_chunk::<16>()?;
    let (server, rest) = rest.split_first_chunk::<8>()?;
    let client: [u8; 8] = rest.try_into().ok()?;
    let hop = Hop { trace: *trace, server: *server, client };
    Some(Edited { hop: (what & HOP != 0).then_some(hop), asked: what & ASKED != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_out_as_it_went_in() {
        let hop = Hop { trace: [1; 16], server: [2; 8], client: [3; 8] };
        for hop in [None, Some(hop)] {
            for asked in [false, true] {
                let edited = Edited { hop, asked };
                assert_eq!(decode(&encode(&edited)), Some(edited));
            }
        }
        assert_eq!(decode(b""), None);
        assert_eq!(decode(&[0; LENGTH + 1]), None);
    }
}
