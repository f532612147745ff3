//! The registry: what is known of each kind of component, and how settings become one.
//!
//! A component implements [`ComponentConfig`] and the trait of its section on its settings;
//! `Kind::of::<Config>()` is its row. Reading YAML, naming the known kinds and `components` are the same
//! for all sections and come from here and from the config room.

use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;

use super::{ExporterConfig, ExtensionConfig, ProcessorConfig, ReceiverConfig};
use crate::settings::{Node, Place, Problems, Report};
use crate::telemetry::Signal;

/// Settings of a component, as the registry sees them.
pub trait ComponentConfig: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The key in YAML, which is also the file's name.
    const NAME: &'static str;
    /// Other spellings that load.
    const ALIASES: &'static [&'static str] = &[];
    /// One line for `components`.
    const ABOUT: &'static str;
    /// The signals that it makes (receivers), that pass it (processors), or that it takes (exporters); none of
    /// an extension.
    const SIGNALS: &'static [Signal];
    /// Adds everything that is wrong with the meaning of these settings. May read files, opens nothing.
    fn check(&self, report: &mut Report<'_>);
}

/// A section of the configuration. Implemented for the object-safe trait of its components' settings.
pub trait Section: Send + Sync + 'static {
    /// Its key in YAML.
    const NAME: &'static str;
    /// One of its components, in messages.
    const NOUN: &'static str;
}

impl Section for dyn ReceiverConfig {
    const NAME: &'static str = "receivers";
    const NOUN: &'static str = "receiver";
}

impl Section for dyn ProcessorConfig {
    const NAME: &'static str = "processors";
    const NOUN: &'static str = "processor";
}

impl Section for dyn ExporterConfig {
    const NAME: &'static str = "exporters";
    const NOUN: &'static str = "exporter";
}

impl Section for dyn ExtensionConfig {
    const NAME: &'static str = "extensions";
    const NOUN: &'static str = "extension";
}

/// Settings that belong to the section `S`. Implemented for whatever implements the section's trait.
pub trait Of<S: ?Sized>: ComponentConfig {
    /// Forgets the type.
    fn boxed(self) -> Arc<S>;
}

impl<C: ComponentConfig + ReceiverConfig> Of<dyn ReceiverConfig> for C {
    fn boxed(self) -> Arc<dyn ReceiverConfig> {
        Arc::new(self)
    }
}

impl<C: ComponentConfig + ProcessorConfig> Of<dyn ProcessorConfig> for C {
    fn boxed(self) -> Arc<dyn ProcessorConfig> {
        Arc::new(self)
    }
}

impl<C: ComponentConfig + ExporterConfig> Of<dyn ExporterConfig> for C {
    fn boxed(self) -> Arc<dyn ExporterConfig> {
        Arc::new(self)
    }
}

impl<C: ComponentConfig + ExtensionConfig> Of<dyn ExtensionConfig> for C {
    fn boxed(self) -> Arc<dyn ExtensionConfig> {
        Arc::new(self)
    }
}

/// The row of a component: what its section's slice holds of it.
pub struct Kind<S: ?Sized> {
    /// [`ComponentConfig::NAME`]
    pub name: &'static str,
    /// [`ComponentConfig::ALIASES`]
    pub aliases: &'static [&'static str],
    /// [`ComponentConfig::ABOUT`]
    pub about: &'static str,
    /// [`ComponentConfig::SIGNALS`]
    pub signals: &'static [Signal],
    /// Reads and checks settings; `None` if they could not be read.
    pub parse: fn(&Node, Place<'_>, &mut Problems) -> Option<Arc<S>>,
    /// Makes the JSON Schema of the settings, as serde reads them.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// The row of a receiver.
pub type ReceiverKind = Kind<dyn ReceiverConfig>;
/// The row of a processor.
pub type ProcessorKind = Kind<dyn ProcessorConfig>;
/// The row of an exporter.
pub type ExporterKind = Kind<dyn ExporterConfig>;
/// The row of an extension.
pub type ExtensionKind = Kind<dyn ExtensionConfig>;

impl<S: ?Sized> Kind<S> {
    /// Makes the row of the component with settings `C`.
    pub const fn of<C: Of<S>>() -> Self {
        Kind {
            name: C::NAME,
            aliases: C::ALIASES,
            about: C::ABOUT,
            signals: C::SIGNALS,
            parse: parse::<C, S>,
            schema: C::json_schema,
        }
    }

    /// Says whether settings under this name are of this kind.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

fn parse<C: Of<S>, S: ?Sized>(
    node: &Node,
    place: Place<'_>,
    problems: &mut Problems,
) -> Option<Arc<S>> {
    let config: C = node.read_and_check(place.path, problems, |config: &C, problems| {
        config.check(&mut Report::new(node, place, problems));
    })?;
    Some(config.boxed())
}
