//! Zipkin v2 JSON: to a Zipkin server, or to a backend that takes its spans.
//!
//! ```yaml
//! exporters:
//!   zipkin:
//!     endpoint: http://localhost:9411/api/v2/spans
//! ```
//!
//! Spans are mapped as the OpenTelemetry specification says (`span`), and where it is silent as the
//! Collector's exporter does. Zipkin has no partial success and no table of errors: any 2xx is success,
//! and OTLP's table says what may be tried again. Zipkin's protobuf is not written.

mod tags;
mod span;
#[cfg(test)]
mod tests;

use std::time::{Instant, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::span::ZipkinSpan;
use super::http::{Client, http_exporter_config, refused, text_of};
use super::sizes::decoded_size;
use crate::otlp::Messages;
use crate::otlp::wire::usable::Usable;
use crate::pipeline::{
    BoxFuture, Build, ComponentConfig, ExportError, Exported, Exporter, ExporterConfig,
};
use crate::settings::{Compression, Delivery, Duration, Report, parse_url, shown_url, url_target};
use crate::telemetry::{Signal, Telemetry};

/// The largest body, before compression. Zipkin's own reporters never sent more, and its server takes
/// twice as much; what is larger is sent in parts.
const MAX_BODY: usize = 5 << 20;

http_exporter_config! {
    /// Settings: the Collector's names.
    compression: Compression::None,
    timeout: Duration::secs(5),
    /// Names the server, such as `http://localhost:9411/api/v2/spans`.
    endpoint: String = String::new(),
    /// Names the form of spans; `json` is the only one.
    format: Format = Format::Json,
    /// Names the service of spans whose resource has no `service.name`.
    default_service_name: String = "unknown_service".to_owned(),
}

/// `format`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Writes JSON.
    #[default]
    Json,
    /// Known to the Collector, refused by the check.
    #[schemars(skip)]
    Proto,
}

impl ComponentConfig for Config {
    const NAME: &'static str = "zipkin";
    const ABOUT: &'static str = "spans to Zipkin, as v2 JSON";
    const SIGNALS: &'static [Signal] = &[Signal::Traces];

    fn check(&self, report: &mut Report<'_>) {
        self.surroundings().check(report);
        if self.format == Format::Proto {
            report.error("format", "`proto` is not supported; use `json`");
        }
        if self.default_service_name.is_empty() {
            report.error("default_service_name", "must not be empty");
        }
        let url = match parse_url(&self.endpoint) {
            _ if self.endpoint.is_empty() => {
                let example = "http://localhost:9411/api/v2/spans";
                Err(format!("is required: a URL such as `{example}`"))
            }
            parsed => parsed,
        };
        match url {
            Err(why) => {
                report.error("endpoint", why);
                self.client().check(&[], report);
            }
            Ok(url) => {
                if url.path() == "/" {
                    report.warn("endpoint", "has no path: Zipkin takes spans at `/api/v2/spans`");
                }
                self.client().check(&[url], report);
            }
        }
    }
}

impl ExporterConfig for Config {
    fn delivery(&self) -> Delivery {
        self.surroundings()
    }

    fn targets(&self) -> Vec<(&'static str, String, u16)> {
        let target = url_target(&self.endpoint);
        target.map(|(host, port)| ("endpoint", host, port)).into_iter().collect()
    }

    fn places(&self, _: &[Signal]) -> Vec<String> {
        parse_url(&self.endpoint).iter().map(shown_url).collect()
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>> {
        let url = parse_url(&self.endpoint).map_err(anyhow::Error::msg)?;
        let client = Client::new(self.client(), cx.base, [&url])?;
        let default_service_name = self.default_service_name.clone();
        Ok(Box::new(Zipkin { client, url, default_service_name }))
    }
}

struct Zipkin {
    client: Client,
    url: hyper::Uri,
    default_service_name: String,
}

impl Exporter for Zipkin {
    fn takes(&self, telemetry: &Telemetry) -> usize {
        decoded_size(telemetry)
    }

    fn export<'a>(
        &'a self,
        telemetry: &'a Telemetry,
    ) -> BoxFuture<'a, Result<Exported, ExportError>> {
        Box::pin(self.attempt(telemetry))
    }
}

impl Zipkin {
    async fn attempt(&self, telemetry: &Telemetry) -> Result<Exported, ExportError> {
        let begun = Instant::now();
        let body = body(telemetry, &self.default_service_name)?;
        if body.spans > 0 {
            let json = body.json.into();
            let answer = self.client.post(begun, &self.url, "application/json", json).await?;
            if !answer.status.is_success() {
                let now = SystemTime::now();
                return Err(refused(&answer, &self.url, text_of(&answer), now));
            }
        }
        let message = if body.unusable == 0 { "" } else { "spans without usable ids are not sent" };
        Ok(Exported { rejected: body.unusable, message: message.to_owned() })
    }
}

/// A request's body.
struct Body {
    json: Vec<u8>,
    /// Spans in it.
    spans: usize,
    /// Spans that Zipkin would refuse the whole body for.
    unusable: usize,
}

/// The spans as a JSON array; an error as soon as it is over [`MAX_BODY`].
fn body(telemetry: &Telemetry, default_service_name: &str) -> Result<Body, ExportError> {
    let usable = telemetry.edited(&mut Usable);
    let Messages::Traces(all) = usable.messages() else {
        return Err(ExportError::Reject { why: "Zipkin takes spans only".to_owned() });
    };
    let unusable = telemetry.items() - usable.items();
    let mut body = Body { json: vec![b'['], spans: 0, unusable };
    for resource in &all {
        let origin = span::Origin::new(resource.resource.as_ref(), default_service_name);
        for scope in &resource.scope_spans {
            for span in &scope.spans {
                body.add(&ZipkinSpan::new(&origin, scope.scope.as_ref(), span))?;
            }
        }
    }
    body.json.push(b']');
    Ok(body)
}

impl Body {
    fn add(&mut self, span: &ZipkinSpan<'_>) -> Result<(), ExportError> {
        if self.spans > 0 {
            self.json.push(b',');
        }
        self.spans += 1;
        let failed = |e| ExportError::Reject { why: format!("a span cannot be written: {e}") };
        serde_json::to_writer(&mut self.json, span).map_err(failed)?;
        if self.json.len() >= MAX_BODY {
            let why = "a request to Zipkin would be over 5 MiB".to_owned();
            return Err(ExportError::TooLarge { why });
        }
        Ok(())
    }
}
