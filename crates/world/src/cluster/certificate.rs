//! What can be told of the certificate that we show.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bringup_core::text::kubeconfig::{ClusterAccess, Identity};
use x509_parser::pem::parse_x509_pem;

/// How long our own certificate is valid, in a sentence; empty if that cannot be told.
pub(super) fn ours(access: &ClusterAccess, server: &str) -> String {
    let valid = || {
        let Identity::Certificate { certificate, .. } = access.identity() else { return None };
        valid(&STANDARD.decode(certificate).ok()?)
    };
    valid().map(|valid| format!("the certificate shown to {server} {valid}")).unwrap_or_default()
}

pub(super) fn valid(pem: &[u8]) -> Option<String> {
    let (_, pem) = parse_x509_pem(pem).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let end = certificate.validity().not_after;
    let until = jiff::Timestamp::from_second(end.timestamp()).ok()?;
    let over = until < jiff::Timestamp::now();
    Some(if over { format!("expired at {until}") } else { format!("is valid until {until}") })
}
