//! Certificates: exactly the agent's own is taken, whatever its names and dates; no other is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use agent_api::AgentToken;
use agent_client::{AgentClient, AgentError, AgentTarget, ClientOptions, Trust};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

fn certificate(name: &str) -> (String, ServerConfig) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2001, 2, 1);
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    (certificate.pem(), config)
}

/// A TLS server that answers every request with a finished `sync`; returns its URL and how many connections it took.
async fn serve(config: ServerConfig) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(socket).await?;
                let body = r#"{"id":"1","command_name":"sync","command_status":"SUCCEEDED"}"#;
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await? > 0 {
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                    stream.write_all((head + body).as_bytes()).await?;
                    stream.flush().await?;
                }
                std::io::Result::Ok(())
            });
        }
    });
    (url, accepted)
}

fn client(url: &str, trust: Trust) -> AgentClient {
    let token = Some(AgentToken::new("x".repeat(43)));
    AgentClient::new(&AgentTarget { url: url.to_owned(), token, trust }, ClientOptions::default()).unwrap()
}

#[tokio::test]
async fn the_agents_own_certificate_is_taken_and_the_connection_kept() {
    // Wrong name, long expired, no authority: it is nevertheless the one the agent sent.
    let (pem, config) = certificate("elsewhere.example");
    let (url, accepted) = serve(config).await;
    let client = client(&url, Trust::Certificate(pem));
    for _ in 0..3 {
        client.sync().await.unwrap();
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn no_other_certificate_is() {
    let (_, config) = certificate("127.0.0.1");
    let (url, accepted) = serve(config).await;
    let (other, _) = certificate("127.0.0.1");
    let error = client(&url, Trust::Certificate(other.clone())).sync().await.unwrap_err();
    assert!(matches!(error, AgentError::Untrusted(_)), "{error:?}");
    assert!(!error.is_transient());
    assert_eq!(accepted.load(Ordering::SeqCst), 1, "an impostor is not asked twice");
    let error = client(&url, Trust::Authorities(other)).sync().await.unwrap_err();
    assert!(matches!(error, AgentError::Untrusted(_)), "{error:?}");
}

/// Shows a certificate whose key it does not have.
#[derive(Debug)]
struct Shows(Arc<rustls::sign::CertifiedKey>);
impl rustls::server::ResolvesServerCert for Shows {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[tokio::test]
async fn a_certificate_shown_without_its_key_is_refused() {
    let (pem, _) = certificate("127.0.0.1");
    let shown: Vec<_> =
        rustls::pki_types::pem::PemObject::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap();
    let thief = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let key = PrivateKeyDer::Pkcs8(thief.serialize_der().into());
    let provider = ring::default_provider();
    let signer = provider.key_provider.load_private_key(key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shows(Arc::new(rustls::sign::CertifiedKey::new(shown, signer)))));
    let (url, _) = serve(config).await;
    assert!(client(&url, Trust::Certificate(pem)).sync().await.is_err());
}

#[tokio::test]
async fn nothing_to_verify_takes_anyone() {
    let (_, config) = certificate("127.0.0.1");
    let (url, _) = serve(config).await;
    client(&url, Trust::Nothing).sync().await.unwrap();
}

#[test]
fn certificates_that_are_none() {
    for pem in ["", "rubbish", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"] {
        for trust in [Trust::Certificate(pem.into()), Trust::Authorities(pem.into())] {
            let target = AgentTarget { url: "https://127.0.0.1:1".into(), token: None, trust };
            assert!(
                matches!(AgentClient::new(&target, ClientOptions::default()), Err(AgentError::Trust(_))),
                "{pem}"
            );
        }
    }
}

/// Thousands of agents live in one process: what one costs while idle is bounded.
#[test]
fn a_client_is_small() {
    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }
    let (pem, _) = certificate("127.0.0.1");
    let warm = client("https://127.0.0.1:1", Trust::Certificate(pem.clone()));
    let before = resident();
    let clients: Vec<_> =
        (0..2000).map(|_| client("https://127.0.0.1:1", Trust::Certificate(pem.clone()))).collect();
    let each = resident().saturating_sub(before) / clients.len();
    println!("{each} bytes each");
    assert!(each < 20_000, "{each} bytes each");
    drop(warm);
}
