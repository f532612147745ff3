//! From the bytes of a request to the pipelines' verdict, the same for both protocols.
//!
//! Nothing is decoded: protobuf is checked, JSON is written as protobuf, and what is not regular or has texts that
//! are not UTF-8 is made anew, once. An answer is given when the pipelines have answered: what was said to be
//! taken is theirs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::answer::{Form, Success};
use super::budget::{Budget, Counted, Full, Hold};
use super::counters::ReceiverCounters;
use super::passback::{Named, Passback, heard};
use super::refusal::{Reason, Refusal};
use super::unpack::{Coding, unpack};
use crate::otlp::wire::Checked;
use crate::otlp::{MAX_GROWTH, json, wire};
use crate::pipeline::{Outlet, Stop};
use crate::telemetry::{Batch, Content, Receipt, Signal, Telemetry, Verdict, Waiting};

/// Requests of more bytes than this are worked on beside the runtime's threads, which others share...
const INLINE: usize = 128 << 10;
/// ...and those that were compressed if they have more than this: a small one may hide 64 MiB.
const INLINE_UNPACKED: usize = 1 << 20;

/// Names what a sender hears whose request is small and would become huge.
const GROWS: &str = "the request has far too many parts for its size";

/// One request as it came.
pub(super) struct ExportRequest {
    pub(super) signal: Signal,
    pub(super) form: Form,
    pub(super) coding: Coding,
    pub(super) bytes: Bytes,
    pub(super) hold: Hold,
}

/// Says where a request is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    /// A thread of the runtime.
    Runtime,
    /// One of its own.
    Own,
}

/// The way in of one protocol.
pub(super) struct Intake {
    pub(super) out: Outlet,
    pub(super) counters: Arc<ReceiverCounters>,
    pub(super) budget: Arc<Budget>,
    pub(super) passback: Passback,
    /// The largest request, in bytes.
    pub(super) max: usize,
    pub(super) stop: Stop,
    /// From the stop on, how long an answer may be waited for.
    pub(super) drain_timeout: Duration,
}

/// A request that was offered.
struct Offered {
    success: Success,
    /// Nothing for a request without items.
    waiting: Option<Waiting>,
    /// Kept until the answer is known.
    _hold: Hold,
}

impl Intake {
    /// Room for a request.
    pub(super) fn hold(&self) -> Result<Hold, Full> {
        self.budget.hold()
    }

    /// Says whether a request of that signal is worth reading.
    pub(super) fn wants(&self, signal: Signal) -> Result<(), Refusal> {
        if self.out.takes(signal) {
            return Ok(());
        }
        let why = format!("no pipeline takes {} from this receiver", signal.name());
        Err(Refusal::new(Reason::NoPipeline, why))
    }

    /// Takes a request in and waits for what becomes of it.
    pub(super) async fn take(self: &Arc<Self>, request: ExportRequest) -> Result<Success, Refusal> {
        self.answered(request, Intake::offer).await
    }

    /// Takes in spans that a server handed back to the sender.
    pub(super) async fn take_handed_back(
        self: &Arc<Self>,
        request: ExportRequest,
        named: Named,
    ) -> Result<Success, Refusal> {
        let offer = move |intake: &Intake, request, _| intake.offer_handed_back(request, &named);
        self.answered(request, offer).await
    }

    async fn answered(
        self: &Arc<Self>,
        mut request: ExportRequest,
        offer: impl FnOnce(&Intake, ExportRequest, On) -> Result<Offered, Refusal> + Send + 'static,
    ) -> Result<Success, Refusal> {
        let offered = if self.is_small(&mut request)? {
            offer(self, request, On::Runtime)?
        } else {
            let (intake, turn) = (Arc::clone(self), self.budget.turn().await);
            let work = move || {
                let offered = offer(&intake, request, On::Own);
                drop(turn);
                offered
            };
            spawn_blocking(work).await.unwrap_or_else(|_| {
                Err(Refusal::new(Reason::Failed, "the request could not be worked on"))
            })?
        };
        if let Some(waiting) = offered.waiting {
            self.verdict(waiting).await?;
        }
        Ok(offered.success)
    }

    /// Says whether a request is small, packed and unpacked. It is unpacked then.
    fn is_small(&self, request: &mut ExportRequest) -> Result<bool, Refusal> {
        let ExportRequest { coding, bytes, hold, .. } = request;
        if bytes.len() > INLINE {
            return Ok(false);
        }
        if *coding == Coding::Identity {
            return Ok(true);
        }
        match unpack(*coding, bytes.clone(), self.max.min(INLINE_UNPACKED), hold) {
            Ok(unpacked) => {
                (*bytes, *coding) = (unpacked, Coding::Identity);
                Ok(true)
            }
            Err(Refusal { reason: Reason::TooLarge, .. }) if INLINE_UNPACKED < self.max => {
                Ok(false)
            }
            Err(refusal) => Err(refusal),
        }
    }

    fn offer(&self, request: ExportRequest, on: On) -> Result<Offered, Refusal> {
        let ExportRequest { signal, form, coding, bytes, mut hold } = request;
        let bytes = unpack(coding, bytes, self.max, &mut hold)?;
        let (taken, strange) = match form {
            Form::Protobuf => (protobuf(signal, bytes, &mut hold)?, false),
            Form::Json => {
                let taken = json(signal, &bytes, &mut hold)?;
                let nothing = taken.checked.items() == 0;
                let strange = nothing && json::is_strange(signal.request(), &bytes);
                hold.give_back(bytes.len());
                (taken, strange)
            }
        };
        let Taken { checked, repaired } = taken;
        let rejected = checked.bad();
        let mut telemetry = self.usable(checked, &mut hold)?;
        let success = heard_of(signal, rejected, repaired);
        // A server may export what it handed back as well. Its sender has done nothing wrong.
        let duplicates = self.without_twins(&mut telemetry, &mut hold)?;
        let (counters, message) = (Arc::clone(&self.counters), success.message.clone());
        let effect = move || {
            counters.invalid(signal, rejected, &message);
            counters.repaired(signal, repaired);
            counters.duplicates(duplicates);
            if strange {
                counters.strange(signal);
            }
        };
        let _work = (on == On::Own).then(|| self.budget.work(telemetry.wire().len()));
        Ok(self.put_in(telemetry, Content::default(), success, hold, effect))
    }

    /// Drops spans that were handed back; says how many.
    fn without_twins(&self, telemetry: &mut Telemetry, hold: &mut Hold) -> Result<u64, Refusal> {
        let known = &self.passback.known;
        if known.is_empty() {
            return Ok(0);
        }
        let copy = telemetry.wire().len();
        hold.add(copy)?;
        let duplicates = known.drop_known(telemetry);
        hold.give_back(copy);
        Ok(duplicates)
    }

    /// Gives what is left of a request without the items that are refused.
    fn usable(&self, checked: Checked, hold: &mut Hold) -> Result<Telemetry, Refusal> {
        let size = checked.removal_size();
        hold.add(size)?;
        let telemetry = Telemetry::from(checked.without_bad());
        hold.give_back(size);
        Ok(telemetry)
    }

    fn offer_handed_back(&self, request: ExportRequest, named: &Named) -> Result<Offered, Refusal> {
        let ExportRequest { coding, bytes, mut hold, .. } = request;
        let bytes = unpack(coding, bytes, self.max, &mut hold)?;
        let (telemetry, content, claim, counts) = self.passback.take(&bytes, named)?;
        let counters = Arc::clone(&self.counters);
        let effect = move || {
            counters.handed_back(&counts);
            claim.keep();
        };
        Ok(self.put_in(telemetry, content, heard(&counts), hold, effect))
    }

    /// Offers what is left of a request. `effect` is what happens once it is taken: a sender that is told to
    /// come again brings the same items again.
    fn put_in(
        &self,
        telemetry: Telemetry,
        content: Content,
        success: Success,
        hold: Hold,
        effect: impl FnOnce() + Send + 'static,
    ) -> Offered {
        if telemetry.items() == 0 {
            effect();
            return Offered { success, waiting: None, _hold: hold };
        }
        let (receipt, waiting) = Receipt::pair();
        receipt.once_accepted(effect);
        self.out.offer(Batch { telemetry, content, receipt });
        Offered { success, waiting: Some(waiting), _hold: hold }
    }

    async fn verdict(&self, waiting: Waiting) -> Result<(), Refusal> {
        let verdict = tokio::select! {
            biased;
            verdict = waiting.verdict() => verdict,
            () = self.given_up() => {
                return Err(Refusal::retry(Reason::Stopping, "the receiver stops", None));
            }
        };
        match verdict {
            Verdict::Accepted => Ok(()),
            Verdict::Rejected(why) => Err(Refusal::new(Reason::Rejected, why)),
            Verdict::Retry { after } => {
                let why =
                    "a queue is full, or what is behind it does not answer; send it again later";
                Err(Refusal::retry(Reason::Pipeline, why, after))
            }
            Verdict::Lost => {
                let why = "nobody knows what became of it; send it again";
                Err(Refusal::retry(Reason::Pipeline, why, None))
            }
        }
    }

    async fn given_up(&self) {
        self.stop.clone().over(self.drain_timeout).await;
    }
}

/// Says what the sender hears of items with unusable ids, which are not taken, and of texts that were repaired.
fn heard_of(signal: Signal, rejected: usize, repaired: usize) -> Success {
    let mut message = String::new();
    if rejected > 0 {
        let what = match signal {
            Signal::Traces => {
                "spans need a trace id of 16 bytes and a span id of 8, not zero; other ids have these lengths"
            }
            Signal::Metrics => "ids of exemplars have 16 bytes (trace) and 8 (span)",
            Signal::Logs => "ids of log records have 16 bytes (trace) and 8 (span)",
        };
        message = format!("{rejected} rejected for their ids: {what}");
    }
    if repaired > 0 {
        let comma = if message.is_empty() { "" } else { "; " };
        message
            .push_str(&format!("{comma}strings that were not UTF-8 and were repaired: {repaired}"));
    }
    Success { rejected, message }
}

/// A request as it goes on.
struct Taken {
    checked: Checked,
    /// Texts that were not UTF-8.
    repaired: usize,
}

/// Protobuf as it is, or made regular.
fn protobuf(signal: Signal, bytes: Bytes, hold: &mut Hold) -> Result<Taken, Refusal> {
    let length = bytes.len();
    let malformed = |error: wire::Malformed| {
        let what = signal.name();
        Refusal::new(Reason::Malformed, format!("not an export request of {what}: {error}"))
    };
    let found = wire::check(signal.request(), bytes).map_err(malformed)?;
    if found.decoded_size() > MAX_GROWTH.of(length) {
        return Err(Refusal::new(Reason::TooLarge, GROWS));
    }
    let repaired = found.broken();
    let size = found.repair_size();
    hold.add(size)?;
    let checked = found.repaired().map_err(malformed)?;
    if size > 0 {
        // What is new is no longer than was said, and what it was made of is gone.
        hold.give_back(size.saturating_sub(checked.len()).saturating_add(length));
    }
    Ok(Taken { checked, repaired })
}

/// JSON as the protobuf that it stands for.
fn json(signal: Signal, text: &[u8], hold: &mut Hold) -> Result<Taken, Refusal> {
    let mut room = Counted { hold, full: None };
    let read = json::read_within(signal.request(), text, &mut room);
    let Counted { full, .. } = room;
    let bytes = read.map_err(|error| match error.why {
        json::Why::Room => full.unwrap_or(Full::Now).into(),
        json::Why::Growth => Refusal::new(Reason::TooLarge, GROWS),
        _ => {
            let what = signal.name();
            Refusal::new(Reason::Malformed, format!("not OTLP/JSON {what}: {error}"))
        }
    })?;
    protobuf(signal, bytes.into(), hold)
}
