//! `tls` of a client: the Collector's names (configtls).
//!
//! Files are read and parsed by the check, so that `validate` sees what would fail later, and read
//! again when a connection is first made: a certificate that was renewed in between is used. The
//! system's roots are not read here; they are the connector's business.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use schemars::JsonSchema;
use serde::Deserialize;

use super::client::Unsupported;
use super::{Given, IS_EMPTY, Report, Secret, read_file};

/// The largest PEM file: bundles of all public roots have a quarter of it.
pub(super) const MAX_PEM: u64 = 1 << 20;

/// `tls` of a client.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientTls {
    /// Speaks without TLS, where the endpoint's scheme leaves it open.
    pub insecure: bool,
    /// Believes any certificate.
    pub insecure_skip_verify: bool,
    /// Names what the certificate must be for, and what is asked for (SNI).
    pub server_name_override: Option<String>,
    /// Names a file of certificates to trust, instead of the system's.
    pub ca_file: Given<PathBuf>,
    /// Holds what `ca_file` would.
    pub ca_pem: Option<Secret>,
    /// Trusts the system's certificates besides `ca_file`.
    pub include_system_ca_certs_pool: bool,
    /// Names the file of our own certificate, for servers that ask for one.
    pub cert_file: Given<PathBuf>,
    /// Holds what `cert_file` would.
    pub cert_pem: Option<Secret>,
    /// Names the file of the key of that certificate.
    pub key_file: Given<PathBuf>,
    /// Holds what `key_file` would.
    pub key_pem: Option<Secret>,
    /// Asks for at least this version of TLS; it is never lower than 1.2, whatever is written.
    pub min_version: String,
    /// Asks for at most this version of TLS; `1.3` is the only one.
    pub max_version: String,
    #[schemars(skip)]
    cipher_suites: Unsupported,
    #[schemars(skip)]
    include_insecure_cipher_suites: Unsupported,
    #[schemars(skip)]
    curve_preferences: Unsupported,
    #[schemars(skip)]
    reload_interval: Unsupported,
    #[schemars(skip)]
    tpm: Unsupported,
}

/// The PEM texts that the settings lead to, checked.
#[derive(Clone, Default)]
pub struct TlsMaterial {
    /// Certificates to trust.
    pub ca: Option<Vec<u8>>,
    /// Our certificate chain and its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Holds what is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct TlsError {
    /// The setting.
    pub field: &'static str,
    /// Holds what is wrong.
    pub why: String,
}

impl TlsError {
    pub(super) fn new(field: &'static str, why: impl Into<String>) -> Self {
        TlsError { field, why: why.into() }
    }
}

impl ClientTls {
    /// Says whether anything is written that plaintext has no use for.
    pub fn wants_tls(&self) -> bool {
        let ClientTls { ca_file, ca_pem, cert_file, cert_pem, key_file, key_pem, .. } = self;
        let files = [ca_file, cert_file, key_file].iter().any(|file| file.is_written());
        files || [ca_pem, cert_pem, key_pem].iter().any(|pem| pem.is_some())
    }

    /// Adds what is wrong with these settings, which stand at `tls` of the component.
    pub fn check(&self, report: &mut Report<'_>) {
        let unsupported = [
            ("tls.cipher_suites", self.cipher_suites),
            ("tls.include_insecure_cipher_suites", self.include_insecure_cipher_suites),
            ("tls.curve_preferences", self.curve_preferences),
            ("tls.reload_interval", self.reload_interval),
            ("tls.tpm", self.tpm),
        ];
        for (field, _) in unsupported.iter().filter(|(_, written)| written.is_some()) {
            report.error(field, "is not supported");
        }
        check_versions(&self.min_version, &self.max_version, report);
        if self.insecure_skip_verify {
            report.warn("tls.insecure_skip_verify", "any server will be believed");
        }
        for TlsError { field, why } in self.read(report.base()).err().into_iter().flatten() {
            report.unready(&format!("tls.{field}"), why);
        }
    }

    /// Reads and parses what is written, files relative to `base`. The error is the first of all.
    pub fn load(&self, base: &Path) -> Result<TlsMaterial, TlsError> {
        self.read(base).map_err(first)
    }

    fn read(&self, base: &Path) -> Result<TlsMaterial, Vec<TlsError>> {
        let ca = pem(base, ("ca_file", &self.ca_file), ("ca_pem", &self.ca_pem));
        let cert = pem(base, ("cert_file", &self.cert_file), ("cert_pem", &self.cert_pem));
        let key = pem(base, ("key_file", &self.key_file), ("key_pem", &self.key_pem));
        let lacks = |field, what| Err(vec![TlsError::new(field, what)]);
        let own = both(cert, key).and_then(|own| match own {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => identity(cert, key).map(Some).map_err(|e| vec![e]),
            (Some((field, _)), None) => lacks(field, "needs key_file or key_pem"),
            (None, Some((field, _))) => lacks(field, "needs cert_file or cert_pem"),
        });
        let (ca, identity) = gathered(trusted(ca), own)?;
        Ok(TlsMaterial { ca, identity })
    }
}

/// Holds what stands under two spellings of one setting, if it does.
pub(super) type Pem = Result<Option<Named>, TlsError>;

/// Joins two results, or all that is wrong with either.
pub(super) fn both<A, B>(
    a: Result<A, TlsError>,
    b: Result<B, TlsError>,
) -> Result<(A, B), Vec<TlsError>> {
    gathered(a, b.map_err(|e| vec![e]))
}

/// Joins two results, or all that is wrong with either.
pub(super) fn gathered<A, B>(
    a: Result<A, TlsError>,
    b: Result<B, Vec<TlsError>>,
) -> Result<(A, B), Vec<TlsError>> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err(a.err().into_iter().chain(b.err().unwrap_or_default()).collect()),
    }
}

/// Returns the first of several errors, for who can tell one only.
pub(super) fn first(all: Vec<TlsError>) -> TlsError {
    all.into_iter().next().unwrap_or_else(|| TlsError::new("", "cannot be used"))
}

/// Returns certificates to trust, provided that they are some.
pub(super) fn trusted(read: Pem) -> Result<Option<Vec<u8>>, TlsError> {
    let named = read?;
    if let Some((field, pem)) = &named {
        trust(field, pem)?;
    }
    Ok(named.map(|(_, pem)| pem))
}

/// The versions that `tls` names, of a client's or a server's.
pub(super) fn check_versions(min: &str, max: &str, report: &mut Report<'_>) {
    match min {
        "" | "1.0" | "1.1" | "1.2" => {}
        "1.3" => report.error("tls.min_version", "`1.3` cannot be enforced; `1.2` can"),
        other => report.error("tls.min_version", format!("`{other}` is not a TLS version")),
    }
    if !matches!(max, "" | "1.3") {
        report.error("tls.max_version", "only `1.3` is supported");
    }
}

pub(super) type Named = (&'static str, Vec<u8>);

/// Gives what stands in a file or in the settings themselves, with the name of the setting that led there.
pub(super) fn pem(
    base: &Path,
    (file_field, file): (&'static str, &Given<PathBuf>),
    (pem_field, pem): (&'static str, &Option<Secret>),
) -> Result<Option<Named>, TlsError> {
    // An empty one is what an unset variable leaves: not to be taken for none, or whom we believe and who is let in
    // would depend on that.
    if file.is_empty() || file.get().is_some_and(|path| path.as_os_str().is_empty()) {
        return Err(TlsError::new(file_field, IS_EMPTY));
    }
    if pem.as_ref().is_some_and(|pem| pem.expose().is_empty()) {
        return Err(TlsError::new(pem_field, IS_EMPTY));
    }
    match (file.get(), pem) {
        (None, None) => Ok(None),
        (None, Some(pem)) => Ok(Some((pem_field, pem.expose().as_bytes().to_vec()))),
        (Some(_), Some(_)) => Err(TlsError::new(pem_field, format!("stands beside {file_field}"))),
        (Some(file), None) => {
            let path = base.join(file);
            match read_file(&path, MAX_PEM) {
                Ok(text) if text.len() as u64 > MAX_PEM => {
                    Err(TlsError::new(file_field, format!("{} is over 1 MiB", path.display())))
                }
                Ok(text) => Ok(Some((file_field, text))),
                Err(e) => {
                    Err(TlsError::new(file_field, format!("cannot read {}: {e}", path.display())))
                }
            }
        }
    }
}

fn certificates(field: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err(TlsError::new(field, "has no certificate in PEM form")),
        Ok(all) => Ok(all),
        Err(e) => Err(TlsError::new(field, format!("is not PEM: {e}"))),
    }
}

fn trust(field: &'static str, pem: &[u8]) -> Result<(), TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(field, pem)? {
        roots
            .add(certificate)
            .map_err(|e| TlsError::new(field, format!("has an unusable certificate: {e}")))?;
    }
    Ok(())
}

/// A certificate and a key, provided that they belong together.
pub(super) fn identity(
    (cert_field, cert): Named,
    (key_field, key): Named,
) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
    let chain = certificates(cert_field, &cert)?;
    // The parser's own words could quote the key.
    let parsed = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| TlsError::new(key_field, "has no private key in PEM form"))?;
    CertifiedKey::from_der(chain, parsed, &ring::default_provider())
        .map_err(|e| TlsError::new(key_field, format!("does not fit the certificate: {e}")))?;
    Ok((cert, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{ServerTls, testing};

    fn tls(yaml_like: serde_json::Value) -> ClientTls {
        serde_json::from_value(yaml_like).unwrap()
    }

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn refused(settings: serde_json::Value) -> TlsError {
        tls(settings).load(Path::new("")).err().unwrap()
    }

    #[test]
    fn material_is_read_from_files_beside_the_config_and_from_the_text_itself() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = made();
        std::fs::write(dir.path().join("ca.pem"), &cert).unwrap();
        let settings = serde_json::json!({ "ca_file": "ca.pem", "cert_pem": cert, "key_pem": key });
        let material = tls(settings).load(dir.path()).unwrap();
        assert_eq!(material.ca.as_deref(), Some(cert.as_bytes()));
        assert_eq!(material.identity, Some((cert.into_bytes(), key.into_bytes())));
    }

    #[test]
    fn an_empty_value_is_not_taken_for_none() {
        for field in ["ca_file", "cert_file", "key_file", "ca_pem", "cert_pem", "key_pem"] {
            let error = refused(serde_json::json!({ field: "" }));
            assert_eq!((error.field, error.why.as_str()), (field, IS_EMPTY));
        }
        for field in ["ca_file", "cert_file", "key_file"] {
            let error = refused(serde_json::json!({ field: null }));
            assert_eq!((error.field, error.why.as_str()), (field, IS_EMPTY));
        }
    }

    #[test]
    fn a_missing_file_is_told_with_its_path() {
        let error = refused(serde_json::json!({ "ca_file": "/nowhere/ca.pem" }));
        assert_eq!(error.field, "ca_file");
        assert!(error.why.starts_with("cannot read /nowhere/ca.pem: "), "{error}");
    }

    #[test]
    fn all_files_that_cannot_be_used_are_told_at_once() {
        let yaml = "{ tls: { ca_file: no/ca, cert_file: no/cert, key_file: no/key } }";
        let fields = |check: &dyn Fn(&mut Report<'_>)| -> Vec<String> {
            let problems = testing::check(yaml, "x", check);
            problems.0.into_iter().map(|problem| problem.path).collect()
        };
        let three =
            serde_json::json!({ "ca_file": "no/ca", "cert_file": "no/cert", "key_file": "no/key" });
        let client = tls(three);
        let told = fields(&|report| client.check(report));
        assert_eq!(told, ["x::tls::ca_file", "x::tls::cert_file", "x::tls::key_file"]);

        let server = serde_json::json!({
            "client_ca_file": "no/ca", "cert_file": "no/cert", "key_file": "no/key",
        });
        let server: ServerTls = serde_json::from_value(server).unwrap();
        let told = fields(&|report| server.check(report));
        assert_eq!(told, ["x::tls::client_ca_file", "x::tls::cert_file", "x::tls::key_file"]);

        let client = tls(serde_json::json!({ "ca_pem": "hello", "cert_file": "no/cert" }));
        let told = fields(&|report| client.check(report));
        assert_eq!(told, ["x::tls::ca_pem", "x::tls::cert_file"], "of different kinds, too");
    }

    #[test]
    fn text_that_is_no_certificate_is_refused() {
        let error = refused(serde_json::json!({ "ca_pem": "hello" }));
        assert_eq!(error.to_string(), "ca_pem: has no certificate in PEM form");
    }

    #[test]
    fn a_certificate_needs_its_own_key() {
        let (cert, _) = made();
        let (_, foreign) = made();
        let error = refused(serde_json::json!({ "cert_pem": cert, "key_pem": foreign }));
        assert_eq!(error.field, "key_pem");
        let error = refused(serde_json::json!({ "cert_pem": cert }));
        assert_eq!(error.to_string(), "cert_pem: needs key_file or key_pem");
        let error = refused(serde_json::json!({ "cert_pem": cert, "key_pem": cert }));
        assert_eq!(error.to_string(), "key_pem: has no private key in PEM form");
    }

    #[test]
    fn the_same_thing_cannot_be_written_twice() {
        let (cert, _) = made();
        let error = refused(serde_json::json!({ "ca_pem": cert, "ca_file": "ca.pem" }));
        assert_eq!(error.to_string(), "ca_pem: stands beside ca_file");
    }
}
