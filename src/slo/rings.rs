//! Events counted over sliding windows, in bounded memory: rings of buckets, one for each pair of windows.
//!
//! A window is the bucket that time is in and as many whole ones as fit into it, so it covers between its length, rounded
//! down to whole buckets, and one bucket more; it is exact where time is on a bucket's edge. Adding an event is one addition a ring. Times are handed
//! in, in whole seconds of one clock that only goes forward.

use super::budget::Counts;

/// Says how many buckets the shorter window of a ring has.
const FINENESS: u64 = 30;
/// Says how many buckets the window of a budget has.
const WHOLE: u64 = 120;

/// Counts one kind of events over pairs of windows.
#[derive(Clone, Debug)]
pub struct Rings {
    rings: Vec<Ring>,
    now: u64,
}

/// Counts over two windows, or over one if they are equal.
#[derive(Clone, Debug)]
struct Ring {
    /// The length of a bucket, in seconds.
    bucket: u64,
    /// Not there before the first event.
    slots: Box<[Slot]>,
    len: usize,
    /// The number of the bucket that time is in, since the epoch.
    head: u64,
    /// Says when that bucket began, and where it is: nearly every event is in it, and divisions are slow.
    began: u64,
    at_head: usize,
    long: Window,
    short: Window,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    total: u32,
    bad: u32,
}

#[derive(Clone, Debug)]
struct Window {
    /// Says how many whole buckets it has beside the one that time is in.
    buckets: u64,
    counts: Counts,
}

/// A pair of windows, in seconds; `short` is at least a second and at most `long`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The length of the long one.
    pub long: u64,
    /// The length of the short one.
    pub short: u64,
}

/// One bucket for a snapshot: when it began, in seconds, how many events it has, and how many of them are bad.
pub type Bucket = (u64, u32, u32);

impl Pair {
    /// Makes the pair of a window that has no shorter one.
    pub const fn whole(window: u64) -> Self {
        Pair { long: window, short: window }
    }
}

impl Rings {
    /// Makes rings for these windows, at that time.
    pub fn new(pairs: impl IntoIterator<Item = Pair>, now: u64) -> Self {
        Rings { rings: pairs.into_iter().map(|pair| Ring::new(pair, now)).collect(), now }
    }

    /// Moves time on. A time that is earlier is ignored.
    pub fn advance(&mut self, now: u64) {
        if now > self.now {
            self.now = now;
            self.rings.iter_mut().for_each(|ring| ring.advance(now));
        }
    }

    /// Counts an event that ended at that time, or now if that is to come. Says whether any window still has the time.
    pub fn add(&mut self, at: u64, bad: bool) -> bool {
        let (at, bad) = (at.min(self.now), u32::from(bad));
        self.rings.iter_mut().map(|ring| ring.add(at, bad)).fold(false, |any, here| any | here)
    }

    /// Reads the long and the short window of the ring at that place.
    pub fn read(&self, ring: usize) -> [Counts; 2] {
        self.rings
            .get(ring)
            .map_or_else(Default::default, |ring| [ring.long.counts, ring.short.counts])
    }

    /// Gives the buckets of a ring that have something, oldest first.
    pub fn buckets(&self, ring: usize) -> impl Iterator<Item = Bucket> + '_ {
        self.rings.get(ring).into_iter().flat_map(Ring::buckets)
    }

    /// Puts back the buckets of a ring, of which those that are too old are left out.
    pub fn restore(&mut self, ring: usize, buckets: impl IntoIterator<Item = Bucket>) {
        let Some(ring) = self.rings.get_mut(ring) else { return };
        for (began, total, bad) in buckets {
            let slot = Slot { total, bad: bad.min(total) };
            ring.put((began / ring.bucket).min(ring.head), slot);
        }
    }
}

impl Ring {
    fn new(pair: Pair, now: u64) -> Self {
        let parts = if pair.long == pair.short { WHOLE } else { FINENESS };
        let bucket = (pair.short / parts).max(1);
        let window = |length: u64| Window { buckets: length / bucket, counts: Counts::default() };
        let long = window(pair.long);
        let len = usize::try_from(long.buckets + 1).unwrap_or(usize::MAX);
        let short = window(pair.short);
        let mut ring =
            Ring { bucket, slots: Box::default(), len, head: 0, began: 0, at_head: 0, long, short };
        ring.set_head(now / bucket);
        ring
    }

    fn set_head(&mut self, head: u64) {
        (self.head, self.began, self.at_head) = (head, head * self.bucket, self.at(head));
    }

    fn advance(&mut self, now: u64) {
        if now - self.began < self.bucket {
            return;
        }
        let to = now / self.bucket;
        if self.slots.is_empty() || to - self.head >= self.len as u64 {
            self.slots.fill(Slot::default());
            self.long.counts = Counts::default();
            self.short.counts = Counts::default();
            self.head = to;
        }
        while self.head < to {
            self.head += 1;
            let left =
                |buckets: u64| self.head.checked_sub(buckets + 1).map(|number| self.at(number));
            let [long, short] = [left(self.long.buckets), left(self.short.buckets)];
            self.long.less(long.map(|at| self.slots[at]));
            self.short.less(short.map(|at| self.slots[at]));
            let new = self.at(self.head);
            self.slots[new] = Slot::default();
        }
        self.set_head(to);
    }

    fn add(&mut self, at: u64, bad: u32) -> bool {
        // Nearly all events end now.
        if at >= self.began
            && let Some(slot) = self.slots.get_mut(self.at_head)
            && slot.total < u32::MAX
        {
            slot.total += 1;
            slot.bad += bad;
            for Window { counts, .. } in [&mut self.long, &mut self.short] {
                counts.total += 1;
                counts.bad += u64::from(bad);
            }
            return true;
        }
        self.put((at / self.bucket).min(self.head), Slot { total: 1, bad })
    }

    /// Adds to a bucket that is not to come; says whether it is still there.
    fn put(&mut self, number: u64, counts: Slot) -> bool {
        let age = self.head.saturating_sub(number);
        if age >= self.len as u64 {
            return false;
        }
        if self.slots.is_empty() {
            self.slots = vec![Slot::default(); self.len].into_boxed_slice();
        }
        let at = if age == 0 { self.at_head } else { self.at(number) };
        let added = self.slots[at].add(counts);
        for window in [&mut self.long, &mut self.short] {
            if age <= window.buckets {
                window.counts.total += u64::from(added.total);
                window.counts.bad += u64::from(added.bad);
            }
        }
        true
    }

    fn at(&self, number: u64) -> usize {
        usize::try_from(number % self.len as u64).unwrap_or_default()
    }

    fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        let first = self.head.saturating_sub(self.slots.len().saturating_sub(1) as u64);
        let numbers = if self.slots.is_empty() { 0..0 } else { first..self.head + 1 };
        numbers.filter_map(|number| {
            let Slot { total, bad } = self.slots[self.at(number)];
            (total > 0).then_some((number * self.bucket, total, bad))
        })
    }
}

impl Slot {
    /// Adds as much as there is room for, and gives what was added: both counts or neither.
    fn add(&mut self, more: Slot) -> Slot {
        match (self.total.checked_add(more.total), self.bad.checked_add(more.bad)) {
            (Some(total), Some(bad)) => {
                *self = Slot { total, bad };
                more
            }
            _ => Slot::default(),
        }
    }
}

impl Window {
    fn less(&mut self, slot: Option<Slot>) {
        let slot = slot.unwrap_or_default();
        self.counts.total -= u64::from(slot.total);
        self.counts.bad -= u64::from(slot.bad);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Pair = Pair { long: 3600, short: 300 };

    fn counts(bad: u64, total: u64) -> Counts {
        Counts { total, bad }
    }

    /// Holds what windows say that keep every event.
    struct Naive {
        bucket: u64,
        events: Vec<(u64, bool)>,
    }

    impl Naive {
        fn read(&self, now: u64, window: u64) -> Counts {
            // From the beginning of the oldest whole bucket on.
            let from =
                now / self.bucket * self.bucket - window.min(now / self.bucket * self.bucket);
            let inside = self.events.iter().filter(|(at, _)| *at >= from);
            let mut counts = Counts::default();
            for (_, bad) in inside {
                counts.total += 1;
                counts.bad += u64::from(*bad);
            }
            counts
        }
    }

    /// A small generator of numbers, so that a failure can be had again.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, most: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % most
        }
    }

    #[test]
    fn windows_count_what_ends_in_them_as_if_every_event_was_kept() {
        let pairs = [HOUR, Pair { long: 600, short: 7 }, Pair::whole(86_400)];
        for seed in 1..12 {
            let mut numbers = Numbers(seed);
            let mut now = 1_000_000 + numbers.below(10_000);
            let mut rings = Rings::new(pairs, now);
            let mut naive = [10, 1, 720].map(|bucket| Naive { bucket, events: Vec::new() });
            for _ in 0..1_000 {
                match numbers.below(10) {
                    0 => now += numbers.below(5_000),
                    1 => now += numbers.below(300),
                    _ => {
                        let late = if numbers.below(4) == 0 { numbers.below(4_000) } else { 0 };
                        let (at, bad) = (now - late, numbers.below(3) == 0);
                        rings.add(at, bad);
                        naive.iter_mut().for_each(|all| all.events.push((at, bad)));
                    }
                }
                rings.advance(now);
                for (n, pair) in pairs.iter().enumerate() {
                    let [long, short] = rings.read(n);
                    let ours = |window: u64| {
                        let whole = window / naive[n].bucket * naive[n].bucket;
                        naive[n].read(now, whole)
                    };
                    assert_eq!(long, ours(pair.long), "seed {seed}, ring {n} at {now}");
                    assert_eq!(short, ours(pair.short), "seed {seed}, ring {n} at {now}");
                }
            }
        }
    }

    #[test]
    fn order_within_a_bucket_makes_no_difference_and_times_to_come_are_now() {
        let now = 7_200;
        let mut one = Rings::new([HOUR], now);
        let mut other = one.clone();
        let events = [(7_191, true), (7_195, false), (7_200, true), (9_999, false)];
        events.iter().for_each(|(at, bad)| assert!(one.add(*at, *bad)));
        events.iter().rev().for_each(|(at, bad)| assert!(other.add(*at, *bad)));
        assert_eq!(one.read(0), [counts(2, 4); 2]);
        assert_eq!(one.read(0), other.read(0));
        assert_eq!(one.buckets(0).collect::<Vec<_>>(), [(7_190, 2, 1), (7_200, 2, 1)]);
    }

    #[test]
    fn a_clock_that_steps_back_changes_nothing_and_a_long_sleep_forgets() {
        let mut rings = Rings::new([HOUR], 100_000);
        rings.add(100_000, true);
        rings.advance(50_000);
        assert_eq!(rings.read(0), [counts(1, 1); 2]);
        assert!(!rings.add(50_000, true), "too late for the window");
        rings.advance(100_305);
        assert_eq!(rings.read(0), [counts(1, 1), counts(1, 1)]);
        rings.advance(100_310);
        assert_eq!(rings.read(0), [counts(1, 1), counts(0, 0)]);
        rings.advance(100_000 + 3_610);
        assert_eq!(rings.read(0), [counts(0, 0); 2]);
        rings.add(u64::MAX, false);
        rings.advance(u64::MAX);
        assert_eq!(rings.read(0), [counts(0, 0); 2]);
    }

    #[test]
    fn a_bucket_that_is_full_takes_both_counts_or_neither() {
        let mut rings = Rings::new([HOUR], 1_000);
        rings.restore(0, [(1_000, u32::MAX, 7)]);
        rings.add(1_000, true);
        assert_eq!(rings.read(0)[0], counts(7, u64::from(u32::MAX)));
    }

    #[test]
    fn what_is_put_back_counts_as_far_as_it_is_not_too_old() {
        let mut rings = Rings::new([HOUR], 10_000);
        for at in [7_000, 9_000, 9_999] {
            rings.add(at, at == 9_000);
        }
        let kept: Vec<_> = rings.buckets(0).collect();
        let mut later = Rings::new([HOUR], 12_000);
        later.restore(0, kept);
        assert_eq!(later.read(0), [counts(1, 2), counts(0, 0)]);
        // A file that lies: more bad than all, and from the future.
        later.restore(0, [(u64::MAX, 1, 9)]);
        assert_eq!(later.read(0), [counts(2, 3), counts(1, 1)]);
    }

    #[test]
    fn five_rings_take_thirteen_kilobytes_and_none_before_the_first_event() {
        let day = 86_400;
        let pairs = [
            HOUR,
            Pair { long: 6 * 3600, short: 1800 },
            Pair { long: day, short: 7200 },
            Pair { long: 3 * day, short: 6 * 3600 },
            Pair::whole(30 * day),
        ];
        let mut rings = Rings::new(pairs, 0);
        let taken = |rings: &Rings| -> usize {
            rings.rings.iter().map(|ring| ring.slots.len() * size_of::<Slot>()).sum()
        };
        assert_eq!(taken(&rings), 0);
        rings.add(0, false);
        assert_eq!(taken(&rings), 12_520);
    }
}
