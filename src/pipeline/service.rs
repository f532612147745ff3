//! Builds a plan, runs it, changes it for another, and drains it front to back.
//!
//! A plan is put in place whole or not at all: everything new is built and opened first, then outlets
//! are re-pointed and what is no longer used is drained. Components with equal id, settings and files
//! stay, so a reload does not touch a receiver of which nothing changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

use super::accounting::{
    Account, Accounts, ExporterCounters, Owner, PipelineCounters, StageCounters,
};
use super::attached::Extensions;
use super::build::{Build, Shared};
use super::chain::{Chain, Rest};
use super::delivery::Delivery;
use super::gate::Gate;
use super::made_of::MadeOf;
use super::placeholder::{BlockingProcessor, DisabledExporter};
use super::plan::{Pipeline, Plan, Planned};
use super::route::{Branch, Route};
use super::{
    Deadline, Ended, Exit, Id, Lifecycle, Next, Onlookers, Outlet, Receiver, Secrets, Stop, Switch,
};
use crate::metrics::Metrics;
use crate::settings::Secret;
use crate::telemetry::{Clock, Signal};

/// Holds what a service lives in.
pub struct Context {
    /// Says where the process counts.
    pub metrics: Metrics,
    /// The process's clock.
    pub clock: Clock,
    /// Says where consumers, receivers and timers run.
    pub runtime: Handle,
    /// A component that cannot be built is off, said once, and its items are counted as dropped,
    /// instead of failing the start: for a tap whose child is already running.
    pub lenient: bool,
}

/// A running set of pipelines.
pub struct Service {
    cx: Context,
    accounts: Accounts,
    /// Holds what has series of its own: the label that names it, and its id.
    counted: BTreeSet<(&'static str, String)>,
    shared: Shared,
    lifecycle: Lifecycle,
    extensions: Extensions,
    receivers: BTreeMap<Id, Running>,
    tasks: JoinSet<Returned>,
    /// The ways out of processors that emit.
    emits: BTreeMap<Id, Outlet>,
    exporters: BTreeMap<Id, (MadeOf, Arc<Delivery>)>,
    /// Receivers that reloads took out and that finish what they have begun.
    retired: Vec<(Id, Running)>,
    chains: Vec<(Pipeline, Arc<Chain>)>,
    timers: JoinSet<()>,
    /// Exporters that a reload took out, being drained.
    leaving: JoinSet<()>,
    /// The same, for as long as there is something of them.
    left: Vec<Weak<Delivery>>,
    /// The ids of all that were ever taken out: the last lines tell of them, too.
    taken_out: BTreeSet<Id>,
}

/// A receiver's run that is over, and whether it had been told to stop.
type Returned = (Id, bool, anyhow::Result<Ended>);

struct Running {
    made_of: MadeOf,
    outlet: Outlet,
    stop: Switch,
}

/// Says how a service ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The end a receiver asked for: a wrapped child's.
    pub exit: Option<Exit>,
    /// The account of each exporter.
    pub accounts: Vec<(String, Account)>,
    /// Receivers that failed while running.
    pub failures: Vec<String>,
}

/// Everything new of a plan, built but not yet connected.
struct Parts {
    exporters: BTreeMap<Id, (MadeOf, Arc<Delivery>)>,
    chains: Vec<(Pipeline, Arc<Chain>)>,
    receivers: Vec<(Id, MadeOf, Box<dyn Receiver>)>,
}

impl Service {
    /// A service without pipelines.
    pub fn new(cx: Context) -> Self {
        Service {
            accounts: Accounts::new(cx.metrics.clone()),
            counted: BTreeSet::new(),
            cx,
            shared: Shared::default(),
            lifecycle: Lifecycle::default(),
            extensions: Extensions::default(),
            receivers: BTreeMap::new(),
            tasks: JoinSet::new(),
            emits: BTreeMap::new(),
            exporters: BTreeMap::new(),
            retired: Vec::new(),
            chains: Vec::new(),
            timers: JoinSet::new(),
            leaving: JoinSet::new(),
            left: Vec::new(),
            taken_out: BTreeSet::new(),
        }
    }

    /// Puts a plan in place of the present one. On an error nothing has changed.
    pub async fn apply(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let cx = |id| self.cx(plan, id, &[]);
        let opened = self.extensions.open(plan, self.cx.lenient, cx).await?;
        let extensions = self.extensions.start(opened, &self.cx.runtime);
        let parts = match self.open(plan).await {
            Ok(parts) => parts,
            Err(error) => {
                extensions.retire();
                return Err(error);
            }
        };
        self.extensions.put(plan, extensions);
        self.connect(plan, parts);
        self.lifecycle.running(self.cx.clock.now());
        Ok(())
    }

    /// Builds what is new of a plan, and opens its receivers.
    async fn open(&mut self, plan: &Plan) -> anyhow::Result<Parts> {
        let mut parts = self.build(plan)?;
        let secrets = plan.secrets.iter().map(Secret::expose);
        self.shared.of(None, Secrets::default).set("config", secrets);
        for (id, _, receiver) in &mut parts.receivers {
            receiver.open().await.with_context(|| format!("{id}: cannot start"))?;
        }
        Ok(parts)
    }

    /// Waits until a receiver ends by itself, which should end the process. May be dropped and called
    /// again: a caller also listens for signals.
    pub async fn ended(&mut self, outcome: &mut Outcome) {
        while let Some(ended) = self.tasks.join_next().await {
            if self.note(ended, outcome) {
                return;
            }
        }
    }

    /// Sends what is ready, and from now on whatever comes, without waiting for company: the end is
    /// near, and whoever brings it may have less patience than it takes.
    pub fn flush(&self) {
        let staying = self.exporters.values().map(|(_, delivery)| delivery);
        staying.for_each(|delivery| delivery.flush());
    }

    /// Front to back: receivers stop and return, chains finish, queues close, exporters empty. What is
    /// ready meanwhile is [flushed](Self::flush).
    pub async fn drain(mut self, deadline: Instant, outcome: &mut Outcome) {
        self.lifecycle.draining();
        self.flush();
        let times = Deadline::at(deadline);
        let retired = self.retired.iter().map(|(_, receiver)| receiver);
        let receivers: Vec<_> = self.receivers.values().chain(retired).collect();
        receivers.iter().for_each(|receiver| receiver.stop.end(times));
        while let Ok(Some(ended)) = timeout_at(times.returned(), self.tasks.join_next()).await {
            self.note(ended, outcome);
        }
        self.tasks.shutdown().await;
        self.timers.shutdown().await;
        let retired = self.retired.iter().map(|(_, receiver)| receiver);
        for receiver in self.receivers.values().chain(retired) {
            receiver.outlet.point(None);
        }
        let sources: Vec<_> = self.receivers.keys().cloned().collect();
        let chains = std::mem::take(&mut self.chains);
        let plans: Vec<_> = chains.iter().map(|(plan, _)| plan.clone()).collect();
        finish_in_order(chains, &self.emits);
        let exits: Vec<_> = self.exporters.values().map(|(_, d)| Arc::clone(d)).collect();
        let mut drains = JoinSet::new();
        for delivery in exits {
            drains.spawn_on(async move { delivery.drain(deadline).await }, &self.cx.runtime);
        }
        while drains.join_next().await.is_some() {}
        let left: Vec<_> = self.left.iter().filter_map(Weak::upgrade).collect();
        let all_left = async { while self.leaving.join_next().await.is_some() {} };
        if timeout_at(deadline, all_left).await.is_err() {
            self.leaving.shutdown().await;
        }
        for delivery in left {
            delivery.drain(deadline).await;
        }
        self.extensions.stop(deadline).await;
        outcome.accounts = self.accounts(&plans, &sources);
    }

    /// Takes note of a receiver that returned; whether the service should end because of it. One that
    /// was told to stop (a reload replaced it) is no reason.
    fn note(&mut self, ended: Result<Returned, JoinError>, outcome: &mut Outcome) -> bool {
        self.retired.retain(|(_, running)| !running.stop.is_over());
        let (id, stopped, result) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                outcome.failures.push(format!("a receiver was lost: {error}"));
                return true;
            }
        };
        if stopped && self.receivers.get(&id).is_none_or(|new| !new.stop.is_given()) {
            return false;
        }
        match result {
            Ok(Ended { exit }) => outcome.exit = outcome.exit.or(exit),
            Err(error) => outcome.failures.push(format!("{id}: {error:#}")),
        }
        !stopped
    }

    fn build(&mut self, plan: &Plan) -> anyhow::Result<Parts> {
        for part in &plan.processors {
            self.emits.entry(part.id.clone()).or_default();
        }
        let mut exporters = BTreeMap::new();
        for part in &plan.exporters {
            let made_of = MadeOf::of(&part.settings, &plan.base);
            let kept = self.exporters.get(&part.id).filter(|(of, _)| *of == made_of);
            let delivery = match kept {
                Some((_, delivery)) => Arc::clone(delivery),
                None => self.start_exporter(plan, part)?,
            };
            exporters.insert(part.id.clone(), (made_of, delivery));
        }
        let mut chains = Vec::new();
        for pipeline in &plan.pipelines {
            chains.push((pipeline.clone(), self.build_chain(plan, pipeline, &exporters)?));
        }
        let mut receivers = Vec::new();
        for part in &plan.receivers {
            let made_of = MadeOf::of(&part.settings, &plan.base);
            if self.receivers.get(&part.id).is_some_and(|running| running.made_of == made_of) {
                continue;
            }
            let fed = plan.pipelines.iter().filter(|p| p.receivers.contains(&part.id));
            let behind: Vec<_> = fed.flat_map(|p| &p.processors).cloned().collect();
            self.accounts.revive(Owner::Receiver, &part.id.to_string());
            let receiver = part
                .config
                .build(&self.cx(plan, &part.id, &behind))
                .with_context(|| format!("{}: cannot build", part.id))?;
            receivers.push((part.id.clone(), made_of, receiver));
        }
        Ok(Parts { exporters, chains, receivers })
    }

    fn start_exporter(
        &self,
        plan: &Plan,
        part: &Planned<dyn super::ExporterConfig>,
    ) -> anyhow::Result<Arc<Delivery>> {
        let mut off = None;
        let exporter = match part.config.build(&self.cx(plan, &part.id, &[])) {
            Ok(exporter) => exporter,
            Err(error) if self.cx.lenient => {
                let why = off.insert(format!("{error:#}"));
                Box::new(DisabledExporter(why.clone()))
            }
            Err(error) => return Err(error.context(format!("{}: cannot build", part.id))),
        };
        let fed = |signal: &Signal| {
            let mut to_it = plan.pipelines.iter().filter(|p| p.exporters.contains(&part.id));
            to_it.any(|pipeline| pipeline.signal == *signal)
        };
        let signals: Vec<Signal> = Signal::ALL.into_iter().filter(fed).collect();
        let mut places = part.config.places(&signals);
        places.dedup();
        places.iter().for_each(|place| tracing::info!("{}: to {place}", part.id));
        let counters = ExporterCounters::new(&self.accounts, &part.id);
        let settings = part.config.delivery();
        let delivery =
            Delivery::start(part.id.clone(), exporter, settings, counters, &self.cx.runtime);
        off.iter().for_each(|why| delivery.cannot_start(why));
        Ok(delivery)
    }

    /// Builds a pipeline from its end, so that each processor is given its way on.
    fn build_chain(
        &self,
        plan: &Plan,
        pipeline: &Pipeline,
        exporters: &BTreeMap<Id, (MadeOf, Arc<Delivery>)>,
    ) -> anyhow::Result<Arc<Chain>> {
        let clock = &self.cx.clock;
        let counters =
            PipelineCounters::new(&self.accounts, &pipeline.id.to_string(), pipeline.signal);
        let counters = Arc::new(counters);
        let exits = pipeline.exporters.iter().map(|id| {
            let part = plan.exporters.iter().find(|part| part.id == *id);
            let keeps = part.is_some_and(|part| part.config.keeps_unsampled());
            let counters = ExporterCounters::new(&self.accounts, id);
            Gate::new(Arc::clone(&exporters[id].1), counters, keeps)
        });
        let mut rest = Rest::Exits(exits.collect());
        for id in pipeline.processors.iter().rev() {
            let part = plan.processors.iter().find(|part| part.id == *id);
            let part =
                part.with_context(|| format!("{id}: named by {} but absent", pipeline.id))?;
            let stage = StageCounters::new(Arc::clone(&counters), &id.to_string());
            let stage = Arc::new(stage);
            let next = Next::new(rest.clone(), Arc::clone(&stage), clock.clone());
            let processor = match part.config.build(&Build { next, ..self.cx(plan, id, &[]) }) {
                Ok(processor) => processor,
                Err(error) if self.cx.lenient => Box::new(BlockingProcessor::because(id, &error)),
                Err(error) => return Err(error.context(format!("{id}: cannot build"))),
            };
            rest = rest.behind(processor, stage, clock.clone());
        }
        Ok(Chain::new(rest, counters, clock.clone()))
    }

    fn cx<'a>(&'a self, plan: &'a Plan, id: &'a Id, behind: &'a [Id]) -> Build<'a> {
        let emit = self.emits.get(id).cloned().unwrap_or_default();
        let (accounts, shared) = (&self.accounts, &self.shared);
        let alone = Build::alone(id, accounts, self.cx.clock.clone(), &plan.base, shared);
        Build { emit, behind, lifecycle: self.lifecycle.clone(), ..alone }
    }

    /// From here on nothing can fail.
    fn connect(&mut self, plan: &Plan, parts: Parts) {
        let (whole, onlookers) = (plan, self.shared.of(None, Onlookers::default));
        let target =
            |id: &Id, named: fn(&Pipeline) -> &Vec<Id>| -> Option<Box<dyn super::Consumer>> {
                let fed = parts.chains.iter().filter(|(plan, _)| named(plan).contains(id));
                let branch = |(plan, chain): &(Pipeline, Arc<Chain>)| Branch {
                    signal: plan.signal,
                    chain: Arc::clone(chain),
                    shown: is_shown(whole, plan, |other| named(other).contains(id)),
                };
                let (branches, onlookers) = (fed.map(branch).collect(), Arc::clone(&onlookers));
                Some(Box::new(Route::new(&id.to_string(), branches, onlookers, &self.cx.metrics)))
            };
        let received = |id: &Id| target(id, |plan| &plan.receivers);
        for (id, outlet) in &self.emits {
            outlet.point(target(id, |plan| &plan.emitters));
        }
        for (id, made_of, receiver) in parts.receivers {
            let outlet = Outlet::default();
            outlet.point(received(&id));
            let (switch, stop) = Stop::switch();
            let run = receiver.run(outlet.clone(), stop.clone());
            let new = Running { made_of, outlet, stop: switch };
            if let Some(old) = self.receivers.insert(id.clone(), new) {
                self.retired.push((id.clone(), old));
            }
            let ended = async move {
                let result = run.await;
                (id, stop.is_given(), result)
            };
            self.tasks.spawn_on(ended, &self.cx.runtime);
        }
        let wanted = |id: &Id| plan.receivers.iter().any(|part| part.id == *id);
        self.retired.extend(self.receivers.extract_if(.., |id, _| !wanted(id)));
        self.retired.iter().for_each(|(_, running)| running.stop.retire());
        // What the new plan has no place for goes the way it went: its spans are owed all the same.
        let retired = self.retired.iter().map(|(id, running)| (id, running));
        for (id, running) in self.receivers.iter().chain(retired).filter(|(id, _)| wanted(id)) {
            running.outlet.point(received(id));
        }
        let counted = counted(plan);
        let gone = self.counted.difference(&counted);
        gone.for_each(|(label, id)| self.accounts.retire(label, id));
        self.counted = counted;
        self.chains = parts.chains;
        self.leave(parts.exporters);
        self.start_timers();
    }

    /// Drains exporters that the new plan does not have.
    fn leave(&mut self, exporters: BTreeMap<Id, (MadeOf, Arc<Delivery>)>) {
        let old = std::mem::replace(&mut self.exporters, exporters);
        for (id, (_, delivery)) in old {
            let kept = self.exporters.get(&id).is_some_and(|(_, new)| Arc::ptr_eq(new, &delivery));
            if !kept {
                self.left.push(Arc::downgrade(&delivery));
                self.taken_out.insert(id.clone());
                let accounts = self.accounts.clone();
                let drained = async move {
                    // Whoever is on the way still finds it open.
                    delivery.left().await;
                    delivery.drain(Instant::now() + LEAVING).await;
                    accounts.failed(&id.to_string(), delivery.account().last_failure);
                };
                self.leaving.spawn_on(drained, &self.cx.runtime);
            }
        }
        self.left.retain(|delivery| delivery.strong_count() > 0);
        while self.leaving.try_join_next().is_some() {}
    }

    /// One timer a chain: it holds the chain weakly, so that it never keeps an old one alive.
    fn start_timers(&mut self) {
        self.timers = JoinSet::new();
        for (_, chain) in &self.chains {
            let chain = Arc::downgrade(chain);
            let timer = async move {
                while let Some(wait) = chain.upgrade().and_then(|chain| chain.tick()) {
                    sleep(wait.max(MIN_TICK)).await;
                }
            };
            self.timers.spawn_on(timer, &self.cx.runtime);
        }
    }

    fn accounts(&self, plans: &[Pipeline], sources: &[Id]) -> Vec<(String, Account)> {
        let account = |id: &Id| {
            let staying = self.exporters.get(id).map(|(_, delivery)| delivery.account());
            let mut account = staying.unwrap_or_else(|| self.accounts.account(&id.to_string()));
            for plan in plans.iter().filter(|plan| plan.exporters.contains(id)) {
                let (pipeline, signal) = (plan.id.to_string(), Some(plan.signal));
                account.add_drops(self.accounts.dropped(Owner::Pipeline, &pipeline, signal));
                account.add_held(self.accounts.kept(&pipeline));
                for source in plan.receivers.iter().filter(|id| sources.contains(id)) {
                    let source = source.to_string();
                    account.add_drops(self.accounts.dropped(Owner::Receiver, &source, signal));
                }
            }
            (id.to_string(), account)
        };
        let gone = self.taken_out.iter().filter(|id| !self.exporters.contains_key(id));
        self.exporters.keys().chain(gone).map(account).collect()
    }
}

/// Says whether of the pipelines of its signal that `fed` names this is the one that onlookers see: the first that
/// redacts, else the first.
fn is_shown(plan: &Plan, pipeline: &Pipeline, fed: impl Fn(&Pipeline) -> bool) -> bool {
    let redacts = |pipeline: &&Pipeline| {
        let mut processors = plan.processors.iter().filter(|p| pipeline.processors.contains(&p.id));
        processors.any(|part| part.config.redacts())
    };
    let of_signal = || plan.pipelines.iter().filter(|p| p.signal == pipeline.signal && fed(p));
    let first = of_signal().find(redacts).or_else(|| of_signal().next());
    first.is_some_and(|first| first.id == pipeline.id)
}

/// Names what has series of its own under a plan, by label. What a processor emits is received from it.
fn counted(plan: &Plan) -> BTreeSet<(&'static str, String)> {
    let receivers = plan.receivers.iter().map(|part| ("receiver", &part.id));
    let processors = plan.processors.iter();
    let processors =
        processors.flat_map(|part| ["receiver", "processor"].map(|label| (label, &part.id)));
    let exporters = plan.exporters.iter().map(|part| ("exporter", &part.id));
    let pipelines = plan.pipelines.iter().map(|pipeline| ("pipeline", &pipeline.id));
    let all = receivers.chain(processors).chain(exporters).chain(pipelines);
    all.map(|(label, id)| (label, id.to_string())).collect()
}

/// Says how long an exporter that a reload took out may go on sending what it has.
const LEAVING: Duration = Duration::from_secs(30);
/// A processor that asks to be ticked at once again would spin.
const MIN_TICK: Duration = Duration::from_millis(1);

/// Ends chains upstream first: what one emits while it finishes still finds the next one open.
fn finish_in_order(mut chains: Vec<(Pipeline, Arc<Chain>)>, emits: &BTreeMap<Id, Outlet>) {
    while !chains.is_empty() {
        let fed = |plan: &Pipeline, by: &[(Pipeline, Arc<Chain>)]| {
            by.iter().any(|(other, _)| {
                other.id != plan.id && other.processors.iter().any(|id| plan.emitters.contains(id))
            })
        };
        let next = chains.iter().position(|(plan, _)| !fed(plan, &chains)).unwrap_or(0);
        let (plan, chain) = chains.swap_remove(next);
        drop(chain);
        for id in &plan.processors {
            let still_used = chains.iter().any(|(other, _)| other.processors.contains(id));
            if let Some(outlet) = emits.get(id).filter(|_| !still_used) {
                outlet.point(None);
            }
        }
    }
}
