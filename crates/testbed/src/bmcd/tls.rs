//! A certificate that nobody vouches for, as each BMC makes one for itself.

use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::failure::{Failure, Tried};

/// Takes TLS connections, with a key made now. Its certificate names no host.
pub fn acceptor() -> Result<TlsAcceptor, Failure> {
    let tried = || "make a certificate".to_owned();
    let key = KeyPair::generate().tried(tried)?;
    let mut params = CertificateParams::new(Vec::new()).tried(tried)?;
    params.distinguished_name.push(DnType::CommonName, "turingpi");
    let certificate = params.self_signed(&key).tried(tried)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .tried(tried)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .tried(tried)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
