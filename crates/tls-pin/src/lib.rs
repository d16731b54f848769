//! Trust in a TLS server by the certificate itself: names, dates and chains do not matter, the handshake's signature does.
//!
//! Agents make their own certificates and the ramdisk's clock may be wrong, so both ends pin. Knows neither where a pin
//! comes from nor what is connected to.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// The one cryptography provider of the process: it is made once and shared by every configuration.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(ring::default_provider())).clone()
}

/// The usual rules of X.509 by these authorities.
///
/// # Errors
/// When there is no authority among them.
pub fn by_authorities(
    roots: Arc<RootCertStore>,
) -> Result<Arc<dyn ServerCertVerifier>, VerifierBuilderError> {
    let verifier: Arc<dyn ServerCertVerifier> =
        WebPkiServerVerifier::builder_with_provider(roots, provider()).build()?;
    Ok(verifier)
}

/// Takes the certificates that `accepts` says yes to, whatever their names and dates; others are judged by the usual
/// rules if there are any, and refused if not. The handshake must in any case be signed by the certificate's key.
pub struct ByCertificate<F> {
    accepts: F,
    otherwise: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl<F: Fn(&CertificateDer<'_>) -> bool> ByCertificate<F> {
    /// A self-signed end-entity certificate is no authority by the rules of X.509, so it takes a verifier of its own.
    pub fn new(accepts: F) -> Self {
        Self { accepts, otherwise: None, provider: provider() }
    }

    /// What decides on certificates that are not accepted by themselves.
    #[must_use]
    pub fn or_else(self, otherwise: Option<Arc<dyn ServerCertVerifier>>) -> Self {
        Self { otherwise, ..self }
    }
}

impl<F> fmt::Debug for ByCertificate<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByCertificate").field("otherwise", &self.otherwise).finish_non_exhaustive()
    }
}

impl<F: Fn(&CertificateDer<'_>) -> bool + Send + Sync> ServerCertVerifier for ByCertificate<F> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if (self.accepts)(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.otherwise {
            Some(usual) => {
                usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
