//! TLS on both ports, and clients that have to show a certificate.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::Request;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::rig::{Fake, PROTOBUF, Rig, TRACES, call, send_on};
use super::telemetry::tagged;

struct Made {
    ca: String,
    server: (String, String),
    client: (String, String),
}

fn made() -> Made {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "a test's authority");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let leaf = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &ca).unwrap().pem(), key.serialize_pem())
    };
    Made { ca: ca.pem(), server: leaf("localhost"), client: leaf("client") }
}

async fn rig(made: &Made, mutual: bool, dir: &std::path::Path) -> Rig {
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let cert = write("cert.pem", &made.server.0);
    let key = write("key.pem", &made.server.1);
    let ca = write("ca.pem", &made.ca);
    let mut tls = format!("cert_file: {cert}, key_file: {key}");
    if mutual {
        tls += &format!(", client_ca_file: {ca}");
    }
    let door = format!("{{endpoint: '127.0.0.1:0', tls: {{{tls}}}}}");
    let settings = format!("{{protocols: {{grpc: {door}, http: {door}}}}}");
    Rig::start(&settings, &[Fake::taking_all()]).await
}

async fn over_http(made: &Made, rig: &Rig, identity: bool) -> Option<u16> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(made.ca.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = if identity {
        let cert = CertificateDer::from_pem_slice(made.client.0.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(made.client.1.as_bytes()).unwrap();
        builder.with_client_auth_cert(vec![cert], key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    let stream = TcpStream::connect(rig.http()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    if !identity {
        // With TLS 1.3 a client learns only now that it should have shown something.
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                    content-length: 2\r\n\r\n{}";
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.ok()?;
        return std::str::from_utf8(&first[9..]).unwrap().parse().ok();
    }
    let body = tagged([1]).encode_to_vec();
    Some(send_on(&mut stream, "POST /v1/traces", &[PROTOBUF], &body).await.status)
}

async fn over_grpc(made: &Made, rig: &Rig, identity: bool) -> bool {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&made.ca))
        .domain_name("localhost");
    if identity {
        tls = tls.identity(Identity::from_pem(&made.client.0, &made.client.1));
    }
    let endpoint = Endpoint::from_shared(format!("https://{}", rig.grpc())).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect_lazy();
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    if grpc.ready().await.is_err() {
        return false;
    }
    call(channel, TRACES, None, Request::new(Bytes::new())).await.is_ok()
}

#[tokio::test]
async fn both_ports_speak_tls() {
    let (made, dir) = (made(), tempfile::tempdir().unwrap());
    let rig = rig(&made, false, dir.path()).await;
    assert_eq!(over_http(&made, &rig, false).await, Some(200));
    assert!(over_grpc(&made, &rig, false).await);
}

#[tokio::test]
async fn clients_have_to_show_a_certificate_where_that_is_asked() {
    let (made, dir) = (made(), tempfile::tempdir().unwrap());
    let rig = rig(&made, true, dir.path()).await;
    assert_eq!(over_http(&made, &rig, true).await, Some(200));
    assert_eq!(over_http(&made, &rig, false).await, None);
    assert!(over_grpc(&made, &rig, true).await);
    assert!(!over_grpc(&made, &rig, false).await);
}
