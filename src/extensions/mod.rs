//! Extensions: what serves the process beside its pipelines.

mod admin;
pub mod health_check;
pub mod own_metrics;
pub mod sent_metrics;
pub mod stats;

use crate::pipeline::ExtensionKind;

/// Every extension, in the order `components` lists them.
pub static EXTENSIONS: &[ExtensionKind] =
    &[ExtensionKind::of::<health_check::Config>(), ExtensionKind::of::<stats::Config>()];
