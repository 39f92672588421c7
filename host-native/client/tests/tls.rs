//! The client and a server behind TLS, whose certificate nobody knows but who is told.

use std::sync::Arc;
use std::time::Duration;

use burrow_client::{Client, Error, Put, Trust};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Answers every request on `listener` as if a message were put.
async fn serve(listener: TcpListener, config: ServerConfig) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // A client that does not trust the certificate goes away at once.
        let Ok(mut stream) = acceptor.accept(stream).await else {
            continue;
        };
        let mut request = Vec::new();
        while !request.ends_with(b"hello") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        assert!(request.starts_with(b"PUT /v1.0/a/q/1 "));
        let created = b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(created).await.unwrap();
        stream.shutdown().await.unwrap();
    }
}

struct Fixture {
    url: String,
    /// Of the authority that has signed the server's certificate, in PEM.
    authority: String,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

async fn server() -> Fixture {
    let authority = authority();
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap();
    let certificate = certificate.signed_by(&key, &authority).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![certificate.into()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener, config));
    Fixture {
        url: format!("https://localhost:{port}"),
        authority: authority.pem(),
    }
}

async fn put(url: &str, trust: Trust) -> Result<String, Error> {
    let builder = Client::builder().deadline(Duration::from_secs(3));
    let builder = builder.trust(trust).server(url)?;
    let queue = builder.build()?.queue("a", "q");
    queue.put(Put::new("hello").id("1")).await
}

#[tokio::test]
async fn a_certificate_is_good_if_its_authority_is_trusted() {
    let Fixture { url, authority } = server().await;
    let trust = Trust::only(authority.as_bytes()).unwrap();
    assert_eq!(put(&url, trust).await.as_deref(), Ok("1"));
}

#[tokio::test]
async fn a_certificate_of_anybody_else_is_not() {
    let Fixture { url, .. } = server().await;
    let other = Trust::only(authority().pem().as_bytes()).unwrap();
    for trust in [Trust::default(), other] {
        let outcome = put(&url, trust).await;
        let is_refused =
            matches!(&outcome, Err(Error::NotDone(text)) if text.contains("certificate"));
        assert!(is_refused, "{outcome:?}");
    }
}

#[test]
fn what_is_no_certificate_is_refused() {
    for pem in [
        "",
        "hello",
        "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
    ] {
        let trust = Trust::only(pem.as_bytes());
        assert!(matches!(trust, Err(Error::Invalid(_))), "{pem}");
    }
}
