//! Holds what the taps share: the queue between forwarding and observing, the observer's loop, the
//! words that users write about observing, the books of the state machine, and what is done to messages
//! where the user asked for that by name.
//!
//! It knows neither pipes nor HTTP: what a record of the queue says is the tap's own ([`Note`]), and so
//! is what looks at it ([`Watch`]).

mod overflow;
mod cutter;
mod counts;
pub(super) mod edited;
mod ids;
mod passback;
mod capture;
mod queue;
mod words;
mod editing;
mod watch;
mod calls;
mod observer;

pub(super) use calls::CallBoards;
pub use capture::CaptureSettings;
pub(super) use counts::CountsExporter;
pub(super) use cutter::{Cutter, Ends, Piece};
pub(super) use editing::{Around, Change, EditCounters, Editing, HOLD, Room, why};
pub(super) use ids::{content_key, hashed, hidden};
#[cfg(test)]
pub(super) use observer::observe;
pub(super) use observer::{Observer, PATIENCE, RecordCounters, Running, Unseen, drops, patience};
pub(super) use overflow::OverflowTail;
pub use passback::{Passback, Propagate};
pub(super) use queue::{Event, Handing, Held, Note, Queue};
pub use watch::Watch;
pub use words::usable_name;
pub(super) use words::{MAX_NAME, Observing, SERVICE_NAME, ambient};
