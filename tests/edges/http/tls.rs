//! TLS on either side.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, Stream,
};

use super::tap::{tap, with_routes};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// A certificate for `localhost` that is its own CA, and its key.
pub(super) struct Identity {
    cert: String,
    key: String,
}

impl Identity {
    pub(super) fn new() -> Identity {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        Identity { cert: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()]
    }

    pub(super) fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.chain().remove(0)).unwrap();
        roots
    }

    pub(super) fn write(&self, dir: &std::path::Path, name: &str) {
        std::fs::write(dir.join(format!("{name}.pem")), &self.cert).unwrap();
        std::fs::write(dir.join(format!("{name}.key")), &self.key).unwrap();
    }
}

pub(super) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// One request over TLS; what came back, or the handshake's failure.
fn ask(address: &str, trust: &Identity, show: Option<&Identity>) -> std::io::Result<String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trust.roots());
    let config = match show {
        None => builder.with_no_client_auth(),
        Some(own) => builder.with_client_auth_cert(own.chain(), own.private()).unwrap(),
    };
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(crate::process::PATIENCE)).unwrap();
    let mut stream = Stream::new(&mut tls, &mut socket);
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{PING}",
        PING.len()
    )?;
    let mut text = String::new();
    match stream.read_to_string(&mut text) {
        Err(error) if text.is_empty() => Err(error),
        _ => Ok(text),
    }
}

#[test]
fn clients_are_served_over_tls_and_may_have_to_show_a_certificate() {
    let (server, client, other) = (Identity::new(), Identity::new(), Identity::new());
    let dir = tempfile::tempdir().unwrap();
    server.write(dir.path(), "server");
    client.write(dir.path(), "client");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let origin = crate::origin::Origin::echo();
    let own = format!("cert_file: {}, key_file: {}", at("server.pem"), at("server.key"));

    let open = tap(&origin.url(), &format!("tls: {{ {own} }}"));
    let answer = ask(&open.address, &server, None).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(ask(&open.address, &other, None).is_err(), "and it is the tap's certificate");

    let mutual =
        tap(&origin.url(), &format!("tls: {{ {own}, client_ca_file: {} }}", at("client.pem")));
    assert!(ask(&mutual.address, &server, Some(&client)).unwrap().starts_with("HTTP/1.1 200"));
    assert!(ask(&mutual.address, &server, None).is_err());
    assert!(ask(&mutual.address, &server, Some(&other)).is_err());
    assert_eq!(mutual.end().outcomes(), ["ping ok"]);
}

#[test]
fn a_handshake_that_stops_half_way_keeps_no_place() {
    let server = Identity::new();
    let dir = tempfile::tempdir().unwrap();
    server.write(dir.path(), "server");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let origin = crate::origin::Origin::echo();
    let own = format!("cert_file: {}, key_file: {}", at("server.pem"), at("server.key"));
    let settings = format!("max_connections: 1\nread_header_timeout: 300ms\ntls: {{ {own} }}");
    let tap = tap(&origin.url(), &settings);
    let mut client = tap.connect();
    // The beginning of a ClientHello, of 512 bytes.
    client.send([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]);
    assert!(client.is_closed());
    crate::process::eventually("its place is free", || {
        ask(&tap.address, &server, None).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    });
}

/// ALPN on both sides: the client and the upstream agree with the tap on HTTP/2.
#[tokio::test]
async fn over_tls_both_sides_may_speak_http2() {
    let identity = Identity::new();
    let dir = tempfile::tempdir().unwrap();
    identity.write(dir.path(), "own");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain(), identity.private())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let service = hyper::service::service_fn(async |request: hyper::Request<_>| {
            assert_eq!(request.version(), hyper::Version::HTTP_2);
            let body = super::versions::collect(request.into_body()).await;
            let text = crate::origin::result_for(&body);
            let text = super::versions::Text(Some(text.into()));
            Ok::<_, std::convert::Infallible>(hyper::Response::new(text))
        });
        let executor = hyper_util::rt::TokioExecutor::new();
        hyper::server::conn::http2::Builder::new(executor)
            .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
            .await
            .ok();
    });
    let routes = format!(
        "[{{ upstream: \"https://localhost:{port}/mcp\", tls: {{ ca_file: {} }} }}]",
        at("own.pem")
    );
    let tls = format!("tls: {{ cert_file: {}, key_file: {} }}", at("own.pem"), at("own.key"));
    let tap = with_routes(&routes, &tls);

    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(identity.roots())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tokio::net::TcpStream::connect(&tap.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(executor)
        .handshake(hyper_util::rt::TokioIo::new(stream))
        .await
        .unwrap();
    tasks.spawn(async move {
        connection.await.ok();
    });
    let request = hyper::Request::post(format!(
        "https://localhost:{}/mcp",
        tap.address.rsplit(':').next().unwrap()
    ))
    .body(super::versions::Text(Some(PING.into())))
    .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let text = super::versions::collect(response.into_body()).await;
    assert!(String::from_utf8(text).unwrap().contains("\"id\":1"));
    drop(sender);
    let end = tokio::task::spawn_blocking(move || tap.end()).await.unwrap();
    assert_eq!(end.outcomes(), ["ping ok"]);
}

#[test]
fn an_upstream_is_reached_over_tls_if_its_certificate_is_trusted() {
    let identity = Identity::new();
    let dir = tempfile::tempdir().unwrap();
    identity.write(dir.path(), "upstream");
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain(), identity.private())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, config) = (socket.unwrap(), Arc::clone(&config));
            thread::spawn(move || {
                let mut tls = ServerConnection::new(config).unwrap();
                let mut stream = Stream::new(&mut tls, &mut socket);
                let mut got = Vec::new();
                while !got.ends_with(PING.as_bytes()) {
                    let mut some = [0; 1024];
                    match stream.read(&mut some) {
                        Ok(n) if n > 0 => got.extend_from_slice(&some[..n]),
                        _ => return,
                    }
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").ok();
                stream.flush().ok();
            });
        }
    });
    let ca = dir.path().join("upstream.pem").display().to_string();
    let routes = format!(
        "[{{ path: /known, upstream: \"https://localhost:{port}/mcp\", tls: {{ ca_file: {ca} }} }}, \
          {{ path: /any, upstream: \"https://localhost:{port}/mcp\", tls: {{ ca_file: {ca}, server_name_override: elsewhere }} }}]"
    );
    let tap = with_routes(&routes, "");
    assert_eq!(tap.ask("POST /known", PING).status, 200);
    let answer = tap.ask("POST /any", PING);
    assert_eq!(answer.status, 502, "the certificate is for another name");
    assert!(answer.text().contains("\"id\":1"));
}
