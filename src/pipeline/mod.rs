//! The engine: four traits, chains that are functions, and everything that surrounds an exporter.
//!
//! A pipeline is not a task: the receiver's own thread runs the processors and offers the result to
//! the exporters' queues. Counting happens on these edges, not in components. No component is named
//! here.

mod deadline;
mod id;
mod lifecycle;
mod board;
mod onlookers;
mod outlet;
mod pass;
mod component;
mod priority;
mod resource;
mod secrets;
mod placeholder;
pub mod accounting;
mod delivery;
mod gate;
mod chain;
mod route;
mod next;
mod build;
mod configs;
mod registry;
pub mod plan;
mod made_of;
mod attached;
mod service;

pub use accounting::{Accounts, INCIDENTS};
pub use board::{Board, Boards, MAX_ROWS, Table};
pub use build::{Build, Shared};
pub use component::{
    BoxFuture, Ended, Exit, ExportError, Exported, Exporter, Extension, Flow, Processor, Receiver,
    Stop, Switch,
};
pub use configs::{ExporterConfig, ExtensionConfig, FileUse, ProcessorConfig, ReceiverConfig};
pub use deadline::Deadline;
pub use id::Id;
pub use lifecycle::{Lifecycle, Phase};
pub use next::Next;
pub use onlookers::{Onlooker, Onlookers};
pub use outlet::{Consumer, Outlet, Transport};
pub use pass::{Pass, Said};
pub use plan::{Pipeline, Plan, Planned};
pub use priority::{lower_priority, lower_priority_further};
pub use registry::{
    ComponentConfig, ExporterKind, ExtensionKind, Kind, Of, ProcessorKind, ReceiverKind, Section,
};
pub use resource::surroundings;
pub use secrets::Secrets;
pub use service::{Context, Outcome, Service};
