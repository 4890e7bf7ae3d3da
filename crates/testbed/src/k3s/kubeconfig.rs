//! Files that say where the API server is and who one is to it.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::certificates::Pair;
use crate::template::filled;

/// One with its certificates in it, as `/etc/rancher/k3s/k3s.yaml` is.
pub fn whole(server: &str, ca: &str, me: &Pair) -> String {
    let data = |text: &str| BASE64.encode(text);
    text(
        server,
        &format!("certificate-authority-data: {}", data(ca)),
        &format!("client-certificate-data: {}\n    client-key-data: {}", data(&me.certificate), data(&me.key)),
        "default",
    )
}

/// One that names the files of its certificates.
pub fn with_files(server: &str, ca: &Path, me: &Path) -> String {
    text(
        server,
        &format!("certificate-authority: {}", ca.display()),
        &format!(
            "client-certificate: {}\n    client-key: {}",
            me.with_extension("crt").display(),
            me.with_extension("key").display()
        ),
        "local",
    )
}

fn text(server: &str, ca: &str, user: &str, name: &str) -> String {
    let values = [("CA", ca), ("SERVER", server), ("NAME", name), ("USER", user)];
    filled(include_str!("kubeconfig.yaml"), &values)
}
