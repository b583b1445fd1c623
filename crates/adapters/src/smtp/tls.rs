//! Which certificates a mail server may show.

use super::config::SmtpConfigError;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;

/// Verifies against the public roots; with `extra`, against the certificates in that PEM file as well: each is
/// trusted as an authority, and as the server's own certificate when the server shows exactly it.
pub(super) fn client_config(extra: Option<&Path>) -> Result<Arc<ClientConfig>, SmtpConfigError> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let pinned = extra.map(read_certificates).transpose()?.unwrap_or_default();
    for certificate in &pinned {
        roots.add(certificate.clone()).map_err(|error| SmtpConfigError::TlsCa(error.to_string()))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| SmtpConfigError::TlsCa(error.to_string()))?;
    let config = if pinned.is_empty() {
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| SmtpConfigError::TlsCa(error.to_string()))?;
        let verifier = Arc::new(PinnedOrPublic { pinned, webpki });
        builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
    };
    Ok(Arc::new(config))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SmtpConfigError> {
    let unusable = |error: rustls::pki_types::pem::Error| SmtpConfigError::TlsCa(error.to_string());
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(unusable)?.collect();
    let certificates = certificates.map_err(unusable)?;
    if certificates.is_empty() {
        return Err(SmtpConfigError::TlsCa("the file holds no certificate".to_owned()));
    }
    Ok(certificates)
}

/// Accepts a server that shows one of the pinned certificates byte for byte, whatever name or date is on it (it still
/// has to prove that it holds the key); any other has to verify as usual.
#[derive(Debug)]
struct PinnedOrPublic {
    pinned: Vec<CertificateDer<'static>>,
    webpki: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for PinnedOrPublic {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.pinned.iter().any(|pinned| pinned.as_ref() == end_entity.as_ref()) {
            return Ok(ServerCertVerified::assertion());
        }
        self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}
