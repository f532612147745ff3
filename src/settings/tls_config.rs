//! From checked TLS settings to what rustls is configured with, on either side of a connection.
//!
//! Files are read here once more, after the check: a certificate that was renewed in between is used.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};

use super::chains::ShortChain;
use super::{ClientTls, ServerTls, TlsError, system_roots};

impl ClientTls {
    /// Gives what a client connects with, offering `alpn` in that order. Files are relative to `base`.
    pub fn client_config(&self, base: &Path, alpn: &[&[u8]]) -> Result<ClientConfig, TlsError> {
        let material = self.load(base)?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| TlsError::new("min_version", e.to_string()))?;
        let builder = if self.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Anybody::new())
        } else {
            let roots = self.roots(material.ca.as_deref())?;
            let verifier = WebPkiServerVerifier::builder_with_provider(
                Arc::new(roots),
                Arc::new(ring::default_provider()),
            );
            let verifier = verifier.build().map_err(|e| TlsError::new("ca_file", e.to_string()))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(ShortChain(
                verifier as Arc<dyn ServerCertVerifier>,
            )))
        };
        let mut config = match material.identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let (chain, key) = chain_and_key(&cert, &key)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|e| TlsError::new("cert_file", e.to_string()))?
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }

    fn roots(&self, ca: Option<&[u8]>) -> Result<RootCertStore, TlsError> {
        let Some(ca) = ca else { return system_roots() };
        let mut roots = if self.include_system_ca_certs_pool {
            system_roots()?
        } else {
            RootCertStore::empty()
        };
        roots.extend(store(ca)?.roots);
        Ok(roots)
    }
}

impl ServerTls {
    /// Gives what a server accepts connections with, choosing from `alpn`. Files are relative to `base`.
    pub fn server_config(&self, base: &Path, alpn: &[&[u8]]) -> Result<ServerConfig, TlsError> {
        let (cert, key, client_ca) = self.load(base)?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| TlsError::new("min_version", e.to_string()))?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let roots = Arc::new(store(&ca)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|e| TlsError::new("client_ca_file", e.to_string()))?;
                builder.with_client_cert_verifier(Arc::new(ShortChain(verifier)))
            }
        };
        let (chain, key) = chain_and_key(&cert, &key)?;
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|e| TlsError::new("cert_file", e.to_string()))?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }
}

fn chain_and_key(
    cert: &[u8],
    key: &[u8],
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert).collect();
    let chain = chain.map_err(|e| TlsError::new("cert_file", e.to_string()))?;
    // The parser's own words could quote the key.
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| TlsError::new("key_file", "has no private key in PEM form"))?;
    Ok((chain, key))
}

fn store(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate.map_err(|e| e.to_string());
        let added = added.and_then(|c| roots.add(c).map_err(|e| e.to_string()));
        added.map_err(|why| TlsError::new("ca_file", why))?;
    }
    Ok(roots)
}

/// `insecure_skip_verify`: whoever holds the key of the certificate shown is believed.
#[derive(Debug)]
pub struct Anybody(CryptoProvider);

impl Anybody {
    /// The verifier.
    #[expect(clippy::new_ret_no_self, reason = "rustls takes verifiers behind an Arc only")]
    pub fn new() -> Arc<dyn ServerCertVerifier> {
        Arc::new(Anybody(ring::default_provider()))
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
