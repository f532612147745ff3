//! Reads a request's body into one piece: within its limit, paid for before it is kept, and not for ever.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use tokio::time::timeout;

use super::budget::{Full, Hold};
use super::memory::{fit, grow};
use super::refusal::{Reason, Refusal};

/// A client that sends nothing for this long in the middle of a request is given up.
const STALL: Duration = Duration::from_secs(30);

/// A request that has not come whole within this time is given up, too: clients do not wait for so long, and one
/// that sends a byte now and then must not keep what it holds for ever.
const WHOLE: Duration = Duration::from_secs(300);

/// Says how much room a body gets on its sender's word, in bytes.
const AHEAD: usize = 256 << 10;

/// Says how the end of a body is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// `Content-Length`, if it is written.
    Said(Option<u64>),
    /// The prefix of a gRPC message: a flag, and four bytes of length.
    Prefixed,
}

/// Bytes of the prefix of a gRPC message.
pub(super) const PREFIX: usize = 5;

/// The whole body: `max` bytes at the most, beside a prefix.
pub(super) async fn read<B>(
    body: B,
    length: Length,
    max: usize,
    hold: &mut Hold,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let whole = timeout(WHOLE, read_on(body, length, max, hold)).await;
    whole
        .unwrap_or_else(|_| Err(Refusal::new(Reason::Stalled, "the request took too long to come")))
}

async fn read_on<B>(
    mut body: B,
    length: Length,
    max: usize,
    hold: &mut Hold,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut whole = Whole::default();
    let prefix = if length == Length::Prefixed { PREFIX } else { 0 };
    let allowed = max.saturating_add(prefix);
    if let Length::Said(Some(said)) = length {
        whole.expect(usize::try_from(said).unwrap_or(usize::MAX), max, max)?;
    }
    while let Some(chunk) = next(&mut body).await? {
        whole.add(&chunk, hold)?;
        drop(chunk);
        if length == Length::Prefixed
            && whole.expected == 0
            && let [_, a, b, c, d, ..] = whole.bytes[..]
        {
            let said = u32::from_be_bytes([a, b, c, d]) as usize;
            whole.expect(said.saturating_add(PREFIX), allowed, max)?;
        }
        if whole.bytes.len() > allowed {
            return Err(Refusal::too_large(max));
        }
    }
    Ok(whole.into_bytes(hold))
}

/// The next bytes of a body; trailers say nothing here.
async fn next<B>(body: &mut B) -> Result<Option<Bytes>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
        let stalled = || Refusal::new(Reason::Stalled, "the rest of the request did not come");
        match timeout(STALL, frame).await.map_err(|_| stalled())? {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(_)) => {
                return Err(Refusal::new(Reason::Malformed, "the request broke off"));
            }
        }
    }
}

/// Holds what has come so far, copied: a piece of one byte would keep all that was read together with it, which is the
/// connection's and nobody's count.
#[derive(Default)]
struct Whole {
    bytes: Vec<u8>,
    expected: usize,
}

impl Whole {
    /// Takes note of how much is to come; refuses what would be too much before it is read.
    fn expect(&mut self, bytes: usize, allowed: usize, max: usize) -> Result<(), Refusal> {
        if bytes > allowed {
            return Err(Refusal::too_large(max));
        }
        self.expected = bytes;
        Ok(())
    }

    fn add(&mut self, piece: &[u8], hold: &mut Hold) -> Result<(), Full> {
        self.make_room(piece.len(), hold)?;
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// From the second piece on at once for what is said to come: the first may be all, and a word alone costs nothing.
    fn make_room(&mut self, more: usize, hold: &mut Hold) -> Result<(), Full> {
        let (so_far, room) = (self.bytes.len(), self.bytes.capacity() - self.bytes.len());
        if room >= more {
            return Ok(());
        }
        let ahead = match self.expected.saturating_sub(so_far) {
            _ if so_far == 0 => 0,
            0 => so_far,
            to_come => to_come.min(so_far.max(AHEAD)),
        };
        grow(&mut self.bytes, more.max(ahead), hold)
    }

    fn into_bytes(mut self, hold: &mut Hold) -> Bytes {
        fit(&mut self.bytes, hold);
        self.bytes.into()
    }
}

/// Reads on for a while without keeping anything: a client that is told no while it still writes would
/// lose the answer to a reset. Gives up at `most` bytes, or after a moment.
pub(super) async fn discard<B>(mut body: B, most: usize)
where
    B: Body<Data = Bytes> + Unpin,
{
    let all = async {
        let mut seen = 0;
        while let Ok(Some(chunk)) = next(&mut body).await {
            seen += chunk.len();
            if seen > most {
                return;
            }
        }
    };
    // Either way the answer goes out now.
    drop(timeout(Duration::from_secs(1), all).await);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::otlp::budget::Budget;
    use http_body::Frame;
    use std::convert::Infallible;
    use std::future::Future;
    use std::sync::Arc;
    use std::task::{Context, Poll};
    use tokio::time::{Instant, Sleep, sleep};

    struct Owner(Arc<[u8; 8192]>);

    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0[..]
        }
    }

    /// Sends a byte every now and then, and never ends.
    struct Dribble(Duration, Option<Pin<Box<Sleep>>>);

    impl Body for Dribble {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let every = self.0;
            let wait = self.1.get_or_insert_with(|| Box::pin(sleep(every)));
            std::task::ready!(wait.as_mut().poll(cx));
            self.1 = None;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    #[test]
    fn a_piece_keeps_nothing_of_what_it_was_read_into() {
        let mut hold = Budget::new(1 << 20).hold().unwrap();
        for expected in [0, 3, 500_000] {
            let mut whole = Whole { expected, ..Whole::default() };
            let read = Arc::new([7; 8192]);
            let owner = Bytes::from_owner(Owner(Arc::clone(&read)));
            whole.add(&owner.slice(9..10), &mut hold).unwrap();
            drop(owner);
            assert_eq!(Arc::strong_count(&read), 1, "{expected}");
            assert_eq!(hold.held(), whole.bytes.capacity(), "{expected}");
            assert!(hold.held() < 64, "a word alone costs nothing: {expected}");
            whole.add(&[8; 2], &mut hold).unwrap();
            assert_eq!(hold.held(), whole.bytes.capacity(), "{expected}");
            assert_eq!(whole.into_bytes(&mut hold), [7, 8, 8][..], "{expected}");
            assert_eq!(hold.held(), 3);
            hold.give_back(3);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up_however_slowly_it_goes_on() {
        for (every, limit) in [(STALL * 2, STALL), (STALL / 2, WHOLE)] {
            let mut hold = Budget::new(1 << 20).hold().unwrap();
            let began = Instant::now();
            let body = Dribble(every, None);
            let refusal = read(body, Length::Said(None), 1 << 20, &mut hold).await.unwrap_err();
            assert_eq!(refusal.reason, Reason::Stalled);
            assert_eq!(began.elapsed().as_secs(), limit.as_secs(), "{every:?}");
        }
    }
}
