//! The extensions of a service: opened before everything else, stopped after it, kept over a reload that
//! does not change them. What they serve is their own business.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::made_of::MadeOf;
use super::{Build, Deadline, Extension, Id, Plan, Stop, Switch};

/// The extensions that run.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    running: BTreeMap<Id, (MadeOf, Switch)>,
    tasks: JoinSet<()>,
}

/// The new extensions of a plan, opened and not yet running.
pub(super) type Opened = Vec<(Id, MadeOf, Box<dyn Extension>)>;

/// The new extensions of a plan, which run beside those that they replace.
#[derive(Debug)]
pub(super) struct Started(Vec<(Id, MadeOf, Switch)>);

impl Started {
    /// Stops them: the plan was not put in place.
    pub(super) fn retire(self) {
        self.0.iter().for_each(|(.., switch)| switch.retire());
    }
}

/// Names what a stop leaves an extension when all time is used up.
const LAST: Duration = Duration::from_millis(100);

impl Extensions {
    /// Builds and opens the extensions of the plan that do not run yet with these settings. If `lenient`,
    /// those that cannot are said and left out.
    pub(super) async fn open<'a>(
        &self,
        plan: &'a Plan,
        lenient: bool,
        cx: impl Fn(&'a Id) -> Build<'a>,
    ) -> anyhow::Result<Opened> {
        let mut opened = Vec::new();
        for part in &plan.extensions {
            let made_of = MadeOf::of(&part.settings, &plan.base);
            if self.running.get(&part.id).is_some_and(|(of, _)| *of == made_of) {
                continue;
            }
            let ready = async {
                let mut extension = part.config.build(&cx(&part.id))?;
                extension.open().await?;
                anyhow::Ok(extension)
            };
            match ready.await {
                Ok(extension) => opened.push((part.id.clone(), made_of, extension)),
                Err(error) if lenient => {
                    tracing::error!(extension = %part.id, "cannot start, goes on without: {error:#}");
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("{}: cannot start", part.id));
                }
            }
        }
        Ok(opened)
    }

    /// Runs what was opened, while the rest of the plan is still to open: who asks whether the process is ready hears
    /// that it is not.
    pub(super) fn start(&mut self, opened: Opened, runtime: &Handle) -> Started {
        while self.tasks.try_join_next().is_some() {}
        let start = |(id, made_of, extension): (Id, MadeOf, Box<dyn Extension>)| {
            let (switch, stop) = Stop::switch();
            self.tasks.spawn_on(watched(id.clone(), extension, stop), runtime);
            (id, made_of, switch)
        };
        Started(opened.into_iter().map(start).collect())
    }

    /// Puts what was started in place, and stops what it replaces and what the plan does not have.
    pub(super) fn put(&mut self, plan: &Plan, started: Started) {
        let wanted = |id: &Id| plan.extensions.iter().any(|part| part.id == *id);
        let replaced = |id: &Id| started.0.iter().any(|(new, ..)| new == id);
        for (_, (_, switch)) in self.running.extract_if(.., |id, _| replaced(id) || !wanted(id)) {
            switch.retire();
        }
        let started = started.0.into_iter();
        self.running.extend(started.map(|(id, made_of, switch)| (id, (made_of, switch))));
    }

    /// Stops all of them, and those that do not return by the deadline with force.
    pub(super) async fn stop(&mut self, deadline: Instant) {
        let deadline = deadline.max(Instant::now() + LAST);
        self.running.values().for_each(|(_, switch)| switch.end(Deadline::at(deadline)));
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout_at(deadline, all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

/// Runs an extension and says how it ended, unless it was told to.
async fn watched(id: Id, extension: Box<dyn Extension>, stop: Stop) {
    match extension.run(stop.clone()).await {
        Ok(()) if stop.is_given() => {}
        Ok(()) => tracing::error!(extension = %id, "has ended; the rest goes on without"),
        Err(error) => {
            tracing::error!(extension = %id, "has failed; the rest goes on without: {error:#}");
        }
    }
}
