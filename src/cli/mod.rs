//! cli

pub mod digest;
