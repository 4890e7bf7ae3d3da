//! Whom TLS trusts.

use std::io;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Whoever the controller's own system trusts: a mirror inside a company bears that company's certificate, which no
/// bundled list would know. `SSL_CERT_FILE` and `SSL_CERT_DIR` are followed.
///
/// # Errors
/// When the system has no certificates.
pub(super) fn trusting_the_system() -> io::Result<ClientConfig> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("this system trusts no certificate authority{why}"),
        ));
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
