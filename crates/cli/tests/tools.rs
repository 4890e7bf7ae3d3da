//! The stage `tools` by the real binary, against a server on loopback that has all tools and counts who asks.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use bringup_core::ids::Sha256;

/// A helm that says what it is asked, and knows the plugins that are in its directory.
const HELM: &str = r#"#!/bin/sh
plugins="$HOME/.local/share/helm/plugins"
case "$*" in
"version --short") echo v3.19.9+g1234567;;
"env HELM_PLUGINS") echo "$plugins";;
"plugin list")
  printf 'NAME\tVERSION\tDESCRIPTION\n'
  for file in "$plugins"/*/plugin.yaml; do
    [ ! -e "$file" ] || sed -n 's/^version: *"\(.*\)"/diff\t\1\tx/p' "$file"
  done;;
completion*) echo "helm for $2";;
*) exit 1;;
esac
"#;
const KUBECTL: &str = r#"#!/bin/sh
case "$*" in
"version --client") printf 'Client Version: v1.35.4\nKustomize Version: v5.7.1\n';;
completion*) echo "kubectl for $2";;
*) exit 1;;
esac
"#;
const KUBESEAL: &str = "#!/bin/sh\necho kubeseal version: 0.34.0\n";

fn tgz(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn platform() -> String {
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    format!("{system}-{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" })
}

/// A mirror that only a proxy can find: no name below `test` resolves (RFC 6761).
const BEHIND_A_PROXY: &str = "http://mirror.test";

/// What every path holds.
type Files = BTreeMap<String, Vec<u8>>;

fn files() -> Files {
    let platform = platform();
    let helm = tgz(&[(&format!("{platform}/LICENSE"), "x"), (&format!("{platform}/helm"), HELM)]);
    let kubeseal = tgz(&[("kubeseal", KUBESEAL)]);
    // Its releases call darwin macos.
    let diff_name = format!("helm-diff-{}.tgz", platform.replace("darwin", "macos"));
    let diff = tgz(&[("diff/plugin.yaml", "name: \"diff\"\nversion: \"3.14.0\"\n"), ("diff/bin/diff", "#!/bin/sh\n")]);
    let helm_name = format!("helm-v3.19.9-{platform}.tar.gz");
    let kubeseal_name = format!("kubeseal-0.34.0-{platform}.tar.gz");
    let kubectl = format!("/kubectl/release/v1.35.4/bin/{}/kubectl", platform.replace('-', "/"));
    let listed = |bytes: &[u8], name: &str| format!("{}  other\n{}  {name}\n", "0".repeat(64), Sha256::of(bytes));
    [
        (format!("/helm/{helm_name}.sha256sum"), format!("{}  {helm_name}\n", Sha256::of(&helm)).into_bytes()),
        (format!("/helm/{helm_name}"), helm),
        ("/kubectl/release/stable.txt".to_owned(), b"v1.35.4\n".to_vec()),
        (format!("{kubectl}.sha256"), Sha256::of(KUBECTL).to_string().into_bytes()),
        (kubectl, KUBECTL.as_bytes().to_vec()),
        ("/kubeseal/v0.34.0/sealed-secrets_0.34.0_checksums.txt".to_owned(), listed(&kubeseal, &kubeseal_name).into()),
        (format!("/kubeseal/v0.34.0/{kubeseal_name}"), kubeseal),
        ("/diff/v3.14.0/helm-diff_3.14.0_checksums.txt".to_owned(), listed(&diff, &diff_name).into()),
        (format!("/diff/v3.14.0/{diff_name}"), diff),
    ]
    .into()
}

/// Whether a path is what is run or unpacked, and no list of sums.
fn is_download(path: &str) -> bool {
    [".tar.gz", ".tgz", "/kubectl"].iter().any(|end| path.ends_with(end))
}

/// The site's variables with the sums of all downloads.
fn stated_sums() -> String {
    let tool = |path: &str| match path.split('/').nth(1).unwrap() {
        "diff" => "helm_diff".to_owned(),
        tool => tool.to_owned(),
    };
    let downloads = files().into_iter().filter(|(path, _)| is_download(path));
    downloads.map(|(path, bytes)| format!("{}_sha256: {}\n", tool(&path), Sha256::of(&bytes))).collect()
}

/// Serves files. A path that is to break off does so once, in its middle.
struct Server {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn of(files: Files, breaks_off: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, breaks_off) = (Arc::clone(&heads), breaks_off.map(str::to_owned));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &files, breaks_off.as_deref(), &seen);
            }
        });
        Self { url, heads }
    }

    fn asked(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, files: &Files, breaks_off: Option<&str>, seen: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let asked = head.split(' ').nth(1).unwrap_or_default();
    // A proxy is asked for whole addresses.
    let path = asked.strip_prefix(BEHIND_A_PROXY).unwrap_or(asked).to_owned();
    let first = {
        let mut seen = seen.lock().unwrap();
        seen.push(head.clone());
        seen.iter().filter(|head| head.split(' ').nth(1) == Some(&path)).count() == 1
    };
    let from = head
        .to_ascii_lowercase()
        .split("range: bytes=")
        .nth(1)
        .and_then(|rest| rest.split('-').next().and_then(|first| first.parse::<usize>().ok()));
    let _ = match files.get(&path) {
        None => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        Some(bytes) => {
            let (status, bytes, range) = match from.filter(|from| *from < bytes.len()) {
                Some(from) => {
                    let range = format!("Content-Range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len());
                    ("206 Partial Content", &bytes[from..], range)
                }
                None => ("200 OK", &bytes[..], String::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{range}ETag: \"one\"\r\nConnection: close\r\n\r\n",
                bytes.len()
            );
            let cut = if first && breaks_off == Some(&path) { bytes.len() / 2 } else { bytes.len() };
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes[..cut]))
        }
    };
    let _ = stream.shutdown(Shutdown::Both);
}

/// A user with a home and a site.
struct User {
    home: tempfile::TempDir,
    site: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
}

impl User {
    fn new(server: &Server) -> Self {
        Self::with_mirror(&server.url)
    }

    fn with_mirror(url: &str) -> Self {
        let (home, site) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let hosts = "controller:\n  hosts:\n    localhost:\n      ansible_connection: local\n";
        fs::write(site.path().join("hosts.yml"), hosts).unwrap();
        fs::create_dir(site.path().join("group_vars")).unwrap();
        let variables = format!(
            "helm_url: {url}/helm\nkubectl_url: {url}/kubectl\nkubeseal_url: {url}/kubeseal\nhelm_diff_url: {url}/diff\n\
             helm_version: 3.19.9\nkubeseal_version: 0.34.0\nhelm_diff_version: 3.14.0\ncluster_domain: example.org\n"
        );
        // Over plain http the list beside a file proves nothing.
        let variables = format!("{}{variables}", stated_sums());
        fs::write(site.path().join("group_vars/all.yml"), variables).unwrap();
        Self { home, site, environment: Vec::new() }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bringup"));
        command.args(arguments).current_dir(self.site.path()).env("HOME", self.home.path()).stdin(Stdio::null());
        for name in ["BIN_DIR", "KUBECONFIG", "HELM_PLUGINS", "ANSIBLE_CONFIG", "ANSIBLE_VAULT_PASSWORD_FILE"] {
            command.env_remove(name);
        }
        for name in ["http_proxy", "https_proxy", "no_proxy", "all_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.output().unwrap()
    }

    fn tools(&self, command: &str, more: &[&str]) -> Output {
        let site = self.site.path().to_str().unwrap();
        self.run(&[&[command, "-i", site, "--tags", "tools"], more].concat())
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn tools_are_installed_and_then_cost_no_request() {
    let server = Server::of(files(), None);
    let user = User::new(&server);
    fs::write(user.at("dotfiles"), "# mine\n").unwrap();
    symlink("dotfiles", user.at(".bashrc")).unwrap();
    let plan = user.tools("plan", &["--exit-code"]);
    assert_eq!(plan.status.code(), Some(3), "{}", said(&plan));
    assert!(!user.at("bin").exists(), "a plan changes nothing");
    let apply = user.tools("apply", &["-y"]);
    assert_eq!(apply.status.code(), Some(0), "{}", said(&apply));
    for tool in ["helm", "kubectl", "kubeseal", "argo.sh", "grafana.sh", "dashboard.sh", "longhorn.sh"] {
        assert_eq!(mode(&user.at(&format!("bin/{tool}"))), 0o755, "{tool}");
    }
    assert_eq!(mode(&user.at(".local/share/helm/plugins/helm-diff/bin/diff")), 0o755);
    let completion = user.at(".local/share/zsh/site-functions/_kubectl");
    let completion = fs::read_to_string(completion).unwrap();
    let (text, mark) = completion.split_once('\n').unwrap();
    assert_eq!(text, "kubectl for zsh");
    assert!(mark.starts_with("# Managed by bringup"), "{mark}");
    let bashrc = fs::read_to_string(user.at("dotfiles")).unwrap();
    assert!(bashrc.starts_with("# mine\n# >>> bringup >>>\n") && bashrc.contains("alias k=kubectl\n"), "{bashrc}");

    let asked = server.asked().len();
    let again = user.tools("plan", &["--exit-code"]);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    let apply = user.tools("apply", &["-y"]);
    assert_eq!(apply.status.code(), Some(0), "{}", said(&apply));
    assert_eq!(server.asked().len(), asked, "what is there costs no request");

    let removed = user.run(&["tools", "--remove"]);
    assert_eq!(removed.status.code(), Some(0), "{}", said(&removed));
    assert_eq!(fs::read_to_string(user.at("dotfiles")).unwrap(), "# mine\n");
    assert!(user.at(".bashrc").is_symlink() && user.at("bin/helm").exists());
    assert!(said(&user.run(&["tools", "--remove"])).contains("no block of ours"));
}

#[test]
fn proxies_of_the_environment_are_followed() {
    let proxy = Server::of(files(), None);
    let mut user = User::with_mirror(BEHIND_A_PROXY);
    user.environment = vec![("http_proxy", proxy.url.clone())];
    let apply = user.tools("apply", &["-y"]);
    assert_eq!(apply.status.code(), Some(0), "{}", said(&apply));
    assert!(user.at("bin/helm").exists());
    assert!(proxy.asked().iter().all(|head| head.contains(BEHIND_A_PROXY)), "{:?}", proxy.asked());
}

#[test]
fn a_script_of_the_users_own_is_kept_and_the_plan_says_so() {
    let server = Server::of(files(), None);
    let user = User::new(&server);
    fs::create_dir(user.at("bin")).unwrap();
    fs::write(user.at("bin/argo.sh"), "#!/bin/sh\n# mine\n").unwrap();
    let completion = user.at(".local/share/bash-completion/completions/helm");
    fs::create_dir_all(completion.parent().unwrap()).unwrap();
    fs::write(&completion, "# mine\n").unwrap();
    let plan = user.tools("plan", &[]);
    for name in ["argo.sh", "completions/helm"] {
        assert!(said(&plan).contains(&format!("{name} was not written by bringup and is kept")), "{}", said(&plan));
    }
    let apply = user.tools("apply", &["-y"]);
    assert_eq!(apply.status.code(), Some(0), "{}", said(&apply));
    assert_eq!(fs::read_to_string(user.at("bin/argo.sh")).unwrap(), "#!/bin/sh\n# mine\n");
    assert_eq!(fs::read_to_string(&completion).unwrap(), "# mine\n");
    assert!(user.at("bin/grafana.sh").exists());
}

#[test]
fn values_for_the_operators_shell_are_checked_where_they_stand() {
    let server = Server::of(files(), None);
    for (variable, value, expected) in [
        ("bin_dir", "''", "`bin_dir` is an absolute path"),
        ("bin_dir", "bin", "`bin_dir` is an absolute path"),
        ("bin_dir", "/a:/b", "`bin_dir` is an absolute path"),
        ("bin_dir", "\"~/x\\n# <<< bringup <<<\"", "`bin_dir` is an absolute path"),
        ("zsh_theme", "'$(id)'", "`zsh_theme` is a theme's name"),
        ("zsh_theme", "''", "`zsh_theme` is a theme's name"),
        ("cluster_domain", "'$(id).org'", "`cluster_domain` is a DNS name"),
        ("cluster_domain", "\"a\\nid\"", "`cluster_domain` is a DNS name"),
    ] {
        let user = User::new(&server);
        let path = user.site.path().join("group_vars/all.yml");
        let text = fs::read_to_string(&path).unwrap().replace("cluster_domain: example.org\n", "");
        fs::write(&path, format!("{text}{variable}: {value}\n")).unwrap();
        let plan = user.tools("plan", &[]);
        assert_eq!(plan.status.code(), Some(2), "{variable}: {value}: {}", said(&plan));
        let place = format!("group_vars/all.yml:12:{}", variable.len() + 3);
        assert!(said(&plan).contains(expected) && said(&plan).contains(&place), "{variable}: {value}: {}", said(&plan));
        assert!(!user.at(".bashrc").exists());
    }
}

#[test]
fn an_ansible_cfg_that_anybody_could_have_written_runs_nothing() {
    let server = Server::of(files(), None);
    let user = User::new(&server);
    let at = |name: &str| user.site.path().join(name);
    fs::write(at("ansible.cfg"), "[defaults]\nvault_password_file = run.sh\n").unwrap();
    fs::write(at("run.sh"), "#!/bin/sh\ntouch \"${0%/*}/ran\"\necho x\n").unwrap();
    fs::set_permissions(at("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(user.site.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let plan = user.tools("plan", &[]);
    assert!(said(&plan).contains("ansible.cfg is ignored: anybody can write to its directory"), "{}", said(&plan));
    assert!(!at("ran").exists());
    fs::set_permissions(user.site.path(), fs::Permissions::from_mode(0o755)).unwrap();
    user.tools("plan", &[]);
    assert!(at("ran").exists());
}

#[test]
fn a_broken_block_is_named_with_what_to_remove_and_left_alone() {
    let server = Server::of(files(), None);
    let user = User::new(&server);
    let text = "# >>> bringup >>>\nexport PATH=\"/x\n# <<< bringup <<<\nmore\n# <<< bringup <<<\n";
    fs::write(user.at(".bashrc"), text).unwrap();
    let plan = user.tools("plan", &[]);
    let words = said(&plan);
    assert!(words.contains(".bashrc: bringup's block ends in line 5") && words.contains("remove line 5"), "{words}");
    assert_eq!(fs::read_to_string(user.at(".bashrc")).unwrap(), text);
}

#[test]
fn a_version_that_nobody_states_moves_nothing() {
    let server = Server::of(files(), None);
    let user = User::new(&server);
    let bin = user.at("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("kubectl"), KUBECTL.replace("1.35.4", "1.30.0")).unwrap();
    fs::write(bin.join("helm"), HELM.replace("3.19.9", "3.10.0")).unwrap();
    for tool in ["kubectl", "helm"] {
        fs::set_permissions(bin.join(tool), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let apply = user.tools("apply", &["-y"]);
    assert_eq!(apply.status.code(), Some(0), "{}", said(&apply));
    assert!(fs::read_to_string(bin.join("kubectl")).unwrap().contains("1.30.0"), "the latest is asked for on request");
    assert!(fs::read_to_string(bin.join("helm")).unwrap().contains("3.19.9"), "the site states this one");
    assert!(!server.asked().iter().any(|head| head.contains("stable.txt")));
}

#[test]
fn what_has_another_sum_or_none_is_not_put_in_place() {
    let name = format!("helm-v3.19.9-{}.tar.gz", platform());
    let (good, list) = (files().remove(&format!("/helm/{name}")).unwrap(), format!("{name}.sha256sum"));
    let (evil, published) = (tgz(&[("evil", "x")]), files().remove(&format!("/helm/{list}")).unwrap());
    for (archive, sums, words) in [
        (&good, published.as_slice(), None),
        (&evil, published.as_slice(), Some("not what was expected")),
        (&good, b"<html>gone</html>\n".as_slice(), Some("names no SHA-256")),
    ] {
        let server = Server::of(files(), None);
        let user = User::new(&server);
        // Without a sum of the site's the published one counts, as it does where helm comes over TLS.
        let mirror = user.at("mirror");
        fs::create_dir(&mirror).unwrap();
        fs::write(mirror.join(&name), archive).unwrap();
        fs::write(mirror.join(&list), sums).unwrap();
        let path = user.site.path().join("group_vars/all.yml");
        let text = fs::read_to_string(&path).unwrap();
        let others = text.lines().filter(|line| !line.starts_with("helm_url") && !line.starts_with("helm_sha256"));
        let others = others.collect::<Vec<_>>().join("\n");
        fs::write(&path, format!("{others}\nhelm_url: file://{}\n", mirror.display())).unwrap();
        let apply = user.tools("apply", &["-y"]);
        assert_eq!(apply.status.code(), Some(i32::from(words.is_some())), "{}", said(&apply));
        assert!(words.is_none_or(|words| said(&apply).contains(words)), "{}", said(&apply));
        assert_eq!(user.at("bin/helm").exists(), words.is_none());
    }
}

#[test]
fn a_stated_sum_takes_precedence_over_the_published_one() {
    let all = files();
    // Whoever replaces a download on its way replaces its list of sums, too.
    for path in all.keys().filter(|path| is_download(path)) {
        let (good, evil) = (&all[path], tgz(&[("evil", path)]));
        let directory = format!("{}/", path.rsplit_once('/').unwrap().0);
        let list = all.keys().find(|other| !is_download(other) && other.starts_with(&directory)).unwrap();
        let lies = String::from_utf8(all[list].clone())
            .unwrap()
            .replace(&Sha256::of(good).to_string(), &Sha256::of(&evil).to_string());
        for (replacement, done) in [(good, true), (&evil, false)] {
            let mut files = all.clone();
            files.insert(path.clone(), replacement.clone());
            files.insert(list.clone(), lies.clone().into_bytes());
            let server = Server::of(files, None);
            let user = User::new(&server);
            let apply = user.tools("apply", &["-y"]);
            assert_eq!(apply.status.code(), Some(i32::from(!done)), "{path}: {}", said(&apply));
            assert_eq!(said(&apply).contains("not what was expected"), !done, "{path}: {}", said(&apply));
        }
    }
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_stopped() {
    let path = format!("/kubectl/release/v1.35.4/bin/{}/kubectl", platform().replace('-', "/"));
    let server = Server::of(files(), Some(&path));
    let user = User::new(&server);
    let apply = user.tools("apply", &["-y"]);
    assert_eq!(apply.status.code(), Some(0), "{}", said(&apply));
    assert_eq!(fs::read_to_string(user.at("bin/kubectl")).unwrap(), KUBECTL);
    let asked: Vec<String> = server.asked().into_iter().filter(|head| head.split(' ').nth(1) == Some(&path)).collect();
    assert_eq!(asked.len(), 2);
    assert!(asked[1].to_ascii_lowercase().contains(&format!("range: bytes={}-", KUBECTL.len() / 2)), "{}", asked[1]);
}
