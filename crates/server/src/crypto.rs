//! The one provider of cryptography that the whole process uses.

/// Makes ring the process's provider for TLS. Must run before the first HTTP client is built, which panics otherwise;
/// running it again changes nothing.
pub fn install_provider() {
    // An error means that a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
