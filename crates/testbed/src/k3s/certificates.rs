//! The cluster's CAs, and certificates by them.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use super::files::write;

/// A certificate and its key, as files hold them.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// Who a certificate is for.
#[derive(Clone, Copy, Debug)]
pub enum Use<'a> {
    /// A client of this name, in these groups.
    Client(&'a str, &'a [&'a str]),
    /// A server of this name, at these names and addresses.
    Server(&'a str, &'a [String]),
    /// etcd, which is both to itself.
    Both(&'a str, &'a [String]),
}

/// A CA in its directory.
pub struct Authority {
    path: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// The one at `PATH.crt` and `PATH.key`, made now if it is not there.
    pub fn provide(path: &Path, name: &str) -> Result<Self, String> {
        let (certificate, key) = (path.with_extension("crt"), path.with_extension("key"));
        let tried = |error: rcgen::Error| format!("{}: {error}", certificate.display());
        if !certificate.exists() {
            let pair = KeyPair::generate().map_err(tried)?;
            let mut params = CertificateParams::new(Vec::new()).map_err(tried)?;
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages =
                vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::KeyCertSign];
            let signed = params.self_signed(&pair).map_err(tried)?;
            write(&key, &pair.serialize_pem(), 0o600)?;
            write(&certificate, &signed.pem(), 0o644)?;
        }
        let read = |path: &Path| fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()));
        let certificate_text = read(&certificate)?;
        let pair = KeyPair::from_pem(&read(&key)?).map_err(tried)?;
        let issuer = Issuer::from_ca_cert_pem(&certificate_text, pair).map_err(tried)?;
        Ok(Self { path: certificate, issuer, certificate: certificate_text })
    }

    /// The certificate of the CA itself.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new certificate, with the CA's own behind it.
    pub fn issue(&self, wanted: Use) -> Result<Pair, String> {
        let tried = |error: rcgen::Error| format!("make a certificate: {error}");
        let (name, names, usages) = match wanted {
            Use::Client(name, _) => (name, &[][..], vec![ExtendedKeyUsagePurpose::ClientAuth]),
            Use::Server(name, names) => (name, names, vec![ExtendedKeyUsagePurpose::ServerAuth]),
            Use::Both(name, names) => {
                (name, names, vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth])
            }
        };
        let key = KeyPair::generate().map_err(tried)?;
        let mut params = CertificateParams::new(names.to_vec()).map_err(tried)?;
        params.distinguished_name.push(DnType::CommonName, name);
        if let Use::Client(_, groups) = wanted {
            for group in groups {
                params.distinguished_name.push(DnType::OrganizationName, *group);
            }
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = usages;
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&key, &self.issuer).map_err(tried)?;
        Ok(Pair { certificate: format!("{}{}", signed.pem(), self.certificate), key: key.serialize_pem() })
    }

    /// A new certificate in files `PATH.crt` and `PATH.key`.
    pub fn issue_to(&self, path: &Path, wanted: Use) -> Result<(), String> {
        let pair = self.issue(wanted)?;
        write(&path.with_extension("key"), &pair.key, 0o600)?;
        write(&path.with_extension("crt"), &pair.certificate, 0o644)
    }
}

/// A key alone, made now unless it is there, and beside it what it is checked by: the API server reads a private key in
/// this form where it signs, and not where it checks.
pub fn key(path: &Path) -> Result<(), String> {
    let public = path.with_extension("pub");
    if path.exists() && public.exists() {
        return Ok(());
    }
    let key = KeyPair::generate().map_err(|error| format!("make {}: {error}", path.display()))?;
    write(path, &key.serialize_pem(), 0o600)?;
    write(&public, &key.public_key_pem(), 0o644)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_stays_and_signs_for_clients_with_their_groups() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tls/client-ca");
        let first = Authority::provide(&path, "k3s-client-ca").unwrap();
        let again = Authority::provide(&path, "k3s-client-ca").unwrap();
        assert_eq!(first.certificate(), again.certificate());
        let pair = again.issue(Use::Client("system:admin", &["system:masters"])).unwrap();
        assert_eq!(pair.certificate.matches("BEGIN CERTIFICATE").count(), 2);
        let der = rustls_pemfile_first(&pair.certificate);
        assert_eq!(
            super::super::front::identity(&der),
            Some(("system:admin".to_owned(), vec!["system:masters".to_owned()]))
        );
    }

    fn rustls_pemfile_first(text: &str) -> Vec<u8> {
        use tokio_rustls::rustls::pki_types::CertificateDer;
        use tokio_rustls::rustls::pki_types::pem::PemObject;
        CertificateDer::from_pem_slice(text.as_bytes()).unwrap().to_vec()
    }
}
