//! How an agent proves that it is the agent: by exactly the certificate it sent, by a bundle, or not at all.

use std::sync::Arc;

use rustls::client::{Resumption, danger::ServerCertVerifier};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tls_pin::{ByCertificate, by_authorities, provider};

use crate::error::TrustError;

/// How the agent's server certificate is verified.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The PEM text that the agent sent as `agent_verify_ca`: that certificate, byte for byte, and no other. Names and
    /// dates do not matter (the ramdisk's clock may be wrong); the handshake must be signed by its key.
    Certificate(String),
    /// A PEM bundle of authorities, by the usual rules.
    Authorities(String),
    /// Roots that were loaded once for many agents.
    Roots(Arc<RootCertStore>),
    /// Nothing is verified. Only when the operator says so.
    Nothing,
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    match found.map_err(TrustError::NotPem)? {
        none if none.is_empty() => Err(TrustError::NoCertificate),
        some => Ok(some),
    }
}

impl Trust {
    /// A TLS client configuration that trusts just this. It holds two sessions for resumption instead of the usual
    /// 256, since there is one configuration per agent.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, TrustError> {
        let verifier: Arc<dyn ServerCertVerifier> = match self {
            Self::Certificate(pem) => {
                let pinned = certificates(pem)?;
                Arc::new(ByCertificate::new(move |shown| {
                    pinned.iter().any(|pin| pin.as_ref() == shown.as_ref())
                }))
            }
            Self::Authorities(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem)? {
                    roots.add(certificate).map_err(TrustError::BadRoot)?;
                }
                by_authorities(Arc::new(roots)).map_err(TrustError::NoVerifier)?
            }
            Self::Roots(roots) => by_authorities(roots.clone()).map_err(TrustError::NoVerifier)?,
            Self::Nothing => Arc::new(ByCertificate::new(|_| true)),
        };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(2);
        Ok(config)
    }
}
