//! What is wrong with what the user wrote.
//!
//! Problems are gathered, never thrown: a configuration is reported whole. How they look on a
//! terminal is the config room's business.

use std::path::Path;

use super::{Mark, Node, without_credentials};

/// Says how bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Said, and started all the same.
    Warning,
    /// The settings are fine, but something that they name is not there: a TLS file, a secret. `run`
    /// does not start; a stdio tap starts without that part, because telemetry never stops a server.
    Unready,
    /// Nothing is started.
    Error,
}

/// One thing that is wrong: where, what was found, what would be accepted.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Says how bad.
    pub severity: Severity,
    /// Says where, if it stands anywhere.
    pub mark: Option<Mark>,
    /// The path in the Collector's notation, such as `exporters::otlp_grpc::endpoint`.
    pub path: String,
    /// Holds what was found and what is accepted: lower case, no full stop.
    pub message: String,
    /// The line of the source at the mark, if it may be shown.
    pub source: Option<String>,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds an error at a place.
    pub fn error(&mut self, mark: &Mark, path: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Error, Some(mark), path.into(), message.into());
    }

    /// Adds an error about something that is not there.
    pub fn unready(&mut self, mark: &Mark, path: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Unready, Some(mark), path.into(), message.into());
    }

    /// Adds a warning at a place.
    pub fn warn(&mut self, mark: &Mark, path: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Warning, Some(mark), path.into(), message.into());
    }

    /// Adds an error that stands nowhere: a file that cannot be read, a section that is missing.
    pub fn unplaced(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Error, None, path.into(), message.into());
    }

    /// Says whether anything forbids starting.
    pub fn fatal(&self) -> bool {
        self.0.iter().any(|p| p.severity > Severity::Warning)
    }

    fn push(&mut self, severity: Severity, mark: Option<&Mark>, path: String, message: String) {
        // Messages quote what was written, and people write secrets at wrong places, too.
        let [path, message] = [path, message].map(|text| without_credentials(&text).into_owned());
        let mark = mark.cloned();
        self.0.push(Problem { severity, mark, path, message, source: None });
    }
}

/// Says where a component's settings stand.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Their path, such as `exporters::otlp_grpc`.
    pub path: &'a str,
    /// Relative paths in them start here: the directory of the config file.
    pub base: &'a Path,
}

/// Holds what a component's own check is handed: it names a field, the report knows where that stands.
#[derive(Debug)]
pub struct Report<'a> {
    node: &'a Node,
    path: String,
    base: &'a Path,
    problems: &'a mut Problems,
}

impl<'a> Report<'a> {
    /// A report about the component that is written at `node`.
    pub fn new(node: &'a Node, place: Place<'a>, problems: &'a mut Problems) -> Self {
        Report { node, path: place.path.to_owned(), base: place.base, problems }
    }

    /// A report about what is written at `field`, for settings that several components share.
    pub fn below(&mut self, field: &str) -> Report<'_> {
        let path = self.path_of(field);
        let (node, base) = (self.node.nearest(field), self.base);
        Report { node, path, base, problems: self.problems }
    }

    /// The component as written.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// Relative paths in settings start here: the directory of the config file.
    pub fn base(&self) -> &'a Path {
        self.base
    }

    /// Adds an error at `field`: a dotted path below the component, empty for the component itself.
    pub fn error(&mut self, field: &str, message: impl Into<String>) {
        self.problems.error(&self.node.nearest(field).mark, self.path_of(field), message);
    }

    /// Adds an error at `field` about something that the settings name and that is not there: see
    /// [`Severity::Unready`].
    pub fn unready(&mut self, field: &str, message: impl Into<String>) {
        self.problems.unready(&self.node.nearest(field).mark, self.path_of(field), message);
    }

    /// Adds a warning at `field`.
    pub fn warn(&mut self, field: &str, message: impl Into<String>) {
        self.problems.warn(&self.node.nearest(field).mark, self.path_of(field), message);
    }

    fn path_of(&self, field: &str) -> String {
        if field.is_empty() {
            return self.path.clone();
        }
        format!("{}::{}", self.path, field.replace('.', "::"))
    }
}
