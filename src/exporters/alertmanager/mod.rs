//! Alerts of objectives to Alertmanager, by its API v2.
//!
//! ```yaml
//! exporters:
//!   alertmanager:
//!     endpoint: http://localhost:9093
//! ```
//! It takes the log records of the processor `slo` and no others. What fires is posted when it begins, each minute after
//! that with an end four minutes on, and with an end of now when it ends: so alerts of a process that is gone end by
//! themselves, as those of Prometheus do. Labels are those of the rules that `mcpcol slo rules` prints, so that the same
//! alert from both is one. It groups, silences and repeats nothing: that is Alertmanager's work.

mod alerts;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::Uri;
use tokio::task::AbortHandle;

use self::alerts::{Alerts, MAX_ALERTS};
use super::http::{Client, http_exporter_config, refused, text_of};
use super::sizes::decoded_size;
use crate::metrics::RateLimitedLog;
use crate::pipeline::{
    BoxFuture, Build, ComponentConfig, ExportError, Exported, Exporter, ExporterConfig,
};
use crate::settings::{Compression, Delivery, Report, parse_url, shown_url, url_target};
use crate::telemetry::{Nanos, Signal, Telemetry};

/// Says where Alertmanager takes alerts.
const PATH: &str = "/api/v2/alerts";
/// Says how often what fires is posted. Alertmanager's own clients do so each minute.
const AGAIN: Duration = Duration::from_secs(60);

http_exporter_config! {
    /// Settings of the exporter: those of every exporter over HTTP.
    compression: Compression::None,
    timeout: crate::settings::Duration::secs(10),
    /// Names the server, such as `http://localhost:9093`; `/api/v2/alerts` is added unless it is there.
    endpoint: String = String::new(),
}

impl ComponentConfig for Config {
    const NAME: &'static str = "alertmanager";
    const ABOUT: &'static str = "alerts of objectives to Alertmanager, as long as they fire";
    const SIGNALS: &'static [Signal] = &[Signal::Logs];

    fn check(&self, report: &mut Report<'_>) {
        self.surroundings().check(report);
        match self.url() {
            Err(why) => {
                report.error("endpoint", why);
                self.client().check(&[], report);
            }
            Ok(url) => self.client().check(&[url], report),
        }
        if !matches!(self.compression, Compression::None) {
            report.error("compression", "Alertmanager takes no compressed requests; leave it out");
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
        self.url().iter().map(shown_url).collect()
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>> {
        let url = self.url().map_err(anyhow::Error::msg)?;
        let client = Client::new(self.client(), cx.base, [&url])?;
        // What fires goes on firing over a reload that changes the settings.
        let alerts = cx.shared(Mutex::<Alerts>::default);
        let timeout = self.timeout.0;
        let log = RateLimitedLog::default();
        let sender = Arc::new(Sender { client, url, alerts, timeout, log });
        Ok(Box::new(Alertmanager { sender, repeating: Mutex::default() }))
    }
}

impl Config {
    fn url(&self) -> Result<Uri, String> {
        if self.endpoint.is_empty() {
            return Err("is required: a URL such as `http://localhost:9093`".to_owned());
        }
        let url = parse_url(&self.endpoint)?;
        let path = url.path().trim_end_matches('/');
        if url.query().is_some() {
            return Err("has a query; write the address alone".to_owned());
        }
        if path.ends_with(PATH) {
            return Ok(url);
        }
        let whole = format!("{}/", self.endpoint.trim_end_matches('/'));
        parse_url(&format!("{}{PATH}", whole.trim_end_matches('/')))
    }
}

struct Alertmanager {
    sender: Arc<Sender>,
    /// Posts what fires, from the first alert on.
    repeating: Mutex<Option<AbortHandle>>,
}

/// Holds what posting takes.
struct Sender {
    client: Client,
    url: Uri,
    alerts: Arc<Mutex<Alerts>>,
    timeout: Duration,
    log: RateLimitedLog,
}

impl Exporter for Alertmanager {
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

impl Alertmanager {
    async fn attempt(&self, telemetry: &Telemetry) -> Result<Exported, ExportError> {
        let taken = self.sender.locked(|alerts| alerts.take(telemetry));
        self.repeat();
        if !taken.changed.is_empty() {
            let body = self.sender.locked(|_| alerts::body(&taken.changed, now()));
            self.sender.post(body).await?;
        }
        let message = match (taken.foreign, taken.no_room) {
            (0, 0) => String::new(),
            (_, 0) => "log records that are no alerts of `slo` are not sent".to_owned(),
            _ => format!(
                "more than {MAX_ALERTS} alerts fire: others were posted once and are not kept"
            ),
        };
        Ok(Exported { rejected: taken.foreign, message })
    }

    /// Begins to post what fires each minute, if that has not begun.
    fn repeat(&self) {
        let mut repeating = self.repeating.lock().unwrap_or_else(PoisonError::into_inner);
        if repeating.is_some() {
            return;
        }
        let sender = Arc::clone(&self.sender);
        let task = async move {
            loop {
                tokio::time::sleep(AGAIN).await;
                sender.again().await;
            }
        };
        // Ended with the exporter.
        *repeating = Some(tokio::runtime::Handle::current().spawn(task).abort_handle());
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let repeating = self.repeating.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = repeating.take() {
            task.abort();
        }
    }
}

impl Sender {
    fn locked<T>(&self, look: impl FnOnce(&mut Alerts) -> T) -> T {
        look(&mut self.alerts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn again(&self) {
        let body = self.locked(|alerts| alerts.firing(now()));
        let Some(body) = body else { return };
        let limit = if self.timeout.is_zero() { AGAIN } else { self.timeout };
        let why = match tokio::time::timeout(limit, self.post(body)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {limit:?}"),
        };
        if let Some(unsaid) = self.log.due() {
            tracing::warn!(
                unsaid,
                "alerts that fire cannot be posted again; they end in Alertmanager \
                after four minutes: {why}"
            );
        }
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), ExportError> {
        let begun = Instant::now();
        let answer = self.client.post(begun, &self.url, "application/json", body.into()).await?;
        match answer.status.is_success() {
            true => Ok(()),
            false => Err(refused(&answer, &self.url, text_of(&answer), SystemTime::now())),
        }
    }
}

fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos::try_from(since.as_nanos()).unwrap_or(Nanos::MAX)
}
