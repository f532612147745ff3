//! One objective and the series that it is judged on: counts over its windows, and the state of each of its rules.

use super::alert::{Change, Reason, State, Windows};
use super::budget::{Counts, Fraction, Threshold};
use super::judge::Judge;
use super::rings::{Bucket, Pair, Rings};
use super::rules::{Rule, Severity};

/// Holds what is promised, and when it is told that it is not kept.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Unique among the objectives of an engine.
    pub name: String,
    /// Says which calls count, and which of them are bad.
    pub judge: Judge,
    /// The part of calls that may be bad.
    pub budget: Fraction,
    /// The time that the budget is for, in seconds.
    pub window: u64,
    /// Says when it is told.
    pub rules: Vec<Rule>,
    thresholds: Vec<Threshold>,
    /// The windows that are counted, and which of them each rule reads; the budget's own is the last.
    pairs: Vec<Pair>,
    reads: Vec<usize>,
}

/// Holds what is counted for an objective: all of its calls, or those of one server or tool.
#[derive(Clone, Debug)]
pub struct Series {
    rings: Rings,
    states: Vec<State>,
    /// Says when each rule's alert was last told to be firing, if it was told and has not ended since.
    told: Vec<Option<u64>>,
    /// Since the series began, for counters.
    pub counts: Counts,
    /// Events that were too late for every window.
    pub late: u64,
    /// Says when the series began, in seconds since the epoch: before this nothing is known.
    pub since: u64,
}

/// Says how often an alert that goes on firing is told again, in seconds.
const REMINDER: u64 = 4 * 60 * 60;

/// An alert that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The rule's place in the objective.
    pub rule: usize,
    /// Holds what it changed to.
    pub change: Change,
    /// It was told before and goes on: a reminder, each four hours.
    pub again: bool,
    /// Told for the record, and not to be sent: a page says the same, or nobody was told that it began.
    pub suppressed: bool,
    /// Holds what its windows say.
    pub windows: Windows,
    /// In seconds since the epoch.
    pub at: u64,
}

/// Holds what one window says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its length, in seconds.
    pub length: u64,
    /// Holds what was counted in it.
    pub counts: Counts,
}

/// Says where an objective stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No call counts in the budget's window.
    NoData,
    /// An alert fires.
    Burning,
    /// So few calls come that no alert could fire.
    TooLittle,
    /// None of these.
    Fine,
}

impl Objective {
    /// Makes an objective. The budget has to be [proper](Fraction::is_proper), and no window longer than the budget's.
    pub fn new(name: &str, judge: Judge, budget: Fraction, window: u64, rules: Vec<Rule>) -> Self {
        let mut pairs: Vec<Pair> = Vec::new();
        let mut reads = Vec::new();
        for rule in &rules {
            let known = pairs.iter().position(|pair| *pair == rule.windows());
            reads.push(known.unwrap_or(pairs.len()));
            if known.is_none() {
                pairs.push(rule.windows());
            }
        }
        pairs.push(Pair::whole(window));
        let thresholds = rules.iter().map(|rule| rule.threshold(budget, window)).collect();
        Objective { name: name.to_owned(), judge, budget, window, rules, thresholds, pairs, reads }
    }

    /// Gives the part of bad calls above which a rule holds.
    pub fn threshold(&self, rule: usize) -> Threshold {
        self.thresholds[rule]
    }

    /// Gives the pairs of windows that are counted; the budget's own is the last.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// Says how many more bad calls there may be before the budget is gone, if nothing but bad calls come.
    pub fn failures_left(&self, counts: Counts) -> u64 {
        let one = u128::from(Fraction::parse("1").map_or(0, Fraction::nanos));
        let budget = u128::from(self.budget.nanos());
        let allowed = budget * u128::from(counts.total);
        let spent = one * u128::from(counts.bad);
        let left = allowed.saturating_sub(spent) / (one - budget).max(1);
        u64::try_from(left).unwrap_or(u64::MAX)
    }

    /// Gives how much of the budget is left: one is all of it, less than nothing is overspent. All, without calls.
    pub fn budget_left(&self, counts: Counts) -> f64 {
        1.0 - counts.burn(self.budget).unwrap_or_default()
    }
}

impl Series {
    /// Makes a series without events, at that time in seconds since the epoch.
    pub fn new(of: &Objective, now: u64) -> Self {
        Series {
            rings: Rings::new(of.pairs.iter().copied(), now),
            states: vec![State::default(); of.rules.len()],
            told: vec![None; of.rules.len()],
            counts: Counts::default(),
            late: 0,
            since: now,
        }
    }

    /// Counts a call that ended at that time.
    pub fn add(&mut self, at: u64, bad: bool) {
        if self.rings.add(at, bad) {
            self.counts.total += 1;
            self.counts.bad += u64::from(bad);
        } else {
            self.late += 1;
        }
    }

    /// Moves time on, without a look at the rules.
    pub fn advance(&mut self, now: u64) {
        self.rings.advance(now);
    }

    /// Moves time on and looks at each rule; says what changed.
    pub fn evaluate(&mut self, of: &Objective, now: u64) -> Vec<Transition> {
        self.rings.advance(now);
        let step = |at| {
            let windows = self.windows(of, at);
            self.states[at].step(&of.rules[at], of.thresholds[at], windows, now)
        };
        let changes: Vec<Option<Change>> = (0..of.rules.len()).map(step).collect();
        let paging = self.is_paging(of);
        let mut out = Vec::new();
        for (rule, change) in changes.into_iter().enumerate() {
            let kept_back = paging && of.rules[rule].severity == Severity::Ticket;
            if let Some((change, again, suppressed)) = self.telling(rule, change, kept_back, now) {
                let windows = self.windows(of, rule);
                out.push(Transition { rule, change, again, suppressed, windows, at: now });
            }
        }
        out
    }

    /// Says what is to be told of a rule: the change, whether it is told again, and whether it is only recorded.
    fn telling(
        &mut self,
        rule: usize,
        change: Option<Change>,
        kept_back: bool,
        now: u64,
    ) -> Option<(Change, bool, bool)> {
        // One that is about to end is not told any more.
        let goes_on = matches!(self.states[rule], State::Firing { clear: None, .. });
        let told = &mut self.told[rule];
        match change {
            // Nobody hears of an end who has not heard of the beginning.
            Some(Change::Resolved(_)) => Some((change?, false, told.take().is_none())),
            Some(Change::Firing) if !kept_back => {
                *told = Some(now);
                Some((Change::Firing, false, false))
            }
            Some(change) => Some((change, false, kept_back)),
            None if goes_on && !kept_back => {
                // Its page is over and it is not, or it was told long ago.
                let again = told.is_some();
                let due = told.is_none_or(|at| now.saturating_sub(at) >= REMINDER);
                due.then(|| {
                    *told = Some(now);
                    (Change::Firing, again, false)
                })
            }
            None => None,
        }
    }

    /// Ends the alerts of these rules that fire, because they are no more; says which.
    pub fn end(
        &mut self,
        of: &Objective,
        which: impl Fn(&Rule) -> bool,
        now: u64,
    ) -> Vec<Transition> {
        let mut ended = Vec::new();
        for (rule, written) in of.rules.iter().enumerate() {
            if which(written) && self.states[rule].is_firing() {
                let (change, windows) = (Change::Resolved(Reason::Config), self.windows(of, rule));
                let suppressed = self.told[rule].take().is_none();
                self.states[rule] = State::Inactive;
                let again = false;
                ended.push(Transition { rule, change, again, suppressed, windows, at: now });
            }
        }
        ended
    }

    /// Gives the series as another objective has it, of which the same calls count: what both have is kept, windows
    /// that are new begin empty.
    pub fn under(&self, of: &Objective, new: &Objective, now: u64) -> Self {
        let mut moved = Series::new(new, now);
        for (ring, pair) in new.pairs.iter().enumerate() {
            if let Some(known) = of.pairs.iter().position(|known| known == pair) {
                moved.rings.restore(ring, self.rings.buckets(known));
            }
        }
        for (at, rule) in new.rules.iter().enumerate() {
            if let Some(known) = of.rules.iter().position(|known| known.id == rule.id) {
                (moved.states[at], moved.told[at]) = (self.states[known], self.told[known]);
            }
        }
        moved.since = if of.window == new.window { self.since } else { now };
        Series { counts: self.counts, late: self.late, ..moved }
    }

    fn is_paging(&self, of: &Objective) -> bool {
        let mut states = of.rules.iter().zip(&self.states);
        states.any(|(rule, state)| rule.severity == Severity::Page && state.is_firing())
    }

    /// Reads the windows of a rule.
    pub fn windows(&self, of: &Objective, rule: usize) -> Windows {
        let [long, short] = self.rings.read(of.reads[rule]);
        Windows { long, short }
    }

    /// Reads the window of the budget.
    pub fn whole(&self, of: &Objective) -> Counts {
        let [whole, _] = self.rings.read(of.pairs.len() - 1);
        whole
    }

    /// Reads every window once, shortest first, the budget's among them.
    pub fn all_windows(&self, of: &Objective) -> Vec<Window> {
        let mut all: Vec<Window> = Vec::new();
        for (at, pair) in of.pairs.iter().enumerate() {
            let [long, short] = self.rings.read(at);
            for (length, counts) in [(pair.short, short), (pair.long, long)] {
                if all.iter().all(|window| window.length != length) {
                    all.push(Window { length, counts });
                }
            }
        }
        all.sort_by_key(|window| window.length);
        all
    }

    /// Gives the state of each rule, and whether its alert is kept back because a page of the series fires.
    pub fn states(&self, of: &Objective) -> impl Iterator<Item = (State, bool)> + '_ {
        let paging = self.is_paging(of);
        let ticket: Vec<bool> =
            of.rules.iter().map(|rule| rule.severity == Severity::Ticket).collect();
        let kept_back =
            move |(state, ticket): (&State, bool)| (*state, paging && ticket && state.is_firing());
        self.states.iter().zip(ticket).map(kept_back)
    }

    /// Says where it stands.
    pub fn standing(&self, of: &Objective) -> Standing {
        let too_few = |at: usize| {
            let (Windows { long, .. }, rule) = (self.windows(of, at), &of.rules[at]);
            long.total < rule.min_events
        };
        if self.states.iter().any(|state| state.is_firing()) {
            Standing::Burning
        } else if self.whole(of).total == 0 {
            Standing::NoData
        } else if !of.rules.is_empty() && (0..of.rules.len()).all(too_few) {
            Standing::TooLittle
        } else {
            Standing::Fine
        }
    }

    /// Says whether it has nothing to tell: no event in the budget's window, and nothing that fires.
    pub fn is_idle(&self, of: &Objective) -> bool {
        self.whole(of).total == 0 && self.states.iter().all(|state| *state == State::Inactive)
    }

    /// Gives what of the budget's window is known, from 0 to 1.
    #[allow(clippy::cast_precision_loss)]
    pub fn coverage(&self, of: &Objective, now: u64) -> f64 {
        (now.saturating_sub(self.since) as f64 / of.window as f64).min(1.0)
    }

    /// Gives the buckets of a ring that have something, for a snapshot.
    pub fn buckets(&self, ring: usize) -> impl Iterator<Item = Bucket> + '_ {
        self.rings.buckets(ring)
    }

    /// Forgets what it counted in its windows, which is put back from elsewhere, since that time; counters stay.
    pub fn recount(&mut self, of: &Objective, since: u64, now: u64) {
        self.rings = Rings::new(of.pairs.iter().copied(), now);
        self.since = since;
    }

    /// Adds buckets of a snapshot to a ring; those that are too old are left out.
    pub fn restore(&mut self, ring: usize, buckets: impl IntoIterator<Item = Bucket>) {
        self.rings.restore(ring, buckets);
    }

    /// Gives the state of each rule, and when its alert was last told, for a snapshot.
    pub fn alerts(&self) -> impl Iterator<Item = (State, Option<u64>)> + '_ {
        self.states.iter().copied().zip(self.told.iter().copied())
    }

    /// Puts back the state of a rule.
    pub fn restore_alert(&mut self, rule: usize, state: State, told: Option<u64>) {
        if let (Some(at), Some(known)) = (self.states.get_mut(rule), self.told.get_mut(rule)) {
            (*at, *known) = (state, told);
        }
    }
}
