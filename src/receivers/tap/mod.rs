//! What the taps have in common: the queue between forwarding and observing, the observer's loop, the
//! words that users write about observing, and the books of the state machine.
//!
//! It knows neither pipes nor HTTP: what a record of the queue says is the tap's own ([`Note`]), and so
//! is what looks at it ([`Watch`]).

mod beyond;
mod books;
mod observer;
mod queue;
mod words;

pub(super) use beyond::Beyond;
pub(super) use books::Followed;
#[cfg(test)]
pub(super) use observer::observe;
pub(super) use observer::{Books, Observer, PATIENCE, Running, Unseen, Watch, drops};
#[cfg(test)]
pub(super) use queue::Held;
pub(super) use queue::{Event, Handing, Note, Queue};
pub(super) use words::{MAX_NAME, Observing, ambient};
pub use words::{Notifications, SpanKind, Trace, Unsampled, usable_name};
