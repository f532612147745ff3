//! Where something was found, as counters and people call it.

use crate::otlp::Holder;
use crate::otlp::wire::edit::{At, Place};

/// A place of OTLP's schema: `span.name`, `log_record.body`, `resource.attributes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    holder: Holder,
    part: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    /// A field, by its name in OTLP/JSON.
    Field(&'static str),
    /// The value of an attribute.
    Value,
    /// The name of an attribute, or of an entry in one.
    Name,
    BodyName,
}

impl Spot {
    pub(super) fn of(at: &At<'_>) -> Self {
        let part = match at.place {
            Place::Field(name) => Part::Field(name),
            Place::Value(_) => Part::Value,
            Place::Name => Part::Name,
            Place::BodyName => Part::BodyName,
        };
        Spot { holder: at.holder, part }
    }

    /// The message of a span's status.
    pub(super) const STATUS: Spot = Spot { holder: Holder::Span, part: Part::Field("message") };
    /// The value of an attribute of a span.
    pub(super) const ATTRIBUTE: Spot = Spot { holder: Holder::Span, part: Part::Value };

    /// Writes it in words.
    pub(super) fn label(self) -> String {
        let part = match self.part {
            Part::Value => "attributes",
            Part::Name => "attributes.keys",
            Part::BodyName => "body.keys",
            Part::Field("message") => "status.message",
            Part::Field(name) => name,
        };
        let mut label = snake(&format!("{:?}", self.holder));
        label.push('.');
        label.push_str(&snake(part));
        label
    }
}

/// Writes `traceState` and `LogRecord` as `trace_state` and `log_record`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_called_as_otlp_calls_them() {
        let label = |holder, place| Spot::of(&At { holder, place, depth: 0, mark: 0 }).label();
        for (holder, place, expected) in [
            (Holder::Span, Place::Field("traceState"), "span.trace_state"),
            (Holder::Span, Place::Field("message"), "span.status.message"),
            (Holder::LogRecord, Place::Field("body"), "log_record.body"),
            (Holder::LogRecord, Place::BodyName, "log_record.body.keys"),
            (Holder::Exemplar, Place::Value("k"), "exemplar.attributes"),
            (Holder::Resource, Place::Name, "resource.attributes.keys"),
        ] {
            assert_eq!(label(holder, place), expected);
        }
    }
}
