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

/// How much room a body gets on its sender's word, in bytes.
const AHEAD: usize = 256 << 10;

/// How the end of a body is known beforehand.
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
        whole.add(chunk, hold)?;
        let first = whole.first();
        if length == Length::Prefixed && whole.expected == 0 && first.len() >= PREFIX {
            let said = u32::from_be_bytes([first[1], first[2], first[3], first[4]]) as usize;
            whole.expect(said.saturating_add(PREFIX), allowed, max)?;
        }
        if whole.len() > allowed {
            return Err(Refusal::too_large(max));
        }
    }
    whole.into_bytes(hold).map_err(Refusal::from)
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

/// What has come so far. The first piece stays where it was read until another one comes.
#[derive(Default)]
struct Whole {
    one: Bytes,
    more: Vec<u8>,
    expected: usize,
}

impl Whole {
    fn len(&self) -> usize {
        if self.more.is_empty() { self.one.len() } else { self.more.len() }
    }

    fn first(&self) -> &[u8] {
        if self.more.is_empty() { &self.one } else { &self.more }
    }

    /// Takes note of how much is to come; refuses what would be too much before it is read.
    fn expect(&mut self, bytes: usize, allowed: usize, max: usize) -> Result<(), Refusal> {
        if bytes > allowed {
            return Err(Refusal::too_large(max));
        }
        self.expected = bytes;
        Ok(())
    }

    fn add(&mut self, chunk: Bytes, hold: &mut Hold) -> Result<(), Full> {
        if self.more.is_empty() {
            if self.one.is_empty() {
                hold.add(chunk.len())?;
                self.one = chunk;
                return Ok(());
            }
            self.make_room(self.one.len() + chunk.len(), hold)?;
            self.more.extend_from_slice(&self.one);
            hold.give_back(self.one.len());
            self.one.clear();
        }
        self.make_room(chunk.len(), hold)?;
        self.more.extend_from_slice(&chunk);
        Ok(())
    }

    /// At once for what is said to come, as far as some of it came: a word alone costs nothing.
    fn make_room(&mut self, more: usize, hold: &mut Hold) -> Result<(), Full> {
        let (so_far, room) = (self.more.len(), self.more.capacity() - self.more.len());
        if room >= more {
            return Ok(());
        }
        let ahead = match self.expected.saturating_sub(so_far) {
            0 => so_far,
            to_come => to_come.min(so_far.max(AHEAD)),
        };
        grow(&mut self.more, more.max(ahead), hold)
    }

    /// What waits in a queue must not keep the memory of its connection: what came in one piece is copied, it is small.
    fn into_bytes(mut self, hold: &mut Hold) -> Result<Bytes, Full> {
        if self.more.is_empty() {
            grow(&mut self.more, self.one.len(), hold)?;
            self.more.extend_from_slice(&self.one);
            hold.give_back(self.one.len());
        }
        fit(&mut self.more, hold);
        Ok(self.more.into())
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
    use std::task::{Context, Poll};
    use tokio::time::{Instant, Sleep, sleep};

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
