//! What can be told of the certificate that we show.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::Kubeconfig;
use x509_parser::pem::parse_x509_pem;

use super::access::Found;

/// How long our own certificate is valid, in a sentence; empty if that cannot be told.
pub(super) fn ours(found: &Found, server: &str) -> String {
    valid(found).map(|valid| format!("the certificate shown to {server} {valid}")).unwrap_or_default()
}

fn valid(found: &Found) -> Option<String> {
    let kubeconfig = Kubeconfig::from_yaml(found.kubeconfig.expose()).ok()?;
    let user = kubeconfig.auth_infos.into_iter().next()?.auth_info?;
    let pem = STANDARD.decode(user.client_certificate_data?).ok()?;
    let (_, pem) = parse_x509_pem(&pem).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let end = certificate.validity().not_after;
    let until = jiff::Timestamp::from_second(end.timestamp()).ok()?;
    let over = until < jiff::Timestamp::now();
    Some(if over { format!("expired at {until}") } else { format!("is valid until {until}") })
}
