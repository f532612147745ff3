//! Lists who is connected to one port, and chooses who gives way when there is no place for the next.
//!
//! SDKs keep connections for hours between two exports, and nothing is wrong with that as long as nobody else needs
//! the place. Nothing here reads, writes or ends a connection.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::usage::Usage;
use crate::http::descriptors::Taken;

/// Whoever did something a moment ago keeps its place: its next request, or its first, may be on the way.
const REST: Duration = Duration::from_secs(15);
/// The most that wait at once for places that others are to leave. They are more than the places.
const MAX_WAITING: usize = 16;

/// Lists the connections of one port.
#[derive(Debug, Default)]
pub(crate) struct Occupants(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    last: u64,
    all: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    usage: Arc<Usage>,
    /// Waits for its place.
    successor: Option<oneshot::Sender<Place>>,
}

/// Holds what a connection takes.
#[derive(Debug)]
#[expect(dead_code, reason = "held as long as the connection is there")]
pub(crate) struct Place {
    pub(crate) slot: OwnedSemaphorePermit,
    pub(crate) descriptor: Taken,
}

/// Keeps one connection on the list; dropping it leaves the place, to whoever waits for it.
#[derive(Debug)]
pub(crate) struct Occupant {
    occupants: Arc<Occupants>,
    number: u64,
    place: Option<Place>,
    pub(crate) usage: Arc<Usage>,
}

impl Occupants {
    /// A connection has that place from now on.
    pub(crate) fn enter(self: &Arc<Self>, place: Place) -> Occupant {
        let usage = Arc::new(Usage::new());
        let mut list = self.list();
        list.last += 1;
        let number = list.last;
        list.all.insert(number, Entry { usage: Arc::clone(&usage), successor: None });
        Occupant { occupants: Arc::clone(self), number, place: Some(place), usage }
    }

    /// Tells the connection that has done nothing for longest to leave, and whoever waits gets its place. Those that
    /// were never of use go first. `None` if all are in use.
    pub(crate) fn displace(&self) -> Option<oneshot::Receiver<Place>> {
        let mut list = self.list();
        let (leaving, staying): (Vec<_>, Vec<_>) =
            list.all.values_mut().partition(|entry| entry.successor.is_some());
        if leaving.len() >= MAX_WAITING {
            return None;
        }
        let idle = |entry: &mut Entry| {
            let quiet = entry.usage.quiet_for().filter(|quiet| *quiet >= REST)?;
            Some((entry.usage.is_of_use(), Reverse(quiet)))
        };
        let idle = staying.into_iter().filter_map(|entry| Some((idle(entry)?, entry)));
        let (_, first) = idle.min_by_key(|(key, _)| *key)?;
        let (successor, place) = oneshot::channel();
        first.successor = Some(successor);
        first.usage.tell_to_leave();
        Some(place)
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Occupant {
    fn drop(&mut self) {
        let entry = self.occupants.list().all.remove(&self.number);
        if let Some(successor) = entry.and_then(|entry| entry.successor)
            && let Some(place) = self.place.take()
        {
            // Who has not waited for so long leaves it to the next.
            successor.send(place).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::Response;
    use tokio::sync::Semaphore;
    use tokio::time::sleep;

    use super::*;
    use crate::http::descriptors::Descriptors;
    use crate::http::serve::reply::Reply;
    use crate::http::serve::usage::Using;

    struct Port {
        occupants: Arc<Occupants>,
        slots: Arc<Semaphore>,
    }

    impl Port {
        fn with(places: usize) -> Port {
            Port { occupants: Arc::default(), slots: Arc::new(Semaphore::new(places)) }
        }

        fn enter(&self) -> Occupant {
            let slot = Arc::clone(&self.slots).try_acquire_owned().unwrap();
            let descriptor = Descriptors::of(9).share("port").take(1).unwrap();
            self.occupants.enter(Place { slot, descriptor })
        }
    }

    fn asks(occupant: &Occupant) {
        drop(Using::of(&occupant.usage).answered(Response::new(Reply::of(""))));
    }

    async fn is_told(occupant: &Occupant) -> bool {
        tokio::time::timeout(Duration::from_millis(1), occupant.usage.told_to_leave()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_done_nothing_for_longest_gives_way_and_who_never_did_before() {
        let port = Port::with(4);
        let (first, second, third, fresh) =
            (port.enter(), port.enter(), port.enter(), port.enter());
        let asking = Using::of(&first.usage);
        for occupant in [&second, &third] {
            sleep(REST).await;
            asks(occupant);
        }
        sleep(REST / 2).await;
        let mut places = Vec::new();
        for told in [&fresh, &second] {
            places.push(port.occupants.displace().unwrap());
            assert!(is_told(told).await);
        }
        assert!(port.occupants.displace().is_none(), "one asks, and one did a moment ago");
        sleep(REST).await;
        places.push(port.occupants.displace().unwrap());
        assert!(is_told(&third).await && port.occupants.displace().is_none());
        drop(asking.answered(Response::new(Reply::of(""))));
        assert!(port.occupants.displace().is_none());
        sleep(REST).await;
        assert!(port.occupants.displace().is_some() && is_told(&first).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_goes_to_whoever_waits_for_it_or_back() {
        let port = Port::with(2);
        let (first, second) = (port.enter(), port.enter());
        sleep(REST).await;
        let mut waits = port.occupants.displace().unwrap();
        let gone = port.occupants.displace().unwrap();
        assert!(waits.try_recv().is_err());
        drop((first, gone, second));
        let place = waits.try_recv();
        assert!(place.is_ok());
        assert_eq!(port.slots.available_permits(), 1);
        drop(place);
        assert_eq!(port.slots.available_permits(), 2);
        assert!(port.occupants.list().all.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn few_wait_at_once() {
        let port = Port::with(MAX_WAITING + 1);
        let _guests: Vec<_> = (0..=MAX_WAITING).map(|_| port.enter()).collect();
        sleep(REST).await;
        let waiting: Vec<_> = (0..=MAX_WAITING).map_while(|_| port.occupants.displace()).collect();
        assert_eq!(waiting.len(), MAX_WAITING);
    }
}
