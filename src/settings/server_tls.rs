//! `tls` of a server: the Collector's names (configtls, server side).

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::client::Unsupported;
use super::tls::{Pem, both, check_versions, first, gathered, identity, pem, trusted};
use super::{Given, Report, Secret, TlsError};

/// `tls` of a server. A `client_ca_file` makes it mutual: clients must show a certificate of that CA.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerTls {
    /// Names the file of our certificate, and the chain behind it.
    pub cert_file: Given<PathBuf>,
    /// Holds what `cert_file` would.
    pub cert_pem: Option<Secret>,
    /// Names the file of the key of that certificate.
    pub key_file: Given<PathBuf>,
    /// Holds what `key_file` would.
    pub key_pem: Option<Secret>,
    /// Names a file of certificates that clients must be signed by; without it anybody may connect.
    pub client_ca_file: Given<PathBuf>,
    /// Asks for at least this version of TLS; it is never lower than 1.2, whatever is written.
    pub min_version: String,
    /// Asks for at most this version of TLS; `1.3` is the only one.
    pub max_version: String,
    #[schemars(skip)]
    cipher_suites: Unsupported,
    #[schemars(skip)]
    client_ca_file_reload: Unsupported,
    #[schemars(skip)]
    curve_preferences: Unsupported,
    #[schemars(skip)]
    reload_interval: Unsupported,
    #[schemars(skip)]
    ca_file: Unsupported,
}

/// Certificate, key, and the clients' CA.
type Material = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

impl ServerTls {
    /// Adds what is wrong with these settings, which stand at `tls` of the component.
    pub fn check(&self, report: &mut Report<'_>) {
        let unsupported = [
            ("tls.cipher_suites", self.cipher_suites, "is not supported"),
            ("tls.client_ca_file_reload", self.client_ca_file_reload, "is not supported"),
            ("tls.curve_preferences", self.curve_preferences, "is not supported"),
            ("tls.reload_interval", self.reload_interval, "is not supported; SIGHUP reloads"),
            ("tls.ca_file", self.ca_file, "is a client's setting; did you mean client_ca_file?"),
        ];
        for (field, _, why) in unsupported.iter().filter(|(_, written, _)| written.is_some()) {
            report.error(field, *why);
        }
        check_versions(&self.min_version, &self.max_version, report);
        for TlsError { field, why } in self.read(report.base()).err().into_iter().flatten() {
            report.unready(&format!("tls.{field}"), why);
        }
    }

    /// Reads and parses what is written, files relative to `base`. The error is the first of all.
    pub(super) fn load(&self, base: &Path) -> Result<Material, TlsError> {
        self.read(base).map_err(first)
    }

    fn read(&self, base: &Path) -> Result<Material, Vec<TlsError>> {
        let required =
            |read: Pem, field| read?.ok_or_else(|| TlsError::new(field, "is required for TLS"));
        let cert = pem(base, ("cert_file", &self.cert_file), ("cert_pem", &self.cert_pem));
        let key = pem(base, ("key_file", &self.key_file), ("key_pem", &self.key_pem));
        let client_ca = pem(base, ("client_ca_file", &self.client_ca_file), ("", &None));
        let own = both(required(cert, "cert_file"), required(key, "key_file"));
        let own = own.and_then(|(cert, key)| identity(cert, key).map_err(|e| vec![e]));
        let (client_ca, (cert, key)) = gathered(trusted(client_ca), own)?;
        Ok((cert, key, client_ca))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(settings: serde_json::Value) -> Result<rustls::ServerConfig, String> {
        let tls: ServerTls = serde_json::from_value(settings).unwrap();
        tls.server_config(Path::new(""), &[b"h2"]).map_err(|e| e.to_string())
    }

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn an_empty_ca_of_the_clients_is_no_leave_for_everybody() {
        let (cert, key) = made();
        for empty in [serde_json::json!(""), serde_json::Value::Null] {
            let settings =
                serde_json::json!({ "cert_pem": cert, "key_pem": key, "client_ca_file": empty });
            let refused = load(settings).unwrap_err();
            assert_eq!(refused, "client_ca_file: is empty; write a value or leave the key out");
        }
    }

    #[test]
    fn a_server_needs_a_certificate_and_its_key() {
        let (cert, key) = made();
        let config = load(serde_json::json!({ "cert_pem": cert, "key_pem": key })).unwrap();
        assert_eq!(config.alpn_protocols, [b"h2"]);
        let refused = load(serde_json::json!({ "cert_pem": cert })).unwrap_err();
        assert_eq!(refused, "key_file: is required for TLS");
        let refused = load(serde_json::json!({})).unwrap_err();
        assert_eq!(refused, "cert_file: is required for TLS");
    }
}
