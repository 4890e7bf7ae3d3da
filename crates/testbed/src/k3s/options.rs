//! What k3s is told: flags, configuration files and environment, by the real one's rules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use saphyr_parser::{Event, Parser};

use super::say::{self, Level};

/// What it runs as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The control plane, and a node.
    Server,
    /// A node alone.
    Agent,
}

/// How a flag takes its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Switch,
    One,
    Many,
}

use Kind::{Many, One, Switch};

/// A flag, and what it is called in the environment if it has a name there.
type Flag = (&'static str, Kind, &'static str);

/// Flags of both. Those that this program does nothing about are taken as the real one takes them.
const COMMON: &[Flag] = &[
    ("config", One, "K3S_CONFIG_FILE"),
    ("debug", Switch, "K3S_DEBUG"),
    ("v", One, ""),
    ("vmodule", One, ""),
    ("log", One, ""),
    ("alsologtostderr", Switch, ""),
    ("token", One, "K3S_TOKEN"),
    ("token-file", One, "K3S_TOKEN_FILE"),
    ("data-dir", One, "K3S_DATA_DIR"),
    ("node-name", One, "K3S_NODE_NAME"),
    ("with-node-id", Switch, ""),
    ("node-label", Many, ""),
    ("node-taint", Many, ""),
    ("image-credential-provider-bin-dir", One, ""),
    ("image-credential-provider-config", One, ""),
    ("docker", Switch, ""),
    ("container-runtime-endpoint", One, ""),
    ("default-runtime", One, ""),
    ("pause-image", One, ""),
    ("snapshotter", One, ""),
    ("private-registry", One, ""),
    ("disable-default-registry-endpoint", Switch, ""),
    ("node-ip", Many, ""),
    ("node-external-ip", Many, ""),
    ("node-internal-dns", Many, ""),
    ("node-external-dns", Many, ""),
    ("resolv-conf", One, "K3S_RESOLV_CONF"),
    ("flannel-iface", One, ""),
    ("flannel-conf", One, ""),
    ("flannel-cni-conf", One, ""),
    ("kubelet-arg", Many, ""),
    ("kube-proxy-arg", Many, ""),
    ("protect-kernel-defaults", Switch, ""),
    ("rootless", Switch, ""),
    ("prefer-bundled-bin", Switch, ""),
    ("selinux", Switch, "K3S_SELINUX"),
    ("lb-server-port", One, "K3S_LB_SERVER_PORT"),
    ("server", One, "K3S_URL"),
    ("vpn-auth", One, "K3S_VPN_AUTH"),
    ("vpn-auth-file", One, "K3S_VPN_AUTH_FILE"),
];

/// Flags of a server alone.
const SERVER: &[Flag] = &[
    ("bind-address", One, ""),
    ("https-listen-port", One, ""),
    ("supervisor-port", One, ""),
    ("advertise-address", One, ""),
    ("advertise-port", One, ""),
    ("tls-san", Many, ""),
    ("tls-san-security", Switch, ""),
    ("cluster-cidr", Many, ""),
    ("service-cidr", Many, ""),
    ("service-node-port-range", One, ""),
    ("cluster-dns", Many, ""),
    ("cluster-domain", One, ""),
    ("flannel-backend", One, ""),
    ("flannel-ipv6-masq", Switch, ""),
    ("flannel-external-ip", Switch, ""),
    ("egress-selector-mode", One, ""),
    ("servicelb-namespace", One, ""),
    ("write-kubeconfig", One, "K3S_KUBECONFIG_OUTPUT"),
    ("write-kubeconfig-mode", One, "K3S_KUBECONFIG_MODE"),
    ("write-kubeconfig-group", One, "K3S_KUBECONFIG_GROUP"),
    ("helm-job-image", One, ""),
    ("agent-token", One, "K3S_AGENT_TOKEN"),
    ("agent-token-file", One, "K3S_AGENT_TOKEN_FILE"),
    ("cluster-init", Switch, "K3S_CLUSTER_INIT"),
    ("cluster-reset", Switch, "K3S_CLUSTER_RESET"),
    ("cluster-reset-restore-path", One, ""),
    ("kube-apiserver-arg", Many, ""),
    ("etcd-arg", Many, ""),
    ("kube-controller-manager-arg", Many, ""),
    ("kube-scheduler-arg", Many, ""),
    ("kube-cloud-controller-manager-arg", Many, ""),
    ("kine-tls", Switch, ""),
    ("datastore-endpoint", One, "K3S_DATASTORE_ENDPOINT"),
    ("datastore-cafile", One, "K3S_DATASTORE_CAFILE"),
    ("datastore-certfile", One, "K3S_DATASTORE_CERTFILE"),
    ("datastore-keyfile", One, "K3S_DATASTORE_KEYFILE"),
    ("etcd-expose-metrics", Switch, ""),
    ("etcd-disable-snapshots", Switch, ""),
    ("etcd-snapshot-name", One, ""),
    ("etcd-snapshot-schedule-cron", One, ""),
    ("etcd-snapshot-retention", One, ""),
    ("etcd-snapshot-dir", One, ""),
    ("etcd-snapshot-compress", Switch, ""),
    ("etcd-s3", Switch, ""),
    ("default-local-storage-path", One, ""),
    ("disable", Many, ""),
    ("disable-scheduler", Switch, ""),
    ("disable-cloud-controller", Switch, ""),
    ("disable-kube-proxy", Switch, ""),
    ("disable-network-policy", Switch, ""),
    ("disable-helm-controller", Switch, ""),
    ("disable-agent", Switch, ""),
    ("disable-apiserver", Switch, ""),
    ("disable-controller-manager", Switch, ""),
    ("disable-etcd", Switch, ""),
    ("embedded-registry", Switch, ""),
    ("supervisor-metrics", Switch, ""),
    ("secrets-encryption", Switch, ""),
    ("enable-pprof", Switch, ""),
];

/// What was told, all sources together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// What it runs as.
    pub role: Role,
    values: BTreeMap<String, Vec<String>>,
    /// What the Node says that its k3s was started with.
    pub node_args: Vec<String>,
    /// The variables that matter, secrets masked.
    pub node_env: BTreeMap<String, String>,
}

/// Sources of what is told, so that tests need no files.
pub struct Sources<'a> {
    /// After the word `server` or `agent`.
    pub arguments: &'a [String],
    /// The environment.
    pub environment: &'a BTreeMap<String, String>,
}

impl Options {
    /// Puts together what was told, or says why it cannot be meant.
    pub fn read(role: Role, sources: &Sources) -> Result<Self, String> {
        let flags: Vec<Flag> = match role {
            Role::Server => COMMON.iter().chain(SERVER).copied().collect(),
            Role::Agent => COMMON.to_vec(),
        };
        let told = parse(&flags, sources.arguments)?;
        let config = told
            .iter()
            .rev()
            .find_map(|(name, value)| (name == "config").then(|| value.clone()))
            .or_else(|| sources.environment.get("K3S_CONFIG_FILE").cloned())
            .unwrap_or_else(|| "/etc/rancher/k3s/config.yaml".to_owned());
        let mut written = Vec::new();
        for (name, value) in configuration(Path::new(&config))? {
            match flags.iter().find(|(known, ..)| *known == name) {
                // A server knows which keys are flags of its own; an agent takes each for one.
                None if role == Role::Agent => return Err(format!("flag provided but not defined: -{name}")),
                None => say::line(Level::Warning, &format!("Unknown flag --{name} found in {config}, skipping\n")),
                // What was told by hand counts, all of it.
                Some(_) if told.iter().any(|(other, _)| *other == name) => {}
                Some(_) => written.push((name, value)),
            }
        }
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, _, variable) in flags.iter().filter(|(_, _, variable)| !variable.is_empty()) {
            if let Some(value) = sources.environment.get(*variable) {
                values.insert((*name).to_owned(), vec![value.clone()]);
            }
        }
        let all: Vec<(String, String)> = written.into_iter().chain(told).collect();
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in &all {
            let many = flags.iter().any(|(known, kind, _)| known == name && *kind == Many);
            let entry = values.entry(name.clone()).or_default();
            if !many || !seen.contains(&name.as_str()) {
                entry.clear();
            }
            seen.push(name);
            entry.push(value.clone());
        }
        let word = if role == Role::Server { "server" } else { "agent" };
        let node_args = std::iter::once(word.to_owned())
            .chain(all.iter().flat_map(|(name, value)| [format!("--{name}"), masked(name, value)]))
            .collect();
        let node_env = sources
            .environment
            .iter()
            .filter(|(name, _)| name.starts_with("K3S_"))
            .map(|(name, value)| (name.clone(), masked(name, value)))
            .collect();
        Ok(Self { role, values, node_args, node_env })
    }

    /// The value of a flag that has one.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.last().map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The values of a flag that may have many, also those in one word with commas between.
    pub fn many(&self, name: &str) -> Vec<String> {
        let all = self.values.get(name).into_iter().flatten();
        let commas = !name.ends_with("-arg");
        let split = all.flat_map(|value| if commas { value.split(',').collect() } else { vec![value.as_str()] });
        split.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()).collect()
    }

    /// Whether a switch is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.one(name).is_some_and(|value| value == "true" || value == "1")
    }
}

fn masked(name: &str, value: &str) -> String {
    let name = name.to_lowercase().replace('_', "-");
    let secret = (name.contains("token") && !name.ends_with("-file")) || name.contains("vpn-auth");
    if secret { "********".to_owned() } else { value.to_owned() }
}

/// Flags as they stand on a command line.
fn parse(flags: &[Flag], arguments: &[String]) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let Some(word) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else { continue };
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value.to_owned())));
        let name = match name {
            "t" => "token",
            "d" => "data-dir",
            "c" => "config",
            "s" => "server",
            "o" => "write-kubeconfig",
            name => name,
        };
        let kind = flags.iter().find(|(known, ..)| *known == name).map(|(_, kind, _)| *kind);
        let value = match (kind, value) {
            (None, _) => return Err(format!("flag provided but not defined: -{name}")),
            (_, Some(value)) => value,
            (Some(Switch), None) => "true".to_owned(),
            (Some(_), None) => arguments.next().cloned().ok_or_else(|| format!("flag needs an argument: -{name}"))?,
        };
        found.push((name.to_owned(), value));
    }
    Ok(found)
}

/// The configuration file and those beside it in `config.yaml.d`. A later one's values replace an earlier one's, unless
/// the key ends in `+`.
fn configuration(path: &Path) -> Result<Vec<(String, String)>, String> {
    let mut all: Vec<(String, String)> = Vec::new();
    for path in files(path) {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => return Err(format!("failed to read {}: {error}", path.display())),
        };
        let entries = entries(&text).map_err(|error| format!("failed to parse {}: {error}", path.display()))?;
        let mut here: Vec<(String, String)> = Vec::new();
        for (key, values) in entries {
            let name = key.strip_suffix('+').unwrap_or(&key).to_owned();
            if name == key {
                all.retain(|(other, _)| *other != name);
                here.retain(|(other, _)| *other != name);
            }
            here.extend(values.into_iter().map(|value| (name.clone(), value)));
        }
        all.extend(here);
    }
    Ok(all)
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut beside: Vec<PathBuf> = fs::read_dir(format!("{}.d", path.display()))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml"))
        .collect();
    beside.sort();
    std::iter::once(path.to_owned()).filter(|path| path.exists()).chain(beside).collect()
}

/// Keys of a mapping whose values are scalars or lists of scalars.
fn entries(text: &str) -> Result<Vec<(String, Vec<String>)>, String> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let (mut depth, mut in_list, mut key) = (0_u8, false, None::<String>);
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| error.to_string())?;
        match event {
            Event::MappingStart(..) if depth == 0 => depth = 1,
            Event::MappingStart(..) => return Err("a mapping where a value is wanted".to_owned()),
            Event::MappingEnd => depth = 0,
            Event::SequenceStart(..) if key.is_some() && !in_list => in_list = true,
            Event::SequenceStart(..) => return Err("a list where a value is wanted".to_owned()),
            Event::SequenceEnd => {
                in_list = false;
                key = None;
            }
            Event::Scalar(value, ..) => match &key {
                None if depth == 1 => {
                    found.push((value.to_string(), Vec::new()));
                    key = Some(value.to_string());
                }
                None => {}
                Some(_) => {
                    if let Some((_, values)) = found.last_mut() {
                        values.push(value.to_string());
                    }
                    if !in_list {
                        key = None;
                    }
                }
            },
            Event::Alias(_) => return Err("an alias".to_owned()),
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &[(&str, &str)], arguments: &[&str], environment: &[(&str, &str)]) -> Result<Options, String> {
        read_as(Role::Server, config, arguments, environment)
    }

    fn read_as(
        role: Role,
        config: &[(&str, &str)],
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Options, String> {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in config {
            crate::records::write_whole(&directory.path().join(path), text.as_bytes()).unwrap();
        }
        let path = directory.path().join("config.yaml").display().to_string();
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let mut environment: BTreeMap<String, String> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        environment.insert("K3S_CONFIG_FILE".to_owned(), path);
        let sources = Sources { arguments: &arguments, environment: &environment };
        let mut options = Options::read(role, &sources)?;
        options.node_env.remove("K3S_CONFIG_FILE");
        Ok(options)
    }

    #[test]
    fn the_file_is_read_as_if_it_stood_before_the_flags() {
        let text = "cluster-init: true\ndisable: [traefik]\nwrite-kubeconfig-mode: \"0600\"\ntoken: abc\n";
        let options = read(&[("config.yaml", text)], &["--node-label", "a=b", "--node-label=c=d"], &[]).unwrap();
        assert!(options.is_on("cluster-init"));
        assert_eq!(options.many("disable"), ["traefik"]);
        assert_eq!(options.many("node-label"), ["a=b", "c=d"]);
        let args = "server --cluster-init true --disable traefik --write-kubeconfig-mode 0600 --token ******** \
                    --node-label a=b --node-label c=d";
        assert_eq!(options.node_args.join(" "), args);
    }

    #[test]
    fn later_files_replace_unless_they_add_and_flags_replace_all() {
        let files = [
            ("config.yaml", "tls-san: [a, b]\ndisable:\n- x\n"),
            ("config.yaml.d/10-one.yaml", "tls-san+: c\ndisable: y\n"),
            ("config.yaml.d/ignored.txt", "disable: z\n"),
        ];
        let options = read(&files, &[], &[]).unwrap();
        assert_eq!(
            (options.many("tls-san").join(" "), options.many("disable").join(" ")),
            ("a b c".into(), "y".into())
        );
        let options = read(&files, &["--tls-san=d,e"], &[]).unwrap();
        assert_eq!(options.many("tls-san"), ["d", "e"]);
    }

    #[test]
    fn the_environment_is_told_masked_and_counts_least() {
        let environment = [("K3S_TOKEN", "secret"), ("K3S_URL", "https://a:6443"), ("HOME", "/")];
        let options = read(&[("config.yaml", "server: https://b:6443\n")], &[], &environment).unwrap();
        assert_eq!((options.one("token"), options.one("server")), (Some("secret"), Some("https://b:6443")));
        let env: Vec<_> = options.node_env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(env, ["K3S_TOKEN=********", "K3S_URL=https://a:6443"]);
    }

    #[test]
    fn what_is_not_known_is_refused_as_a_flag_and_skipped_in_a_servers_file() {
        assert_eq!(read(&[], &["--nonsense"], &[]).unwrap_err(), "flag provided but not defined: -nonsense");
        let nonsense = [("config.yaml", "nonsense: 1\n")];
        assert!(read(&nonsense, &[], &[]).is_ok());
        let refused = read_as(Role::Agent, &nonsense, &[], &[]).unwrap_err();
        assert_eq!(refused, "flag provided but not defined: -nonsense");
        assert!(read(&[("config.yaml", "a: {b: c}\n")], &[], &[]).is_err());
    }
}
