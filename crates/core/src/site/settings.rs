//! What the site says once for all, with what stands where it says nothing.

use crate::text::home::expand;
use std::time::Duration;

use serde_json::{Value, json};

use super::downloads::{self, Download, DownloadVariables};
use super::fields::{Fields, Found};
use super::model::{BmcInterface, DownloadSource, FlashTransport, Image, Service, Settings, Stated, Toolchain};
use crate::ids::{NodeName, Sha256};
use crate::text::nearest::did_you_mean;
use crate::version::Version;

/// Variables that the site as a whole may set.
pub(crate) const KNOWN: [&str; 65] = [
    "ansible_account",
    "tpi_user",
    "tpi_images_path",
    "bmc_interface",
    "bin_dir",
    "local_domain",
    "control_plane",
    "cluster_domain",
    "domain_email",
    "repo_remote",
    "repo_branch",
    "k3s_version",
    "k3s_install_url",
    "k3s_install_sha256",
    "k3s_artifact_url",
    "k3s_artifact_sha256",
    "k3s_airgap",
    "cluster_install_list",
    "do_flash",
    "flash_force",
    "k3s_force",
    "cluster_force",
    "ssh_public_keys",
    "flash_transport",
    "rk1_image_url",
    "rk1_image_sha256",
    "cm4_image_url",
    "cm4_image_sha256",
    "helm_version",
    "kubectl_version",
    "kubeseal_version",
    "helm_diff_version",
    "helm_url",
    "helm_sha256",
    "kubectl_url",
    "kubectl_sha256",
    "kubeseal_url",
    "kubeseal_sha256",
    "helm_diff_url",
    "helm_diff_sha256",
    "zsh_theme",
    "nvidia_toolkit_url",
    "nvidia_toolkit_key_sha256",
    "argocd_chart",
    "argocd_chart_version",
    "argocd_values",
    "control_plane_taint",
    "sealed_secrets_recipients",
    "sealed_secrets_identity",
    "kubeconfig",
    "kubeconfig_context",
    "kubeconfig_set_current",
    "known_hosts",
    "reboot_timeout",
    // Those of a host.
    "slot_num",
    "type",
    "root_dev",
    "nvidia_gpu_node",
    "workstation",
    "node_ip",
    "flannel_iface",
    "ssh_host_key_fingerprints",
    "ansible_host",
    "ansible_port",
    "ansible_user",
];

const ARGOCD_CHART: &str = "oci://ghcr.io/argoproj/argo-helm/argo-cd";
const RK1_IMAGE: (&str, Sha256) = (
    "https://github.com/Joshua-Riek/ubuntu-rockchip/releases/download/v2.4.0/\
     ubuntu-24.04-preinstalled-server-arm64-turing-rk1.img.xz",
    Sha256::known("88584d5797bac01efd3bb1063935ce9f00947e4d4aa0c671d0a39ec8db6ca8f7"),
);
const CM4_IMAGE: (&str, Sha256) = (
    "https://cdimage.ubuntu.com/releases/24.04/release/ubuntu-24.04.4-preinstalled-server-arm64+raspi.img.xz",
    Sha256::known("790652faeb4f61ce7bb12f5cb61734595c61d3cd882915b8b5f9918106c80d37"),
);

/// Reads the settings. The environment may say where tools go and where the kubeconfig is. `nodes` are the names that `control_plane` may be; `keys` the site's own public keys.
pub(crate) fn read(
    fields: &Fields<'_>,
    site: &str,
    home: &str,
    (bin_dir, kubeconfig): (Option<String>, Option<String>),
    nodes: &[&str],
    keys: Vec<String>,
    found: &mut Found,
) -> Settings {
    let cluster_domain = fields.with("cluster_domain", "a DNS name such as `example.org`", found, |value| {
        value.as_str().filter(|name| name.is_empty() || is_dns_name(name)).map(str::to_owned)
    });
    let cluster_domain = cluster_domain.unwrap_or_default();
    let bin_dir = bin_directory(fields, home, bin_dir, found);
    let mut text = |name: &str, default: &str| fields.text(name, found).unwrap_or_else(|| default.to_owned());
    let ansible_account = text("ansible_account", "ansible");
    let tpi_user = text("tpi_user", "root");
    let tpi_images_path = text("tpi_images_path", "/mnt/sdcard/images");
    let domain_email = text("domain_email", "");
    let repo_remote = text("repo_remote", "");
    let repo_branch = text("repo_branch", "main");
    let local_domain = fields.explained("local_domain", "a suffix such as `.lan`, or empty", found, |value| {
        let text = value.as_str().ok_or(None)?;
        match text.strip_prefix('.') {
            Some(name) if is_dns_name(name) => Ok(text.to_owned()),
            None if text.is_empty() => Ok(String::new()),
            None if is_dns_name(text) => Err(Some(format!("`.{text}`: it is put behind names as it stands"))),
            _ => Err(None),
        }
    });
    let local_domain = local_domain.unwrap_or_else(|| ".lan".to_owned());
    let install_script = install_script(fields, found);
    let k3s_version = stated(fields, "k3s_version", Version::of_k3s(1, 33, 6, 1), Version::is_of_k3s, found);
    let tag = k3s_version.value.as_str().replace('+', "%2B");
    let mut yes = |name: &str| fields.yes(name, found).unwrap_or(false);
    let (do_flash, flash_force) = (yes("do_flash"), yes("flash_force"));
    let (k3s_force, cluster_force) = (yes("k3s_force"), yes("cluster_force"));
    let mut path = |name: &str, default: &str| fields.path(name, found).unwrap_or_else(|| expand(default, home));
    let kubeconfig = path("kubeconfig", kubeconfig.as_deref().unwrap_or("~/.kube/config"));
    let known_hosts = path("known_hosts", "~/.ssh/known_hosts");
    let flash_transport = transport(fields, found);
    let releases = releases(fields, found);
    let nvidia_toolkit = nvidia_toolkit(fields, found);
    Settings {
        control_plane: control_plane(fields, nodes, found),
        cluster_install_list: install_list(fields, found),
        ssh_public_keys: public_keys(fields, keys, found),
        flash_transport,
        bmc_interface: interface(fields, flash_transport, found),
        rk1_image: image(fields, "rk1", RK1_IMAGE, found),
        cm4_image: image(fields, "cm4", CM4_IMAGE, found),
        toolchain: toolchain(fields, found),
        zsh_theme: fields.with("zsh_theme", "a theme's name, of letters, digits and `_./-`", found, |value| {
            value.as_str().filter(|name| is_theme(name)).map(str::to_owned)
        }),
        nvidia_toolkit_url: nvidia_toolkit
            .url
            .unwrap_or_else(|| "https://nvidia.github.io/libnvidia-container".to_owned()),
        nvidia_toolkit_key_sha256: nvidia_toolkit.sha256,
        argocd_chart: fields.text("argocd_chart", found).unwrap_or_else(|| ARGOCD_CHART.to_owned()),
        argocd_chart_version: stated(fields, "argocd_chart_version", Version::of(7, 8, 3), |_| true, found),
        argocd_values: fields
            .with("argocd_values", "a map", found, |value| value.is_object().then(|| value.clone()))
            .unwrap_or_else(|| json!({})),
        control_plane_taint: taint(fields, found),
        sealed_secrets_recipients: recipients(fields, found),
        sealed_secrets_identity: fields.path("sealed_secrets_identity", found),
        kubeconfig_set_current: fields.yes("kubeconfig_set_current", found).unwrap_or(true),
        kubeconfig_context: fields.text("kubeconfig_context", found).unwrap_or_else(|| site.to_owned()),
        k3s_install_url: install_script
            .url
            .unwrap_or_else(|| format!("https://raw.githubusercontent.com/k3s-io/k3s/{tag}/install.sh")),
        k3s_install_sha256: install_script.sha256,
        // k3s's install script wants it with `/download` at its end; it is the same address.
        k3s_artifact_url: releases.url.map(|url| {
            let url = url.trim_end_matches('/');
            url.strip_suffix("/download").unwrap_or(url).to_owned()
        }),
        k3s_artifact_sha256: releases.sha256,
        k3s_airgap: fields.yes("k3s_airgap", found).unwrap_or(false),
        ansible_account,
        tpi_user,
        tpi_images_path,
        bin_dir,
        local_domain,
        cluster_domain,
        domain_email,
        repo_remote,
        repo_branch,
        k3s_version,
        do_flash,
        flash_force,
        k3s_force,
        cluster_force,
        kubeconfig,
        known_hosts,
        reboot_timeout: reboot_timeout(fields, found),
    }
}

/// Where tools go: as the site says, else the environment, else `~/bin`. It becomes part of `PATH`, which `:` separates.
fn bin_directory(fields: &Fields<'_>, home: &str, from_env: Option<String>, found: &mut Found) -> String {
    const WANTED: &str = "an absolute path without `:` and line breaks, such as `~/bin`";
    let good = |path: &str| {
        let path = expand(path, home);
        (path.starts_with('/') && !path.contains(|character: char| character == ':' || character.is_control()))
            .then_some(path)
    };
    if let Some(stated) = fields.with("bin_dir", WANTED, found, |value| good(value.as_str()?)) {
        return stated;
    }
    let given = from_env.unwrap_or_else(|| "~/bin".to_owned());
    good(&given).unwrap_or_else(|| {
        found.push(crate::text::problem::Problem {
            severity: crate::text::problem::Severity::Error,
            message: format!("the environment's `BIN_DIR` is {WANTED}, not `{given}`"),
            spot: None,
            help: None,
        });
        String::new()
    })
}

fn is_theme(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte))
}

/// A name as hosts have them: labels of letters, digits and inner hyphens.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// An SSD boots in a minute; a file system that is checked first on a CM4's eMMC may take ten.
const REBOOT_TIMEOUT: u64 = 900;

fn reboot_timeout(fields: &Fields<'_>, found: &mut Found) -> Duration {
    let seconds = fields.with("reboot_timeout", "a number of seconds above 0", found, |value| {
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        number.filter(|seconds| *seconds > 0)
    });
    Duration::from_secs(seconds.unwrap_or(REBOOT_TIMEOUT))
}

fn stated(
    fields: &Fields<'_>,
    name: &str,
    default: Version,
    good: fn(&Version) -> bool,
    found: &mut Found,
) -> Stated<Version> {
    let value = fields.explained(name, "a version", found, |value| {
        let text = value.as_str().ok_or(None)?;
        // Blank is how the playbook's documents have the newest one; here it is what a site does not state.
        if text.is_empty() {
            return Ok(None);
        }
        let version = Version::parse(text).filter(good);
        version.map(Some).ok_or_else(|| Some(format!("such as {default}; leave it out for that")))
    });
    let value = value.flatten();
    Stated { stated: value.is_some(), value: value.unwrap_or(default) }
}

fn control_plane(fields: &Fields<'_>, nodes: &[&str], found: &mut Found) -> Option<NodeName> {
    let Some(name) = fields.text("control_plane", found) else {
        if !nodes.is_empty() && fields.origin("control_plane").is_none() {
            found.push(crate::text::problem::Problem {
                severity: crate::text::problem::Severity::Error,
                message: "`control_plane` is not set: it names the node that is the control plane".to_owned(),
                spot: None,
                help: Some(format!("in group_vars/all.yml, for example `control_plane: {}`", nodes[0])),
            });
        }
        return None;
    };
    if !nodes.contains(&name.as_str()) {
        if let Some(origin) = fields.origin("control_plane") {
            let help = did_you_mean(&name, nodes.iter().copied());
            found.push(origin.error(format!("control_plane `{name}` is no node of this site"), help));
        }
        return None;
    }
    Some(NodeName::new(name))
}

fn install_list(fields: &Fields<'_>, found: &mut Found) -> Vec<Service> {
    let Some(names) = fields.texts("cluster_install_list", found) else { return vec![Service::Argocd] };
    let mut services = Vec::new();
    for name in names {
        match (name.as_str(), fields.origin("cluster_install_list")) {
            ("argocd", _) => services.push(Service::Argocd),
            (other, Some(origin)) => {
                let help = did_you_mean(other, ["argocd"]).or_else(|| Some("only `argocd` is known".to_owned()));
                found.push(origin.error(format!("`{other}` is nothing that can be installed"), help));
            }
            _ => {}
        }
    }
    services
}

fn public_keys(fields: &Fields<'_>, own: Vec<String>, found: &mut Found) -> Vec<String> {
    let stated = fields.texts("ssh_public_keys", found);
    let mut keys = Vec::new();
    for line in stated.clone().unwrap_or(own) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let plain = !line.chars().any(char::is_control);
        let known = ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| line.starts_with(kind));
        if plain && known && line.split_whitespace().count() >= 2 {
            keys.push(line.to_owned());
        } else if let Some(origin) = fields.origin("ssh_public_keys").filter(|_| stated.is_some()) {
            let help = "such as `ssh-ed25519 AAAA… me@here`".to_owned();
            found.push(origin.error(format!("`{line}` is no public key"), Some(help)));
        }
    }
    keys
}

/// age's own recipients; those of SSH keys and plugins are none.
fn recipients(fields: &Fields<'_>, found: &mut Found) -> Vec<String> {
    let recipients = fields.texts("sealed_secrets_recipients", found).unwrap_or_default();
    for recipient in &recipients {
        let plain =
            recipient.strip_prefix("age1").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if let Some(origin) = fields.origin("sealed_secrets_recipients").filter(|_| !plain) {
            let help = "such as `age1…`: `age-keygen -y FILE` prints that of an identity".to_owned();
            found.push(origin.error(format!("`{recipient}` is no recipient of age's"), Some(help)));
        }
    }
    recipients
}

fn transport(fields: &Fields<'_>, found: &mut Found) -> FlashTransport {
    let transport = fields.with("flash_transport", "`staged` or `stream`", found, |value| match value.as_str()? {
        "staged" | "stage" => Some(FlashTransport::Staged),
        "stream" => Some(FlashTransport::Stream),
        _ => None,
    });
    transport.unwrap_or(FlashTransport::Staged)
}

/// `tpi` reads a file on the BMC, so it cannot take what is streamed past its card.
fn interface(fields: &Fields<'_>, transport: FlashTransport, found: &mut Found) -> BmcInterface {
    let interface = fields.with("bmc_interface", "`auto`, `api` or `tpi`", found, |value| match value.as_str()? {
        "auto" => Some(BmcInterface::Auto),
        "api" => Some(BmcInterface::Api),
        "tpi" => Some(BmcInterface::Tpi),
        _ => None,
    });
    if interface == Some(BmcInterface::Tpi)
        && transport == FlashTransport::Stream
        && let Some(origin) = fields.origin("bmc_interface")
    {
        let help = Some("set flash_transport: staged, or bmc_interface: api".to_owned());
        found.push(origin.error("`tpi` cannot take an image that is streamed".to_owned(), help));
    }
    interface.unwrap_or(BmcInterface::Auto)
}

/// The k3s install script.
fn install_script(fields: &Fields<'_>, found: &mut Found) -> Download<Option<Sha256>> {
    let (url, sha256, sum_of) = ("k3s_install_url", "k3s_install_sha256", "the install script");
    DownloadVariables { url, sha256, sum_of }.read(fields, found)
}

/// The k3s releases. The sums are those of their lists of sums: a list proves the other files of its release.
fn releases(fields: &Fields<'_>, found: &mut Found) -> Download<Vec<Sha256>> {
    let (url, sha256) = ("k3s_artifact_url", "k3s_artifact_sha256");
    let sum_of = "the release's sha256sum-ARCH.txt, one for each architecture of your nodes";
    DownloadVariables { url, sha256, sum_of }.read_several(fields, found)
}

/// NVIDIA's repository. The sum is that of its key: apt checks the packages with the key, however they are fetched.
fn nvidia_toolkit(fields: &Fields<'_>, found: &mut Found) -> Download<Option<Sha256>> {
    let (url, sha256) = ("nvidia_toolkit_url", "nvidia_toolkit_key_sha256");
    let sum_of = "the repository's gpgkey, which apt checks the packages with";
    DownloadVariables { url, sha256, sum_of }.read(fields, found)
}

fn image(fields: &Fields<'_>, kind: &str, (url, sha256): (&str, Sha256), found: &mut Found) -> Image {
    let (url_name, sum_name) = (format!("{kind}_image_url"), format!("{kind}_image_sha256"));
    let stated_url = fields.text(&url_name, found);
    let sum = downloads::sum(fields, &sum_name, found);
    // A sum that is null is not set: the built-in one is of the built-in image alone.
    if stated_url.is_some()
        && fields.value(&sum_name, found).is_none()
        && let Some(origin) = fields.origin(&url_name)
    {
        let help = format!("set {sum_name} to the sum of that file");
        found.push(origin.error(format!("`{url_name}` is another image, and `{sum_name}` is not set"), Some(help)));
    }
    Image { url: stated_url.unwrap_or_else(|| url.to_owned()), sha256: sum.unwrap_or(sha256) }
}

fn toolchain(fields: &Fields<'_>, found: &mut Found) -> Toolchain {
    let version = |name: &str, default: Version, found: &mut Found| {
        let version = stated(fields, name, default, |_| true, found);
        Stated { value: version.value.without_v(), ..version }
    };
    let mut source = |tool: &str, default: &str| {
        let (url, sha256) = (format!("{tool}_url"), format!("{tool}_sha256"));
        let sum_of = "the file for this machine's operating system and architecture";
        let stated = DownloadVariables { url: &url, sha256: &sha256, sum_of }.read(fields, found);
        let url = stated.url.as_deref().unwrap_or(default).trim_end_matches('/').to_owned();
        DownloadSource { url, sha256: stated.sha256 }
    };
    let helm = source("helm", "https://get.helm.sh");
    let kubectl = source("kubectl", "https://dl.k8s.io");
    let kubeseal = source("kubeseal", "https://github.com/bitnami-labs/sealed-secrets/releases/download");
    let helm_diff = source("helm_diff", "https://github.com/databus23/helm-diff/releases/download");
    Toolchain {
        helm_version: version("helm_version", Version::of(3, 20, 0), found),
        kubectl_version: fields
            .with("kubectl_version", "a version", found, |value| value.as_str().and_then(Version::parse))
            .map(|version| version.without_v()),
        kubeseal_version: version("kubeseal_version", Version::of(0, 35, 0), found),
        helm_diff_version: version("helm_diff_version", Version::of(3, 14, 1), found),
        helm,
        kubectl,
        kubeseal,
        helm_diff,
    }
}

/// `key=value:effect` or `key:effect`; an empty text or `no` for none.
fn taint(fields: &Fields<'_>, found: &mut Found) -> Option<String> {
    let default = "node-role.kubernetes.io/control-plane:NoSchedule";
    let wanted = "a taint such as `key=value:NoSchedule`, or `no`";
    let taint = fields.with("control_plane_taint", wanted, found, |value| match value {
        Value::Bool(false) => Some(None),
        Value::String(text) if text.is_empty() => Some(None),
        Value::String(text) => {
            let effect = text.rsplit_once(':')?.1;
            ["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect).then(|| Some(text.clone()))
        }
        _ => None,
    });
    taint.unwrap_or_else(|| Some(default.to_owned()))
}
