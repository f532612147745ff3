//! Keeps the documentation true: the schema of the configuration, the pages that tell of settings, metrics and
//! attributes, and the links between pages.

#![allow(clippy::unwrap_used)]

#[path = "docs/pages.rs"]
mod pages;
#[path = "docs/schema.rs"]
mod schema;
#[path = "docs/examples.rs"]
mod examples;
#[path = "docs/settings.rs"]
mod settings;
#[path = "docs/metrics.rs"]
mod metrics;
#[path = "docs/dashboard.rs"]
mod dashboard;
#[path = "docs/attributes.rs"]
mod attributes;
#[path = "docs/links.rs"]
mod links;
