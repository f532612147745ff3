//! How an exporter's queue, batching and retry are set: the Collector's exporterhelper words.
//!
//! Defaults are the Collector's, except where those lose data (docs/decisions/0005-delivery.md).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, Report};

/// Holds what surrounds one exporter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivery {
    /// The longest one attempt may take; zero for no limit.
    pub timeout: Duration,
    /// `sending_queue`
    pub queue: QueueSettings,
    /// `retry_on_failure`
    pub retry: RetrySettings,
}

/// `sending_queue`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSettings {
    /// Switches the queue on; `false` makes the sender's receipt wait for the export itself.
    pub enabled: bool,
    /// Sets how many batches are sent at once.
    pub num_consumers: usize,
    /// Bounds the queue, in units of `sizer`.
    pub queue_size: usize,
    /// Says what `queue_size` counts.
    pub sizer: Sizer,
    /// Bounds the queue in bytes of memory, whatever `sizer` counts, because senders choose how large a batch is:
    /// 256 MiB unless written, or a `queue_size` in bytes that is more.
    pub max_bytes: Option<usize>,
    /// Makes the sender's receipt wait in an overflow room of the same size when the queue is full; taps drop.
    pub block_on_overflow: bool,
    /// Makes the sender's receipt wait for the export itself.
    pub wait_for_result: bool,
    /// Says what a full queue answers: unless written `drop` with several exporters in the pipeline, else `refuse`.
    pub on_full: Option<OnFull>,
    /// Joins batches before they are sent; off unless written.
    pub batch: Option<BatchSettings>,
}

/// Bounds a queue in bytes, unless it is set: 256 MiB.
pub(super) const MAX_BYTES: usize = 256 << 20;

/// The most batches of one exporter that are sent at once: each consumer takes memory, whether it has work or not.
const MAX_CONSUMERS: usize = 1000;

/// Names what a full queue does to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFull {
    /// Drops the batch here, counts it, and answers Accepted: the other exporters deliver.
    Drop,
    /// Refuses the batch in all exporters with a hint to send it again.
    Refuse,
}

/// Names what sizes are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sizer {
    /// Counts batches.
    #[default]
    Requests,
    /// Counts spans, data points and log records.
    Items,
    /// Counts bytes of the protobuf form.
    Bytes,
}

/// `sending_queue.batch`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSettings {
    /// Bounds how long a batch waits for company.
    pub flush_timeout: Duration,
    /// Sends as soon as it is this big.
    pub min_size: usize,
    /// Bounds what is sent at once; 0 for no limit.
    pub max_size: usize,
    /// Says what the two count, `items` or `bytes`: unless written the queue's own if it is one of them, else
    /// `items`.
    pub sizer: Option<Sizer>,
}

/// `retry_on_failure`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySettings {
    /// Switches it on; `false` is one attempt.
    pub enabled: bool,
    /// Sets the first wait.
    pub initial_interval: Duration,
    /// Bounds a wait.
    pub max_interval: Duration,
    /// Sets the growth from wait to wait.
    pub multiplier: f64,
    /// Spreads waits: each is within this fraction of its nominal length.
    pub randomization_factor: f64,
    /// Gives up after this long; zero (our default, the Collector has 300s) never gives up.
    pub max_elapsed_time: Duration,
}

impl Default for QueueSettings {
    fn default() -> Self {
        QueueSettings {
            enabled: true,
            num_consumers: 10,
            queue_size: 1000,
            sizer: Sizer::Requests,
            max_bytes: None,
            block_on_overflow: false,
            wait_for_result: false,
            on_full: None,
            batch: None,
        }
    }
}

impl QueueSettings {
    /// Gives the bound in bytes that is in force.
    pub fn max_bytes(&self) -> usize {
        let by_size = if self.sizer == Sizer::Bytes { self.queue_size } else { 0 };
        self.max_bytes.unwrap_or(MAX_BYTES.max(by_size))
    }
}

impl Default for BatchSettings {
    fn default() -> Self {
        BatchSettings {
            flush_timeout: Duration::millis(200),
            min_size: 8192,
            max_size: 0,
            sizer: None,
        }
    }
}

impl Default for RetrySettings {
    fn default() -> Self {
        RetrySettings {
            enabled: true,
            initial_interval: Duration::secs(5),
            max_interval: Duration::secs(30),
            multiplier: 1.5,
            randomization_factor: 0.5,
            max_elapsed_time: Duration::secs(0),
        }
    }
}

impl Delivery {
    /// Gives what these settings mean together: every exporter calls this from its own check.
    pub fn check(&self, report: &mut Report<'_>) {
        let queue = &self.queue;
        if !(1..=MAX_CONSUMERS).contains(&queue.num_consumers) {
            let message = format!("must be between 1 and {MAX_CONSUMERS}");
            report.error("sending_queue.num_consumers", message);
        }
        if queue.queue_size == 0 {
            report.error("sending_queue.queue_size", "must be at least 1");
        }
        match queue.max_bytes {
            Some(0) => report.error("sending_queue.max_bytes", "must be at least 1"),
            Some(most) if queue.sizer == Sizer::Bytes && most < queue.queue_size => {
                report.error(
                    "sending_queue.max_bytes",
                    "is less than queue_size, which counts bytes, too",
                );
            }
            _ => {}
        }
        if let Some(batch) = &queue.batch {
            self.check_batch(batch, report);
        }
        let retry = &self.retry;
        if retry.multiplier < 1.0 || !retry.multiplier.is_finite() {
            report.error("retry_on_failure.multiplier", "must be 1 or more");
        }
        if !(0.0..=1.0).contains(&retry.randomization_factor) {
            report.error("retry_on_failure.randomization_factor", "must be between 0 and 1");
        }
        if retry.initial_interval > retry.max_interval {
            report.error("retry_on_failure.initial_interval", "is longer than max_interval");
        }
        let limit = retry.max_elapsed_time;
        if limit != Duration::default() && limit < retry.max_interval {
            report.error(
                "retry_on_failure.max_elapsed_time",
                "must be 0 (no limit) or at least max_interval",
            );
        }
    }

    fn check_batch(&self, batch: &BatchSettings, report: &mut Report<'_>) {
        if batch.sizer == Some(Sizer::Requests) {
            report.error("sending_queue.batch.sizer", "must be `items` or `bytes`");
        }
        if batch.flush_timeout == Duration::default() {
            report.error("sending_queue.batch.flush_timeout", "must be more than 0");
        }
        if batch.max_size != 0 && batch.max_size < batch.min_size {
            report.error("sending_queue.batch.max_size", "must be 0 or at least min_size");
        }
        if self.queue.sizer == batch.sizer(self.queue.sizer)
            && batch.min_size > self.queue.queue_size
        {
            report.error("sending_queue.batch.min_size", "is more than queue_size: never reached");
        }
        if batch.sizer(self.queue.sizer) == Sizer::Bytes && batch.min_size > self.queue.max_bytes()
        {
            report.error("sending_queue.batch.min_size", "is more than max_bytes: never reached");
        }
    }
}

impl BatchSettings {
    /// The sizer in force behind a queue with this one.
    pub fn sizer(&self, queue: Sizer) -> Sizer {
        match queue {
            Sizer::Requests => self.sizer.unwrap_or(Sizer::Items),
            _ => self.sizer.unwrap_or(queue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_counts_as_its_queue_does_unless_that_counts_requests() {
        let batch = BatchSettings::default();
        assert_eq!(batch.sizer(Sizer::Requests), Sizer::Items);
        assert_eq!(batch.sizer(Sizer::Bytes), Sizer::Bytes);
        let batch = BatchSettings { sizer: Some(Sizer::Items), ..batch };
        assert_eq!(batch.sizer(Sizer::Bytes), Sizer::Items);
    }

    #[test]
    fn every_queue_has_a_bound_in_bytes() {
        let queue = QueueSettings::default();
        assert_eq!(queue.max_bytes(), 256 << 20);
        let queue = QueueSettings { queue_size: 1 << 30, ..queue };
        assert_eq!(queue.max_bytes(), 256 << 20);
        let queue = QueueSettings { sizer: Sizer::Bytes, ..queue };
        assert_eq!(queue.max_bytes(), 1 << 30);
        let queue = QueueSettings { max_bytes: Some(64 << 20), ..queue };
        assert_eq!(queue.max_bytes(), 64 << 20);
    }
}
