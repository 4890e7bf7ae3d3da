//! A hostile mirror: of tools, of k3s's install script and of its releases. Its certificate is believed, and what it says is
//! not. Charts come through helm, whose registries are helm's own to judge.

use std::fs;

use bringup_core::ids::Sha256;

use crate::https::{Answer, Server, path};
use crate::node::{Node, Sudo, honestly};
use crate::nodes::honest;
use crate::operator::{Operator, Ran};
use crate::words;

/// What the stage tools may write, were it given anything good.
const PLACES: [&str; 5] = ["home/bin", "home/.local", "home/.bashrc", "home/.zshrc", "home/.cache"];
const SCRIPT: &str = "#!/bin/sh\necho honest\n";

/// The tools, with what they say of their versions.
const TOOLS: [(&str, &str); 3] =
    [("helm", "v3.19.9"), ("kubectl", "Client Version: v1.35.4"), ("kubeseal", "kubeseal version: 0.34.0")];

type Way = fn(&str, &str) -> Answer;

/// An operator whose tools come from a mirror that answers so, given the directory in which nothing may be created.
fn operator(way: Way) -> (Operator, Server) {
    let mut operator = Operator::new();
    let canary = operator.canary();
    let server = Server::start(move |head| way(&canary, head));
    operator.environment("SSL_CERT_FILE", operator.file("authority.pem", &server.authority.pem));
    operator.hides("nobody reads this");
    (operator, server)
}

/// Where tools come from.
fn tools_of(server: &Server) -> String {
    let url = server.url();
    format!(
        "helm_url: {url}/helm\nkubectl_url: {url}/kubectl\nkubeseal_url: {url}/kubeseal\nhelm_diff_url: {url}/diff\n\
         helm_version: 3.19.9\nkubeseal_version: 0.34.0\nhelm_diff_version: 3.14.0\ncluster_domain: example.org\n"
    )
}

/// Has a tool installed from it, with the others in place: the run ends with a cause, and without the tool.
fn install(tool: &str, way: Way) -> Ran {
    let (operator, server) = operator(way);
    operator.site(&tools_of(&server), "    {}\n");
    for (name, version) in TOOLS.into_iter().filter(|(name, _)| *name != tool) {
        operator.program(&format!("home/bin/{name}"), &format!("#!/bin/sh\necho {version}\n"));
    }
    let ran = operator.run(&["apply", "-y", "--tags", "tools"], &PLACES);
    assert_eq!(ran.status, Some(1), "{tool}: {}", ran.said());
    assert!(!operator.at("home/bin").join(tool).exists(), "{tool} is there: {}", ran.said());
    let asked = server.heads().iter().any(|head| path(head).starts_with(&format!("/{tool}/")));
    assert!(asked, "{tool}: {:?}", server.heads());
    ran
}

/// A gzipped archive with these members, whatever their names.
fn tgz(members: &[(String, tar::EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, kind, link, bytes) in members {
        let mut header = tar::Header::new_old();
        // The builder itself would refuse such names.
        let field = &mut header.as_old_mut().name;
        let length = name.len().min(field.len());
        field[..length].copy_from_slice(&name.as_bytes()[..length]);
        let field = &mut header.as_old_mut().linkname;
        let length = link.len().min(field.len());
        field[..length].copy_from_slice(&link.as_bytes()[..length]);
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// The file itself where it is asked for, and its true sum where that is: as a mirror has it that serves something evil.
fn with_its_sum(head: &str, file: &[u8]) -> Answer {
    let path = path(head);
    if path.ends_with("stable.txt") {
        return Answer::whole("v1.35.4\n");
    }
    if path.ends_with(".sha256sum") || path.ends_with(".sha256") {
        return Answer::whole(Sha256::of(file).to_string());
    }
    if path.contains("checksums") || path.contains("sha256sum-") {
        let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
        let platform = format!("{system}-{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" });
        let names =
            [format!("kubeseal-0.34.0-{platform}.tar.gz"), format!("helm-diff-{platform}.tgz"), "k3s".to_owned()];
        let lines: String = names.iter().map(|name| format!("{}  {name}\n", Sha256::of(file))).collect();
        return Answer::whole(lines);
    }
    Answer::whole(file)
}

#[test]
fn an_archive_with_its_sum_writes_nothing_outside_and_follows_no_link() {
    let ways: [Way; 2] = [
        // Members that lead out, and none of the wanted name.
        |canary, head| {
            let file = |name: String| (name, tar::EntryType::Regular, "", &b"#!/bin/sh\n"[..]);
            let up = "../".repeat(12);
            with_its_sum(head, &tgz(&[file(format!("{up}{canary}/planted")), file(format!("{canary}/planted"))]))
        },
        // The wanted name is a link, hard or soft, and a directory.
        |canary, head| {
            let secret = format!("{canary}/secret");
            let mut members = Vec::new();
            for name in ["linux-amd64/helm", "linux-arm64/helm", "darwin-arm64/helm", "kubeseal", "diff/plugin.yaml"] {
                for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Directory] {
                    members.push((name.to_owned(), kind, secret.as_str(), &b""[..]));
                }
            }
            with_its_sum(head, &tgz(&members))
        },
    ];
    // kubectl comes in no archive.
    for (tool, way) in [("helm", ways[0]), ("helm", ways[1]), ("kubeseal", ways[0]), ("kubeseal", ways[1])] {
        let ran = install(tool, way);
        assert!(ran.out.contains("it holds no file"), "{tool}: {}", ran.said());
    }
}

#[test]
fn what_is_not_what_its_sum_says_is_not_put_in_place() {
    let ways: [Way; 5] = [
        // Sums of something else.
        |_, head| match path(head).contains("sum") || path(head).ends_with(".sha256") {
            true => Answer::whole(Sha256::of("another").to_string()),
            false => with_its_sum(head, b"#!/bin/sh\n"),
        },
        // Words where a sum or a version is wanted.
        |canary, _| Answer::whole(words::forged_lines(canary)),
        |canary, _| Answer::whole(words::baits(canary).join("\n")),
        |canary, _| Answer::with("403 Forbidden", &[], words::forged_lines(canary)),
        // Not even text.
        |_, _| Answer::whole([0xff, 0xfe, 0x1b, 0x00]),
    ];
    for (tool, _) in TOOLS {
        ways.into_iter().for_each(|way| drop(install(tool, way)));
    }
}

#[test]
fn what_leads_elsewhere_or_is_longer_than_it_may_be_is_not_followed() {
    let ways: [(Way, &str); 5] = [
        (|canary, _| Answer::redirection(&format!("file://{canary}/secret")), "is not followed"),
        // What came with TLS is not given up for what does not.
        (|_, _| Answer::redirection("http://127.0.0.1:1/"), "is not followed"),
        (|_, head| Answer::redirection(path(head)), "more than 10 times"),
        // A text, and a file, without an end.
        (
            |_, head| match path(head).contains("sum") || path(head).ends_with(".sha256") {
                true => Answer::Endless("HTTP/1.1 200 OK\r\n\r\n", &[b'a'; 64 << 10]),
                false => with_its_sum(head, b"x"),
            },
            "more than a text",
        ),
        (
            |_, head| match [".sha256", ".sha256sum", "checksums.txt", "stable.txt"]
                .iter()
                .any(|end| path(head).ends_with(end))
            {
                true => with_its_sum(head, b"x"),
                false => Answer::Endless("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", &[b'a'; 64 << 10]),
            },
            "longer than",
        ),
    ];
    for (tool, _) in TOOLS {
        for (way, words) in ways {
            let ran = install(tool, way);
            assert!(ran.said().contains(words), "{tool}, {words}: {}", ran.said());
        }
    }
}

/// A node is given nothing of what a mirror had for it.
fn node_gets_nothing(way: Way, words: &str) {
    let (operator, server) = operator(way);
    let honest = honest("k3s-none").with("cat /etc/rancher/k3s/k3s.yaml", "", 1);
    let good = Node::start(honest, Sudo::Free, honestly);
    let nodes = format!("    good:\n      ansible_host: 127.0.0.1\n      ansible_port: {}\n", good.port);
    let url = server.url();
    let variables = format!(
        "ansible_account: ops\nansible_password: x\ncontrol_plane: good\ncluster_domain: example.org\n\
         k3s_install_url: {url}/install.sh\nk3s_install_sha256: {}\nk3s_artifact_url: {url}/k3s\nk3s_airgap: true\n",
        Sha256::of(SCRIPT)
    );
    operator.site(&variables, &nodes);
    operator.file("home/.ssh/known_hosts", &good.known_hosts_line());
    let ran = operator.run(&["apply", "-y", "--tags", "k3s", "--limit", "good"], &[]);
    assert_eq!(ran.status, Some(1), "{}", ran.said());
    assert!(ran.out.contains(words), "{words}: {}", ran.said());
    let sent: Vec<_> = good.sent().into_iter().filter(|sent| sent.input.contains("evil")).collect();
    assert!(sent.is_empty(), "{sent:?}");
    let cache = fs::read_dir(operator.at("home/.cache/bringup")).into_iter().flatten();
    let kept: Vec<String> = cache.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!kept.iter().any(|name| name.ends_with("-binary") || name.ends_with(".zst")), "{kept:?}");
}

#[test]
fn a_script_or_a_release_that_is_another_reaches_no_node() {
    // Another script than the site says.
    node_gets_nothing(|_, _| Answer::whole("#!/bin/sh\necho evil\n"), "not what was expected");
    // The right script, and a binary that is not what its list of sums says.
    node_gets_nothing(
        |_, head| match path(head) {
            "/install.sh" => Answer::whole(SCRIPT),
            path if path.contains("sha256sum-") => with_its_sum(head, b"honest"),
            _ => Answer::whole("#!/bin/sh\necho evil\n"),
        },
        "not what was expected",
    );
    // The right script, and a list of sums that is none.
    node_gets_nothing(
        |canary, head| match path(head) {
            "/install.sh" => Answer::whole(SCRIPT),
            _ => Answer::whole(words::forged_lines(canary)),
        },
        "names no SHA-256",
    );
}
