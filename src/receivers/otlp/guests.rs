//! Who is connected to one port, and who gives way when there is no place for the next.
//!
//! SDKs keep connections for hours between two exports, and nothing is wrong with that as long as nobody else needs
//! the place. Nothing here reads, writes or ends a connection.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::usage::Usage;
use crate::receivers::descriptors::Taken;

/// Whoever did something a moment ago keeps its place: its next request, or its first, may be on the way.
const REST: Duration = Duration::from_secs(15);
/// The most that wait at once for places that others are to leave. They are more than the places.
const HEIRS: usize = 16;

/// Lists the connections of one port.
#[derive(Debug, Default)]
pub(super) struct Guests(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    last: u64,
    all: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    usage: Arc<Usage>,
    /// Waits for its place.
    heir: Option<oneshot::Sender<Place>>,
}

/// What a connection takes.
#[derive(Debug)]
#[expect(dead_code, reason = "held as long as the connection is there")]
pub(super) struct Place {
    pub(super) slot: OwnedSemaphorePermit,
    pub(super) descriptor: Taken,
}

/// Keeps one connection on the list; dropping it leaves the place, to whoever waits for it.
#[derive(Debug)]
pub(super) struct Guest {
    guests: Arc<Guests>,
    number: u64,
    place: Option<Place>,
    pub(super) usage: Arc<Usage>,
}

impl Guests {
    /// A connection has that place from now on.
    pub(super) fn enter(self: &Arc<Self>, place: Place) -> Guest {
        let usage = Arc::new(Usage::new());
        let mut book = self.book();
        book.last += 1;
        let number = book.last;
        book.all.insert(number, Entry { usage: Arc::clone(&usage), heir: None });
        Guest { guests: Arc::clone(self), number, place: Some(place), usage }
    }

    /// Tells the connection that has done nothing for longest to leave, and whoever waits gets its place. Those that
    /// were never of use go first. `None` if all are in use.
    pub(super) fn make_way(&self) -> Option<oneshot::Receiver<Place>> {
        let mut book = self.book();
        let (leaving, staying): (Vec<_>, Vec<_>) =
            book.all.values_mut().partition(|entry| entry.heir.is_some());
        if leaving.len() >= HEIRS {
            return None;
        }
        let idle = |entry: &mut Entry| {
            let quiet = entry.usage.quiet_for().filter(|quiet| *quiet >= REST)?;
            Some((entry.usage.is_of_use(), Reverse(quiet)))
        };
        let idle = staying.into_iter().filter_map(|entry| Some((idle(entry)?, entry)));
        let (_, first) = idle.min_by_key(|(key, _)| *key)?;
        let (heir, place) = oneshot::channel();
        first.heir = Some(heir);
        first.usage.tell_to_leave();
        Some(place)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let entry = self.guests.book().all.remove(&self.number);
        if let Some(heir) = entry.and_then(|entry| entry.heir)
            && let Some(place) = self.place.take()
        {
            // Who has not waited for so long leaves it to the next.
            heir.send(place).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::Response;
    use tokio::sync::Semaphore;
    use tokio::time::sleep;

    use super::super::reply::Reply;
    use super::super::usage::Using;
    use super::*;
    use crate::receivers::descriptors::Descriptors;

    struct Port {
        guests: Arc<Guests>,
        slots: Arc<Semaphore>,
    }

    impl Port {
        fn with(places: usize) -> Port {
            Port { guests: Arc::default(), slots: Arc::new(Semaphore::new(places)) }
        }

        fn enter(&self) -> Guest {
            let slot = Arc::clone(&self.slots).try_acquire_owned().unwrap();
            let descriptor = Descriptors::of(9).share("port").take(1).unwrap();
            self.guests.enter(Place { slot, descriptor })
        }
    }

    fn asks(guest: &Guest) {
        drop(Using::of(&guest.usage).answered(Response::new(Reply::of(""))));
    }

    async fn is_told(guest: &Guest) -> bool {
        tokio::time::timeout(Duration::from_millis(1), guest.usage.told_to_leave()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_done_nothing_for_longest_gives_way_and_who_never_did_before() {
        let port = Port::with(4);
        let (first, second, third, fresh) =
            (port.enter(), port.enter(), port.enter(), port.enter());
        let asking = Using::of(&first.usage);
        for guest in [&second, &third] {
            sleep(REST).await;
            asks(guest);
        }
        sleep(REST / 2).await;
        let mut places = Vec::new();
        for told in [&fresh, &second] {
            places.push(port.guests.make_way().unwrap());
            assert!(is_told(told).await);
        }
        assert!(port.guests.make_way().is_none(), "one asks, and one did a moment ago");
        sleep(REST).await;
        places.push(port.guests.make_way().unwrap());
        assert!(is_told(&third).await && port.guests.make_way().is_none());
        drop(asking.answered(Response::new(Reply::of(""))));
        assert!(port.guests.make_way().is_none());
        sleep(REST).await;
        assert!(port.guests.make_way().is_some() && is_told(&first).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_goes_to_whoever_waits_for_it_or_back() {
        let port = Port::with(2);
        let (first, second) = (port.enter(), port.enter());
        sleep(REST).await;
        let mut waits = port.guests.make_way().unwrap();
        let gone = port.guests.make_way().unwrap();
        assert!(waits.try_recv().is_err());
        drop((first, gone, second));
        let place = waits.try_recv();
        assert!(place.is_ok());
        assert_eq!(port.slots.available_permits(), 1);
        drop(place);
        assert_eq!(port.slots.available_permits(), 2);
        assert!(port.guests.book().all.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn few_wait_at_once() {
        let port = Port::with(HEIRS + 1);
        let _guests: Vec<_> = (0..=HEIRS).map(|_| port.enter()).collect();
        sleep(REST).await;
        let waiting: Vec<_> = (0..=HEIRS).map_while(|_| port.guests.make_way()).collect();
        assert_eq!(waiting.len(), HEIRS);
    }
}
