//! Declares what a tap's observer asks of the state machine that it drives.

use super::queue::Event;
use crate::mcp::InFlight;
use crate::telemetry::{Content, Nanos, Needs, Offset, Telemetry};

/// A state machine that looks at the records of one tap. It does no I/O and has no clock of its own: times are
/// steady ones, which never jump.
pub trait Watch<N>: Send {
    /// Looks at a record.
    fn look(&mut self, event: &Event<'_, N>, now: Nanos);
    /// Says where the wall clock is from here on.
    fn anchor(&mut self, offset: Offset);
    /// Says that time has passed.
    fn tick(&mut self, now: Nanos);
    /// Ends what is in flight: nothing will come at all.
    fn end(&mut self, now: Nanos);
    /// Says how much content is to be kept from now on.
    fn keep(&mut self, needs: Needs);
    /// Says whether anybody wants log records from now on.
    fn want_logs(&mut self, wanted: bool);
    /// Names the servers that it watches, as far as they are known.
    fn servers(&self) -> Vec<&str> {
        Vec::new()
    }
    /// Shows what waits for its answer, in no order.
    fn in_flight<'a>(&'a self, _show: &mut dyn FnMut(InFlight<'a>)) {}
    /// Counts the items that are ready to be taken.
    fn ready(&self) -> usize;
    /// Takes the items that are ready, with what they have of content.
    fn take(&mut self) -> Vec<(Telemetry, Content)>;
}
