//! TLS: the agent's own certificate, and whom it believes to be the API or an image server.

use std::{net::IpAddr, path::Path, sync::Arc};

use rcgen::{CertificateParams, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ClientConfig, Error, RootCertStore, ServerConfig, version::TLS13};
use sha2::{Digest, Sha256};
use tls_pin::{ByCertificate, by_authorities, provider};

use crate::{clock, parameters::Parameters};

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
    let verifier: Arc<dyn ServerCertVerifier> = match (parameters.api_pin, parameters.insecure) {
        (None, false) => {
            return Ok(Arc::new(builder.with_root_certificates(roots(bundles)).with_no_client_auth()));
        }
        (None, true) => Arc::new(ByCertificate::new(|_| true)),
        (Some(pin), _) => {
            // An image server whose certificate is not the pinned one must satisfy the ordinary rules; without
            // authorities there are none it could satisfy.
            let usual = by_authorities(Arc::new(roots(bundles))).ok();
            let is_pinned = move |shown: &CertificateDer<'_>| Sha256::digest(shown.as_ref())[..] == pin;
            Arc::new(ByCertificate::new(is_pinned).or_else(usual))
        }
    };
    Ok(Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
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
