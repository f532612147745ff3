//! What keeps content private without losing the ability to compare it: canonical JSON, and digests of
//! it that are plain or keyed.
//!
//! Pure functions of bytes: no I/O, no clock, no randomness of their own. Keys arrive as text or bytes
//! from whoever read them, and never print.

pub mod canonical;
pub mod digest;

mod members;
mod number;
mod pointer;
mod rejected;

pub use pointer::{BadPointer, Paths, Pointer};
pub use rejected::{Reason, Rejected};
