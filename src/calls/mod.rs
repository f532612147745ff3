//! Finished calls, as spans tell of them: which spans count, so that one call counts once, and what each says.
//!
//! One call may be told by many spans: by the client's own instrumentation, by the two halves of a tap that is a hop,
//! by the server's instrumentation, and again by what the server hands back. [`Count`] says whose telling counts;
//! [`Once`] leaves out what was told before. Nothing here decodes, does I/O, or has a clock.

mod count;
mod call;
mod once;
mod cut;
mod figures;
mod table;

pub use call::{Call, each_call};
pub use count::Count;
pub use figures::{Figures, RELATIVE_ERROR};
pub use once::Once;
pub use table::{By, Key, Row, Table};

#[cfg(test)]
mod tests;
