//! The settings that all exporters over HTTP take, each beside fields of its own.

/// Declares `Config`: the exporter's own fields with their defaults, and those of confighttp's client,
/// the queue and retry around them. One flat struct an exporter, because serde's `flatten` would lose
/// where in the file a mistake stands.
macro_rules! http_exporter_config {
    (
        $(#[$about:meta])*
        compression: $compression:expr,
        timeout: $timeout:expr,
        $($(#[$doc:meta])* $own:ident: $type:ty = $default:expr,)*
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct Config {
            $($(#[$doc])* $own: $type,)*
            /// Names a proxy for all requests; else `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the environment say.
            proxy_url: Option<crate::settings::Secret>,
            /// Sets up TLS towards the server.
            tls: crate::settings::ClientTls,
            /// Adds headers to every request.
            headers: crate::settings::Headers,
            /// Lets credentials leave this machine unencrypted.
            allow_cleartext: bool,
            /// Says how bodies are compressed.
            compression: crate::settings::Compression,
            /// Sets how hard bodies are compressed.
            compression_params: crate::settings::CompressionParams,
            /// Bounds the connections that wait for work; 0 for no limit but the number of consumers.
            max_idle_conns: usize,
            /// Bounds the same, because there is one host; the smaller one counts.
            max_idle_conns_per_host: usize,
            /// Bounds how long a connection waits for work; 0 for ever.
            idle_conn_timeout: crate::settings::Duration,
            /// Makes a connection for each request.
            disable_keep_alives: bool,
            /// Offers HTTP/2 to servers that speak TLS.
            force_attempt_http2: bool,
            /// Asks a server for a sign of life when an HTTP/2 connection has been silent for this long with a request on it.
            http2_read_idle_timeout: crate::settings::Duration,
            /// Closes the connection when none comes for this long.
            http2_ping_timeout: crate::settings::Duration,
            /// Has no effect here; the Collector knows it.
            #[schemars(with = "crate::settings::NoEffect")]
            max_conns_per_host: crate::settings::Unsupported,
            /// Has no effect here; the Collector knows it.
            #[schemars(with = "crate::settings::NoEffect")]
            read_buffer_size: crate::settings::Unsupported,
            /// Has no effect here; the Collector knows it.
            #[schemars(with = "crate::settings::NoEffect")]
            write_buffer_size: crate::settings::Unsupported,
            #[schemars(skip)]
            auth: crate::settings::Unsupported,
            #[schemars(skip)]
            cookies: crate::settings::Unsupported,
            #[schemars(skip)]
            middlewares: crate::settings::Unsupported,
            /// Bounds how long one attempt to send may take; 0 for no limit.
            timeout: crate::settings::Duration,
            /// Sets the queue in front of the exporter, and how batches are joined in it.
            sending_queue: crate::settings::QueueSettings,
            /// Says how often and how long a failed attempt is repeated.
            retry_on_failure: crate::settings::RetrySettings,
        }

        impl Default for Config {
            fn default() -> Self {
                let client = crate::settings::HttpClient::default();
                Config {
                    $($own: $default,)*
                    proxy_url: client.proxy_url,
                    tls: client.tls,
                    headers: client.headers,
                    allow_cleartext: client.allow_cleartext,
                    compression: $compression,
                    compression_params: client.compression_params,
                    max_idle_conns: client.max_idle_conns,
                    max_idle_conns_per_host: client.max_idle_conns_per_host,
                    idle_conn_timeout: client.idle_conn_timeout,
                    disable_keep_alives: client.disable_keep_alives,
                    force_attempt_http2: client.force_attempt_http2,
                    http2_read_idle_timeout: client.http2_read_idle_timeout,
                    http2_ping_timeout: client.http2_ping_timeout,
                    max_conns_per_host: None,
                    read_buffer_size: None,
                    write_buffer_size: None,
                    auth: None,
                    cookies: None,
                    middlewares: None,
                    timeout: $timeout,
                    sending_queue: crate::settings::QueueSettings::default(),
                    retry_on_failure: crate::settings::RetrySettings::default(),
                }
            }
        }

        impl Config {
            fn client(&self) -> crate::settings::HttpClient {
                let client = crate::settings::HttpClient {
                    timeout: self.timeout,
                    proxy_url: self.proxy_url.clone(),
                    tls: self.tls.clone(),
                    headers: self.headers.clone(),
                    allow_cleartext: self.allow_cleartext,
                    compression: self.compression,
                    compression_params: self.compression_params,
                    max_idle_conns: self.max_idle_conns,
                    max_idle_conns_per_host: self.max_idle_conns_per_host,
                    idle_conn_timeout: self.idle_conn_timeout,
                    disable_keep_alives: self.disable_keep_alives,
                    force_attempt_http2: self.force_attempt_http2,
                    http2_read_idle_timeout: self.http2_read_idle_timeout,
                    http2_ping_timeout: self.http2_ping_timeout,
                    ..crate::settings::HttpClient::default()
                };
                client
                    .without_effect(&[
                        ("max_conns_per_host", self.max_conns_per_host),
                        ("read_buffer_size", self.read_buffer_size),
                        ("write_buffer_size", self.write_buffer_size),
                    ])
                    .refused(&[
                        ("auth", self.auth, "is not supported; write the credentials in `headers`"),
                        ("cookies", self.cookies, "is not supported"),
                        ("middlewares", self.middlewares, "is not supported"),
                    ])
            }

            fn surroundings(&self) -> crate::settings::Delivery {
                crate::settings::Delivery {
                    timeout: self.timeout,
                    queue: self.sending_queue.clone(),
                    retry: self.retry_on_failure.clone(),
                }
            }
        }
    };
}

pub(in crate::exporters) use http_exporter_config;
