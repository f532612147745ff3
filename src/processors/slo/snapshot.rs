//! Holds what of an engine outlasts a process: counts by bucket and the states of alerts, by what counts in them. Times are the
//! wall clock's, in seconds since the epoch. It reads and writes no file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::slo::alert::State;
use crate::slo::engine::{Engine, Entry, Key};
use crate::slo::judge::{Measure, OUTCOMES, Outcomes};
use crate::slo::matching::Pattern;
use crate::slo::rings::{Bucket, Pair};

/// Names what a file begins with; the number is the version.
const HEAD: &str = "mcpcol-slo 1 ";

/// Counts and alerts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    /// Says when it was taken.
    pub(super) at: u64,
    /// By what counts: calls of which tools, and which of them are bad.
    series: BTreeMap<String, Vec<Kept>>,
}

/// A series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    server: Option<String>,
    tool: Option<String>,
    others: bool,
    since: u64,
    rings: Vec<Ring>,
    alerts: Vec<Alert>,
}

/// Buckets of a pair of windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ring {
    long: u64,
    short: u64,
    buckets: Vec<Bucket>,
}

/// The state of a rule's alert; inactive ones are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Alert {
    rule: String,
    firing: bool,
    since: u64,
    clear: Option<u64>,
    told: Option<u64>,
}

/// Says how far the time of the windows is ahead of the wall clock, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift(pub(super) i64);

impl Snapshot {
    /// Takes one of an engine, at that time of the wall clock.
    pub(super) fn of(engine: &Engine, at: u64, shift: Shift) -> Self {
        let mut series: BTreeMap<String, Vec<Kept>> = BTreeMap::new();
        let wall = |time: u64| time.saturating_add_signed(-shift.0);
        for row in engine.rows() {
            let entry = &engine.entries()[row.objective];
            let of = &entry.objective;
            let rings = of.pairs().iter().enumerate().map(|(ring, pair)| Ring {
                long: pair.long,
                short: pair.short,
                buckets: row
                    .series
                    .buckets(ring)
                    .map(|(t, all, bad)| (wall(t), all, bad))
                    .collect(),
            });
            let alerts =
                of.rules.iter().zip(row.series.alerts()).filter_map(|(rule, (state, told))| {
                    let (firing, since, clear) = match state {
                        State::Inactive => return None,
                        State::Pending { since } => (false, since, None),
                        State::Firing { since, clear } => (true, since, clear),
                    };
                    let (since, clear, told) = (wall(since), clear.map(wall), told.map(wall));
                    Some(Alert { rule: rule.id.clone(), firing, since, clear, told })
                });
            let Key { server, tool, others } = row.key.clone();
            series.entry(counted(entry)).or_default().push(Kept {
                server,
                tool,
                others,
                since: wall(row.series.since),
                rings: rings.collect(),
                alerts: alerts.collect(),
            });
        }
        Snapshot { at, series }
    }

    /// Adds what another process counted, and takes over the alerts of `newer`.
    pub(super) fn add(&mut self, newer: Snapshot) {
        self.at = self.at.max(newer.at);
        for (counted, rows) in newer.series {
            let known = self.series.entry(counted).or_default();
            for row in rows {
                match known.iter_mut().find(|k| k.key() == row.key()) {
                    Some(known) => known.add(row),
                    None => known.push(row),
                }
            }
        }
    }

    /// Puts the alerts of another in the place of its own.
    pub(super) fn alerts_of(&mut self, live: &Snapshot) {
        for (counted, rows) in &live.series {
            let known = self.series.entry(counted.clone()).or_default();
            for row in rows {
                if let Some(known) = known.iter_mut().find(|k| k.key() == row.key()) {
                    known.alerts.clone_from(&row.alerts);
                }
            }
        }
    }

    /// Leaves out buckets that no window has any more, and series without any.
    pub(super) fn prune(&mut self) {
        let at = self.at;
        for rows in self.series.values_mut() {
            for row in rows.iter_mut() {
                for ring in &mut row.rings {
                    let oldest = at.saturating_sub(ring.long.saturating_mul(2));
                    ring.buckets.retain(|(began, ..)| *began >= oldest);
                }
            }
            rows.retain(|row| row.rings.iter().any(|ring| !ring.buckets.is_empty()));
        }
        self.series.retain(|_, rows| !rows.is_empty());
    }

    /// Puts its counts in the place of an engine's, and its alerts too if `alerts` says so. What was taken before now counts
    /// as old as it is; a clock that was put back since does not make it younger than now.
    pub(super) fn put_into(&self, engine: &mut Engine, wall: u64, shift: Shift, alerts: bool) {
        let now = engine.now();
        let back = i64::try_from(self.at.saturating_sub(wall)).unwrap_or_default();
        let time = |told: u64| told.saturating_add_signed(shift.0 - back).min(now);
        let places: Vec<String> = engine.entries().iter().map(counted).collect();
        for (at, place) in places.iter().enumerate() {
            for row in self.series.get(place).into_iter().flatten() {
                let Some((of, series)) = engine.restored(at, row.key()) else { continue };
                series.recount(of, time(row.since).min(series.since), now);
                for ring in &row.rings {
                    let pair = Pair { long: ring.long, short: ring.short };
                    if let Some(place) = of.pairs().iter().position(|known| *known == pair) {
                        let moved = ring.buckets.iter().map(|(t, all, bad)| (time(*t), *all, *bad));
                        series.restore(place, moved);
                    }
                }
                for alert in row.alerts.iter().filter(|_| alerts) {
                    if let Some(rule) = of.rules.iter().position(|rule| rule.id == alert.rule) {
                        let (since, clear) = (time(alert.since), alert.clear.map(time));
                        let state = match alert.firing {
                            true => State::Firing { since, clear },
                            false => State::Pending { since },
                        };
                        series.restore_alert(rule, state, alert.told.map(time));
                    }
                }
            }
        }
    }

    /// Writes it, with a checksum.
    pub(super) fn write(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut out = format!("{HEAD}{}\n", checksum(&json)).into_bytes();
        out.extend_from_slice(&json);
        out
    }

    /// Reads what was written; says why it cannot.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it is no such file")?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "it is no such file")?;
        let sum = head.strip_prefix(HEAD).ok_or("it is no such file, or of another version")?;
        let json = &bytes[end + 1..];
        if checksum(json) != sum {
            return Err("its checksum is wrong");
        }
        serde_json::from_slice(json).map_err(|_| "it is not written as it should be")
    }
}

impl Kept {
    fn key(&self) -> Key {
        Key { server: self.server.clone(), tool: self.tool.clone(), others: self.others }
    }

    fn add(&mut self, newer: Kept) {
        self.since = self.since.min(newer.since);
        self.alerts = newer.alerts;
        for ring in newer.rings {
            let same = |known: &&mut Ring| (known.long, known.short) == (ring.long, ring.short);
            match self.rings.iter_mut().find(same) {
                Some(known) => known.add(ring.buckets),
                None => self.rings.push(ring),
            }
        }
    }
}

impl Ring {
    fn add(&mut self, more: Vec<Bucket>) {
        let mut all: BTreeMap<u64, (u32, u32)> =
            self.buckets.iter().map(|(began, total, bad)| (*began, (*total, *bad))).collect();
        for (began, total, bad) in more {
            let sum = all.entry(began).or_default();
            *sum = (sum.0.saturating_add(total), sum.1.saturating_add(bad));
        }
        self.buckets = all.into_iter().map(|(began, (total, bad))| (began, total, bad)).collect();
    }
}

/// Says in one line which calls count, which of them are bad, and what is told apart: counts under an equal line are
/// counts of the same.
fn counted(entry: &Entry) -> String {
    let judge = &entry.objective.judge;
    let outcomes = |set: Outcomes| {
        let names = OUTCOMES.iter().filter(|(outcome, _)| set.has(*outcome)).map(|(_, name)| *name);
        names.collect::<Vec<_>>()
    };
    let names = |all: &[Pattern]| all.iter().map(|p| p.text().to_owned()).collect::<Vec<_>>();
    let measure = match judge.measure {
        Measure::Failures(bad) => format!("failures {:?}", outcomes(bad)),
        Measure::Latency(most) => format!("latency {most}"),
    };
    let (server, tool) = (entry.each.server, entry.each.tool);
    format!(
        "{measure} but {:?} of {:?} {:?} each {server} {tool}",
        outcomes(judge.exclude),
        names(&entry.selector.servers),
        names(&entry.selector.tools),
    )
}

fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slo::alert::Change;
    use crate::slo::budget::{Counts, Fraction};
    use crate::slo::engine::{Event, Limits};
    use crate::slo::judge::{Judge, Outcome};
    use crate::slo::matching::{Each, Selector};
    use crate::slo::objective::Objective;
    use crate::slo::rules::preset;

    const DAY: u64 = 86_400;
    const START: u64 = 20_000 * DAY;

    fn engine(now: u64, budget: &str) -> Engine {
        let judge =
            Judge { measure: Measure::Failures(Outcomes::FAILURES), exclude: Outcomes::default() };
        let rules = preset(30 * DAY).unwrap();
        let budget = Fraction::parse(budget).unwrap();
        let objective = Objective::new("errors", judge, budget, 30 * DAY, rules);
        let (selector, each) = (Selector::default(), Each { server: false, tool: true });
        let limits = Limits { series: 10, per_server: 10 };
        Engine::new(vec![Entry { objective, selector, each }], limits, now)
    }

    fn fail(engine: &mut Engine, tool: &str, calls: u64, now: u64) {
        for _ in 0..calls {
            let outcome = Outcome::ToolError;
            let event = Event { server: "fs", tool, listed: true, outcome, end: now, took: 1 };
            engine.count(&event, now);
        }
    }

    fn whole(engine: &Engine, row: usize) -> Counts {
        engine.rows()[row].series.whole(&engine.entries()[0].objective)
    }

    #[test]
    fn counts_and_alerts_come_back_as_old_as_they_are() {
        let mut old = engine(START, "1%");
        fail(&mut old, "a", 20, START);
        assert_eq!(old.evaluate(START).len(), 4);
        let file = Snapshot::of(&old, START, Shift(0)).write();
        let read = Snapshot::read(&file).unwrap();
        let mut new = engine(START + 600, "2%");
        read.put_into(&mut new, START + 600, Shift(0), true);
        assert_eq!(whole(&new, 0), Counts { total: 20, bad: 20 });
        let windows = new.rows()[0].series.windows(&new.entries()[0].objective, 0);
        assert_eq!((windows.long.total, windows.short.total), (20, 0));
        assert_eq!(new.evaluate(START + 600), [], "it fires still, and that was told");
        let much_later = START + 40 * DAY;
        let mut new = engine(much_later, "1%");
        read.put_into(&mut new, much_later, Shift(0), true);
        assert_eq!(whole(&new, 0), Counts::default());
        assert!(
            new.evaluate(much_later + 900)
                .iter()
                .all(|alert| { matches!(alert.transition.change, Change::Resolved(_)) })
        );
    }

    #[test]
    fn what_was_counted_before_the_clock_was_put_back_is_as_old_as_it_was() {
        let mut old = engine(START, "1%");
        fail(&mut old, "a", 5, START - 7_200);
        fail(&mut old, "a", 5, START);
        let read = Snapshot::of(&old, START, Shift(0));
        let mut new = engine(START - DAY, "1%");
        read.put_into(&mut new, START - DAY, Shift(0), true);
        let windows = new.rows()[0].series.windows(&new.entries()[0].objective, 0);
        assert_eq!(windows.long.total, 5, "two hours old are two hours old");
        assert_eq!(whole(&new, 0).total, 10);
    }

    #[test]
    fn two_processes_share_one_budget_and_each_counts_once() {
        let (mut one, mut other) = (engine(START, "1%"), engine(START, "1%"));
        fail(&mut one, "a", 3, START);
        fail(&mut other, "a", 4, START);
        fail(&mut other, "b", 1, START);
        let mut file = Snapshot::of(&one, START, Shift(0));
        file.add(Snapshot::of(&other, START, Shift(0)));
        for engine in [&mut one, &mut other] {
            file.put_into(engine, START, Shift(0), false);
            let mut totals: Vec<u64> = (0..2).map(|row| whole(engine, row).total).collect();
            totals.sort_unstable();
            assert_eq!(totals, [1, 7]);
        }
        file.at = START + 90 * DAY;
        file.prune();
        assert_eq!(file, Snapshot { at: file.at, ..Snapshot::default() });
    }

    #[test]
    fn what_is_damaged_or_foreign_is_not_read() {
        let mut engine = engine(START, "1%");
        fail(&mut engine, "a", 3, START);
        let file = Snapshot::of(&engine, START, Shift(0)).write();
        assert!(Snapshot::read(&file).is_ok());
        for bytes in [
            Vec::new(),
            b"something else\n{}".to_vec(),
            file[..file.len() - 3].to_vec(),
            [&file[..file.len() - 1], b" "].concat(),
            String::from_utf8(file).unwrap().replace("slo 1", "slo 2").into_bytes(),
        ] {
            assert!(Snapshot::read(&bytes).is_err());
        }
    }
}
