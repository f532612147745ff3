//! Counters, gauges and histograms of this process: what they are called, what they count and what they say now.
//! Beside them, what keeps a repeated problem from filling the log.
//!
//! All metrics are declared in [`names`], each with its unit and a line of help, and [`exposition`] writes them for
//! Prometheus. Serving them is an extension's job, and what they mean for the accounts of a pipeline is the pipeline's.
//! `std` alone.

mod cells;
mod limited_log;
mod registry;
pub mod names;
mod process;
pub mod exposition;

pub use cells::{Buckets, Counter, Gauge, Histogram, Ratio};
pub use limited_log::RateLimitedLog;
pub use process::process;
pub use registry::{
    Family, Info, Kind, Labels, Levels, MAX_SERIES, Metric, Metrics, OVERFLOW, Reading, Sample,
};
