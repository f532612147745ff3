//! `owner`: says on the spans of a tool which team answers for it. The template of
//! `docs/contributing/add-a-component.md`: complete, in no registry. In the tree `mcpcol::` is `crate::`.
//!
//! ```yaml
//! owner: { tool: search_files, team: storage }
//! ```

use mcpcol::metrics::{Counter, Metric};
use mcpcol::otlp::Holder;
use mcpcol::otlp::wire::compose::{Attributes, Value};
use mcpcol::otlp::wire::edit::{Edit, Holders, Take, Wants};
use mcpcol::otlp::wire::view::{Item, View};
use mcpcol::pipeline::{Build, ComponentConfig, Flow, Pass, Processor, ProcessorConfig};
use mcpcol::settings::Report;
use mcpcol::telemetry::names::TOOL;
use mcpcol::telemetry::{Batch, Signal};
use schemars::JsonSchema;
use serde::Deserialize;

/// The attribute. In the tree such names stand in `telemetry/names.rs`, and metrics in `metrics/names.rs`.
const TEAM: &str = "mcpcol.team";
static OWNED: Metric<Counter> =
    Metric::counter("mcpcol_owner_marked", "{span}", "Spans that got their tool's team");

/// Settings of `owner`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Names the tool whose spans are marked.
    tool: String,
    /// Says who answers for it.
    team: String,
}

impl ComponentConfig for Config {
    const NAME: &'static str = "owner";
    const ABOUT: &'static str = "says on a tool's spans which team answers for it";
    const SIGNALS: &'static [Signal] = &[Signal::Traces];

    fn check(&self, report: &mut Report<'_>) {
        for (field, written) in [("tool", &self.tool), ("team", &self.team)] {
            if written.is_empty() {
                report.error(field, "must be written, and not empty");
            }
        }
    }
}

impl ProcessorConfig for Config {
    /// Where a processor before this one removes the attribute, `validate` warns.
    fn needs(&self) -> Vec<&str> {
        vec![TOOL]
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Processor>> {
        let marked = cx.metrics().counter(&OWNED, &[("processor", &cx.id.to_string())]);
        Ok(Box::new(Owner { config: self.clone(), marked }))
    }
}

/// One instance. All batches share it, from several threads at once: what changes is behind a counter or a lock.
struct Owner {
    config: Config,
    marked: Counter,
}

impl Processor for Owner {
    fn process(&self, mut batch: Batch, pass: &mut Pass) -> Flow {
        let mut work = Work { config: &self.config, owned: false, marked: 0 };
        batch.telemetry = batch.telemetry.edited(&mut work);
        // Not at once: a batch that a queue behind refuses comes again.
        let (counter, marked) = (self.marked.clone(), work.marked);
        pass.once_accepted(move || counter.add(marked));
        Flow::Pass(batch)
    }
}

/// The pass over one batch.
struct Work<'c> {
    config: &'c Config,
    /// Whether the span at hand is the tool's.
    owned: bool,
    marked: u64,
}

impl<'a> Edit<'a> for Work<'_> {
    fn wants(&self) -> Wants {
        Wants { items: true, more: Holders::only(Holder::Span), ..Wants::default() }
    }

    fn item(&mut self, item: &Item<'a>) -> Take {
        let tool = item.own.attribute(TOOL).and_then(|tool| tool.text());
        // A name stands once: what a sender says of it stays.
        self.owned = tool == Some(&self.config.tool) && item.own.attribute(TEAM).is_none();
        self.marked += u64::from(self.owned);
        Take::Keep
    }

    fn more(&mut self, _: View<'a>, out: &mut Attributes<'_>) {
        if self.owned {
            out.add(TEAM, Value::Text(&self.config.team));
        }
    }
}

fn main() {}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mcpcol::metrics::Metrics;
    use mcpcol::otlp::wire::compose::Traces;
    use mcpcol::pipeline::{Accounts, Id, Shared};
    use mcpcol::telemetry::{Clock, Receipt, Telemetry, Verdict};

    use super::*;

    /// A span of each tool.
    fn spans(tools: &[&str]) -> Telemetry {
        let mut traces = Traces::with_capacity(0);
        traces.resource(|resource| {
            resource.scope(|scope| {
                for (n, tool) in (1..).zip(tools) {
                    scope.span(|span| {
                        span.ids(&[n; 16], &[n; 8]);
                        span.attribute(TOOL, Value::Text(tool));
                    });
                }
            });
        });
        traces.into()
    }

    #[test]
    fn spans_of_the_tool_get_its_team_and_are_counted_once_accepted() {
        let metrics = Metrics::default();
        let (id, shared) = (Id::parse("owner").unwrap(), Shared::default());
        let accounts = Accounts::new(metrics.clone());
        let cx = Build::alone(&id, &accounts, Clock::start(), Path::new(""), &shared);
        let config: Config =
            serde_json::from_str(r#"{"tool": "search_files", "team": "storage"}"#).unwrap();
        let owner = config.build(&cx).unwrap();
        let marked = metrics.counter(&OWNED, &[("processor", "owner")]);

        let (receipt, _waiting) = Receipt::pair();
        let batch = Batch { receipt, ..Batch::new(spans(&["search_files", "read_file"])) };
        let mut pass = Pass::new(0);
        let Flow::Pass(batch) = owner.process(batch, &mut pass) else { panic!("all goes on") };
        let mut teams = Vec::new();
        batch.telemetry.each_item(|item| {
            teams.push(item.own.attribute(TEAM).and_then(|team| team.text()));
        });
        assert_eq!(teams, [Some("storage"), None]);

        pass.entrust(&batch.receipt);
        assert_eq!(marked.get(), 0);
        batch.receipt.settle(Verdict::Accepted);
        assert_eq!(marked.get(), 1);
    }
}
