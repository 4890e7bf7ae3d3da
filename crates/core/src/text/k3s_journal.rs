//! What k3s says in its journal when a node does not join, and what that means to the operator.
//!
//! The words are k3s's own, recorded from 1.21.2 and 1.36.3, which put other words around them: only what says the cause
//! is looked for.

/// What k3s said last that tells why it does not get on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// In its words, without time and level.
    pub message: String,
    /// What that means, where it is known.
    pub trouble: Option<StartFailure>,
}

impl Said {
    /// What the lines of a journal say, newest first, beside the last line of containerd's log. The newest line of known
    /// meaning counts, even where a newer one of no known meaning is there.
    pub fn of<'a>(newest_first: impl Iterator<Item = &'a str>, containerd: &str) -> Option<Self> {
        let mut unknown = None;
        for line in newest_first.filter(|line| !line.is_empty() && !is_noise(line)) {
            let mut message = message(line);
            match StartFailure::of(line) {
                Some(trouble) => {
                    // Of containerd's end k3s knows the exit status alone.
                    if trouble == StartFailure::Containerd
                        && message.contains("containerd exited")
                        && !containerd.is_empty()
                    {
                        message = format!("{message}: {containerd}");
                    }
                    return Some(Self { message, trouble: Some(trouble) });
                }
                None => unknown = unknown.or(Some(message)),
            }
        }
        unknown.map(|message| Self { message, trouble: None })
    }
}

/// Whether it is an error to k3s and no cause of anything: a server that starts answers so to those who ask too early, and
/// a container may not change the kernel's settings.
fn is_noise(line: &str) -> bool {
    ["msg=\"Sending HTTP/", "msg=\"Failed to set sysctl", "msg=\"runtime core not ready"]
        .iter()
        .any(|words| line.contains(words))
}

/// What an error line means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartFailure {
    /// The control plane does not know the token.
    WrongToken,
    /// The token belongs to another cluster.
    WrongAuthority,
    /// Nothing that k3s can talk to answers at the control plane's address.
    DeadServer,
    /// The cluster knows another machine by this name.
    RefusedPassword,
    /// The file that holds the token is not there.
    NoTokenFile,
    /// A setting that this release does not know. It ends an agent; a server only warns of it.
    UnknownSetting,
    /// The container runtime does not start.
    Containerd,
}

impl StartFailure {
    /// What a line says; `None` where it says nothing that is known.
    pub fn of(line: &str) -> Option<Self> {
        let says = |words: &[&str]| words.iter().any(|words| line.contains(words));
        if says(&["Node password rejected"]) {
            Some(Self::RefusedPassword)
        } else if says(&["CA hash does not match", "certificate signed by unknown authority"]) {
            Some(Self::WrongAuthority)
        } else if says(&["401 Unauthorized", "not authorized"]) {
            Some(Self::WrongToken)
        } else if says(&["msg=\"Waiting for file", "to be available\\n"]) {
            Some(Self::NoTokenFile)
        } else if says(&["flag provided but not defined"]) {
            Some(Self::UnknownSetting)
        } else if says(&["failed to start container runtime", "containerd exited"]) {
            Some(Self::Containerd)
        } else if says(&[
            "failed to get CA certs",
            "connection refused",
            "connection reset by peer",
            "no route to host",
            "network is unreachable",
            "i/o timeout",
            "context deadline exceeded",
            "503 Service Unavailable",
        ]) {
            Some(Self::DeadServer)
        } else {
            None
        }
    }

    /// Whether it is still so however long one waits.
    pub fn lasts(self) -> bool {
        self != Self::DeadServer
    }

    /// Whether an agent gets over it once it is given the control plane's address and token again.
    pub fn ends_with_another_token(self) -> bool {
        matches!(self, Self::WrongToken | Self::WrongAuthority | Self::DeadServer | Self::NoTokenFile)
    }

    /// What it most likely is.
    pub fn likely(self) -> &'static str {
        match self {
            Self::WrongToken => "the token is not that of this control plane: it was changed or made anew",
            Self::WrongAuthority => "the token belongs to another cluster: the control plane was installed anew",
            Self::DeadServer => {
                "nothing answers at the control plane's address and port: k3s is down there, a firewall is between, \
                 or the address is another one's"
            }
            Self::RefusedPassword => {
                "the cluster remembers another machine by this name: the node was made anew, or two share the name"
            }
            Self::NoTokenFile => "the file with the token that its unit names was deleted",
            Self::UnknownSetting => {
                "a key in /etc/rancher/k3s/config.yaml or a flag of its unit is misspelt, or is not one that an agent of this \
                 release has"
            }
            Self::Containerd => {
                "containerd rejects its configuration, or the runtime that it should use by default is not installed"
            }
        }
    }

    /// What the operator can do about `node`.
    pub fn next(self, node: &str) -> String {
        match self {
            Self::WrongToken | Self::WrongAuthority | Self::NoTokenFile => format!(
                "see that control_plane names the right node; then join it anew, with a token read from there: \
                 bringup apply --tags k3s --limit {node} -e k3s_force=true"
            ),
            Self::DeadServer => format!(
                "see on the control plane: systemctl status k3s; see that {node} reaches its port 6443, and set node_ip \
                 and flannel_iface where a node has several addresses; then run again"
            ),
            Self::RefusedPassword => format!(
                "if no other machine has the name, run again: the Node {node} and its node-password secret are deleted \
                 once you approve that, and it joins by itself"
            ),
            Self::UnknownSetting => {
                format!("correct that setting on {node}, in /etc/rancher/k3s/config.yaml or its unit; then run again")
            }
            Self::Containerd => format!(
                "compare the templates in /var/lib/rancher/k3s/agent/etc/containerd on {node} with \
                 containerd/containerd.log in /var/lib/rancher/k3s/agent, and install the runtime that they name; then run again"
            ),
        }
    }
}

/// The message of a line as k3s's logger writes it, without time and level, and the error behind it.
fn message(line: &str) -> String {
    let Some(message) = field(line, "msg=\"") else { return line.trim().to_owned() };
    match field(line, " error=\"") {
        Some(error) => format!("{message}: {error}"),
        None => message,
    }
}

/// The text in quotes behind a key.
fn field(line: &str, key: &str) -> Option<String> {
    let (_, rest) = line.split_once(key)?;
    let mut text = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => match characters.next() {
                Some('n') => text.push('\n'),
                other => text.extend(other),
            },
            other => text.push(other),
        }
    }
    Some(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Journals of the real k3s 1.21.2 on an agent, as they were recorded, and below them the same causes as newer ones
    /// word them.
    #[test]
    fn each_recorded_cause_has_its_name() {
        for (line, trouble) in [
            (
                r#"time="<t>" level=error msg="Failed to configure agent: failed to retrieve configuration from server: https://127.0.0.1:6444/v1-k3s/config: 401 Unauthorized""#,
                Some(StartFailure::WrongToken),
            ),
            (
                r#"time="<t>" level=error msg="token CA hash does not match the Cluster CA certificate hash: <ca-hash> != <ca-hash>""#,
                Some(StartFailure::WrongAuthority),
            ),
            (
                r#"time="<t>" level=error msg="failed to get CA certs: Get \"https://127.0.0.1:6444/cacerts\": read tcp 127.0.0.1:<p>->127.0.0.1:6444: read: connection reset by peer""#,
                Some(StartFailure::DeadServer),
            ),
            (
                r#"time="<t>" level=error msg="failed to get CA certs: Get \"https://127.0.0.1:6444/cacerts\": EOF""#,
                Some(StartFailure::DeadServer),
            ),
            (
                r#"time="<t>" level=error msg="Failed to configure agent: Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server node-passwd entry, try enabling a unique node name with the --with-node-id flag""#,
                Some(StartFailure::RefusedPassword),
            ),
            (
                r#"time="<t>" level=warning msg="Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. Use the full token from the server's node-token file to enable Cluster CA validation.""#,
                None,
            ),
            (
                r#"time="<t>" level=error msg="Waiting to retrieve agent configuration; server is not ready: failed to retrieve configuration from server: https://127.0.0.1:6444/v1-k3s/config: 401 Unauthorized""#,
                Some(StartFailure::WrongToken),
            ),
            (
                r#"time="<t>" level=error msg="Failed to validate connection to cluster at https://10.0.0.1:6443: failed to get CA certs: Get \"https://10.0.0.1:6443/cacerts\": dial tcp 10.0.0.1:6443: connect: connection refused""#,
                Some(StartFailure::DeadServer),
            ),
            (
                r#"time="<t>" level=info msg="Waiting to retrieve agent configuration; server is not ready: failed to retrieve configuration from server: not authorized""#,
                Some(StartFailure::WrongToken),
            ),
            (
                r#"time="<t>" level=info msg="Waiting to retrieve agent configuration; server is not ready: /var/lib/rancher/k3s/agent/serving-kubelet.crt: Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server node-passwd entry, try enabling a unique node name with the --with-node-id flag""#,
                Some(StartFailure::RefusedPassword),
            ),
            (
                r#"time="<t>" level=info msg="Waiting for file \"/etc/rancher/k3s/bringup-token\" to be created\n""#,
                Some(StartFailure::NoTokenFile),
            ),
            // As 1.21 words it.
            (
                r#"time="<t>" level=info msg="Waiting for /etc/rancher/k3s/bringup-token to be available\n""#,
                Some(StartFailure::NoTokenFile),
            ),
            (
                r#"time="<t>" level=fatal msg="Error: flag provided but not defined: -nonsense-flag""#,
                Some(StartFailure::UnknownSetting),
            ),
            (
                r#"time="<t>" level=error msg="Shutdown request received: \"failed to start container runtime: default runtime nvidia was not found\"""#,
                Some(StartFailure::Containerd),
            ),
            (
                r#"time="<t>" level=error msg="Shutdown request received: \"containerd exited: exit status 1\"""#,
                Some(StartFailure::Containerd),
            ),
            (r#"time="<t>" level=error msg="runtime core not ready""#, None),
        ] {
            assert_eq!(StartFailure::of(line), trouble, "{line}");
        }
    }

    #[test]
    fn a_message_is_taken_out_of_its_line() {
        for (line, expected) in [
            (r#"time="<t>" level=error msg="failed: Get \"https://a\": EOF""#, r#"failed: Get "https://a": EOF"#),
            ("k3s: exec format error", "k3s: exec format error"),
            (r#"level=fatal msg="cut"#, "cut"),
            (r#"level=error msg="Failed to x" error="y: \"z\"" k=v"#, r#"Failed to x: y: "z""#),
        ] {
            assert_eq!(message(line), expected);
        }
    }

    #[test]
    fn the_newest_line_that_tells_a_cause_is_what_it_said() {
        let wrong = r#"time="<t>" level=info msg="Waiting to retrieve agent configuration; server is not ready: failed to retrieve configuration from server: not authorized""#;
        let dead = r#"time="<t>" level=error msg="failed to get CA certs: EOF""#;
        let unknown = r#"time="<t>" level=error msg="something else""#;
        let sysctl = r#"time="<t>" level=error msg="Failed to set sysctl: open /proc/sys/net/netfilter/nf_conntrack_max: permission denied""#;
        let early =
            r#"time="<t>" level=error msg="Sending HTTP/1.1 502 response to 127.0.0.1:5: failed to get CA certs""#;
        let ended = r#"time="<t>" level=error msg="Shutdown request received: \"containerd exited: exit status 1\"""#;
        for (lines, containerd, expected) in [
            (vec![], "", None),
            (vec![sysctl, early, ""], "containerd: x", None),
            (vec![unknown, dead, wrong], "", Some(("failed to get CA certs: EOF", Some(StartFailure::DeadServer)))),
            (vec![sysctl, unknown], "", Some(("something else", None))),
            (
                vec![ended],
                "containerd: failed to unmarshal TOML: toml: table nvidia already exists",
                Some((
                    "Shutdown request received: \"containerd exited: exit status 1\": containerd: failed to unmarshal TOML: \
                     toml: table nvidia already exists",
                    Some(StartFailure::Containerd),
                )),
            ),
        ] {
            let expected = expected.map(|(message, trouble)| Said { message: message.to_owned(), trouble });
            assert_eq!(Said::of(lines.iter().copied(), containerd), expected, "{lines:?}");
        }
    }

    #[test]
    fn each_says_what_to_do() {
        let mut told = std::collections::BTreeSet::new();
        for trouble in [
            StartFailure::WrongToken,
            StartFailure::WrongAuthority,
            StartFailure::DeadServer,
            StartFailure::RefusedPassword,
            StartFailure::NoTokenFile,
            StartFailure::UnknownSetting,
            StartFailure::Containerd,
        ] {
            assert!(trouble.next("node03").contains("node03"));
            assert!(told.insert((trouble.likely(), trouble.next("node03"))), "{trouble:?} says what another says");
        }
    }
}
