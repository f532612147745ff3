//! Requests that have waited long for their answers: each is said once, while it waits.
//!
//! Doubtful ones are left out, because they may have been answered, and so are those for which long is normal. While
//! a person has to act the server is not the one that keeps anybody waiting.

use std::time::Duration;

use super::*;
use crate::mcp::logs::Pending;

/// From one look to the next, at least.
const LOOK: Duration = Duration::from_millis(250);

impl Pairing<'_> {
    /// Says which requests of that direction have waited too long, if it is time to look.
    pub(super) fn say_pending(&mut self, direction: Direction, now: Nanos) {
        let after = nanos(self.common.settings.pending_after);
        let people = self.state.people[direction];
        let flight = &mut self.state.flights[direction];
        if now < flight.pending_at {
            return;
        }
        if after == 0 {
            flight.pending_at = Nanos::MAX;
            return;
        }
        // Whoever comes from here on is due later.
        let mut next = now.saturating_add(after);
        let mut late = Vec::new();
        flight.change_all(|call| {
            let due = call.start.max(people).saturating_add(after);
            let exempt = call.said || call.doubtful || call.waits();
            if !exempt && due > now {
                next = next.min(due);
            } else if !exempt {
                call.said = true;
                late.push((call.number, call.in_trace(), Pending::of(call, now)));
            }
        });
        flight.pending_at = next.max(now.saturating_add(nanos(LOOK)));
        late.sort_unstable_by_key(|(number, ..)| *number);
        self.common.counts.pending += late.len() as u64;
        for (_, place, pending) in late {
            self.log(Some(place), None, now, |common, of| common.logs.pending(of, &pending));
        }
    }
}
