//! TLS: the agent's own certificate, and whom it believes to be the API or an image server.

use crate::{clock, parameters::Parameters};
use rcgen::{CertificateParams, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    version::TLS13,
};
use sha2::{Digest, Sha256};
use std::{net::IpAddr, path::Path, sync::Arc};

/// Bundles of authorities that the ramdisk may have: the site's own, and the distribution's.
const BUNDLES: [&str; 2] = ["/etc/wrought/ca.pem", "/etc/ssl/certs/ca-certificates.crt"];
/// Days that the certificate is valid; a ramdisk lives for hours.
const VALID_DAYS: i64 = 30;

/// What can go wrong when TLS is set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[source] rcgen::Error),
    /// The configuration was refused.
    #[error("cannot set up TLS")]
    Setup(#[source] Error),
}

/// The agent's server side: what it serves with, and what it sends as `agent_verify_ca`.
#[derive(Debug, Clone)]
pub struct ServerIdentity {
    /// Configuration of the server.
    pub config: Arc<ServerConfig>,
    /// The certificate as PEM.
    pub certificate: String,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Makes a key and a self-signed certificate for `address`. `tls13_only` leaves TLS 1.2 out.
///
/// P-256 rather than P-384: the same trust for a tenth of the time in an emulated machine, and every client has it.
pub fn self_signed(address: IpAddr, name: &str, tls13_only: bool) -> Result<ServerIdentity, TlsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(TlsError::Certificate)?;
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress(address)];
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::ExplicitNoCa;
    #[expect(clippy::cast_possible_truncation, reason = "days since 1970 fit")]
    let today = (clock::unix_seconds() / 86_400.0) as i64;
    let date = |days| {
        let (year, month, day) = clock::civil(days);
        rcgen::date_time_ymd(year, month, day)
    };
    // Clocks of conductor and ramdisk differ: valid from yesterday.
    (params.not_before, params.not_after) = (date(today - 1), date(today + VALID_DAYS));
    let certificate = params.self_signed(&key).map_err(TlsError::Certificate)?;
    let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = if tls13_only {
        builder.with_protocol_versions(&[&TLS13])
    } else {
        builder.with_safe_default_protocol_versions()
    };
    let config = builder
        .map_err(TlsError::Setup)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .map_err(TlsError::Setup)?;
    Ok(ServerIdentity { config: Arc::new(config), certificate: certificate.pem() })
}

/// The client side: a pinned certificate, no verification, or the ramdisk's bundles of authorities.
pub fn client_config(parameters: &Parameters, bundles: &[&Path]) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?;
    let config = match (parameters.api_pin, parameters.insecure) {
        (None, false) => builder.with_root_certificates(roots(bundles)).with_no_client_auth(),
        (pin, _) => {
            let verifier = Arc::new(Unusual { pin, roots: roots(bundles), provider: provider() });
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
    };
    Ok(Arc::new(config))
}

/// The bundles of authorities a ramdisk has.
pub fn default_bundles() -> Vec<&'static Path> {
    BUNDLES.iter().map(Path::new).collect()
}

fn roots(bundles: &[&Path]) -> RootCertStore {
    let mut store = RootCertStore::empty();
    for bundle in bundles.iter().filter(|bundle| bundle.exists()) {
        match CertificateDer::pem_file_iter(bundle) {
            Ok(found) => {
                let (added, refused) = store.add_parsable_certificates(found.filter_map(Result::ok));
                tracing::debug!(bundle = %bundle.display(), added, refused, "authorities");
            }
            Err(error) => tracing::warn!(bundle = %bundle.display(), %error, "authorities cannot be read"),
        }
    }
    store
}

/// Takes a certificate by its digest; without a pin, any ("insecure"). Either way the handshake must be signed by the
/// certificate's key. A pinned certificate may have any name and date. An image server whose certificate is not the
/// pinned one must satisfy the ordinary rules.
#[derive(Debug)]
struct Unusual {
    pin: Option<[u8; 32]>,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Unusual {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.pin {
            None => Ok(ServerCertVerified::assertion()),
            Some(pin) if Sha256::digest(end_entity.as_ref())[..] == pin => {
                Ok(ServerCertVerified::assertion())
            }
            Some(_) if self.roots.is_empty() => {
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            Some(_) => {
                let roots = Arc::new(self.roots.clone());
                let ordinary =
                    rustls::client::WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone())
                        .build()
                        .map_err(|error| Error::General(error.to_string()))?;
                ordinary.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
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
