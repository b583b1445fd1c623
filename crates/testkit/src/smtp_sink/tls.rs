//! The sink's certificates: fixtures that nothing trusts by itself.

use anyhow::Context;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/smtp").join(name)
}

pub(super) fn acceptor(self_signed: bool) -> anyhow::Result<TlsAcceptor> {
    let file = fixture(if self_signed { "selfsigned.pem" } else { "server.pem" });
    let chain: Vec<_> = CertificateDer::pem_file_iter(file).context("certificate")?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).context("key")?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
