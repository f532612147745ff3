//! Extensions: what serves the process beside its pipelines. This build has none.

use crate::pipeline::ExtensionKind;

/// Every extension, in the order `components` lists them.
pub static EXTENSIONS: &[ExtensionKind] = &[];
