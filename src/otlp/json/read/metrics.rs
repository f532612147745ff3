//! metrics/v1

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    Summary, SummaryDataPoint, exemplar, metric::Data, number_data_point,
};

use super::common::{key_value, resource, scope};
use crate::otlp::json::input::Reader;
use crate::otlp::json::members::{
    Result, bool, f64, hex, i32, i64, list, members, named, text, u32, u64,
};

pub(super) fn resource_metrics(r: &mut Reader<'_>) -> Result<ResourceMetrics> {
    let mut m = ResourceMetrics::default();
    members(r, |r, key| {
        match key {
            b"resource" => m.resource = Some(resource(r)?),
            b"scopeMetrics" => m.scope_metrics = list(r, scope_metrics)?,
            b"schemaUrl" => m.schema_url = text(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn scope_metrics(r: &mut Reader<'_>) -> Result<ScopeMetrics> {
    let mut m = ScopeMetrics::default();
    members(r, |r, key| {
        match key {
            b"scope" => m.scope = Some(scope(r)?),
            b"metrics" => m.metrics = list(r, metric)?,
            b"schemaUrl" => m.schema_url = text(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn metric(r: &mut Reader<'_>) -> Result<Metric> {
    let mut m = Metric::default();
    members(r, |r, key| {
        match key {
            b"name" => m.name = text(r)?,
            b"description" => m.description = text(r)?,
            b"unit" => m.unit = text(r)?,
            b"gauge" => m.data = Some(Data::Gauge(gauge(r)?)),
            b"sum" => m.data = Some(Data::Sum(sum(r)?)),
            b"histogram" => m.data = Some(Data::Histogram(histogram(r)?)),
            b"exponentialHistogram" => {
                m.data = Some(Data::ExponentialHistogram(exponential_histogram(r)?))
            }
            b"summary" => m.data = Some(Data::Summary(summary(r)?)),
            b"metadata" => m.metadata = list(r, key_value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn gauge(r: &mut Reader<'_>) -> Result<Gauge> {
    let mut m = Gauge::default();
    members(r, |r, key| {
        match key {
            b"dataPoints" => m.data_points = list(r, number_point)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn sum(r: &mut Reader<'_>) -> Result<Sum> {
    let mut m = Sum::default();
    members(r, |r, key| {
        match key {
            b"dataPoints" => m.data_points = list(r, number_point)?,
            b"aggregationTemporality" => m.aggregation_temporality = named(r, temporality)?,
            b"isMonotonic" => m.is_monotonic = bool(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn histogram(r: &mut Reader<'_>) -> Result<Histogram> {
    let mut m = Histogram::default();
    members(r, |r, key| {
        match key {
            b"dataPoints" => m.data_points = list(r, histogram_point)?,
            b"aggregationTemporality" => m.aggregation_temporality = named(r, temporality)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn exponential_histogram(r: &mut Reader<'_>) -> Result<ExponentialHistogram> {
    let mut m = ExponentialHistogram::default();
    members(r, |r, key| {
        match key {
            b"dataPoints" => m.data_points = list(r, exponential_point)?,
            b"aggregationTemporality" => m.aggregation_temporality = named(r, temporality)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn summary(r: &mut Reader<'_>) -> Result<Summary> {
    let mut m = Summary::default();
    members(r, |r, key| {
        match key {
            b"dataPoints" => m.data_points = list(r, summary_point)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn number_point(r: &mut Reader<'_>) -> Result<NumberDataPoint> {
    let mut m = NumberDataPoint::default();
    members(r, |r, key| {
        match key {
            b"attributes" => m.attributes = list(r, key_value)?,
            b"startTimeUnixNano" => m.start_time_unix_nano = u64(r)?,
            b"timeUnixNano" => m.time_unix_nano = u64(r)?,
            b"asDouble" => m.value = Some(number_data_point::Value::AsDouble(f64(r)?)),
            b"asInt" => m.value = Some(number_data_point::Value::AsInt(i64(r)?)),
            b"exemplars" => m.exemplars = list(r, exemplar)?,
            b"flags" => m.flags = u32(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn histogram_point(r: &mut Reader<'_>) -> Result<HistogramDataPoint> {
    let mut m = HistogramDataPoint::default();
    members(r, |r, key| {
        match key {
            b"attributes" => m.attributes = list(r, key_value)?,
            b"startTimeUnixNano" => m.start_time_unix_nano = u64(r)?,
            b"timeUnixNano" => m.time_unix_nano = u64(r)?,
            b"count" => m.count = u64(r)?,
            b"sum" => m.sum = Some(f64(r)?),
            b"bucketCounts" => m.bucket_counts = list(r, u64)?,
            b"explicitBounds" => m.explicit_bounds = list(r, f64)?,
            b"exemplars" => m.exemplars = list(r, exemplar)?,
            b"flags" => m.flags = u32(r)?,
            b"min" => m.min = Some(f64(r)?),
            b"max" => m.max = Some(f64(r)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn exponential_point(r: &mut Reader<'_>) -> Result<ExponentialHistogramDataPoint> {
    let mut m = ExponentialHistogramDataPoint::default();
    members(r, |r, key| {
        match key {
            b"attributes" => m.attributes = list(r, key_value)?,
            b"startTimeUnixNano" => m.start_time_unix_nano = u64(r)?,
            b"timeUnixNano" => m.time_unix_nano = u64(r)?,
            b"count" => m.count = u64(r)?,
            b"sum" => m.sum = Some(f64(r)?),
            b"scale" => m.scale = i32(r)?,
            b"zeroCount" => m.zero_count = u64(r)?,
            b"positive" => m.positive = Some(buckets(r)?),
            b"negative" => m.negative = Some(buckets(r)?),
            b"flags" => m.flags = u32(r)?,
            b"exemplars" => m.exemplars = list(r, exemplar)?,
            b"min" => m.min = Some(f64(r)?),
            b"max" => m.max = Some(f64(r)?),
            b"zeroThreshold" => m.zero_threshold = f64(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn buckets(r: &mut Reader<'_>) -> Result<Buckets> {
    let mut m = Buckets::default();
    members(r, |r, key| {
        match key {
            b"offset" => m.offset = i32(r)?,
            b"bucketCounts" => m.bucket_counts = list(r, u64)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn summary_point(r: &mut Reader<'_>) -> Result<SummaryDataPoint> {
    let mut m = SummaryDataPoint::default();
    members(r, |r, key| {
        match key {
            b"attributes" => m.attributes = list(r, key_value)?,
            b"startTimeUnixNano" => m.start_time_unix_nano = u64(r)?,
            b"timeUnixNano" => m.time_unix_nano = u64(r)?,
            b"count" => m.count = u64(r)?,
            b"sum" => m.sum = f64(r)?,
            b"quantileValues" => m.quantile_values = list(r, value_at_quantile)?,
            b"flags" => m.flags = u32(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn value_at_quantile(r: &mut Reader<'_>) -> Result<ValueAtQuantile> {
    let mut m = ValueAtQuantile::default();
    members(r, |r, key| {
        match key {
            b"quantile" => m.quantile = f64(r)?,
            b"value" => m.value = f64(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn exemplar(r: &mut Reader<'_>) -> Result<Exemplar> {
    let mut m = Exemplar::default();
    members(r, |r, key| {
        match key {
            b"filteredAttributes" => m.filtered_attributes = list(r, key_value)?,
            b"timeUnixNano" => m.time_unix_nano = u64(r)?,
            b"asDouble" => m.value = Some(exemplar::Value::AsDouble(f64(r)?)),
            b"asInt" => m.value = Some(exemplar::Value::AsInt(i64(r)?)),
            b"spanId" => m.span_id = hex(r)?,
            b"traceId" => m.trace_id = hex(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn temporality(name: &str) -> Option<i32> {
    AggregationTemporality::from_str_name(name).map(|value| value as i32)
}
