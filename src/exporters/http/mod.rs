//! The HTTP client of exporters: one POST, one answer, both bounded.
//!
//! Connections are hyper-util's to pool: this is off the forwarding path. Nothing is retried here but a
//! request that met a closing connection before a byte of it was written, no redirect is followed and
//! no answer is decompressed, for none is asked to be compressed. What an answer means for the batch is
//! `verdict`'s to say, what is in it the exporter's.

mod compress;
mod connect;
mod interim;
mod verdict;
mod words;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
    USER_AGENT,
};
use hyper::http::uri::Authority;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use self::compress::compressed;
use self::connect::{Connector, Proxies};
use self::interim::Interim;
use super::allowance::{AHEAD, Allowance, WINDOWS, is_over};
use super::peer::{BROKEN, MAX_RESPONSE, UNREAD, user_agent};
use crate::pipeline::ExportError;
use crate::settings::HttpClient;

pub(super) use self::verdict::{refused, text_of};
pub(super) use self::words::http_exporter_config;

/// Names what `http2_ping_timeout` of 0 stands for, as in the Collector.
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest that what is said behind a status is waited for: the status says enough.
const WORDS_TIMEOUT: Duration = Duration::from_secs(5);

/// A client with its connections.
pub(super) struct Client {
    settings: Arc<HttpClient>,
    base: PathBuf,
    headers: HeaderMap,
    proxies: Arc<Proxies>,
    /// Some endpoint wants TLS: reading the system's roots is not for nothing.
    secure: bool,
    /// Holds what each endpoint's server may send.
    allowances: Arc<HashMap<Authority, Arc<Allowance>>>,
    /// Made at the first request, when certificates are read.
    pool: OnceCell<Pool<Connector, Full<Bytes>>>,
}

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// At most [`MAX_RESPONSE`] bytes; empty where there are more, and where they could not be had.
    pub(super) body: Bytes,
    /// Says why there is no body where there should be one.
    pub(super) unread: Option<&'static str>,
}

impl Client {
    /// A client of these endpoints with these settings, which have been checked; files are relative to
    /// `base`.
    pub(super) fn new<'a>(
        settings: HttpClient,
        base: &Path,
        endpoints: impl IntoIterator<Item = &'a Uri>,
    ) -> anyhow::Result<Client> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, user_agent().parse()?);
        for (name, value) in &settings.headers.0 {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            let mut value = HeaderValue::from_str(value.expose())?;
            // Never indexed by HPACK, so that no other request can probe for it; and not printed.
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let encoding = compress::name(settings.compression)?;
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        let proxies = Arc::new(Proxies::new(settings.proxy_url.as_ref()));
        let endpoints: Vec<&Uri> = endpoints.into_iter().collect();
        let secure = endpoints.iter().any(|uri| uri.scheme_str() == Some("https"));
        let authorities = endpoints.iter().filter_map(|uri| uri.authority().cloned());
        let allowances = Arc::new(authorities.map(|to| (to, Arc::default())).collect());
        let (settings, base, pool) = (Arc::new(settings), base.to_owned(), OnceCell::new());
        Ok(Client { settings, base, headers, proxies, secure, allowances, pool })
    }

    /// Sends `body` and reads the answer, whatever it is, in an attempt that began then. An error is what kept an answer
    /// from coming.
    pub(super) async fn post(
        &self,
        begun: Instant,
        to: &Uri,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Answer, ExportError> {
        let pool = self.pool.get_or_try_init(|| self.connect()).await?;
        let level = self.settings.compression_params.level;
        let body = compressed(self.settings.compression, level, body).await?;
        let mut request = Request::post(to.clone()).body(Full::new(body)).map_err(|e| {
            ExportError::Reject { why: format!("no request can be made of the settings: {e}") }
        })?;
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(password) = self.proxies.password(to) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, password);
        }
        let secure = to.scheme_str() == Some("https");
        let allowance = to.authority().and_then(|authority| self.allowances.get(authority));
        let allowance = allowance.cloned().unwrap_or_default();
        let _awaited = allowance.await_answer();
        let interim = Interim::of(&mut request);
        let response = tokio::select! {
            response = pool.request(request) => response,
            // To let go of the request ends its connection.
            why = interim.too_many() => return Err(ExportError::Retry { after: None, why }),
        };
        match response {
            Ok(response) => {
                let wait = words_timeout(self.settings.timeout.0, begun.elapsed());
                Ok(answer(response, &allowance, wait).await)
            }
            Err(error) => Err(verdict::unreachable(&error, secure)),
        }
    }

    /// A pool, not yet a connection. Certificates are read here, off the runtime's threads.
    async fn connect(&self) -> Result<Pool<Connector, Full<Bytes>>, ExportError> {
        let (settings, base) = (Arc::clone(&self.settings), self.base.clone());
        let (proxies, secure) = (Arc::clone(&self.proxies), self.secure);
        let allowances = Arc::clone(&self.allowances);
        let read = move || Connector::new(&settings, &base, proxies, allowances, secure);
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(connector)) => Ok(self.pool(connector)),
            Ok(Err(e)) => Err(ExportError::Retry { after: None, why: format!("tls.{e}") }),
            Err(e) => Err(ExportError::Reject { why: format!("cannot connect: {e}") }),
        }
    }

    fn pool(&self, connector: Connector) -> Pool<Connector, Full<Bytes>> {
        let settings = &self.settings;
        let limits = [settings.max_idle_conns, settings.max_idle_conns_per_host];
        let most_idle = limits.into_iter().filter(|limit| *limit > 0).min().unwrap_or(usize::MAX);
        let idle = Some(settings.idle_conn_timeout.0).filter(|idle| !idle.is_zero());
        let ping = Some(settings.http2_read_idle_timeout.0).filter(|idle| !idle.is_zero());
        let pong = Some(settings.http2_ping_timeout.0).filter(|wait| !wait.is_zero());
        Pool::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle)
            .pool_max_idle_per_host(if settings.disable_keep_alives { 0 } else { most_idle })
            .http1_max_buf_size(AHEAD)
            .http2_initial_stream_window_size(WINDOWS[0])
            .http2_initial_connection_window_size(WINDOWS[1])
            .http2_keep_alive_interval(ping)
            .http2_keep_alive_timeout(pong.unwrap_or(PING_TIMEOUT))
            .build(connector)
    }
}

/// Says how long what is said behind a status is waited for: half of what is left of the time that the attempt has, for
/// one that is out of time counts as one without an answer.
fn words_timeout(limit: Duration, spent: Duration) -> Duration {
    match limit.is_zero() {
        true => WORDS_TIMEOUT,
        false => WORDS_TIMEOUT.min(limit.saturating_sub(spent) / 2),
    }
}

/// Reads an answer to its end. What is too long, breaks or drips is cut short: the status has said what to do, and
/// to send again what was taken would double it.
async fn answer(response: Response<Incoming>, allowance: &Allowance, wait: Duration) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.map_frame(|frame| {
        allowance.passed_on(frame.data_ref().map_or(0, Bytes::len));
        frame
    });
    let whole = Limited::new(body, MAX_RESPONSE).collect();
    let (body, unread) = match timeout(wait, whole).await {
        Ok(Ok(body)) => (body.to_bytes(), None),
        Ok(Err(error)) if error.is::<LengthLimitError>() || is_over(&*error) => {
            (Bytes::new(), Some(UNREAD))
        }
        Ok(Err(_)) | Err(_) => (Bytes::new(), Some(BROKEN)),
    };
    Answer { status: head.status, headers: head.headers, body, unread }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_behind_a_status_never_takes_the_attempts_last_moment() {
        for (limit, spent, wait) in [
            (0, 0, 5000),
            (0, 60_000, 5000),
            (30_000, 0, 5000),
            (30_000, 24_000, 3000),
            (5000, 1000, 2000),
            (5000, 5000, 0),
            (5000, 6000, 0),
        ] {
            let [limit, spent, wait] = [limit, spent, wait].map(Duration::from_millis);
            assert_eq!(words_timeout(limit, spent), wait);
        }
    }
}
