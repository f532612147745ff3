//! Takes out of decoded messages what no backend would take for its ids: the rule of [`ids`], item by
//! item. Scopes and resources that this leaves empty go with their items; nothing else is touched.

use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

use super::ids;

/// Removes spans with unusable ids; how many.
pub fn traces(all: &mut Vec<ResourceSpans>) -> usize {
    let mut removed = 0;
    all.retain_mut(|resource| {
        keep(&mut resource.scope_spans, |scope| {
            keep(&mut scope.spans, |span| counted(ids::span(span), &mut removed))
        })
    });
    removed
}

/// Removes log records with unusable ids; how many.
pub fn logs(all: &mut Vec<ResourceLogs>) -> usize {
    let mut removed = 0;
    all.retain_mut(|resource| {
        keep(&mut resource.scope_logs, |scope| {
            keep(&mut scope.log_records, |record| counted(ids::log_record(record), &mut removed))
        })
    });
    removed
}

/// Removes data points whose exemplars have unusable ids; how many.
pub fn metrics(all: &mut Vec<ResourceMetrics>) -> usize {
    let mut removed = 0;
    all.retain_mut(|resource| {
        keep(&mut resource.scope_metrics, |scope| {
            keep(&mut scope.metrics, |metric| points(metric, &mut removed))
        })
    });
    removed
}

fn points(metric: &mut Metric, removed: &mut usize) -> bool {
    match &mut metric.data {
        Some(Data::Gauge(d)) => {
            keep(&mut d.data_points, |p| counted(ids::exemplars(&p.exemplars), removed))
        }
        Some(Data::Sum(d)) => {
            keep(&mut d.data_points, |p| counted(ids::exemplars(&p.exemplars), removed))
        }
        Some(Data::Histogram(d)) => {
            keep(&mut d.data_points, |p| counted(ids::exemplars(&p.exemplars), removed))
        }
        Some(Data::ExponentialHistogram(d)) => {
            keep(&mut d.data_points, |p| counted(ids::exemplars(&p.exemplars), removed))
        }
        // A summary has no exemplars.
        Some(Data::Summary(_)) | None => true,
    }
}

fn counted(usable: bool, removed: &mut usize) -> bool {
    *removed += usize::from(!usable);
    usable
}

/// Keeps what passes; whether the list may stay: it was empty before, or something is left.
fn keep<T>(list: &mut Vec<T>, pass: impl FnMut(&mut T) -> bool) -> bool {
    let was_empty = list.is_empty();
    list.retain_mut(pass);
    was_empty || !list.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::{arbitrary, wire};
    use proptest::prelude::*;
    use prost::Message;

    proptest! {
        /// What is left passes the wire check without a bad item, and no item is lost uncounted.
        #[test]
        fn what_is_left_is_usable_and_the_rest_is_counted(request in arbitrary::traces()) {
            let mut request = request;
            let count = |request: &opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest| {
                wire::check(wire::Request::Traces, request.encode_to_vec().into()).unwrap()
            };
            let before = count(&request);
            let removed = traces(&mut request.resource_spans);
            let after = count(&request);
            prop_assert_eq!((before.items(), before.bad()), (after.items() + removed, removed));
            prop_assert_eq!(after.bad(), 0);
        }

        #[test]
        fn the_same_for_metrics(request in arbitrary::metrics()) {
            let mut request = request;
            let before = wire::check(wire::Request::Metrics, request.encode_to_vec().into()).unwrap();
            let removed = metrics(&mut request.resource_metrics);
            let after = wire::check(wire::Request::Metrics, request.encode_to_vec().into()).unwrap();
            prop_assert_eq!((before.items(), before.bad()), (after.items() + removed, removed));
            prop_assert_eq!(after.bad(), 0);
        }

        #[test]
        fn the_same_for_logs(request in arbitrary::logs()) {
            let mut request = request;
            let before = wire::check(wire::Request::Logs, request.encode_to_vec().into()).unwrap();
            let removed = logs(&mut request.resource_logs);
            let after = wire::check(wire::Request::Logs, request.encode_to_vec().into()).unwrap();
            prop_assert_eq!((before.items(), before.bad()), (after.items() + removed, removed));
            prop_assert_eq!(after.bad(), 0);
        }
    }
}
