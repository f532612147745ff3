//! What is wrong with settings, gathered where no report is at hand: building reads them again.

use crate::settings::{Report, Severity};

/// Something wrong at a field: a dotted path below the component.
pub(super) struct Complaint {
    pub(super) severity: Severity,
    pub(super) field: String,
    pub(super) message: String,
}

#[derive(Default)]
pub(super) struct Complaints(pub(super) Vec<Complaint>);

impl Complaints {
    /// Hands all of them to the report of a check.
    pub(super) fn tell(self, report: &mut Report<'_>) {
        for Complaint { severity, field, message } in self.0 {
            match severity {
                Severity::Error => report.error(&field, message),
                Severity::Unready => report.unready(&field, message),
                Severity::Warning => report.warn(&field, message),
            }
        }
    }

    /// Finds the first that forbids starting, whatever is not there.
    pub(super) fn first_error(&self) -> Option<&Complaint> {
        self.0.iter().find(|complaint| complaint.severity == Severity::Error)
    }

    pub(super) fn error(&mut self, field: impl Into<String>, message: impl ToString) {
        self.push(Severity::Error, field.into(), message.to_string());
    }

    /// About something that the settings name and that is not there.
    pub(super) fn unready(&mut self, field: impl Into<String>, message: impl ToString) {
        self.push(Severity::Unready, field.into(), message.to_string());
    }

    pub(super) fn warn(&mut self, field: impl Into<String>, message: impl ToString) {
        self.push(Severity::Warning, field.into(), message.to_string());
    }

    fn push(&mut self, severity: Severity, field: String, message: String) {
        self.0.push(Complaint { severity, field, message });
    }
}
