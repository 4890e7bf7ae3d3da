//! A real API server on loopback, with etcd behind it and the controller manager beside it.
//!
//! `BRINGUP_KUBERNETES` names the directory with `kube-apiserver` and `kube-controller-manager`, `BRINGUP_ETCD` that
//! with `etcd`.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bringup_core::contract::world::BoxFuture;
use bringup_core::run::fault::Fault;
use bringup_core::text::kubeconfig::ClusterAccess;
use bringup_core::text::secret::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::access::Access;
use crate::cluster::session::{Bounds, Session};

/// An authority that signs certificates.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate and its key. `until`: the year in which it ends.
    pub fn sign(&self, name: &str, organization: &str, addresses: &[&str], until: i32) -> (String, String) {
        let addresses: Vec<String> = addresses.iter().map(|address| (*address).to_owned()).collect();
        let mut params = CertificateParams::new(addresses).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, organization);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A kubeconfig as k3s writes it.
pub fn kubeconfig(server: &str, authority: &str, (certificate, key): &(String, String)) -> Secret {
    let data = |text: &str| STANDARD.encode(text);
    Secret::new(
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "default",
            "clusters": [{"name": "default", "cluster": {"server": server, "certificate-authority-data": data(authority)}}],
            "users": [{"name": "default", "user": {
                "client-certificate-data": data(certificate), "client-key-data": data(key)}}],
            "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        })
        .to_string(),
    )
}

/// What is found, one after the other; the last stays.
pub struct Told(Mutex<Vec<ClusterAccess>>);

impl Told {
    pub fn once(kubeconfig: Secret) -> Self {
        Self::each([kubeconfig])
    }

    pub fn each(kubeconfigs: impl IntoIterator<Item = Secret>) -> Self {
        let access = kubeconfigs.into_iter().map(|kubeconfig| ClusterAccess::parse(kubeconfig.expose()).unwrap());
        Self(Mutex::new(access.collect()))
    }
}

impl Access for Told {
    fn read(&self) -> BoxFuture<'_, Result<ClusterAccess, Fault>> {
        let mut found = self.0.lock().unwrap();
        let next = if found.len() > 1 { found.remove(0) } else { found[0].clone() };
        Box::pin(async move { Ok(next) })
    }
}

/// The programs that run.
pub struct Rig {
    pub authority: Authority,
    pub port: u16,
    children: Vec<Child>,
    directory: TempDir,
}

impl Drop for Rig {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port that nobody listens at.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

const KUBERNETES: &str = "BRINGUP_KUBERNETES";

fn program(variable: &str, name: &str) -> PathBuf {
    let at = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} does not say where {name} is"));
    let path = PathBuf::from(at).join(name);
    assert!(path.exists(), "{} is not there", path.display());
    path
}

impl Rig {
    /// Starts it.
    pub async fn start() -> Self {
        let (api_server, etcd) = (program(KUBERNETES, "kube-apiserver"), program("BRINGUP_ETCD", "etcd"));
        let manager = program(KUBERNETES, "kube-controller-manager");
        let authority = Authority::new("kubernetes");
        let mut rig = Self { authority, port: free_port(), children: Vec::new(), directory: TempDir::new().unwrap() };
        let (clients, peers) = (free_port(), free_port());
        let clients = format!("http://127.0.0.1:{clients}");
        let peers = format!("http://127.0.0.1:{peers}");
        rig.run(
            &etcd,
            &[
                ("data-dir", &rig.path("etcd")),
                ("listen-client-urls", &clients),
                ("advertise-client-urls", &clients),
                ("listen-peer-urls", &peers),
                ("initial-advertise-peer-urls", &peers),
                ("initial-cluster", &format!("default={peers}")),
                ("unsafe-no-fsync", "true"),
            ],
        );
        let server = rig.authority.sign("kube-apiserver", "kubernetes", &["127.0.0.1"], 4000);
        rig.write("ca.pem", &rig.authority.pem);
        rig.write("server.pem", &server.0);
        rig.write("server.key", &server.1);
        let accounts = KeyPair::generate().unwrap();
        rig.write("accounts.key", &accounts.serialize_pem());
        rig.write("accounts.pub", &accounts.public_key_pem());
        rig.run(
            &api_server,
            &[
                ("etcd-servers", &clients),
                ("bind-address", "127.0.0.1"),
                ("advertise-address", "127.0.0.1"),
                ("secure-port", &rig.port.to_string()),
                ("tls-cert-file", &rig.path("server.pem")),
                ("tls-private-key-file", &rig.path("server.key")),
                ("client-ca-file", &rig.path("ca.pem")),
                ("service-account-issuer", "https://kubernetes.default.svc"),
                ("service-account-key-file", &rig.path("accounts.pub")),
                ("service-account-signing-key-file", &rig.path("accounts.key")),
                ("service-cluster-ip-range", "10.99.0.0/24"),
                ("authorization-mode", "RBAC"),
                ("disable-admission-plugins", "ServiceAccount"),
            ],
        );
        rig.write("admin.yaml", rig.admin().expose());
        rig.ready().await;
        rig.run(
            &manager,
            &[
                ("kubeconfig", &rig.path("admin.yaml")),
                (
                    "controllers",
                    "disruption-controller,replicaset-controller,deployment-controller,namespace-controller",
                ),
                ("leader-elect", "false"),
                ("secure-port", "0"),
            ],
        );
        rig
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_string_lossy().into_owned()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn run(&mut self, program: &Path, flags: &[(&str, &str)]) {
        let log = File::create(self.path(&format!("{}.log", program.file_name().unwrap().display()))).unwrap();
        let child = Command::new(program)
            .args(flags.iter().map(|(name, value)| format!("--{name}={value}")))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.children.push(child);
    }

    pub fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The administrator's kubeconfig.
    pub fn admin(&self) -> Secret {
        let user = self.authority.sign("system:admin", "system:masters", &[], 4000);
        kubeconfig(&self.server(), &self.authority.pem, &user)
    }

    /// A way to the API for what a test itself does.
    pub(in crate::cluster) async fn session(&self) -> Session {
        let access = ClusterAccess::parse(self.admin().expose()).unwrap();
        Session::open(access, Bounds::default(), std::sync::Arc::default()).unwrap()
    }

    async fn ready(&self) {
        let session = self.session().await;
        for _ in 0..300 {
            // The default namespace is the last thing that the API server makes for itself.
            if session.get("/api/v1/namespaces/default").await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let log = std::fs::read_to_string(self.path("kube-apiserver.log")).unwrap_or_default();
        panic!("the API server did not come up:\n{}", log.lines().rev().take(20).collect::<Vec<_>>().join("\n"));
    }
}

/// Asks again and again until something holds.
pub async fn until<F: AsyncFnMut() -> bool>(what: &str, mut holds: F) {
    for _ in 0..300 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never came about: {what}");
}

/// A custom resource definition of Argo CD's kinds, as far as it matters here.
pub fn definition(kind: &str) -> Value {
    let plural = format!("{}s", kind.to_lowercase());
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.argoproj.io")},
        "spec": {
            "group": "argoproj.io", "scope": "Namespaced",
            "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    })
}
