//! Cutting telemetry into smaller pieces, resource and scope kept on each.

use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};

use super::{Model, Telemetry};

impl Telemetry {
    /// Cuts into pieces of at most `max` spans, log records or metrics (a metric with its data points
    /// is not cut), in order. `max` of 0 is taken as 1.
    pub fn split(self, max: usize) -> Vec<Telemetry> {
        let max = max.max(1);
        if self.items() <= max {
            return vec![self];
        }
        match self.model().clone() {
            Model::Traces(all) => cut(all, max, Model::Traces),
            Model::Metrics(all) => cut(all, max, Model::Metrics),
            Model::Logs(all) => cut(all, max, Model::Logs),
        }
    }

    /// Cuts into two pieces with about half of the spans, log records or metrics each; a single metric
    /// by its data points. `None` if there is one item or none: that cannot be cut.
    pub fn halves(&self) -> Option<[Telemetry; 2]> {
        if self.items() < 2 {
            return None;
        }
        let pieces = match self.model().clone() {
            Model::Traces(all) => cut_in_two(all, Model::Traces),
            Model::Logs(all) => cut_in_two(all, Model::Logs),
            Model::Metrics(all) if entries(&all) > 1 => cut_in_two(all, Model::Metrics),
            Model::Metrics(all) => cut_points(all),
        };
        pieces.try_into().ok()
    }
}

fn cut_in_two<T: Tree>(all: Vec<T>, wrap: fn(Vec<T>) -> Model) -> Vec<Telemetry> {
    let half = entries(&all).div_ceil(2).max(1);
    cut(all, half, wrap)
}

fn entries<T: Tree>(all: &[T]) -> usize {
    all.iter().flat_map(Tree::all_scopes).map(|scope| scope.len()).sum()
}

/// The one metric there is, with half of its data points each.
fn cut_points(all: Vec<ResourceMetrics>) -> Vec<Telemetry> {
    let half = |mut all: Vec<ResourceMetrics>, which| {
        let scopes = all.iter_mut().flat_map(|resource| &mut resource.scope_metrics);
        let data = scopes.flat_map(|scope| &mut scope.metrics).filter_map(|m| m.data.as_mut());
        data.for_each(|data| match data {
            Data::Gauge(d) => keep(&mut d.data_points, which),
            Data::Sum(d) => keep(&mut d.data_points, which),
            Data::Histogram(d) => keep(&mut d.data_points, which),
            Data::ExponentialHistogram(d) => keep(&mut d.data_points, which),
            Data::Summary(d) => keep(&mut d.data_points, which),
        });
        Telemetry::from(Model::Metrics(all))
    };
    vec![half(all.clone(), Half::First), half(all, Half::Second)]
}

#[derive(Clone, Copy)]
enum Half {
    First,
    Second,
}

fn keep<T>(points: &mut Vec<T>, which: Half) {
    let middle = points.len() / 2;
    match which {
        Half::First => points.truncate(middle),
        Half::Second => drop(points.drain(..middle)),
    }
}

/// A list of scopes under one resource, each with a list of entries: the shape of all three signals.
trait Tree: Sized {
    type Scope: Scope;
    fn scopes(&mut self) -> &mut Vec<Self::Scope>;
    fn all_scopes(&self) -> &[Self::Scope];
    /// The same resource with other scopes.
    fn with(&self, scopes: Vec<Self::Scope>) -> Self;
}

trait Scope: Sized {
    type Entry;
    fn entries(&mut self) -> &mut Vec<Self::Entry>;
    fn len(&self) -> usize;
    /// The same scope with other entries.
    fn with(&self, entries: Vec<Self::Entry>) -> Self;
}

fn cut<T: Tree>(all: Vec<T>, max: usize, wrap: fn(Vec<T>) -> Model) -> Vec<Telemetry> {
    let mut pieces = Vec::new();
    let mut piece: Vec<T> = Vec::new();
    let mut room = max;
    for mut resource in all {
        let scopes = std::mem::take(resource.scopes());
        let mut taken: Vec<T::Scope> = Vec::new();
        for mut scope in scopes {
            let mut entries = std::mem::take(scope.entries());
            while entries.len() > room {
                let rest = entries.split_off(room);
                taken.push(scope.with(entries));
                piece.push(resource.with(std::mem::take(&mut taken)));
                pieces.push(Telemetry::from(wrap(std::mem::take(&mut piece))));
                entries = rest;
                room = max;
            }
            room -= entries.len();
            taken.push(scope.with(entries));
        }
        piece.push(resource.with(taken));
    }
    pieces.push(Telemetry::from(wrap(piece)));
    pieces
}

macro_rules! tree {
    ($resource:ident, $scopes:ident, $scope:ident, $entries:ident, $entry:path) => {
        impl Tree for $resource {
            type Scope = $scope;
            fn scopes(&mut self) -> &mut Vec<$scope> {
                &mut self.$scopes
            }
            fn all_scopes(&self) -> &[$scope] {
                &self.$scopes
            }
            fn with(&self, $scopes: Vec<$scope>) -> Self {
                let (resource, schema_url) = (self.resource.clone(), self.schema_url.clone());
                $resource { resource, $scopes, schema_url }
            }
        }
        impl Scope for $scope {
            type Entry = $entry;
            fn entries(&mut self) -> &mut Vec<$entry> {
                &mut self.$entries
            }
            fn len(&self) -> usize {
                self.$entries.len()
            }
            fn with(&self, $entries: Vec<$entry>) -> Self {
                let (scope, schema_url) = (self.scope.clone(), self.schema_url.clone());
                $scope { scope, $entries, schema_url }
            }
        }
    };
}

tree!(ResourceSpans, scope_spans, ScopeSpans, spans, opentelemetry_proto::tonic::trace::v1::Span);
tree!(
    ResourceMetrics,
    scope_metrics,
    ScopeMetrics,
    metrics,
    opentelemetry_proto::tonic::metrics::v1::Metric
);
tree!(
    ResourceLogs,
    scope_logs,
    ScopeLogs,
    log_records,
    opentelemetry_proto::tonic::logs::v1::LogRecord
);

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::Span;
    use proptest::prelude::*;

    use super::*;
    use crate::otlp::arbitrary;

    /// Halved until nothing can be cut any more: pieces of one item, in the order of the items.
    fn crumbs(whole: Telemetry) -> Vec<Telemetry> {
        match whole.halves() {
            None => vec![whole],
            Some(halves) => {
                let sum: usize = halves.iter().map(Telemetry::items).sum();
                assert_eq!(sum, whole.items());
                halves.into_iter().flat_map(crumbs).collect()
            }
        }
    }

    /// Requests without the envelopes that hold nothing, every item in an envelope of its own.
    fn alone(pieces: &[Telemetry]) -> Vec<Telemetry> {
        pieces.iter().filter(|piece| piece.items() > 0).cloned().collect()
    }

    proptest! {
        #[test]
        fn halving_ends_with_every_item_alone_and_none_lost(
            traces in arbitrary::traces(), metrics in arbitrary::metrics(), logs in arbitrary::logs(),
        ) {
            for whole in [
                Telemetry::from(Model::Traces(traces.resource_spans)),
                Telemetry::from(Model::Metrics(metrics.resource_metrics)),
                Telemetry::from(Model::Logs(logs.resource_logs)),
            ] {
                let pieces = alone(&crumbs(whole.clone()));
                prop_assert_eq!(pieces.len(), whole.items());
                prop_assert!(pieces.iter().all(|piece| piece.items() == 1));
                if let Model::Traces(_) = whole.model() {
                    let all: Vec<_> = pieces.iter().flat_map(names).collect();
                    prop_assert_eq!(all, names(&whole));
                }
            }
        }
    }

    fn resource(name: &str, scopes: &[usize]) -> ResourceSpans {
        let scope = |n: &usize| ScopeSpans {
            spans: (0..*n)
                .map(|i| Span { name: format!("{name}{i}"), ..Span::default() })
                .collect(),
            schema_url: format!("scope of {n}"),
            ..ScopeSpans::default()
        };
        ResourceSpans {
            scope_spans: scopes.iter().map(scope).collect(),
            schema_url: name.into(),
            ..ResourceSpans::default()
        }
    }

    fn names(telemetry: &Telemetry) -> Vec<(String, String, String)> {
        let Model::Traces(all) = telemetry.model() else { panic!("made of spans") };
        let mut out = Vec::new();
        for r in all {
            for s in &r.scope_spans {
                for span in &s.spans {
                    out.push((r.schema_url.clone(), s.schema_url.clone(), span.name.clone()));
                }
            }
        }
        out
    }

    #[test]
    fn every_span_is_in_one_piece_with_its_resource_and_scope() {
        let whole = Telemetry::from(Model::Traces(vec![
            resource("a", &[5, 1]),
            resource("b", &[0, 7]),
            resource("c", &[2]),
        ]));
        for max in 1..=16 {
            let pieces = whole.clone().split(max);
            assert!(pieces.iter().all(|p| (1..=max).contains(&p.items())), "max {max}");
            let all: Vec<_> = pieces.iter().flat_map(names).collect();
            assert_eq!(all, names(&whole), "max {max}");
        }
    }
}
