//! What the taps have in common: the queue between forwarding and observing, the observer's loop, the
//! words that users write about observing, and the books of the state machine.
//!
//! It knows neither pipes nor HTTP: what a record of the queue says is the tap's own ([`Note`]), and so
//! is what looks at it ([`Watch`]).

mod books;
mod observer;
mod queue;
mod words;

pub(super) use books::Followed;
pub(super) use observer::{Books, Observer, Unseen, Watch, drops, observe};
pub(super) use queue::{Event, Handing, Held, Note, Queue};
pub use words::{Notifications, SpanKind, Trace, Unsampled};
pub(super) use words::{Observing, ambient};
