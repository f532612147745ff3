//! OTLP over HTTP: to an OpenTelemetry Collector, or to a backend that speaks it.
//!
//! ```yaml
//! exporters:
//!   otlp_http:
//!     endpoint: https://otel.example.com
//!     headers: { api-key: "${env:API_KEY}" }
//!     encoding: proto
//! ```
//!
//! `endpoint` gets `/v1/traces` and so on appended, a signal's own endpoint is used as it is. Protobuf
//! goes out as it is held; JSON is written for each attempt. What an answer means is OTLP's table and
//! nothing else.

mod answer;
#[cfg(test)]
mod tests;

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use hyper::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::{Client, http_exporter_config, refused};
use super::peer::MAX_REQUEST;
use super::sizes::json_size;
use crate::pipeline::{
    BoxFuture, Build, ComponentConfig, ExportError, Exported, Exporter, ExporterConfig,
};
use crate::settings::{
    Compression, Delivery, Duration, Report, parse_url, shown_url, signal_path, url_target,
};
use crate::telemetry::{Signal, Telemetry};

http_exporter_config! {
    /// Settings: the Collector's names.
    compression: Compression::Gzip,
    timeout: Duration::secs(30),
    /// Names the backend: `/v1/traces` and so on are appended to it.
    endpoint: String = String::new(),
    /// Names where traces go, used as it is.
    traces_endpoint: String = String::new(),
    /// Names where metrics go, used as it is.
    metrics_endpoint: String = String::new(),
    /// Names where logs go, used as it is.
    logs_endpoint: String = String::new(),
    /// Says how requests are written.
    encoding: Encoding = Encoding::Proto,
}

/// `encoding`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Writes protobuf.
    #[default]
    Proto,
    /// Writes OTLP/JSON.
    Json,
}

impl Encoding {
    fn content_type(self) -> &'static str {
        match self {
            Encoding::Proto => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }
}

impl ComponentConfig for Config {
    const NAME: &'static str = "otlp_http";
    const ALIASES: &'static [&'static str] = &["otlphttp"];
    const ABOUT: &'static str = "OTLP over HTTP, as protobuf or JSON";
    const SIGNALS: &'static [Signal] = &Signal::ALL;

    fn check(&self, report: &mut Report<'_>) {
        self.surroundings().check(report);
        let mut endpoints = Vec::new();
        let own = Signal::ALL.map(|signal| self.own(signal));
        for (field, text) in [("endpoint", self.endpoint.as_str())].into_iter().chain(own) {
            match parse_url(text) {
                _ if text.is_empty() => {}
                Err(why) => report.error(field, why),
                Ok(uri) if field == "endpoint" && uri.query().is_some() => {
                    report.error(field, "must end with the path: `/v1/traces` is appended");
                }
                Ok(_) if field == "endpoint" && signal_path(text).is_some() => {
                    let signal = signal_path(text).map(Signal::name).unwrap_or_default();
                    let message = format!(
                        "ends in `/v1/{signal}`, which is appended: leave it out, or write the URL \
                         as `{signal}_endpoint`, which is used as it is"
                    );
                    report.error(field, message);
                }
                Ok(uri) => endpoints.push(uri),
            }
        }
        if self.endpoint.is_empty() && own.iter().all(|(_, text)| text.is_empty()) {
            report.error("endpoint", "is required: a URL such as `http://localhost:4318`");
        }
        self.client().check(&endpoints, report);
    }
}

impl ExporterConfig for Config {
    fn delivery(&self) -> Delivery {
        self.surroundings()
    }

    fn targets(&self) -> Vec<(&'static str, String, u16)> {
        let own = Signal::ALL.map(|signal| self.own(signal));
        let all = [("endpoint", self.endpoint.as_str())].into_iter().chain(own);
        let target = |(field, text)| url_target(text).map(|(host, port)| (field, host, port));
        all.filter_map(target).collect()
    }

    fn places(&self, signals: &[Signal]) -> Vec<String> {
        let url = |signal: &Signal| self.url(*signal).ok().flatten();
        signals.iter().filter_map(url).map(|url| shown_url(&url)).collect()
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>> {
        let url = |signal| self.url(signal).map_err(anyhow::Error::msg);
        let [traces, metrics, logs] = Signal::ALL.map(url);
        let urls = [traces?, metrics?, logs?];
        let client = Client::new(self.client(), cx.base, urls.iter().flatten())?;
        Ok(Box::new(OtlpHttp { client, encoding: self.encoding, urls }))
    }
}

impl Config {
    /// The field of a signal's own endpoint, and what is written there.
    fn own(&self, signal: Signal) -> (&'static str, &str) {
        match signal {
            Signal::Traces => ("traces_endpoint", &self.traces_endpoint),
            Signal::Metrics => ("metrics_endpoint", &self.metrics_endpoint),
            Signal::Logs => ("logs_endpoint", &self.logs_endpoint),
        }
    }

    /// Says where a signal goes; `None` where neither it nor all of them have an endpoint.
    fn url(&self, signal: Signal) -> Result<Option<Uri>, String> {
        let (_, own) = self.own(signal);
        match (own, self.endpoint.trim_end_matches('/')) {
            ("", "") => Ok(None),
            ("", base) => parse_url(&format!("{base}/v1/{}", signal.name())).map(Some),
            (own, _) => parse_url(own).map(Some),
        }
    }
}

struct OtlpHttp {
    client: Client,
    encoding: Encoding,
    /// By signal.
    urls: [Option<Uri>; 3],
}

impl Exporter for OtlpHttp {
    fn takes(&self, telemetry: &Telemetry) -> usize {
        match self.encoding {
            Encoding::Proto => telemetry.wire().len().saturating_mul(2),
            Encoding::Json => json_size(telemetry),
        }
    }

    fn export<'a>(
        &'a self,
        telemetry: &'a Telemetry,
    ) -> BoxFuture<'a, Result<Exported, ExportError>> {
        Box::pin(self.attempt(telemetry))
    }
}

impl OtlpHttp {
    async fn attempt(&self, telemetry: &Telemetry) -> Result<Exported, ExportError> {
        let begun = Instant::now();
        let signal = telemetry.signal();
        let Some(url) = &self.urls[signal as usize] else {
            let why = format!("there is no endpoint for {0}: set {0}_endpoint", signal.name());
            return Err(ExportError::Reject { why });
        };
        let body = self.body(telemetry);
        if body.len() > MAX_REQUEST {
            let why = format!("a request of {} bytes is over OTLP's limit of 64 MiB", body.len());
            return Err(ExportError::TooLarge { why });
        }
        let answer = self.client.post(begun, url, self.encoding.content_type(), body).await?;
        if answer.status.is_success() {
            return Ok(answer::exported(&answer, self.encoding, telemetry.items()));
        }
        let said = answer::said(&answer, self.encoding);
        Err(refused(&answer, url, &said, SystemTime::now()))
    }

    fn body(&self, telemetry: &Telemetry) -> Bytes {
        if self.encoding == Encoding::Proto {
            return telemetry.wire().clone();
        }
        let mut out = Vec::with_capacity(telemetry.wire().len() * 2);
        telemetry.write_json(&mut out);
        out.into()
    }
}
