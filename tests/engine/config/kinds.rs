//! Components for the tests: they can be configured, and nothing else.

use std::collections::BTreeMap;

use mcpcol::config::Registries;
use mcpcol::pipeline::{
    Build, ComponentConfig, Exporter, ExporterConfig, ExporterKind, Extension, ExtensionConfig,
    ExtensionKind, Processor, ProcessorConfig, ProcessorKind, Receiver, ReceiverConfig,
    ReceiverKind,
};
use mcpcol::settings::{Delivery, Duration, QueueSettings, Report, RetrySettings, Secret};
use mcpcol::telemetry::Signal;
use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) const REGISTRIES: Registries = Registries {
    receivers: &[
        ReceiverKind::of::<Tap>(),
        ReceiverKind::of::<Stdio>(),
        ReceiverKind::of::<Otlp>(),
    ],
    processors: &[
        ProcessorKind::of::<Digest>(),
        ProcessorKind::of::<Slo>(),
        ProcessorKind::of::<Turn>(),
    ],
    exporters: &[
        ExporterKind::of::<Debug>(),
        ExporterKind::of::<Grpc>(),
        ExporterKind::of::<Stdout>(),
        ExporterKind::of::<Zipkin>(),
    ],
    extensions: &[ExtensionKind::of::<Probe>()],
};

#[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Debug {
    pub(crate) wait: Duration,
    pub(crate) strict: bool,
    pub(crate) port: u16,
    pub(crate) name: Option<String>,
    pub(crate) names: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) key: Option<Secret>,
    pub(crate) file: Option<String>,
}

impl Debug {
    fn check(&self, report: &mut Report<'_>) {
        if self.name.as_deref() == Some("") {
            report.error("name", "must not be empty");
        }
        if let Some(file) = &self.file
            && !report.base().join(file).exists()
        {
            report.unready("file", format!("`{file}` is not there"));
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Empty {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    endpoint: String,
    #[serde(default)]
    timeout: Duration,
    #[serde(default)]
    sending_queue: QueueSettings,
    #[serde(default)]
    retry_on_failure: RetrySettings,
}

impl Target {
    fn check(&self, report: &mut Report<'_>) {
        if self.endpoint.starts_with("http://") {
            report.warn("endpoint", "is not encrypted");
        }
        self.delivery().check(report);
    }

    fn delivery(&self) -> Delivery {
        Delivery {
            timeout: self.timeout,
            queue: self.sending_queue.clone(),
            retry: self.retry_on_failure.clone(),
        }
    }
}

impl Empty {
    fn check(&self, _: &mut Report<'_>) {}
}

macro_rules! receiver {
    ($type:ident($of:ty), $name:literal, $signals:expr) => {
        #[derive(Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub(crate) struct $type($of);

        impl ComponentConfig for $type {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = "for tests";
            const SIGNALS: &'static [Signal] = $signals;

            fn check(&self, report: &mut Report<'_>) {
                self.0.check(report);
            }
        }

        impl ReceiverConfig for $type {
            fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Receiver>> {
                anyhow::bail!("cannot be built")
            }
        }
    };
}

macro_rules! processor {
    ($type:ident, $name:literal, $signals:expr, $emits:expr) => {
        #[derive(Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub(crate) struct $type(Empty);

        impl ComponentConfig for $type {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = "for tests";
            const SIGNALS: &'static [Signal] = $signals;

            fn check(&self, report: &mut Report<'_>) {
                self.0.check(report);
            }
        }

        impl ProcessorConfig for $type {
            fn emits(&self) -> &'static [Signal] {
                $emits
            }

            fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Processor>> {
                anyhow::bail!("cannot be built")
            }
        }
    };
}

macro_rules! exporter {
    ($type:ty, $name:literal, $aliases:expr, $signals:expr, $stdout:literal) => {
        impl ComponentConfig for $type {
            const NAME: &'static str = $name;
            const ALIASES: &'static [&'static str] = $aliases;
            const ABOUT: &'static str = "for tests";
            const SIGNALS: &'static [Signal] = $signals;

            fn check(&self, report: &mut Report<'_>) {
                <$type>::check(self, report);
            }
        }

        impl ExporterConfig for $type {
            fn stdout(&self) -> bool {
                $stdout
            }

            fn delivery(&self) -> Delivery {
                Delivery::default()
            }

            fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>> {
                anyhow::bail!("cannot be built")
            }
        }
    };
}

receiver!(Tap(Empty), "tap", &[Signal::Traces]);
receiver!(Stdio(Empty), "mcp_stdio", &[Signal::Traces]);
receiver!(Otlp(Empty), "otlp", &Signal::ALL);
processor!(Digest, "digest", &[Signal::Traces], &[]);
processor!(Slo, "slo", &[Signal::Traces], &[Signal::Metrics, Signal::Logs]);
processor!(Turn, "turn", &[Signal::Metrics, Signal::Logs], &[Signal::Traces, Signal::Logs]);

#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Grpc(Target);

#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Zipkin(Target);

#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Stdout(Empty);

impl Grpc {
    fn check(&self, report: &mut Report<'_>) {
        self.0.check(report);
    }
}

impl Zipkin {
    fn check(&self, report: &mut Report<'_>) {
        self.0.check(report);
    }
}

impl Stdout {
    fn check(&self, report: &mut Report<'_>) {
        self.0.check(report);
    }
}

exporter!(Debug, "debug", &[], &Signal::ALL, false);
exporter!(Grpc, "otlp_grpc", &["otlp"], &Signal::ALL, false);
exporter!(Zipkin, "zipkin", &[], &[Signal::Traces], false);
exporter!(Stdout, "stdout", &[], &Signal::ALL, true);

/// An extension with an address.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    endpoint: String,
}

impl ComponentConfig for Probe {
    const NAME: &'static str = "probe";
    const ABOUT: &'static str = "for tests";
    const SIGNALS: &'static [Signal] = &[];

    fn check(&self, report: &mut Report<'_>) {
        if self.endpoint.is_empty() {
            report.error("endpoint", "must not be empty");
        }
    }
}

impl ExtensionConfig for Probe {
    fn binds(&self) -> Vec<(&'static str, &str)> {
        vec![("endpoint", &self.endpoint)]
    }

    fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Extension>> {
        anyhow::bail!("cannot be built")
    }
}
