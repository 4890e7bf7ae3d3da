//! What an API says no with, or does not say at all, as the operator needs it.

use bringup_core::ids::Target;
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::text::kubeconfig::ClusterAccess;
use serde::Deserialize;
use tokio_rustls::rustls;

use super::certificate;
use crate::ssh::is_ours;

/// Why a request did not do what it asked for.
#[derive(Clone, Debug)]
pub(super) enum ApiError {
    /// Nobody answers there.
    Silent { server: String, said: String },
    /// It could not be asked: this machine has no descriptors left, or no network.
    Local { server: String, said: String },
    /// No answer in time.
    Slow { server: String, seconds: u64 },
    /// It answers with more than anything that is asked for can be.
    TooLong { server: String, longest: usize },
    /// The connection went away.
    Lost { server: String, said: String },
    /// Its certificate is none for the address that it was dialled at.
    OtherName { server: String, said: String },
    /// Its certificate is not valid at this time.
    Expired { server: String, said: String },
    /// Its certificate, or ours, is of another authority.
    OtherAuthority { server: String, said: String },
    /// It answers, and says no.
    Refused(Refusal),
    /// What came back is no answer.
    Odd(String),
}

/// A refusal, as the API words it.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusal {
    /// HTTP's status.
    pub code: u16,
    /// The sentence.
    pub message: String,
    /// The causes.
    pub causes: Vec<RefusalCause>,
    /// What is known of the certificate that we showed, where it was not believed.
    shown: Option<String>,
}

/// One cause of a refusal.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RefusalCause {
    /// Kubernetes' word.
    pub reason: String,
    /// The sentence.
    pub message: String,
    /// The field.
    pub field: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StatusText {
    message: String,
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    causes: Vec<RefusalCause>,
}

impl Refusal {
    pub fn of(code: u16, body: &[u8], server: &str, access: &ClusterAccess) -> Self {
        // Unknown paths are answered in plain text.
        let status = serde_json::from_slice(body).unwrap_or_else(|_| StatusText {
            message: String::from_utf8_lossy(&body[..body.len().min(300)]).trim().to_owned(),
            ..StatusText::default()
        });
        let shown = (code == 401).then(|| certificate::ours(access, server));
        let causes = status.details.map(|details| details.causes).unwrap_or_default();
        Self { code, message: status.message, causes, shown }
    }

    /// Whether a rule of the cluster's refused it: a webhook of admission, or a policy of it.
    fn by_admission(&self) -> bool {
        self.message.contains("admission webhook") || self.message.contains("denied request:")
    }
}

impl ApiError {
    /// Reads what the client says of a request that got no answer.
    pub fn of(error: &kube::Error, server: &str, access: &ClusterAccess) -> Self {
        let server = server.to_owned();
        let mut said = error.to_string();
        let mut link: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = link {
            said = error.to_string();
            if let Some(trouble) = tls(error, &server, access) {
                return trouble;
            }
            if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message) {
                return Self::Lost { server, said };
            }
            link = match error.downcast_ref::<std::io::Error>() {
                Some(io) if is_ours(io) => return Self::Local { server, said },
                Some(io) => {
                    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, UnexpectedEof};
                    if matches!(io.kind(), ConnectionAborted | ConnectionReset | UnexpectedEof) {
                        return Self::Lost { server, said };
                    }
                    // What one stands for is no source of it.
                    io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static))
                }
                None => error.source(),
            };
        }
        Self::Silent { server, said }
    }

    /// Whether what was asked for is not there.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 404)
    }

    /// Whether someone else was quicker, or owns it.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 409)
    }

    /// Whether it is about who we are, or who it is.
    pub fn is_distrust(&self) -> bool {
        match self {
            Self::OtherName { .. } | Self::Expired { .. } | Self::OtherAuthority { .. } => true,
            Self::Refused(refusal) => refusal.code == 401,
            _ => false,
        }
    }

    /// As a fault of whoever was `doing` something.
    pub fn fault(&self, doing: &str) -> Fault {
        let fault = |cause| Fault::new(cause, Target::Cluster, doing);
        match self {
            Self::Silent { server, said } => fault(Cause::Unreachable)
                .said(format!("{server}: {said}"))
                .likely("the control plane is off, k3s does not run on it, or a firewall stands between")
                .next("see on it whether k3s runs: systemctl status k3s; then run again"),
            Self::Local { server, said } => Fault { at: Target::Controller, ..fault(Cause::Unasked) }
                .said(format!("{server}: {said}"))
                .likely("this machine has no network now, or no descriptors left (ulimit -n)")
                .next("see whether it reaches anything at all, then run again; nothing is concluded about the cluster"),
            Self::Slow { server, seconds } => fault(Cause::Silent)
                .said(format!("{server}: no answer after {seconds} s"))
                .likely("the control plane has more to do than it can, or its disk is slow")
                .next("see on it what takes its time: top, and journalctl -u k3s; then run again"),
            Self::Lost { server, said } => fault(Cause::Lost)
                .said(format!("{server}: {said}"))
                .likely("the API server went down meanwhile")
                .next("run again"),
            Self::TooLong { server, longest } => fault(Cause::Mismatch)
                .said(format!("{server}: the answer is longer than {} MiB", longest >> 20))
                .likely("something other than a Kubernetes API answers there, or the control plane is not to be trusted")
                .next("see what listens at the control plane's port 6443"),
            Self::OtherName { server, said } => fault(Cause::Mismatch)
                .said(format!("{server}: {said}"))
                .likely("k3s does not know that its control plane is reached at this address")
                .next(format!(
                    "add `tls-san: [{}]` to /etc/rancher/k3s/config.yaml on the control plane and restart k3s, or give it \
                     the node_ip that the certificate names",
                    host_of(server)
                )),
            Self::Expired { server, said } => fault(Cause::Mismatch)
                .said(format!("{server}: {said}"))
                .likely("the certificate has expired, or a clock is wrong")
                .next("compare the clocks (timedatectl); then restart k3s on the control plane, which renews what expires"),
            Self::OtherAuthority { server, said } => fault(Cause::Mismatch)
                .said(format!("{server}: {said}"))
                .likely("another cluster answers at this address, or k3s was made anew and has not written its kubeconfig yet")
                .next("see which machine has this address; then restart k3s on the control plane and run again"),
            Self::Odd(said) => fault(Cause::Failed)
                .said(said)
                .likely("something else than a Kubernetes API answers there")
                .next("see what listens at the control plane's port 6443"),
            Self::Refused(refusal) => refused(refusal, fault),
        }
    }
}

fn refused(refusal: &Refusal, fault: impl Fn(Cause) -> Fault) -> Fault {
    let said =
        if refusal.message.is_empty() { format!("HTTP status {}", refusal.code) } else { refusal.message.clone() };
    if refusal.by_admission() {
        return fault(Cause::Refused)
            .said(said)
            .likely("a rule of admission in this cluster does not let it in")
            .next("change that rule, or what the site wants");
    }
    match refusal.code {
        401 => fault(Cause::Refused)
            .said(said)
            .said(refusal.shown.as_deref().unwrap_or_default())
            .likely("the administrator's certificate is not believed: it has expired, or the cluster was made anew")
            .next("restart k3s on the control plane: it renews what expires and writes its kubeconfig anew"),
        403 => fault(Cause::Refused).said(said).next(
            "see which rule forbids it: kubectl get clusterrolebindings; quotas and limits say no like this, too",
        ),
        409 => fault(Cause::Stale).said(said).next("run again"),
        429 | 500 | 503 => fault(Cause::Passing)
            .said(said)
            .likely("the API server is starting, or has more to do than it can")
            .next("see whether it is well: kubectl get --raw /readyz?verbose; then run again"),
        504 => {
            fault(Cause::Silent).said(said).next("run again; journalctl -u k3s on the control plane tells what is slow")
        }
        400 | 422 => fault(Cause::Failed)
            .said(said)
            .likely("the cluster's version of this kind has other fields than the site's values make")
            .next("fix the value that it names in the site"),
        _ => fault(Cause::Failed).said(said).next("fix what it says, then run again"),
    }
}

fn host_of(server: &str) -> &str {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    rest.rsplit_once(':').map_or(rest, |(host, _)| host).trim_matches(['[', ']'])
}

fn tls(error: &(dyn std::error::Error + 'static), server: &str, access: &ClusterAccess) -> Option<ApiError> {
    use rustls::{AlertDescription as Alert, CertificateError as Bad, Error};
    let error = error.downcast_ref::<Error>()?;
    let (server, said) = (server.to_owned(), error.to_string());
    Some(match error {
        Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            ApiError::OtherName { server, said }
        }
        Error::InvalidCertificate(
            Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. },
        ) => ApiError::Expired { server, said },
        Error::AlertReceived(Alert::CertificateExpired) => {
            let said = format!("{said}; {}", certificate::ours(access, &server));
            ApiError::Expired { server, said }
        }
        _ => ApiError::OtherAuthority { server, said },
    })
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn the_host_of_a_server() {
        for (server, host) in [("https://10.0.0.1:6443", "10.0.0.1"), ("https://[fd00::1]:6443", "fd00::1")] {
            assert_eq!(host_of(server), host);
        }
    }
}
