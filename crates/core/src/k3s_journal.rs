//! What k3s says in its journal when a node does not join, and what that means to the operator.
//!
//! The words are k3s's own, recorded from 1.21.2 and read from the sources of newer ones, which put other words around
//! them: only what says the cause is looked for.

/// What an error line means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The control plane does not know the token.
    WrongToken,
    /// The token belongs to another cluster.
    WrongAuthority,
    /// Nothing that k3s can talk to answers at the control plane's address.
    DeadServer,
    /// The cluster knows another machine by this name.
    RefusedPassword,
}

impl Trouble {
    /// What a line says; `None` where it says nothing that is known.
    pub fn of(line: &str) -> Option<Self> {
        let says = |words: &[&str]| words.iter().any(|words| line.contains(words));
        if says(&["Node password rejected"]) {
            Some(Self::RefusedPassword)
        } else if says(&["CA hash does not match", "certificate signed by unknown authority"]) {
            Some(Self::WrongAuthority)
        } else if says(&["401 Unauthorized", "not authorized"]) {
            Some(Self::WrongToken)
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

    /// Whether waiting cannot mend it.
    pub fn lasts(self) -> bool {
        self != Self::DeadServer
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
        }
    }

    /// What the operator can do about `node`.
    pub fn next(self, node: &str) -> String {
        match self {
            Self::WrongToken | Self::WrongAuthority => format!(
                "see that control_plane names the right node; then join it anew, with a token read from there: \
                 bringup apply --tags k3s --limit {node} -e k3s_force=true"
            ),
            Self::DeadServer => format!(
                "see on the control plane: systemctl status k3s; see that {node} reaches its port 6443, and set node_ip \
                 and flannel_iface where a node has several addresses; then run again"
            ),
            Self::RefusedPassword => format!(
                "if no other machine has the name, run again: the Node {node} and its node-password secret are deleted \
                 with your leave, and it joins by itself"
            ),
        }
    }
}

/// The message of a line as k3s's logger writes it, without time and level.
pub fn message(line: &str) -> String {
    let Some((_, rest)) = line.split_once("msg=\"") else { return line.trim().to_owned() };
    let mut text = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => text.extend(characters.next()),
            other => text.push(other),
        }
    }
    text
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
                Some(Trouble::WrongToken),
            ),
            (
                r#"time="<t>" level=error msg="token CA hash does not match the Cluster CA certificate hash: <ca-hash> != <ca-hash>""#,
                Some(Trouble::WrongAuthority),
            ),
            (
                r#"time="<t>" level=error msg="failed to get CA certs: Get \"https://127.0.0.1:6444/cacerts\": read tcp 127.0.0.1:<p>->127.0.0.1:6444: read: connection reset by peer""#,
                Some(Trouble::DeadServer),
            ),
            (
                r#"time="<t>" level=error msg="failed to get CA certs: Get \"https://127.0.0.1:6444/cacerts\": EOF""#,
                Some(Trouble::DeadServer),
            ),
            (
                r#"time="<t>" level=error msg="Failed to configure agent: Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server node-passwd entry, try enabling a unique node name with the --with-node-id flag""#,
                Some(Trouble::RefusedPassword),
            ),
            (
                r#"time="<t>" level=warning msg="Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. Use the full token from the server's node-token file to enable Cluster CA validation.""#,
                None,
            ),
            (
                r#"time="<t>" level=error msg="Waiting to retrieve agent configuration; server is not ready: failed to retrieve configuration from server: https://127.0.0.1:6444/v1-k3s/config: 401 Unauthorized""#,
                Some(Trouble::WrongToken),
            ),
            (
                r#"time="<t>" level=error msg="Failed to validate connection to cluster at https://10.0.0.1:6443: failed to get CA certs: Get \"https://10.0.0.1:6443/cacerts\": dial tcp 10.0.0.1:6443: connect: connection refused""#,
                Some(Trouble::DeadServer),
            ),
            (r#"time="<t>" level=error msg="runtime core not ready""#, None),
        ] {
            assert_eq!(Trouble::of(line), trouble, "{line}");
        }
    }

    #[test]
    fn a_message_is_taken_out_of_its_line() {
        for (line, expected) in [
            (r#"time="<t>" level=error msg="failed: Get \"https://a\": EOF""#, r#"failed: Get "https://a": EOF"#),
            ("k3s: exec format error", "k3s: exec format error"),
            (r#"level=fatal msg="cut"#, "cut"),
        ] {
            assert_eq!(message(line), expected);
        }
    }

    #[test]
    fn each_says_what_to_do() {
        for trouble in [Trouble::WrongToken, Trouble::WrongAuthority, Trouble::DeadServer, Trouble::RefusedPassword] {
            assert!(trouble.next("node03").contains("node03"));
            assert!(!trouble.likely().is_empty());
        }
    }
}
