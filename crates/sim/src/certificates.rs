//! The agents' TLS: one key for the whole fleet and one self-signed certificate per address, as making a key for each of
//! thousands of agents would only measure the key generator. What the service sees is the same: a certificate
//! that it has not seen before, sent with the heartbeat, valid for the agent's address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::SimError;

/// Certificates by address, made when first asked for.
pub(crate) struct Certificates {
    key: KeyPair,
    made: Mutex<HashMap<IpAddr, Arc<AgentCertificate>>>,
}

/// A certificate and the server side that presents it.
pub(crate) struct AgentCertificate {
    /// For `agent_verify_ca`.
    pub(crate) pem: String,
    pub(crate) acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl Certificates {
    pub(crate) fn new() -> Result<Self, SimError> {
        let key = KeyPair::generate().map_err(SimError::Certificate)?;
        Ok(Self { key, made: Mutex::default() })
    }

    /// The certificate of agents at `address`.
    pub(crate) fn of(&self, address: IpAddr) -> Result<Arc<AgentCertificate>, SimError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(certificate) = made.get(&address) {
            return Ok(Arc::clone(certificate));
        }
        let certificate = Arc::new(self.make(address)?);
        made.insert(address, Arc::clone(&certificate));
        Ok(certificate)
    }

    fn make(&self, address: IpAddr) -> Result<AgentCertificate, SimError> {
        let mut parameters =
            CertificateParams::new(vec![address.to_string()]).map_err(SimError::Certificate)?;
        parameters.distinguished_name.push(DnType::CommonName, address.to_string());
        let certificate = parameters.self_signed(&self.key).map_err(SimError::Certificate)?;
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(SimError::Tls)?;
        // Sessions are not resumed: their store would be the largest thing about an agent.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(AgentCertificate { pem: certificate.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}
