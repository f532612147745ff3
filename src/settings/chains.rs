//! Chains of certificates that cost too much to look at.
//!
//! webpki tries every way from a certificate to a root, up to a hundred signatures: tens of milliseconds for somebody
//! who has no certificate of ours, in which nothing else is done on their thread. Chains that people have are short, and
//! each name is in them once; then there is one way.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

/// Certificates between a peer's own and a root.
const MOST: usize = 10;
/// Of those, how many may have a name that another has: one for two roots, while they change.
const CROSSED: usize = 1;

/// Verifies as another does, unless the chain is too long.
#[derive(Debug)]
pub(super) struct ShortChain<V: ?Sized>(pub(super) Arc<V>);

#[derive(Debug, thiserror::Error)]
#[error("the chain has too many certificates: more than ten, or several of one name")]
struct ChainTooLong;

/// Says whether there are few ways through them.
fn is_short(chain: &[CertificateDer<'_>]) -> bool {
    let mut names: Vec<_> = chain.iter().take(MOST + 1).map(|cert| subject(cert)).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    all <= MOST && all - names.len() <= CROSSED
}

fn check(chain: &[CertificateDer<'_>]) -> Result<(), Error> {
    let too_many = || CertificateError::Other(OtherError(Arc::new(ChainTooLong)));
    if is_short(chain) { Ok(()) } else { Err(too_many().into()) }
}

/// The name of whom a certificate is about, encoded (RFC 5280 section 4.1); nothing if it is none: webpki refuses that.
fn subject(cert: &[u8]) -> Option<&[u8]> {
    const VERSION: u8 = 0xa0;
    let (_, cert, _) = element(cert)?;
    let (_, mut fields, _) = element(cert)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // Number, algorithm, issuer, validity.
    for _ in 0..4 {
        fields = element(fields)?.2;
    }
    element(fields).map(|(_, subject, _)| subject)
}

/// The first element of DER: its tag, what is in it and what comes behind.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, bytes) = bytes.split_first()?;
    let (&first, bytes) = bytes.split_first()?;
    let (length, bytes) = match first {
        0..=0x7f => (usize::from(first), bytes),
        0x81..=0x83 => {
            let (length, bytes) = bytes.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), bytes)
        }
        _ => return None,
    };
    let (inside, behind) = bytes.split_at_checked(length)?;
    Some((tag, inside, behind))
}

impl ClientCertVerifier for ShortChain<dyn ClientCertVerifier> {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        check(chain)?;
        self.0.verify_client_cert(own, chain, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl ServerCertVerifier for ShortChain<dyn ServerCertVerifier> {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        check(chain)?;
        self.0.verify_server_cert(own, chain, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};
    use rustls::RootCertStore;
    use rustls::crypto::ring;
    use rustls::server::WebPkiClientVerifier;

    use super::*;

    fn named(name: &str) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    fn distinct(count: usize) -> Vec<CertificateDer<'static>> {
        (0..count).map(|at| named(&at.to_string())).collect()
    }

    #[test]
    fn chains_are_short_and_have_each_name_once() {
        assert!(is_short(&[]) && is_short(&distinct(10)));
        assert!(!is_short(&distinct(11)));
        assert!(is_short(&[named("a"), named("b"), named("a")]), "one is crossed");
        assert!(!is_short(&[named("a"), named("a"), named("a")]));
        assert!(!is_short(&[named("a"), named("b"), named("a"), named("b")]));
        let junk = |bytes: &'static [u8]| CertificateDer::from(bytes);
        assert!(is_short(&[junk(b""), junk(b"\x30\x84\xff\xff\xff\xff")]));
        assert!(!is_short(&[junk(b""), junk(b"\x30\x82\xff"), junk(b"\x30\x05\x30")]));
    }

    #[test]
    fn a_name_is_found_where_it_stands() {
        let (one, other) = (named("somebody"), named("somebody"));
        let name = subject(&one).unwrap();
        assert!(one != other && name == subject(&other).unwrap());
        assert!(name.ends_with(b"somebody"));
        for cut in 0..40 {
            assert_eq!(subject(&one[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn a_long_chain_is_refused_before_anybody_looks_at_its_signatures() {
        let mut roots = RootCertStore::empty();
        roots.add(named("root")).unwrap();
        let provider = Arc::new(ring::default_provider());
        let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = ShortChain(inner.build().unwrap());
        let refused = |chain: &[_]| {
            verifier.verify_client_cert(&named("own"), chain, UnixTime::now()).unwrap_err()
        };
        let why = refused(&distinct(80)).to_string();
        assert!(why.contains("ChainTooLong"), "{why}");
        assert!(!refused(&distinct(2)).to_string().contains("ChainTooLong"));
        assert!(verifier.client_auth_mandatory() && verifier.root_hint_subjects().len() == 1);
    }
}
