//! From what the user wrote to a checked plan: sources are read and merged, references expanded,
//! components read by their own kinds, pipelines put together.
//!
//! Every step adds to one list of problems and goes on as far as it can, so that a configuration is
//! reported whole. Nothing is opened, bound or started here.

mod elsewhere;
mod components;
mod pipelines;
mod attributes;
mod circles;
mod own_telemetry;
mod clashes;
mod idle;
mod redact;
mod secrets;
mod render;
mod merge;
mod sources;
mod taps;
mod expand;
mod service;
mod schema;

use std::ffi::OsString;

use crate::pipeline::{ExporterKind, ExtensionKind, Plan, ProcessorKind, ReceiverKind};
use crate::settings::{Mark, Node, Problems, Severity};

pub use redact::{Tree, redacted};
pub use render::render;
pub use schema::schema;
pub use sources::Sources;
pub use taps::count_receivers;

use expand::Expanded;
use sources::Gathered;

/// The kinds of component that a configuration may name.
#[derive(Clone, Copy)]
pub struct Registries {
    /// Lists the kinds of component under `receivers`.
    pub receivers: &'static [ReceiverKind],
    /// Lists the kinds of component under `processors`.
    pub processors: &'static [ProcessorKind],
    /// Lists the kinds of component under `exporters`.
    pub exporters: &'static [ExporterKind],
    /// Lists the kinds of component under `extensions`.
    pub extensions: &'static [ExtensionKind],
}

impl Registries {
    /// All that this build has.
    pub fn builtin() -> Self {
        Registries {
            receivers: crate::receivers::RECEIVERS,
            processors: crate::processors::PROCESSORS,
            exporters: crate::exporters::EXPORTERS,
            extensions: crate::extensions::EXTENSIONS,
        }
    }
}

/// Holds what a configuration is read against.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The known kinds.
    pub registries: Registries,
    /// The environment that `${env:X}` refers to.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// Makes a warning of what is missing around the configuration (a variable, a secret, a TLS file): a stdio tap
    /// starts without that part. A reference to it becomes an empty text.
    pub lenient_env: bool,
    /// Tells of what can start but is hardly meant, too: for `validate`, not at every start.
    pub advice: bool,
    /// stdout carries MCP, so no exporter may write there. Always so with an `mcp_stdio` receiver.
    pub stdout_is_mcp: bool,
    /// The receivers that the command opens.
    pub opens: Opens,
    /// The command serves mcpcol's own metrics where the configuration does not say whether and where.
    pub serves_metrics: bool,
}

/// Says which receivers a command opens: what others lack or clash with does not matter to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// All, with all that they need.
    All,
    /// Those of one kind, whose command line may say what is missing.
    Kind(&'static str),
    /// None.
    Nothing,
}

impl Default for Options<'_> {
    /// This build's components, the process's environment, and no leniency: what `run` wants.
    fn default() -> Self {
        Options {
            registries: Registries::builtin(),
            env: &|name| std::env::var_os(name),
            lenient_env: false,
            advice: false,
            stdout_is_mcp: false,
            opens: Opens::All,
            serves_metrics: false,
        }
    }
}

/// Reads and checks a configuration: all that `run` does up to binding sockets. A plan comes back if
/// nothing forbids starting; warnings may come with it.
pub fn load(sources: &Sources, options: &Options<'_>) -> (Option<Plan>, Problems) {
    let mut problems = Problems::default();
    let mut gathered = sources::gather(sources, options.env, &mut problems);
    let plan = gathered.root.take().and_then(|mut root| {
        let expanded = expand::expand(&mut root, &mut gathered, options, &mut problems);
        let mut found = Problems::default();
        let plan = service::plan(&root, &gathered.base, &expanded, options, &mut found);
        let follows = |mark: &Mark| expanded.failed.contains(mark);
        found.0.retain(|problem| !problem.mark.as_ref().is_some_and(follows));
        problems.0.append(&mut found.0);
        plan
    });
    let problems = finish(problems, &gathered, options);
    (plan.filter(|_| !problems.fatal()), problems)
}

/// The configuration as it stands after merging and expansion, for `print-config`: nothing else is
/// checked.
pub fn written(sources: &Sources, options: &Options<'_>) -> (Option<Node>, Problems) {
    let mut problems = Problems::default();
    let mut gathered = sources::gather(sources, options.env, &mut problems);
    let root = gathered.root.take().map(|mut root| {
        let _: Expanded = expand::expand(&mut root, &mut gathered, options, &mut problems);
        root
    });
    (root, finish(problems, &gathered, options))
}

fn finish(mut problems: Problems, gathered: &Gathered, options: &Options<'_>) -> Problems {
    for problem in &mut problems.0 {
        if options.lenient_env && problem.severity == Severity::Unready {
            problem.severity = Severity::Warning;
        }
        problem.source = problem.mark.as_ref().and_then(|mark| gathered.shown_line(mark));
    }
    render::sort(&mut problems);
    problems
}
