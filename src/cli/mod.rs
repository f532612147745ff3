//! The command line: one file a subcommand.

pub mod components;
pub mod config_args;
pub mod digest;
pub mod print_config;
pub mod validate;
